"""Verdicts in plain words: never better than the verdict, and never silent about why."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Automation, Facts, InboundMessage
from e2a.core.trust.plainly import automation_reasons, defect_sentences, plainly

NOW = datetime(2026, 4, 20, tzinfo=UTC)


def received(
    verified: bool = False,
    sender: str = "ana@corp.test",
    *,
    entity: Any = "human",
    delegation: str = "",
    defects: tuple[str, ...] = (),
    automation: Automation | None = None,
    **checks: Any,
) -> InboundMessage:
    """A message of which only the verdict matters."""
    return InboundMessage(
        id="msg_1", uid=1, agent_id="bot@agents.test", raw_id="raw_1", sender=sender, recipient="bot@agents.test",
        tag="", to=(), cc=(), reply_to=(), subject="", email_message_id="", conversation_id=None,
        facts=Facts(verified, sender, entity, "", "", delegation), authentication=checks, size=1,
        inbox_status="unread", created_at=NOW, expires_at=NOW, defects=defects, automation=automation or Automation(),
    )  # fmt: skip


def dkim(result: str, *, aligned: bool) -> dict[str, Any]:
    return {"result": result, "domain": "corp.test", "selector": "s1", "aligned": aligned}


class PlainTests(SynchronousTestCase):
    def test_proven(self) -> None:
        """What is proven names the domain, and exactly the means by which it is."""
        plain = plainly(
            received(True, dkim=[dkim("pass", aligned=True)], spf={"result": "pass", "domain": "list.test"})
        )
        self.assertEqual((plain.level, plain.title), ("good", "Proven: this mail was sent by corp.test"))
        self.assertIn("DKIM", plain.text)
        self.assertNotIn("SPF", plain.text)
        plain = plainly(
            received(True, dkim=[dkim("pass", aligned=False)], spf={"result": "pass", "domain": "corp.test"})
        )
        self.assertIn("SPF", plain.text)
        self.assertNotIn("DKIM", plain.text)
        both = received(True, dkim=[dkim("pass", aligned=True)], spf={"result": "pass", "domain": "mail.corp.test"})
        self.assertIn("DKIM signature fits and it came", plainly(both).text)

    def test_agents(self) -> None:
        """Mail of an agent here says so, and for whom the agent acts."""
        inside = {"internal": {"result": "pass"}}
        statement = "agent=eve@agents.test;human=ana@people.test"
        plain = plainly(received(True, "eve@agents.test", entity="agent", delegation=statement, **inside))
        self.assertEqual(plain.level, "good")
        self.assertIn("acts for ana@people.test", plain.text)
        self.assertNotIn("acts for", plainly(received(True, "eve@agents.test", entity="agent", **inside)).text)
        self.assertIn("test message", plainly(received(True, "noreply@x.test", **inside)).title)

    def test_unproven(self) -> None:
        """What is not proven says that anybody can have written it, and why it is not."""
        reject = {"result": "fail", "policy": "reject", "domain": "corp.test"}
        cases = (
            (received(dmarc=reject, spf={"result": "fail"}), "bad", "corp.test asks to trust no such mail"),
            (received(dmarc={"result": "fail", "policy": "none"}, spf={"result": "fail"}), "warn", "SPF failed"),
            (received(spf={"result": "temperror"}), "warn", "DNS gave no answer"),
            (received(dkim=[dkim("temperror", aligned=True)]), "warn", "DNS gave no answer"),
            (received(), "warn", "no SPF"),
            (received(dkim=[dkim("fail", aligned=True)]), "warn", "DKIM signature does not fit"),
            (received(dkim=[dkim("pass", aligned=False)]), "warn", "signed by another domain"),
            (received(spf={"result": "pass", "domain": "other.test"}), "warn", "another domain than it names"),
            (received(defects=("nul",), dkim=[dkim("pass", aligned=True)]), "bad", "header is damaged"),
            (received(sender=""), "warn", "nobody has signed it"),
            (received(dkim=[dkim("pass", aligned=True)]), "warn", "From field can be misread"),
        )
        for message, level, why in cases:
            plain = plainly(message)
            self.assertEqual(plain.level, level, plain)
            self.assertTrue(plain.title.startswith("Not proven"), plain)
            self.assertIn("Anybody can have written this.", plain.text)
            self.assertIn(why, plain.text)

    @given(
        st.sampled_from(["pass", "fail", "softfail", "none", "neutral", "temperror", "permerror"]),
        st.lists(st.tuples(st.sampled_from(["pass", "fail", "temperror", "none"]), st.booleans()), max_size=2),
        st.sampled_from(["pass", "fail", "none", "temperror"]),
        st.sampled_from([None, "none", "quarantine", "reject"]),
        st.text(max_size=20),
    )
    def test_never_better(
        self, spf: str, signatures: list[tuple[str, bool]], dmarc: str, policy: str | None, sender: str
    ) -> None:
        """Whatever was found, what is not verified is never called proven."""
        plain = plainly(
            received(
                sender=sender,
                spf={"result": spf, "domain": "corp.test"},
                dkim=[dkim(result, aligned=aligned) for result, aligned in signatures],
                dmarc={"result": dmarc, "policy": policy, "domain": "corp.test"},
            )
        )
        self.assertNotEqual(plain.level, "good")
        self.assertTrue(plain.title.startswith("Not proven"))

    def test_signs(self) -> None:
        """Signs of a program and defects are told in sentences; new ones under their own names."""
        message = received(automation=Automation(True, ("list_id", "new_sign")), defects=("nul", "new_defect"))
        self.assertEqual(automation_reasons(message), ["it comes from a mailing list", "new_sign"])
        self.assertEqual(defect_sentences(message)[1], "Defect: new_defect.")
