"""What each call sends, and what the friendly clients make of the answers."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from pydantic import ValidationError
from twisted.trial.unittest import SynchronousTestCase

from e2a.v1 import (
    ApprovePendingMessageRequest,
    Attachment,
    E2AClient,
    MessageSummary,
    NotFoundError,
    RegisterAgentRequest,
    RegisterDomainRequest,
    ReplyToMessageRequest,
    SendEmailRequest,
    UpdateAgentRequest,
)
from tests.v1.support import BOT, Recorder, async_client, client

AGENT = "/api/v1/agents/bot%40agents.test"
SUMMARY = {"message_id": "msg_1", "from": "ana@corp.test", "recipient": BOT, "subject": "s", "status": "unread"}


class RawLayerTests(SynchronousTestCase):
    def test_wire(self) -> None:
        """Every published method asks exactly what it is documented to ask."""
        reply = ReplyToMessageRequest(body="b", reply_all=False, cc=[])
        for call, target, body in (
            (lambda api: api.list_agents(), "GET /api/v1/agents", None),
            (
                lambda api: api.register_agent(RegisterAgentRequest(slug="bot", agent_mode="local")),
                "POST /api/v1/agents",
                {"slug": "bot", "agent_mode": "local"},
            ),
            (lambda api: api.get_agent(BOT), f"GET {AGENT}", None),
            (
                lambda api: api.update_agent(BOT, UpdateAgentRequest(hitl_enabled=False, webhook_url="")),
                f"PUT {AGENT}",
                {"hitl_enabled": False, "webhook_url": ""},
            ),
            (lambda api: api.delete_agent(BOT), f"DELETE {AGENT}", None),
            (lambda api: api.send_test_email(BOT), f"POST {AGENT}/test", None),
            (lambda api: api.list_domains(), "GET /api/v1/domains", None),
            (
                lambda api: api.register_domain(RegisterDomainRequest(domain="d.test")),
                "POST /api/v1/domains",
                {"domain": "d.test"},
            ),
            (lambda api: api.verify_domain("d.test"), "POST /api/v1/domains/d.test/verify", None),
            (lambda api: api.delete_domain("d.test"), "DELETE /api/v1/domains/d.test", None),
            (lambda api: api.list_messages(BOT), f"GET {AGENT}/messages?status=unread&page_size=50", None),
            (
                lambda api: api.list_messages(BOT, "all", 7, "t", sort="asc", from_="a@b.test", since="x"),
                f"GET {AGENT}/messages?status=all&page_size=7&token=t&sort=asc&from=a%40b.test&since=x",
                None,
            ),
            (lambda api: api.get_message(BOT, "msg_1"), f"GET {AGENT}/messages/msg_1", None),
            (
                lambda api: api.reply_to_message(BOT, "msg_1", reply),
                f"POST {AGENT}/messages/msg_1/reply",
                {"body": "b", "reply_all": False, "cc": []},
            ),
            (
                lambda api: api.send_email(SendEmailRequest(from_=BOT, to=["a@b.test"], subject="", body="b")),
                "POST /api/v1/send",
                {"from": BOT, "to": ["a@b.test"], "subject": "", "body": "b"},
            ),
            (lambda api: api.list_pending_messages(), "GET /api/v1/messages?status=pending_approval", None),
            (lambda api: api.get_pending_message("msg_1"), "GET /api/v1/messages/msg_1", None),
            (lambda api: api.approve_message("msg_1"), "POST /api/v1/messages/msg_1/approve", {}),
            (
                lambda api: api.approve_message("msg_1", ApprovePendingMessageRequest(subject="")),
                "POST /api/v1/messages/msg_1/approve",
                {"subject": ""},
            ),
            (lambda api: api.resend_message("msg_1"), "POST /api/v1/messages/msg_1/resend", {}),
            (lambda api: api.rotate_domain_key("a.test"), "POST /api/v1/domains/a.test/dkim/rotate", None),
            (lambda api: api.reject_message("msg_1"), "POST /api/v1/messages/msg_1/reject", {"reason": ""}),
            (lambda api: api.get_info(), "GET /api/v1/info", None),
            (lambda api: api.get_delivery(BOT, "m"), f"GET {AGENT}/messages/m/delivery", None),
            (lambda api: api.revoke_key("key_1"), "DELETE /api/keys/key_1", None),
        ):
            server = Recorder({})
            call(client(server).api)
            self.assertEqual(server.target, target)
            self.assertEqual(server.body if server.last.content else None, body, target)

    def test_idempotency(self) -> None:
        """Send, reply and approve carry a fresh key for each call, or the one that is given."""
        server = Recorder({})
        made = client(server)
        for call in (
            lambda **more: made.send(["a@b.test"], "s", "b", **more),
            lambda **more: made.reply("msg_1", "b", **more),
            lambda **more: made.approve_message("msg_1", **more),
            lambda **more: made.resend_message("msg_1", **more),
            lambda **more: made.forward("msg_1", ["a@b.test"], **more),
        ):
            call()
            first = server.last.headers["idempotency-key"]
            call()
            self.assertNotEqual(server.last.headers["idempotency-key"], first)
            self.assertRegex(first, "^[0-9a-f]{32}$")
            call(idempotency_key="mine")
            self.assertEqual(server.last.headers["idempotency-key"], "mine")
        made.reject_message("msg_1")
        self.assertNotIn("idempotency-key", server.last.headers)

    def test_generous(self) -> None:
        """Words and members that a newer server adds do not break an answer, wrong types do."""
        server = Recorder({"email": BOT, "agent_mode": "quantum", "more": {}}, {"email": 3})
        api = client(server).api
        self.assertEqual(api.get_agent(BOT).agent_mode, "quantum")
        self.assertRaises(ValueError, api.get_agent, BOT)

    def test_secrets(self) -> None:
        """What is shown once is in the answer, and not in the text that a log or a traceback would show."""
        shown = {
            "id": "1",
            "name": "n",
            "key": "e2a_secret",
            "secret": "e2a_secret",
            "link": "https://x.test/e2a_secret",
        }
        made = client(Recorder(shown))
        for found, member in (
            (made.create_key("n"), "key"),
            (made.create_signing_secret("n"), "secret"),
            (made.rotate_signing_secrets("n"), "secret"),
            (made.invite("a@b.test"), "link"),
        ):
            self.assertIn("e2a_secret", getattr(found, member))
            self.assertNotIn("e2a_secret", repr(found) + str(found))

    def test_long_poll(self) -> None:
        """A wait is given its time, and answers the cursor to go on from whether a message came or not."""
        server = Recorder(httpx.Response(204, headers={"x-e2a-cursor": "7"}), {"message": SUMMARY, "cursor": 9})
        api = client(server).api
        nothing = api.wait_for_message(BOT, 45, after=5)
        self.assertEqual((nothing.message, nothing.cursor), (None, 7))
        self.assertEqual(server.last.extensions["timeout"]["read"], 75)
        found = api.wait_for_message(BOT)
        self.assertEqual((found.message and found.message.from_, found.cursor), ("ana@corp.test", 9))


class ClientTests(SynchronousTestCase):
    def test_agent(self) -> None:
        """The agent is the call's, else the client's, else the environment's; without one the call is not made."""
        server = Recorder({})
        made = client(server)
        made.get_messages(agent_email="other@agents.test")
        self.assertIn("other%40agents.test", server.target)
        with mock.patch.dict("os.environ", {"E2A_AGENT_EMAIL": "env@agents.test"}):
            self.assertEqual(E2AClient("k").agent_email, "env@agents.test")
        made.agent_email = ""
        for call in (
            made.get_messages,
            made.iter_messages,
            lambda: made.reply("m", "b"),
            lambda: made.send([], "", ""),
        ):
            self.assertRaises(ValueError, call)

    def test_lists(self) -> None:
        """A page holds plain objects, and going through a list asks for every page once."""
        pages = [{"messages": [SUMMARY, SUMMARY], "next_token": "t"}, {"messages": [SUMMARY]}]
        server = Recorder(*pages)
        page = client(server).get_messages()
        self.assertEqual((len(page.messages), page.next_token), (2, "t"))
        self.assertEqual(page.messages[0].sender, "ana@corp.test")
        self.assertIsInstance(page.messages[0], MessageSummary)
        server = Recorder(*pages)
        self.assertEqual(len(list(client(server).iter_messages("all"))), 3)
        self.assertEqual(server.target, f"GET {AGENT}/messages?status=all&page_size=50&token=t")

        async def count() -> int:
            return len([each async for each in async_client(Recorder(*pages)).iter_messages()])

        self.assertEqual(asyncio.run(count()), 3)

    def test_sending(self) -> None:
        """Files go as base64 without their size, an empty list of them not at all; a held message has no method."""
        server = Recorder({"status": "pending_approval", "message_id": "msg_1", "method": "smtp"})
        made = client(server)
        sent = made.send(["a@b.test"], "s", "b", attachments=[Attachment("a.txt", "text/plain", b"\xff\xfe", 2)])
        self.assertEqual(
            server.body["attachments"], [{"filename": "a.txt", "content_type": "text/plain", "data": "//4="}]
        )
        self.assertEqual((sent.status, sent.message_id, sent.method), ("pending_approval", "msg_1", ""))
        made.reply("msg_1", "b", attachments=[], reply_all=False)
        self.assertEqual(server.body, {"body": "b", "reply_all": False})
        self.assertRaises(ValidationError, made.send, "a@b.test", "s", "b")

    def test_changes(self) -> None:
        """Only what is given is sent, false and empty included; words outside a set are refused unsent."""
        server = Recorder({})
        made: Any = client(server)
        made.update_agent(BOT, hitl_enabled=False, webhook_url="")
        self.assertEqual(server.body, {"hitl_enabled": False, "webhook_url": ""})
        made.update_agent(BOT)
        self.assertEqual(server.body, {})
        made.approve_message("msg_1", body_text="", cc=[])
        self.assertEqual(server.body, {"body_text": "", "cc": []})
        made.register_agent("bot")
        self.assertEqual(server.body, {"slug": "bot"})
        asked = len(server.requests)
        self.assertRaises(ValueError, made.update_agent, BOT, agent_mode="quantum")
        self.assertRaises(ValueError, made.update_agent, BOT, hitl_expiration_action="")
        self.assertEqual(len(server.requests), asked)

    def test_deletion(self) -> None:
        """Deleting the account says that it is meant, and tells what went."""
        server = Recorder({"messages_deleted": 7})
        made: Any = client(server)
        self.assertEqual(made.delete_account("DELETE").messages_deleted, 7)
        self.assertEqual(server.target, "DELETE /api/v1/users/me?confirm=DELETE")
        self.assertRaises(TypeError, made.delete_account)

    def test_waiting(self) -> None:
        """Waiting polls until a message is there and fetches it, or says that none came."""
        empty = httpx.Response(204, headers={"x-e2a-cursor": "7"})
        for after, cursor in ((None, None), (5, "7")):
            server = Recorder(empty, {"message": SUMMARY, "cursor": 9}, SUMMARY)
            email = client(server).wait_for_message(60, after=after, from_="ana@corp.test")
            self.assertEqual((email.verified, email.sender), (True, "ana@corp.test"))
            self.assertEqual(server.requests[1].url.params.get("after"), cursor)
            self.assertEqual(server.requests[1].url.params["from"], "ana@corp.test")
        self.assertRaises(TimeoutError, client(Recorder(empty)).wait_for_message, 0)
        server = Recorder({"status": "queued"})
        self.assertRaises(TimeoutError, client(server).wait_for_outcome, "msg_1", 0)
        self.assertEqual(client(Recorder({"status": "failed"})).wait_for_outcome("msg_1").status, "failed")


