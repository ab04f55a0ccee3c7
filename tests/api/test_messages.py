"""The message routes over a scripted mailbox: what they ask of it, and how its answers look on the wire."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from e2a.api import models
from e2a.api.live import Live
from e2a.api.messages import SLICE, Messages, disposition
from e2a.core.entities import (
    Agent,
    AttachmentInfo,
    Delivery,
    DeliveryAttempt,
    Facts,
    InboundMessage,
    Origin,
    Principal,
)
from e2a.core.errors import Conflict, NotFound
from e2a.core.mail.parts import Content
from e2a.flows.mailbox import DeliveryPage, Detail, Page

from .support import BOUND, WHOLE, Client, make_app

NOW = datetime(2026, 4, 20, 8, 0, tzinfo=UTC)
BOT = "/api/v1/agents/bot@agents.test"
MESSAGE = InboundMessage(
    id="msg_1",
    uid=7,
    agent_id="bot@agents.test",
    raw_id="raw_1",
    sender="ana@corp.test",
    recipient="Bot@agents.test",
    tag="",
    to=("bot@agents.test",),
    cc=(),
    reply_to=(),
    subject="Quote",
    email_message_id="<a@corp.test>",
    conversation_id=None,
    facts=Facts(True, "ana@corp.test", "human", "spf=pass; dkim=pass", "0" * 64),
    authentication={"spf": {"result": "pass"}},
    size=10,
    inbox_status="read",
    created_at=NOW,
    expires_at=NOW,
)
DELIVERY = Delivery(
    "msg_1", "bot@agents.test", "failed", 1, "timeout", None, NOW, log=(DeliveryAttempt(1, NOW, 5, None, "timeout"),)
)


def plain(principal: Principal) -> Principal:
    """The caller without where the request came from."""
    return replace(principal, origin=Origin())


class ScriptedMailbox:
    """Remembers the questions; answers as told."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.raw_message = b"Subject: x\r\n\r\nhello"
        self.filename = "a.pdf"
        self.mode: Any = "local"
        self.found: Any = MESSAGE
        self.next_token: str | None = None

    def _ask(self, principal: Principal, agent_id: str, *rest: Any) -> None:
        self.asked.append((principal, agent_id, *rest))
        if agent_id != "bot@agents.test" or "msg_unknown" in rest:
            raise NotFound

    async def agent(self, principal: Principal, agent_id: str) -> Agent:
        self._ask(principal, agent_id)
        return Agent(agent_id, "org_a", "agents.test", "", self.mode, "", True, NOW)

    async def page(self, *args: Any) -> Page:
        self._ask(*args)
        return Page((MESSAGE,), self.next_token)

    async def detail(self, *args: Any, mark_read: bool = True) -> Detail:
        self._ask(*args, mark_read)
        return Detail(MESSAGE, self.raw_message, Content("hello", "", ()), {"X-E2A-Auth-Verified": "true"})

    async def raw(self, *args: Any) -> Any:
        self._ask(*args)
        return MESSAGE, self.raw_message

    async def attachment(self, *args: Any) -> Any:
        self._ask(*args)
        return AttachmentInfo(0, self.filename, "text/html", 4), b"<p/>"

    async def delivery(self, *args: Any) -> Delivery:
        self._ask(*args)
        return DELIVERY

    async def redeliver(self, *args: Any) -> Delivery:
        self._ask(*args)
        if self.mode == "local":
            raise Conflict("no webhook")
        return DELIVERY

    async def failed_deliveries(self, *args: Any) -> DeliveryPage:
        self._ask(*args)
        return DeliveryPage((DELIVERY,), self.next_token)

    async def wait(self, *args: Any) -> Any:
        self._ask(*args)
        return self.found, 9


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.mailbox: Any = ScriptedMailbox()
        self.live: list[Any] = []
        self.client = Client(make_app(Messages(self.mailbox), Live(self.mailbox, self.live_resource)))

    def live_resource(self, agent_id: str, principal: Principal) -> Any:
        self.live.append((agent_id, principal))
        return Taken()

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.client.get(self, path, **kwargs)


