"""What attempts to send mean."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from e2a.core.rules.sending import SCHEDULE, UNKNOWN_SECONDS, Decision, Target, decide, due, provider_id

DAY = 86_400.0
PENDING = Target("ann@people.test", "pending")
OTHER = Target("bob@people.test", "pending")
UNSURE = Target("ann@people.test", "unknown")


def after(*answers: tuple[str, int | None], targets: tuple[Target, ...] = (), **given: Any) -> Decision:
    targets = targets or (PENDING, OTHER)[: len(answers)]
    words: Any = {
        target.address: (state, code, "words") for target, (state, code) in zip(targets, answers, strict=True)
    }
    options: dict[str, Any] = {
        "attempt": 1,
        "unknowns": 0,
        "seconds_left": 5 * DAY,
        "policy": "retry",
        "jitter": 0.0,
        **given,
    }
    return decide(targets, words, **options)


def result(decision: Decision) -> tuple[list[str], float | None]:
    return [recipient.state for recipient in decision.recipients], decision.delay


class Rules(SynchronousTestCase):
    def test_answers(self) -> None:
        """Accepted and refused are final; deferred alone is tried again, without holding up the others."""
        self.assertEqual(result(after(("sent", 250))), (["sent"], None))
        self.assertEqual(result(after(("refused", 550))), (["failed"], None))
        self.assertEqual(result(after(("deferred", 450))), (["pending"], 60))
        self.assertEqual(result(after(("refused", 550), ("sent", 250))), (["failed", "sent"], None))
        self.assertEqual(result(after(("deferred", 450), ("sent", 250))), (["pending", "sent"], 60))

    def test_schedule(self) -> None:
        """Waits grow to four hours, jitter only lengthens them, and after five days it is over."""
        delays = [after(("deferred", 450), attempt=number).delay for number in range(1, 10)]
        self.assertEqual(delays, [*SCHEDULE, SCHEDULE[-1], SCHEDULE[-1]])
        self.assertEqual(after(("deferred", 450), jitter=0.5).delay, 66)
        self.assertEqual(result(after(("deferred", 450), seconds_left=59)), (["failed"], None))

    def test_lost_answer(self) -> None:
        """A lost answer is tried once more, not within fifteen minutes, then never again."""
        first = after(("unknown", None))
        self.assertEqual((result(first), first.unknowns), ((["unknown"], UNKNOWN_SECONDS), 1))
        second = after(("unknown", None), targets=(UNSURE,), unknowns=1, attempt=2)
        self.assertEqual((result(second), second.unknowns), ((["unknown"], None), 2))

    def test_held(self) -> None:
        """With the policy to hold it is not tried again; what else is pending is."""
        self.assertEqual(result(after(("unknown", None), policy="hold")), (["unknown"], None))
        self.assertEqual(
            result(after(("unknown", None), ("deferred", 450), policy="hold")), (["unknown", "pending"], 900)
        )

    def test_who_is_due(self) -> None:
        """Those who may have a copy get a second one only as the policy says, and only once."""
        both = (UNSURE, OTHER)
        self.assertEqual(due(both, 1, "retry"), both)
        self.assertEqual(due(both, 2, "retry"), (OTHER,))
        self.assertEqual(due(both, 1, "hold"), (OTHER,))

    def test_answer_after_a_lost_one(self) -> None:
        """The second copy's acceptance settles it; its refusal says nothing of the first, so it stays unknown."""
        again = {"targets": (UNSURE,), "unknowns": 1, "attempt": 2}
        self.assertEqual(result(after(("sent", 250), **again)), (["sent"], None))
        self.assertEqual(result(after(("refused", 550), **again)), (["unknown"], None))
        self.assertEqual(result(after(("deferred", 450), **again)), (["unknown"], 300))
        self.assertEqual(result(after(("deferred", 450), **again, seconds_left=1)), (["unknown"], None))

    def test_provider_id(self) -> None:
        """Only what is a Message-ID is taken for one, not a queue id or a pleasantry."""
        for text, expected in (
            ("Ok <0100018f-abc@eu-west-1.mail.example>", "<0100018f-abc@eu-west-1.mail.example>"),
            ("2.0.0 accepted <q1@mx.example> for delivery", "<q1@mx.example>"),
            (
                "Ok 0100018f2a3b4c5d-1a2b3c4d-aaaa-bbbb-cccc-1a2b3c4d5e6f-000000",
                "<0100018f2a3b4c5d-1a2b3c4d-aaaa-bbbb-cccc-1a2b3c4d5e6f-000000>",
            ),
            ("2.0.0 Ok: queued as 4F1C2A", ""),
            ("Ok", ""),
            ("", ""),
            ("2.0.0 <Ann@people.test>... accepted as <x@y>", "<x@y>"),
        ):
            self.assertEqual(provider_id(text, ("ann@people.test",)), expected, text)