class ExportTests(SynchronousTestCase):
    def test_file(self) -> None:
        """An export is written piece by piece; its length is the answer."""
        server = Recorder(httpx.Response(200, content=b"{}" * 5000))
        target, seen = Path(self.mktemp()), []
        self.assertEqual(client(server).export(target, "zip", progress=seen.append), 10_000)
        self.assertEqual(server.target, "GET /api/v1/users/me/export?format=zip")
        self.assertEqual((target.read_bytes(), seen[-1]), (b"{}" * 5000, 10_000))
        self.assertEqual(target.stat().st_mode & 0o077, 0)
        buffer = io.BytesIO()

        async def run() -> int:
            return await async_client(server).export(buffer)

        self.assertEqual((asyncio.run(run()), buffer.getvalue()), (10_000, b"{}" * 5000))
        self.assertEqual(server.target, "GET /api/v1/users/me/export")

    def test_broken(self) -> None:
        """A refused or broken export leaves no file, and what was there before."""
        directory = Path(self.mktemp())
        directory.mkdir()
        target = directory / "export.json"
        target.write_bytes(b"before")

        def cut(request: httpx.Request) -> httpx.Response:
            def pieces() -> Any:
                yield b"half"
                raise httpx.ReadError("cut")

            return httpx.Response(200, content=pieces())

        self.assertRaises(httpx.ReadError, client(cut).export, target)
        self.assertRaises(NotFoundError, client(Recorder(httpx.Response(404, text="no"))).export, target)
        self.assertEqual(target.read_bytes(), b"before")
        self.assertEqual([path.name for path in directory.iterdir()], ["export.json"])