class Taken(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"taken over"


class ListTests(Case):
    def test_defaults(self) -> None:
        """Without parameters the list is unread mail, fifty to a page, and the answer has the declared shape."""
        answer = self.get(f"{BOT}/messages")
        self.assertEqual(answer.code, 200)
        self.assertNotIn("next_token", answer.json)
        models.MessagePage.model_validate(answer.json)
        principal, agent_id, status, size, token, filters = self.mailbox.asked[0]
        self.assertEqual(
            (plain(principal), agent_id, status, size, token), (WHOLE, "bot@agents.test", "unread", 50, None)
        )
        self.assertEqual((filters.sender, filters.subject_contains), (None, None))

    def test_parameters(self) -> None:
        """Status, page size, token and filters reach the mailbox."""
        self.mailbox.next_token = "next"
        answer = self.get(f"{BOT}/messages?status=all&page_size=3&token=t&from=Ana%40corp.test&subject_contains=Qu")
        self.assertEqual(answer.json["next_token"], "next")
        _, _, status, size, token, filters = self.mailbox.asked[0]
        self.assertEqual((status, size, token), ("all", 3, "t"))
        self.assertEqual((filters.sender, filters.subject_contains), ("Ana@corp.test", "Qu"))
        self.get(f"{BOT}/messages?sort=desc&since=2026-01-31T12:00:00Z&until=2026-02-01T12:00:00Z&conversation_id=c-1")
        filters = self.mailbox.asked[1][-1]
        self.assertEqual((filters.newest_first, filters.conversation_id), (True, "c-1"))
        self.assertEqual(str(filters.not_before), "2026-01-31 12:00:00+00:00")
        self.assertEqual(str(filters.until), "2026-02-01 12:00:00+00:00")

    def test_bad_parameters(self) -> None:
        """An unknown status, a bad page size and an endless filter are 400 and name the parameter."""
        for query in (
            "status=new",
            "page_size=0",
            "page_size=101",
            "page_size=x",
            "from=" + "x" * 999,
            "conversation_id=" + "x" * 999,
            "sort=newest",
            "since=2026-01-31",
            "until=soon",
        ):
            answer = self.get(f"{BOT}/messages?{query}")
            self.assertEqual(answer.code, 400, query)
            self.assertIn(query.partition("=")[0], answer.text)
        self.assertEqual(self.mailbox.asked, [])

    def test_unknown_agent(self) -> None:
        """An agent that the mailbox does not know is 404."""
        self.assertEqual(self.get("/api/v1/agents/other@agents.test/messages").code, 404)

    def test_bound_key(self) -> None:
        """A key bound to the agent reads it; another agent is 404 before anything is asked."""
        self.assertEqual(self.get(f"{BOT}/messages", key="bound").code, 200)
        self.assertEqual(plain(self.mailbox.asked[0][0]), BOUND)
        self.assertEqual(self.get("/api/v1/agents/other@agents.test/messages", key="bound").code, 404)
        self.assertEqual(len(self.mailbox.asked), 1)


class DetailTests(Case):
    def test_shape(self) -> None:
        """The detail has exactly the declared keys, and the raw message in base64."""
        answer = self.get(f"{BOT}/messages/msg_1")
        models.MessageDetail.model_validate(answer.json)
        self.assertEqual(base64.b64decode(answer.json["raw_message"]), self.mailbox.raw_message)
        self.assertIsNone(answer.json["conversation_id"])
        self.assertTrue(answer.text.endswith("}\n"))

    def test_left_unread(self) -> None:
        """A program may read without marking; another word than true or false is refused by name."""
        for query, marked in (("", True), ("?mark_read=true", True), ("?mark_read=false", False)):
            self.get(f"{BOT}/messages/msg_1{query}")
            self.assertEqual(self.mailbox.asked[-1][-1], marked)
        refused = self.get(f"{BOT}/messages/msg_1?mark_read=no")
        self.assertEqual(refused.code, 400)
        self.assertIn("mark_read", refused.text)

    def test_sizes(self) -> None:
        """Messages of any length come out whole, with the right length declared, around every slice boundary."""
        for size in (0, 1, 2, 3, SLICE - 1, SLICE, SLICE + 1, 2 * SLICE + 2, 3_000_001):
            self.mailbox.raw_message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
            answer = self.get(f"{BOT}/messages/msg_1")
            self.assertEqual(base64.b64decode(answer.json["raw_message"]), self.mailbox.raw_message)
            self.assertEqual(answer.length, len(answer.content))

    def test_unknown(self) -> None:
        """An unknown message is 404."""
        for rest in ("", "/raw", "/attachments/0", "/delivery"):
            self.assertEqual(self.get(f"{BOT}/messages/msg_unknown{rest}").code, 404, rest)

    def test_raw(self) -> None:
        """The raw message is message/rfc822, to be saved as .eml, and can do nothing when shown."""
        answer = self.get(f"{BOT}/messages/msg_1/raw")
        self.assertEqual(answer.content, self.mailbox.raw_message)
        self.assertEqual(answer.header("Content-Type"), "message/rfc822")
        self.assertIn('filename="msg_1.eml"', answer.header("Content-Disposition"))
        self.assertIn("sandbox", answer.header("Content-Security-Policy"))

    def test_long_raw(self) -> None:
        """A long raw message is streamed whole."""
        self.mailbox.raw_message = b"0123456789" * 100_000
        answer = self.get(f"{BOT}/messages/msg_1/raw")
        self.assertEqual((answer.content, answer.length), (self.mailbox.raw_message, 1_000_000))

    def test_attachment(self) -> None:
        """An attachment comes with its type, is saved and never run, whatever it is."""
        answer = self.get(f"{BOT}/messages/msg_1/attachments/0")
        self.assertEqual((answer.content, answer.header("Content-Type")), (b"<p/>", "text/html"))
        self.assertTrue(answer.header("Content-Disposition").startswith("attachment;"))
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertIn("sandbox", answer.header("Content-Security-Policy"))
        self.assertEqual(self.mailbox.asked[0][2:], ("msg_1", 0))

    def test_attachment_number(self) -> None:
        """What is no number is an unknown attachment."""
        for number in ("-1", "x", "1.0", "%D9%A3", "9" * 30):
            self.assertEqual(self.get(f"{BOT}/messages/msg_1/attachments/{number}").code, 404, number)

    def test_file_names(self) -> None:
        """No file name can break out of its header; every name survives in the encoded form."""
        for name in ('a"b', "a\\b", "../../etc/passwd", "naïve 文.pdf", "a\r\nSet-Cookie: x=1", "", "x" * 5000, "%41"):
            value = disposition(name)
            self.assertNotIn("\r", value)
            self.assertNotIn("\n", value)
            self.assertTrue(value.isascii())
            self.assertEqual(value.count('"'), 2)
            self.assertLess(len(value), 900)
        self.assertIn("filename*=UTF-8''na%C3%AFve%20%E6%96%87.pdf", disposition("naïve 文.pdf"))


class DeliveryTests(Case):
    def test_delivery(self) -> None:
        """The delivery of a message lists its attempts."""
        answer = self.get(f"{BOT}/messages/msg_1/delivery")
        models.DeliveryRecord.model_validate(answer.json)
        self.assertEqual(answer.json["log"][0]["error"], "timeout")

    def test_redeliver(self) -> None:
        """Redelivering is 202 with the delivery's state, 409 without a webhook, and needs more than reading."""
        path = f"{BOT}/messages/msg_1/redeliver"
        self.assertEqual(self.client.request(self, "POST", path).code, 409)
        self.mailbox.mode = "cloud"
        answer = self.client.request(self, "POST", path)
        self.assertEqual(answer.code, 202)
        models.DeliveryRecord.model_validate(answer.json)
        self.assertEqual(self.client.request(self, "POST", path, key="bound").code, 403)

    def test_failed(self) -> None:
        """Failed deliveries are listed without their logs; no other state can be asked for."""
        self.mailbox.next_token = "next"
        answer = self.get(f"{BOT}/deliveries?status=failed&page_size=2&token=t")
        models.DeliveryPage.model_validate(answer.json)
        self.assertEqual(self.mailbox.asked[0][2:], (2, "t"))
        self.assertEqual(self.get(f"{BOT}/deliveries?status=delivered").code, 400)


class WaitTests(Case):
    def test_found(self) -> None:
        """A match is 200 with the message and a cursor."""
        answer = self.get(f"{BOT}/messages/wait")
        models.FirstMatch.model_validate(answer.json)
        self.assertEqual((answer.json["cursor"], answer.header("X-E2A-Cursor")), (9, "9"))
        _, _, after, filters, timeout = self.mailbox.asked[0]
        self.assertEqual((after, timeout, filters.not_before), (None, 30, None))

    def test_nothing(self) -> None:
        """Without a match in time the answer is 204 and names the cursor to go on with."""
        self.mailbox.found = None
        answer = self.get(f"{BOT}/messages/wait?timeout=0&after=4")
        self.assertEqual((answer.code, answer.content, answer.header("X-E2A-Cursor")), (204, b"", "9"))
        self.assertEqual(self.mailbox.asked[0][2], 4)

    def test_not_before(self) -> None:
        """A time in any offset is understood, also with a plus sign that was not escaped."""
        for text in ("2026-04-20T08:00:00Z", "2026-04-20T10:00:00%2B02:00", "2026-04-20T10:00:00+02:00"):
            self.get(f"{BOT}/messages/wait?not_before={text}")
            self.assertEqual(self.mailbox.asked[-1][3].not_before, NOW)

    def test_bad_parameters(self) -> None:
        """A time-out over a minute, a bad cursor and a bad time are 400."""
        for query in (
            "timeout=61",
            "timeout=x",
            "after=-1",
            "after=x",
            "not_before=yesterday",
            "not_before=2026-04-20T08:00:00",
            "not_before=0001-01-01T00:00:00%2B14:00",
        ):
            self.assertEqual(self.get(f"{BOT}/messages/wait?{query}").code, 400, query)


class LiveTests(Case):
    UPGRADE = {"Upgrade": "WebSocket", "Connection": "keep-alive, Upgrade"}

    def connect(self, path: str = f"{BOT}/ws", **kwargs: Any) -> Any:
        return self.get(path, headers=kwargs.pop("headers", self.UPGRADE), **kwargs)

    def test_no_token(self) -> None:
        """Without a token the answer is 401, before anything else is looked at."""
        self.assertEqual(self.connect(key=None, path="/api/v1/agents/nobody@agents.test/ws").code, 401)

    def test_bad_token(self) -> None:
        """A bad token is 401, in the query as in the header."""
        self.assertEqual(self.connect(f"{BOT}/ws?token=nope", key=None).code, 401)
        self.assertEqual(self.connect(f"{BOT}/ws?token=%ff", key=None).code, 401)
        self.assertEqual(self.connect(key="nope").code, 401)

    def test_order(self) -> None:
        """An unknown agent is 404 even without an upgrade; then comes the mode, 400; then the upgrade, 426."""
        self.assertEqual(self.connect("/api/v1/agents/x@agents.test/ws?token=whole", key=None, headers={}).code, 404)
        self.mailbox.mode = "cloud"
        self.assertEqual(self.connect(headers={}).code, 400)
        self.mailbox.mode = "local"
        self.assertEqual(self.connect(headers={}).code, 426)
        self.assertEqual(self.live, [])

    def test_upgrade(self) -> None:
        """With either form of credential and an upgrade request the live resource takes over."""
        for path, key in ((f"{BOT}/ws?token=whole", None), (f"{BOT}/ws", "whole")):
            self.assertEqual(self.connect(path, key=key).content, b"taken over")
            agent_id, principal = self.live.pop()
            self.assertEqual((agent_id, plain(principal)), ("bot@agents.test", WHOLE))

    def test_query_token_elsewhere(self) -> None:
        """No other route takes a key from the query string, where logs and histories would keep it."""
        self.assertEqual(self.get(f"{BOT}/messages?token=whole", key=None).code, 401)
