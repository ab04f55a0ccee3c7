"""Sending over REST: shapes, keys, waiting, and what each outcome is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from e2a.api.app import Api
from e2a.api.auth import Authorizer
from e2a.api.routing import body_for
from e2a.api.send import Sending
from e2a.core.entities import OutboundMessage, OutboundRecipient
from e2a.core.errors import RecipientSuppressed
from e2a.core.rules.drafts import Asked, AskedFile
from e2a.core.rules.permissions import AGENT_PERMISSIONS
from e2a.flows.outcomes import Submitted
from tests.api import support
from tests.api.support import Answer, Client, authenticate, counting_random, make_app

NOW = datetime(2026, 4, 20, 8, tzinfo=UTC)
MESSAGE = OutboundMessage(
    id="msg_1",
    agent_id="bot@agents.test",
    organisation_id="org_a",
    status="sent",
    message_type="send",
    sender="bot@agents.test",
    to=("ana@corp.test",),
    cc=(),
    bcc=(),
    subject="Quote",
    email_message_id="<1@agents.test>",
    conversation_id="c-1",
    in_reply_to="",
    raw_id=None,
    size=1,
    created_at=NOW,
    expires_at=NOW,
)
SENT = OutboundRecipient("ana@corp.test", "to", "smtp", state="sent", code=250, reply="2.0.0 Ok")
GOOD = {"from": "bot@agents.test", "to": ["ana@corp.test"], "subject": "Quote", "body": "Hello"}


class Writing:
    """Stands for the flow: remembers what it was asked and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answer: Submitted | Exception = Submitted(MESSAGE, (SENT,))

    def __getattr__(self, name: str) -> Any:
        async def method(*args: Any, **kwargs: Any) -> Submitted:
            self.calls.append((name, args, kwargs))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return method


