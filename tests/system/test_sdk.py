"""The client library against a real daemon: mail comes in by SMTP and goes out by SMTP."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import threading
import time
import warnings
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from e2a.core.trust import webhooksignature
from e2a.v1 import (
    AsyncE2AClient,
    Attachment,
    AuthenticationError,
    ConflictError,
    E2AClient,
    InboundEmail,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    UnverifiedEmailError,
    fetch_info,
)
from tests.support.daemon import Daemon
from tests.support.sinks import WebhookSink
from tests.support.smtpclient import send
from tests.support.smtpsink import SmtpSink
from tests.system.case import SystemCase, mail, signed

ANA = "ana@sender.test"
PDF = bytes(range(256)) * 40


class SdkTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)
        self.node = self.daemon(
            environment={
                "E2A_DNS_SERVERS": self.stub("sender.test").address,
                "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
                "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
                "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            }
        ).start()

    def client(self, daemon: Daemon, agent: str = "") -> E2AClient:
        client = E2AClient(daemon.bootstrap(), agent, daemon.url)
        self.addCleanup(client.close)
        return client

    def arrive(self, agent: str, key: str, **parts: str) -> None:
        """A signed mail of Ana's, through the front door."""
        data = signed(mail(f"{key}@sender.test", f"Ana <{ANA}>", agent, **parts), "sender.test")
        self.assertEqual(send(self.node.smtp_port, ANA, [agent], data).code, 250)

    def test_webhook(self) -> None:
        """A real delivery is opened by either signature, by any secret of a rotation, and by nothing else; its reply
        reaches the sender in the same conversation."""
        hook = WebhookSink()
        self.addCleanup(hook.stop)
        client = self.client(self.node)
        registered = client.register_agent("hook", agent_mode="cloud", webhook_url=hook.url)
        bot = registered.email or ""
        secret = client.create_signing_secret("new").secret or ""
        self.arrive("hook+orders@agents.test", "m1", subject="Tr=C3=A4ume", body="Shall we?")
        (request,) = hook.wait_for(1)

        email = client.parse_webhook(request.body, ["an-older-one", secret])
        whole = client.parse_webhook(request.body, secret, headers=request.headers)
        for each in (email, whole):
            self.assertEqual((each.sender, each.recipient, each.tag), (ANA, "hook+orders@agents.test", "orders"))
            self.assertTrue(each.is_verified and each.verified)
            self.assertEqual(each.text_body, "Shall we?\r\n")
            self.assertEqual(each.agent_email, bot)
        forged = request.body.replace(b"orders@agents", b"others@agents")
        with self.assertRaises(PermissionError):
            client.parse_webhook(forged, secret, headers=request.headers)
        with self.assertRaises(PermissionError):
            client.parse_webhook(request.body, "another")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            closed = client.parse(request.body)
        self.assertEqual([warning.category for warning in caught], [DeprecationWarning])
        self.assertFalse(closed.verify_signature("another"))
        with self.assertRaises(UnverifiedEmailError):
            closed.text_body  # noqa: B018
        self.assertTrue(closed.verify_signature(secret))

        answer = email.reply("Yes.")
        self.assertEqual(answer.status, "sent")
        (copy,) = self.sink.wait_for(1)
        self.assertEqual(copy.recipients, (ANA,))
        self.assertIn(b"In-Reply-To: <m1@sender.test>", copy.data)
        self.assertEqual(client.get_delivery(email.message_id, bot).status, "delivered")
        self.assertEqual(client.redeliver(email.message_id, bot).message_id, email.message_id)
        again = client.parse_webhook(hook.wait_for(2)[1].body, secret)
        self.assertEqual(again.message_id, email.message_id)

    def test_mailbox(self) -> None:
        """Waiting, reading, files both ways, forwarding, conversations and pages, with one client."""
        client = self.client(self.node)
        bot = client.agent_email = client.register_agent("bot", agent_mode="local").email or ""
        with self.assertRaises(TimeoutError):
            client.wait_for_message(0)
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = ANA, bot, "Your code is 123"
        message["Message-ID"] = "<files@sender.test>"
        message.set_content("See the file.\n")
        message.add_attachment(PDF, maintype="application", subtype="pdf", filename="Grüße.pdf")
        timer = threading.Timer(0.3, send, (self.node.smtp_port, ANA, [bot], bytes(message).replace(b"\n", b"\r\n")))
        self.arrive(bot, "other", subject="Hello")
        timer.start()
        self.addCleanup(timer.join)
        email = client.wait_for_message(20, from_=ANA, subject_contains="code")
        self.assertIsInstance(email, InboundEmail)
        self.assertEqual((email.subject, email.text_body), ("Your code is 123", "See the file.\r\n"))
        self.assertEqual([(file.filename, file.data) for file in email.attachments], [("Grüße.pdf", PDF)])
        self.assertEqual([info.filename for info in client.list_attachments(email.message_id)], ["Grüße.pdf"])
        self.assertEqual(client.get_attachment(email.message_id, 0), PDF)
        self.assertEqual(client.get_raw_message(email.message_id), email.raw_message)
        self.assertEqual([one.subject for one in client.get_messages()], ["Hello"])
        self.assertEqual([one.subject for one in client.iter_messages("all", page_size=1)], ["Hello", email.subject])
        backwards = client.iter_messages("all", page_size=1, sort="desc", since="2020-01-01T00:00:00Z")
        self.assertEqual([one.subject for one in backwards], [email.subject, "Hello"])

        sent = client.forward(email.message_id, ["bo@corp.test"], "See below.")
        again = [client.send(["bo@corp.test"], "Files", "Hi", attachments=[Attachment("a.bin", "a/b", PDF)])]
        for _ in range(2):
            again.append(client.send(["bo@corp.test"], "Once", "Hi", idempotency_key="k1"))
        self.assertEqual(again[1].message_id, again[2].message_id)
        self.assertEqual({sent.status, *(each.status for each in again)}, {"sent"})
        self.assertEqual(len(self.sink.wait_for(3)), len(self.sink.copies))
        self.assertEqual(client.get_pending_message(sent.message_id).type, "forward")
        reply = email.reply("Thank you.")
        conversation = reply.conversation_id or ""
        self.assertIn(conversation, [found.id for found in client.iter_conversations()])
        directions = [found.direction for found in client.iter_conversation(conversation)]
        self.assertEqual(directions, ["inbound", "outbound"])
        with self.assertRaises(InvalidRequestError) as caught:
            client.send(["no address"], "x", "y")
        self.assertEqual((caught.exception.status_code, caught.exception.code), (400, "bad_address"))
        self.assertTrue(caught.exception.request_id and caught.exception.field)
        with self.assertRaises(NotFoundError):
            client.get_message("msg_" + "0" * 32)

    def test_review(self) -> None:
        """Held mail is listed, edited and approved or rejected, and its outcome waited for."""
        client = self.client(self.node)
        bot = client.agent_email = client.register_agent("bot", agent_mode="local").email or ""
        self.assertTrue(client.update_agent(bot, hitl_enabled=True, hitl_ttl_seconds=600).hitl_enabled)
        held = [client.send(["bo@corp.test"], f"Offer {number}", "100 EUR") for number in range(2)]
        self.assertEqual({(one.status, one.method) for one in held}, {("pending_approval", "")})
        self.assertTrue(held[0].approval_expires_at)
        self.assertEqual({one.id for one in client.iter_pending_messages()}, {one.message_id for one in held})
        with self.assertRaises(TimeoutError):
            client.wait_for_outcome(held[0].message_id, 0)
        self.assertEqual(client.get_pending_message(held[0].message_id).body_text, "100 EUR\r\n")
        approved = client.approve_message(held[0].message_id, body_text="90 EUR", cc=["cy@corp.test"])
        self.assertEqual((approved.status, approved.edited), ("sent", True))
        self.assertEqual(client.wait_for_outcome(held[0].message_id).status, "sent")
        self.assertEqual(client.reject_message(held[1].message_id, "no").rejection_reason, "no")
        copies = [copy for copy in self.sink.copies if "bo@corp.test" in copy.recipients]
        self.assertEqual([b"90 EUR" in copy.data for copy in copies], [True])
        with self.assertRaises(ConflictError):
            client.approve_message(held[1].message_id)

    def test_listen(self) -> None:
        """A listener announces what was there, what comes, and what came while it had no connection; a refusal can be
        an exception."""
        client = self.client(self.node)
        bot = client.register_agent("bot", agent_mode="local").email or ""
        self.arrive(bot, "m1")

        async def listen() -> list[str]:
            seen = []
            async with AsyncE2AClient(client.api.transport.api_key, bot, self.node.url) as listener:
                stream = listener.listen(max_backoff=1.0)
                for number in (2, 3, 4):
                    notice = await asyncio.wait_for(anext(stream), 30)
                    email = await listener.get_message(notice.message_id)
                    seen.append(email.message_id)
                    self.assertEqual((email.sender, notice.from_, notice.recipient), (ANA, ANA, bot))
                    if number == 3:
                        await asyncio.to_thread(self.node.stop)
                        # The daemon dies with the thread that starts it.
                        self.node.launch()
                        await asyncio.to_thread(self.node.wait_ready)
                    await asyncio.to_thread(self.arrive, bot, f"m{number}")
                await stream.aclose()
                email = await listener.wait_for_message(10)
                seen.append(email.message_id)
                reply = await email.reply("Thank you.")
                self.assertEqual(reply.status, "sent")
            async with AsyncE2AClient("e2a_wrong", bot, self.node.url) as stranger:
                with self.assertRaises(AuthenticationError):
                    await anext(stranger.listen(raise_on_refusal=True))
                with self.assertLogs("e2a.v1.websocket", "WARNING") as logs, self.assertRaises(StopAsyncIteration):
                    await anext(stranger.listen(reconnect=False))
                self.assertIn("401", logs.output[0])
            return seen

        with self.assertLogs("e2a.v1.websocket", "WARNING"):
            seen = asyncio.run(listen())
        self.assertEqual(seen, [one.message_id for one in client.iter_messages("all", agent_email=bot)])
        self.assertEqual(len(seen), 4)

    def test_account(self) -> None:
        """Keys, secrets, suppressions, domains, members, the audit log and the export; refusals are of their class."""
        client = self.client(self.node)
        info = fetch_info(self.node.url)
        self.assertEqual(info.shared_domain, "agents.test")
        bot = client.agent_email = client.register_agent("bot", agent_mode="local").email or ""
        made = client.create_key("reader", permissions=["messages:read"], agent=bot)
        self.assertIn(made.id, [key.id for key in client.list_keys()])
        with E2AClient(made.key, bot, self.node.url) as reader:
            self.assertEqual(list(reader.get_messages()), [])
            with self.assertRaises(PermissionDeniedError) as refused:
                reader.send(["bo@corp.test"], "x", "y")
            self.assertEqual(refused.exception.status_code, 403)
            client.revoke_key(made.id or "")
            with self.assertRaises(AuthenticationError):
                reader.get_messages()
        rotated = client.rotate_signing_secrets("next", overlap_seconds=600)
        self.assertTrue(rotated.secret)
        me = client.me()
        self.assertEqual((me.credential, me.organisation and me.organisation.role), ("key", "owner"))
        self.assertIn("key.revoked", [event.action for event in client.iter_audit_events(action="key.*")])
        usage = client.get_usage("2026-01-01", "2026-01-02")
        self.assertEqual(
            (usage.from_, usage.to, [day.date for day in usage.days or ()]),
            ("2026-01-01", "2026-01-02", ["2026-01-01", "2026-01-02"]),
        )
        secret = client.create_signing_secret("second")
        self.assertIn(secret.id, [one.id for one in client.list_signing_secrets().secrets or ()])
        client.delete_signing_secret(secret.id or "")
        client.add_suppression("no@corp.test", "asked")
        self.assertEqual([one.address for one in client.iter_suppressions()], ["no@corp.test"])
        with self.assertRaises(InvalidRequestError) as refused:
            client.send(["no@corp.test"], "x", "y")
        self.assertEqual(refused.exception.code, "recipient_suppressed")
        client.remove_suppression("no@corp.test")
        claimed = client.register_domain("corp.example")
        self.assertFalse(claimed.verified)
        purposes = {record.purpose for record in client.get_domain("corp.example").records or ()}
        self.assertLessEqual({"ownership", "mx"}, purposes)
        self.assertTrue(client.verify_domain("corp.example").verified)
        client.delete_domain("corp.example")
        proposed = client.propose_delegation("ana@corp.test")
        self.assertEqual([one.id for one in client.list_delegations()], [proposed.id])
        client.end_delegation(proposed.id or "")
        self.assertEqual([member.role for member in client.list_members()], ["owner"])
        self.arrive(bot, "m1", body="for ever")
        document = io.BytesIO()
        self.assertEqual(client.export(document), len(document.getvalue()))
        self.assertIn(bot, json.dumps(json.loads(document.getvalue())))
        target = self.directory / "export.zip"
        client.export(target, "zip")
        with zipfile.ZipFile(target) as archive:
            mails = [archive.read(name) for name in archive.namelist() if name.endswith(".eml")]
        self.assertEqual([b"for ever" in each for each in mails], [True])
        client.delete_agent(bot)
        self.assertEqual(client.list_agents().agents, [])

    def test_samples(self) -> None:
        """Every sample of the documentation runs, one after the other, against a daemon."""
        owner = self.client(self.node)
        bot = owner.agent_email = owner.register_agent("bot", agent_mode="local").email or ""
        self.arrive(bot, "m1", subject="Your code is 123")
        self.arrive(bot, "m2", subject="stop")
        detail = owner.api.get_message(bot, owner.get_messages().messages[0].message_id, mark_read=False)
        page = (Path(__file__).parents[2] / "docs" / "sdk-python.md").read_text(encoding="utf-8")
        samples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        self.assertEqual(len(samples), 8)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.directory)
        names: dict[str, Any] = {"__name__": "sample"}
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            for sample in samples:
                code = sample.replace("http://localhost:8080", self.node.url)
                exec(compile(code.replace("e2a_your_key", str(owner.api.transport.api_key)), "sample", "exec"), names)
        self.addCleanup(names["client"].close)
        for expected in ("Your code is 123", "sent msg_", "unread", "404 not_found", "octets"):
            self.assertIn(expected, printed.getvalue())
        body = detail.model_dump_json(by_alias=True).encode()
        headers = webhooksignature.sign(detail.message_id or "", time.time(), body, ["the-old-secret"])
        self.assertEqual(names["on_webhook"](body, headers), 200)
        self.assertEqual(names["on_webhook"](body + b" ", headers), 401)
        subjects = [found.subject for found in owner.iter_pending_messages("sent")]
        self.assertEqual(subjects.count("Re: Your code is 123"), 2)
