"""Held mail over REST: shapes, edits, and what is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from e2a.api.review import Review, SubmittedDetail, SubmittedPage
from e2a.api.routing import body_for
from e2a.api.site import BoundedSite
from e2a.core.entities import AttachmentInfo, OutboundMessage, OutboundRecipient
from e2a.core.errors import Conflict
from e2a.core.mail.parts import Content
from e2a.core.rules.drafts import AskedFile
from e2a.core.rules.holds import Edits
from e2a.flows.approvals import Page, Reviewed
from e2a.flows.outcomes import Submitted
from tests.api.support import Answer, Client, make_app

NOW = datetime(2026, 4, 20, 8, tzinfo=UTC)
HELD = OutboundMessage(
    id="msg_1",
    agent_id="bot@agents.test",
    organisation_id="org_a",
    status="pending_approval",
    message_type="reply",
    sender="bot@agents.test",
    to=("ana@corp.test",),
    cc=("bo@corp.test",),
    bcc=("eve@corp.test",),
    subject="Quote",
    email_message_id="<1@agents.test>",
    conversation_id="c-1",
    in_reply_to="<0@corp.test>",
    raw_id="raw_1",
    size=1,
    created_at=NOW,
    expires_at=NOW,
    approval_expires_at=NOW,
    expiration_action="reject",
)
SENT = replace(HELD, status="sent", raw_id=None, reviewed_at=NOW, edited=True, cc=(), bcc=(), in_reply_to="")
FILE = AttachmentInfo(0, "Plan.pdf", "application/pdf", 3)
CONTENT = Content("Hello", "<p>Hello</p>", (FILE,))


class Approvals:
    """Stands for the flow: remembers what it was asked and answers what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answer: Any = None

    def __getattr__(self, name: str) -> Any:
        async def method(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return method


class ReviewTests(TestCase):
    def setUp(self) -> None:
        self.flow = Approvals()
        self.client = Client(make_app(Review(self.flow)))  # type: ignore[arg-type]

    def get(self, path: str, **kwargs: Any) -> Answer:
        return self.client.get(self, f"/api/v1/messages{path}", **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> Answer:
        data = b"" if body is None else orjson.dumps(body)
        return self.client.request(self, "POST", f"/api/v1/messages/msg_1/{path}", data=data, **kwargs)

    def test_list(self) -> None:
        """Held messages are listed unless another status is asked for; a wrong one is refused."""
        self.flow.answer = Page((HELD,), "next")
        answer = self.get("")
        self.assertEqual(answer.code, 200, answer.text)
        self.assertEqual(
            answer.json,
            {
                "messages": [
                    {
                        "id": "msg_1",
                        "agent_id": "bot@agents.test",
                        "direction": "outbound",
                        "subject": "Quote",
                        "type": "reply",
                        "conversation_id": "c-1",
                        "to": ["ana@corp.test"],
                        "cc": ["bo@corp.test"],
                        "bcc": ["eve@corp.test"],
                        "status": "pending_approval",
                        "approval_expires_at": "2026-04-20T08:00:00Z",
                        "created_at": "2026-04-20T08:00:00Z",
                    }
                ],
                "next_token": "next",
            },
        )
        SubmittedPage.model_validate(answer.json)
        self.flow.answer = Page((), None)
        self.assertEqual(self.get("?status=expired_approved&page_size=7&token=abc").json, {"messages": []})
        asked = [args[1:] for _, args, _ in self.flow.calls]
        self.assertEqual(asked, [("pending_approval", 100, None), ("expired_approved", 7, "abc")])
        for query in ("?status=unread", "?page_size=0", "?page_size=101", "?page_size=x"):
            self.assertEqual(self.get(query).code, 400, query)

    def test_detail(self) -> None:
        """A held message shows what it says, a sent one how it stands; every key is declared."""
        self.flow.answer = Reviewed(HELD, content=CONTENT)
        shown = self.get("/msg_1").json
        SubmittedDetail.model_validate(shown)
        self.assertEqual((shown["body_text"], shown["body_html"]), ("Hello", "<p>Hello</p>"))
        self.assertEqual(shown["attachments"][0]["filename"], "Plan.pdf")
        self.assertEqual((shown["email_message_id"], shown["recipients"]), ("<0@corp.test>", []))
        self.assertEqual((shown["expiration_action"], shown["edited"]), ("reject", False))
        recipient = OutboundRecipient("ana@corp.test", "to", "smtp", state="sent", code=250, reply="Ok")
        self.flow.answer = Reviewed(replace(SENT, provider_message_id="<up@stream>"), (recipient,))
        shown = self.get("/%3C1%40agents.test%3E").json
        SubmittedDetail.model_validate(shown)
        self.assertEqual(self.flow.calls[-1][1][1], "<1@agents.test>")
        self.assertFalse({"body_text", "body_html", "attachments", "cc", "email_message_id"} & set(shown))
        self.assertEqual((shown["provider_message_id"], shown["edited"]), ("<up@stream>", True))
        self.assertEqual(shown["recipients"][0]["code"], 250)
        self.assertEqual(shown["reviewed_at"], "2026-04-20T08:00:00Z")

    def test_attachment(self) -> None:
        """An attachment of a held message is saved, never shown."""
        self.flow.answer = (FILE, b"PDF")
        answer = self.get("/msg_1/attachments/0")
        self.assertEqual((answer.content, answer.header("content-type")), (b"PDF", "application/pdf"))
        self.assertIn("attachment;", answer.header("content-disposition") or "")
        self.assertEqual(self.get("/msg_1/attachments/x").code, 404)

    def test_approve(self) -> None:
        """Without edits nothing is asked to change; the answer says what was sent."""
        self.flow.answer = Submitted(replace(SENT, edited=False))
        for body in (None, {}, {"subject": None}):
            answer = self.post("approve", body)
            self.assertEqual(answer.code, 200, answer.text)
            self.assertEqual((answer.json["status"], answer.json["edited"]), ("sent", False))
            self.assertEqual((answer.json["message_id"], answer.json["method"]), ("msg_1", "smtp"))
            self.assertEqual(answer.json["provider_message_id"], "<1@agents.test>")
            self.assertEqual(self.flow.calls[-1][1][1:], ("msg_1", Edits()))

    def test_edits(self) -> None:
        """Edits reach the flow, those in a chunked body too; what is empty clears."""
        self.flow.answer = Submitted(SENT)
        body = {
            "subject": "Offer",
            "body_text": "",
            "body_html": "<b>x</b>",
            "to": ["cy@corp.test"],
            "cc": [],
            "attachments": [{"filename": "a.txt", "content_type": "text/plain", "data": "YQ=="}],
        }
        expected = Edits(
            subject="Offer",
            text="",
            html="<b>x</b>",
            to=["cy@corp.test"],
            cc=[],
            attachments=[AskedFile("a.txt", "text/plain", "YQ==")],
        )
        answer = self.post("approve", body)
        self.assertEqual(self.flow.calls[-1][1][2], expected)
        self.assertTrue(answer.json["edited"])
        self.assertIn(b"HTTP/1.1 200", self.chunked(orjson.dumps(body)))
        self.assertEqual(self.flow.calls[-1][1][2], expected)
        self.assertEqual(len(self.flow.calls), 2)

    def chunked(self, body: bytes) -> bytes:
        """What a client on the HTTP port gets for an approval whose body comes in chunks."""
        api = make_app(Review(self.flow))  # type: ignore[arg-type]
        site = BoundedSite(api, api.body_limit, reactor=Clock(), random=bytes, client_address=lambda request: "")
        channel = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        channel.dataReceived(
            b"POST /api/v1/messages/msg_1/approve HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer whole\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for piece in (body[:10], body[10:], b""):
            channel.dataReceived(b"%x\r\n%s\r\n" % (len(piece), piece))
        return transport.value()

    def test_long_edits(self) -> None:
        """An edit may be as long as a message that is sent."""
        api = make_app(Review(self.flow))  # type: ignore[arg-type]
        limit = api.body_limit(b"POST", b"/api/v1/messages/msg_1/approve")
        self.assertEqual(limit, api.body_limit(b"POST", b"/api/v1/messages/msg_2/approve"))
        self.assertGreater(limit, body_for(25 * 2**20) - 1)

    def test_queued(self) -> None:
        """What is not out yet is answered 202, what was refused by everybody 422, what is decided 409."""
        self.flow.answer = Submitted(replace(SENT, status="queued"), replayed=True)
        answer = self.post("approve", {"wait": 0}, headers={"Idempotency-Key": "k"})
        self.assertEqual((answer.code, answer.header("Idempotent-Replayed")), (202, "true"))
        options = self.flow.calls[-1][2]
        self.assertEqual((options["wait"], options["once"].key), (0.0, "k"))
        self.flow.answer = Submitted(replace(SENT, status="failed"))
        self.assertEqual(self.post("approve").code, 422)
        self.flow.answer = Conflict()
        self.assertEqual((self.post("approve").code, self.post("reject").code), (409, 409))

    def test_reject(self) -> None:
        """A rejection answers the reason that is kept, empty if none was given."""
        self.flow.answer = replace(HELD, status="rejected", rejection_reason="too harsh")
        expected = {"status": "rejected", "message_id": "msg_1", "rejection_reason": "too harsh"}
        self.assertEqual(self.post("reject", {"reason": "too harsh"}).json, expected)
        self.assertEqual(self.flow.calls[-1][1][1:], ("msg_1", "too harsh"))
        self.flow.answer = replace(HELD, status="rejected", rejection_reason="")
        self.assertEqual(self.post("reject").json["rejection_reason"], "")

    def test_permissions(self) -> None:
        """Who may only read can look and not decide."""
        self.flow.answer = Page((), None)
        self.assertEqual(self.get("", key="bound").code, 200)
        self.assertEqual(self.get("", key="weak").code, 403)
        self.assertEqual(self.post("approve", key="bound").code, 403)
        self.assertEqual(self.post("reject", key="bound").code, 403)