class SendTests(TestCase):
    def setUp(self) -> None:
        self.writing = Writing()
        self.client = Client(make_app(Sending(self.writing)))  # type: ignore[arg-type]

    def post(self, path: str = "/api/v1/send", body: Any = GOOD, **kwargs: Any) -> Answer:
        return self.client.request(self, "POST", path, data=orjson.dumps(body), **kwargs)

    def test_sent(self) -> None:
        """A message that was sent is answered 200, with every recipient's outcome."""
        answer = self.post()
        self.assertEqual(answer.code, 200, answer.text)
        self.assertEqual(
            answer.json,
            {
                "status": "sent",
                "message_id": "msg_1",
                "provider_message_id": "<1@agents.test>",
                "method": "smtp",
                "conversation_id": "c-1",
                "recipients": [
                    {"address": "ana@corp.test", "kind": "to", "state": "sent", "code": 250, "reply": "2.0.0 Ok"}
                ],
            },
        )
        self.assertIsNone(answer.header("Idempotent-Replayed"))

    def test_what_is_asked(self) -> None:
        """Every field of the request reaches the flow."""
        body = {
            **GOOD,
            "cc": ["bo@corp.test"],
            "bcc": ["cy@corp.test"],
            "html_body": "<p>",
            "conversation_id": "c-1",
            "reply_to_message_id": "<0@corp.test>",
            "attachments": [{"filename": "a", "content_type": "b/c", "data": "UERG"}, {"filename": "d", "data": ""}],
            "auto": True,
            "on_behalf_of": "ana@corp.test",
            "unknown": 1,
        }
        self.post(body=body)
        ((name, (principal, asked), given),) = self.writing.calls
        self.assertEqual((name, principal.organisation_id), ("send", "org_a"))
        self.assertEqual(
            asked,
            Asked(
                ["ana@corp.test"],
                ["bo@corp.test"],
                ["cy@corp.test"],
                "Quote",
                "Hello",
                "<p>",
                [AskedFile("a", "b/c", "UERG"), AskedFile("d", "application/octet-stream", "")],
                "c-1",
                True,
                "ana@corp.test",
            ),
        )
        self.assertEqual(given, {"sender": "bot@agents.test", "in_reply_to": "<0@corp.test>", "once": None, "wait": 20})

    def test_outcomes(self) -> None:
        """What is not final is 202, what nobody accepted is 422 with the replies."""
        for status, code in (
            ("queued", 202),
            ("unknown", 202),
            ("pending_approval", 202),
            ("sent", 200),
            ("expired_approved", 200),
            ("rejected", 200),
        ):
            self.writing.answer = Submitted(replace(MESSAGE, status=status, approval_expires_at=NOW))
            answer = self.post()
            self.assertEqual((answer.code, answer.json["status"]), (code, status))
            held = "2026-04-20T08:00:00.000000Z" if status == "pending_approval" else None
            self.assertEqual(answer.json.get("approval_expires_at"), held)
        refused = replace(SENT, state="failed", code=550, reply="5.1.1 unknown")
        self.writing.answer = Submitted(replace(MESSAGE, status="failed"), (refused,))
        answer = self.post()
        self.assertEqual(answer.code, 422)
        self.assertEqual(answer.text, "no recipient accepted the message: ana@corp.test: 550 5.1.1 unknown\n")
        problem = self.post(headers={"Accept": "application/problem+json"}).json
        self.assertEqual((problem["code"], problem["message_id"]), ("delivery_failed", "msg_1"))
        self.assertEqual(problem["recipients"][0]["code"], 550)

    def test_refused(self) -> None:
        """A refusal keeps its code and names whom it is about."""
        self.writing.answer = RecipientSuppressed("x", details={"recipients": ["ana@corp.test"]})
        problem = self.post(headers={"Accept": "application/problem+json"}).json
        self.assertEqual((problem["code"], problem["recipients"]), ("recipient_suppressed", ["ana@corp.test"]))

    def test_wait(self) -> None:
        """The wait comes from the query or the body, the query first, and stays within its bounds."""
        for path, body, expected in (
            ("", {}, 20),
            ("?wait=0", {}, 0),
            ("?wait=60", {"wait": 1}, 60),
            ("", {"wait": 1}, 1),
        ):
            self.post(f"/api/v1/send{path}", {**GOOD, **body})
            self.assertEqual(self.writing.calls.pop()[2]["wait"], expected)
        for path, body in (
            ("?wait=61", {}),
            ("?wait=x", {}),
            ("", {"wait": 61}),
            ("", {"wait": -1}),
            ("", {"wait": 1.5}),
        ):
            self.assertEqual(self.post(f"/api/v1/send{path}", {**GOOD, **body}).code, 400)
        self.assertEqual(self.writing.calls, [])

    def once(self, key: str | None = "whole", path: str = "/api/v1/send", body: Any = GOOD, value: str = "k") -> Any:
        self.post(path, body, key=key, headers={"Idempotency-Key": value})
        return self.writing.calls.pop()[2]["once"]

    def test_key(self) -> None:
        """Equal requests are equal under their key; another body, path or holder is not, another wait is."""
        first = self.once()
        self.assertEqual((first.organisation_id, first.route, first.key), ("org_a", "send", "k"))
        self.assertEqual(self.once(path="/api/v1/send?wait=1"), first)
        self.assertNotEqual(self.once(body={**GOOD, "body": "x"}).digest, first.digest)
        reply = "/api/v1/agents/bot@agents.test/messages/{}/reply"
        self.assertNotEqual(self.once(path=reply.format("a")).digest, self.once(path=reply.format("b")).digest)
        self.assertEqual(self.post(headers={"Idempotency-Key": "ü"}).code, 400)
        self.writing.answer = Submitted(MESSAGE, (SENT,), replayed=True)
        answer = self.post(headers={"Idempotency-Key": "k"})
        self.assertEqual(answer.header("Idempotent-Replayed"), "true")

    def test_key_of_a_part(self) -> None:
        """A key for a part of the agents has words of its own, which it shares with every key of that reach: it cannot
        use up those of others, nor learn which they have used.
        """
        bound = replace(support.BOUND, permissions=AGENT_PERMISSIONS)
        labelled = replace(bound, agent_id=None, label_prefix="eu/")
        keys = {"bound": bound, "again": replace(bound, key_id="apk_2"), "labelled": labelled}
        self.patch(support, "KEYS", {**support.KEYS, **keys})
        found = {name: self.once(key=name) for name in ("whole", *keys)}
        self.assertEqual(found["bound"], found["again"])
        self.assertEqual(len({(each.route, each.key) for each in found.values()}), 3)

    def test_other_routes(self) -> None:
        """Reply, forward and test reach the flow with the agent and the message of their path."""
        path = "/api/v1/agents/Bot@agents.test/messages/msg_9"
        self.assertEqual(self.post(f"{path}/reply", {"body": "ok", "reply_all": True, "force": True}).code, 200)
        self.assertEqual(self.post(f"{path}/forward", {"to": ["ana@corp.test"], "as": "attachment"}).code, 200)
        self.assertEqual(self.client.request(self, "POST", "/api/v1/agents/bot@agents.test/test").code, 200)
        reply, forward, test = self.writing.calls
        self.assertEqual((reply[0], reply[1][1:3]), ("reply", ("bot@agents.test", "msg_9")))
        self.assertEqual((reply[2]["reply_all"], reply[2]["force"]), (True, True))
        self.assertEqual((forward[0], forward[1][1:3]), ("forward", ("bot@agents.test", "msg_9")))
        self.assertEqual((forward[2]["form"], forward[2]["include_attachments"]), ("attachment", True))
        self.assertEqual((test[0], test[1][1]), ("test", "bot@agents.test"))

    def test_shape(self) -> None:
        """A wrong type is refused by its field before anything is asked of the flow."""
        for body, field in (
            ({**GOOD, "to": "ana@corp.test"}, "to"),
            ({**GOOD, "subject": 1}, "subject"),
            ({**GOOD, "attachments": [{"data": ""}]}, "attachments.0.filename"),
            ({**GOOD, "body": "a\0b"}, "body"),
        ):
            answer = self.post(body=body, headers={"Accept": "application/problem+json"})
            self.assertEqual((answer.code, answer.json["field"]), (400, field))
        self.assertEqual(self.writing.calls, [])

    def test_permission(self) -> None:
        """Sending needs its permission."""
        for path in ("/api/v1/send", "/api/v1/agents/bot@agents.test/test"):
            self.assertEqual(self.post(path, key="weak").code, 403)
            self.assertEqual(self.post(path, key=None).code, 401)

    def test_body_limit(self) -> None:
        """Requests with a message in them may be as long as messages, others not."""
        api = make_app(Sending(self.writing))  # type: ignore[arg-type]
        self.assertEqual(api.body_limit(b"POST", b"/api/v1/send"), body_for(25 * 2**20))
        self.assertEqual(api.body_limit(b"POST", b"/api/v1/agents/bot@agents.test/test"), 65_536)


class LongBodyTests(TestCase):
    def test_read_elsewhere(self) -> None:
        """A long request is read in the CPU pool, a short one where it is."""
        writing, given = Writing(), []

        class Cpu:
            async def run(self, work: Any, *args: Any) -> Any:
                given.append(len(args[0]))
                return work(*args)

        app = Api([Sending(writing)], Authorizer(authenticate), clock=Clock(), random=counting_random(), cpu=Cpu())
        for body, expected in (("x", []), ("x" * 300_000, [300_000])):
            long = orjson.dumps({**GOOD, "body": body})
            answer = Client(app).request(self, "POST", "/api/v1/send", data=long)
            self.assertEqual((answer.code, [length // 100_000 * 100_000 for length in given]), (200, expected))
        self.assertEqual(len(writing.calls[1][1][1].body), 300_000)
