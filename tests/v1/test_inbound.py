"""Received e-mails: the gate, the two signatures, and what a message says."""

from __future__ import annotations

import asyncio
import base64
import json
import warnings
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from e2a.v1 import AsyncInboundEmail, InboundEmail, MessageDetail, UnverifiedEmailError, webhooks
from e2a.v1.mime import content_of
from tests.v1.support import BOT, RAW, SECRET, Recorder, async_client, client, signed_request, webhook

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text("utf-8"))
GATED = (
    "message_id",
    "conversation_id",
    "sender",
    "recipient",
    "tag",
    "to",
    "cc",
    "reply_to",
    "subject",
    "text_body",
    "html_body",
    "attachments",
    "received_at",
    "authentication",
    "automation",
    "agent_email",
)


def parsed(payload: Any) -> InboundEmail:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return client(Recorder()).parse(payload)


def opened(raw: bytes, **members: Any) -> InboundEmail:
    return client(Recorder()).parse_webhook(webhook(raw, **members), SECRET)


class GateTests(SynchronousTestCase):
    def test_closed(self) -> None:
        """No field of an e-mail is readable before a check has succeeded; then all are, for good."""
        server = Recorder()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            email = client(server).parse(json.dumps(webhook()))
        for name in GATED:
            self.assertRaises(UnverifiedEmailError, getattr, email, name)
        self.assertRaises(UnverifiedEmailError, email.reply, "x")
        self.assertRaises(UnverifiedEmailError, email.forward, ["a@b.test"])
        self.assertEqual(server.requests, [])
        self.assertFalse(email.verify_signature("another"))
        self.assertRaises(RuntimeError, getattr, email, "subject")
        self.assertTrue(email.verify_signature(SECRET))
        self.assertFalse(email.verify_signature("another"))
        self.assertEqual((email.subject, email.sender, email.message_id), ("Café", "ana@corp.test", "msg_1"))

    def test_always_open(self) -> None:
        """What says how far to trust the rest is readable from the start, and so is the payload under its own name."""
        email = parsed(webhook())
        self.assertEqual((email.verified, email.is_verified), (False, True))
        self.assertEqual((email.auth.sender, email.auth.domain_check), ("ana@corp.test", "spf=pass; dkim=pass"))
        self.assertEqual(email.raw_message, RAW)
        self.assertIn("unverified", repr(email))
        self.assertEqual(email.unverified_payload["subject"], "Café")

    def test_signed_members(self) -> None:
        """After the check sender and id are the signed ones, not what stands beside them."""
        email = opened(RAW, **{"from": "boss@corp.test", "message_id": "msg_2"})
        self.assertEqual((email.sender, email.message_id), ("ana@corp.test", "msg_1"))

    def test_fetched(self) -> None:
        """Mail fetched over the API is open, and can still be checked."""
        server = Recorder(webhook())
        email = client(server).get_message("msg_1")
        self.assertEqual((email.subject, email.sender), ("Café", "ana@corp.test"))
        self.assertTrue(email.verify_signature(SECRET))

    def test_detail(self) -> None:
        """A detail of the raw layer is closed like any other payload."""
        email = parsed(MessageDetail.model_validate(webhook()))
        self.assertRaises(UnverifiedEmailError, getattr, email, "subject")
        self.assertTrue(email.verify_signature(SECRET))

    def test_reply(self) -> None:
        """A reply goes out as the agent, without the tag of the address."""
        server = Recorder({"status": "sent", "message_id": "msg_9", "method": "smtp"})
        email = client(server).parse_webhook(webhook(recipient="bot+shop@agents.test", tag="shop"), SECRET)
        self.assertEqual(email.reply("Thanks", cc=["x@y.test"]).message_id, "msg_9")
        self.assertEqual(server.target, "POST /api/v1/agents/bot%40agents.test/messages/msg_1/reply")
        self.assertEqual(server.body, {"body": "Thanks", "cc": ["x@y.test"]})
        email.forward(["z@y.test"], enclose=True)
        self.assertEqual(server.body, {"body": "", "to": ["z@y.test"], "as": "attachment"})

    def test_asynchronous(self) -> None:
        """The asynchronous client parses without being awaited, and replies awaited."""
        made = async_client(Recorder({"status": "sent"}))
        email = made.parse_webhook(webhook(), SECRET)
        self.assertIsInstance(email, AsyncInboundEmail)
        self.assertEqual(asyncio.run(email.reply("x")).status, "sent")


class CheckTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """A wrong secret, a changed message and an old signature are a PermissionError."""
        changed = webhook() | {"raw_message": base64.b64encode(RAW + b"x").decode()}
        for payload, secret in ((webhook(), "another"), (changed, SECRET), (webhook(age=302), SECRET)):
            self.assertRaises(PermissionError, client(Recorder()).parse_webhook, payload, secret)

    def test_secrets(self) -> None:
        """Any of several secrets opens, given or in the environment; none at all is a ValueError."""
        made = client(Recorder())
        self.assertTrue(made.parse_webhook(webhook(), ["old", SECRET]).verified)
        for text in (SECRET, f"old,{SECRET}", f" {SECRET}\nold "):
            with mock.patch.dict("os.environ", {"E2A_WEBHOOK_SECRET": text, "E2A_HMAC_SECRET": "wrong"}):
                self.assertTrue(made.parse_webhook(webhook()).verified)
        with mock.patch.dict("os.environ", clear=True):
            for given in (None, "", [], [""]):
                self.assertRaises(ValueError, made.parse_webhook, webhook(), given)
                self.assertRaises(ValueError, parsed(webhook()).verify_signature, given)

    def test_older_variable(self) -> None:
        """The older variable is read, with one warning in all."""
        self.patch(webhooks, "_warned", False)
        with (
            mock.patch.dict("os.environ", {"E2A_HMAC_SECRET": SECRET}, clear=True),
            warnings.catch_warnings(record=True) as caught,
        ):
            warnings.simplefilter("always")
            for _ in range(2):
                self.assertTrue(client(Recorder()).parse_webhook(webhook()).verified)
        self.assertEqual([warning.category for warning in caught], [DeprecationWarning])

    def test_whole_body(self) -> None:
        """With the headers of the request the whole body is checked, which nothing less replaces."""
        made, body = client(Recorder()), json.dumps(webhook()).encode()
        headers = {name.title(): value for name, value in signed_request(body, "newer", SECRET).items()}
        for given in (body, body.decode(), memoryview(body)):
            self.assertTrue(made.parse_webhook(given, SECRET, headers=headers).verified)
        # The signature in the body would do; what it does not cover was changed.
        forged = body.replace(b"c-1", b"c-2")
        self.assertTrue(made.parse_webhook(forged, SECRET).verified)
        for given, presented in ((forged, headers), (body, {}), (body, {"webhook-signature": "v1,x"})):
            self.assertRaises(PermissionError, made.parse_webhook, given, SECRET, headers=presented)
        self.assertRaises(TypeError, made.parse_webhook, json.loads(body), SECRET, headers=headers)

    def test_bodies(self) -> None:
        """A body that is none is refused by its kind."""
        for bad in ("nonsense", b"\xff", "[]", "3"):
            self.assertRaises(ValueError, parsed, bad)
        for bad in (3, None, ["x"]):
            self.assertRaises(TypeError, parsed, bad)
        self.assertFalse(parsed({}).verify_signature(SECRET))
        self.assertFalse(parsed({"auth_headers": 3, "raw_message": 4, "from": []}).verify_signature(SECRET))

    def test_parse_is_deprecated(self) -> None:
        """Parsing without a check warns; with one it does not."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client(Recorder()).parse(webhook(), headers={"x": "y"})
            client(Recorder()).parse_webhook(webhook(), SECRET)
        self.assertEqual([warning.category for warning in caught], [DeprecationWarning])


class VectorTests(SynchronousTestCase):
    def test_signatures(self) -> None:
        """Each published case is accepted or refused as marked, at its own time."""
        for vector in VECTORS["header_signatures"]:
            if (vector["max_age_seconds"], vector["future_skew_seconds"]) != (300, 30) or not any(
                vector["verifier_secrets"]
            ):
                continue
            email = parsed({"auth_headers": vector["presented_headers"], "raw_message": vector["raw_message_b64"]})
            now = datetime.fromisoformat(vector["verifier_clock"]).timestamp()
            with mock.patch("time.time", return_value=now):
                found = email.verify_signature(vector["verifier_secrets"])
            self.assertEqual(found, vector["expect"]["accept"], vector["id"])

    def test_members(self) -> None:
        """What a received e-mail shows is the same in every language."""
        for vector in VECTORS["inbound_emails"]:
            found, expected = parsed(vector["payload"]).unverified_payload, vector["expect"]
            for shown in (found, expected):
                # Trailing line ends are each parser's own.
                shown.update({name: shown[name] and shown[name].strip() for name in ("text_body", "html_body")})
            self.assertEqual(found, expected, vector["id"])


class MimeTests(SynchronousTestCase):
    def mail(self, *parts: str) -> bytes:
        head = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        return (head + "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n").encode()

    def test_parts(self) -> None:
        """The first text that is not empty and the first HTML count; what has a disposition or is no text is a file."""
        content = content_of(
            self.mail(
                "Content-Type: text/plain\r\n\r\n",
                "Content-Type: text/plain\r\n\r\none\r\ntwo",
                "Content-Type: text/plain\r\n\r\nthree",
                "Content-Type: text/html\r\n\r\n<p>",
                "Content-Type: text/html\r\n\r\n<b>",
                "Content-Type: text/calendar\r\n\r\ndropped",
                "Content-Type: image/png\r\n\r\npixels",
                "Content-Type: text/plain; name=a.txt\r\nContent-Disposition: inline\r\n\r\nnote",
                "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename*=UTF-8''Gr%C3%BC%C3%9Fe.pdf"
                "\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==",
            )
        )
        self.assertEqual((content.text, content.html), ("one\r\ntwo", "<p>"))
        files = [(file.filename, file.content_type, file.data, file.size) for file in content.attachments]
        self.assertEqual(
            files,
            [
                ("unnamed", "image/png", b"pixels", 6),
                ("a.txt", "text/plain", b"note", 4),
                ("Grüße.pdf", "application/pdf", b"%PDF", 4),
            ],
        )

    def test_single(self) -> None:
        """One part is all text or all HTML; one that is no text is a file."""
        for kind, expected in (
            ("text/html", ("", "x", 0)),
            ("text/calendar", ("x", None, 0)),
            ("text/plain", ("x", None, 0)),
            ("application/pdf", ("", None, 1)),
        ):
            content = content_of(f"Content-Type: {kind}\r\n\r\nx".encode())
            self.assertEqual((content.text, content.html, len(content.attachments)), expected, kind)

    def test_inline_text(self) -> None:
        """Text that is marked inline is the text when there is no other, and a file all the same."""
        inline = "Content-Type: text/plain\r\nContent-Disposition: inline\r\n\r\nhello"
        content = content_of(self.mail(inline))
        self.assertEqual((content.text, len(content.attachments)), ("hello", 1))
        self.assertEqual(content_of(self.mail(inline, "Content-Type: text/plain\r\n\r\nbody")).text, "body")

    def test_enclosed_message(self) -> None:
        """An enclosed message is one file; its text is not that of the message around it."""
        inner = EmailMessage()
        inner["Subject"] = "inner"
        inner.set_content("secret\n")
        outer = EmailMessage()
        outer.set_content("see below\n")
        outer.add_attachment(inner)
        content = content_of(bytes(outer))
        self.assertEqual(content.text, "see below\n")
        self.assertEqual([file.content_type for file in content.attachments], ["message/rfc822"])
        self.assertIn(b"Subject: inner\r\n", content.attachments[0].data)

    def test_charsets(self) -> None:
        """Known charsets are decoded, others read as UTF-8 with replacement."""
        for charset, octets, expected in (
            ("iso-8859-1", b"Caf\xe9", "Café"),
            ("nonsense", "Café".encode(), "Café"),
            ("hex", b"41", "41"),
            ("utf-8", b"Caf\xe9", "Caf\ufffd"),
        ):
            raw = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode()
            self.assertEqual(content_of(raw + octets).text, expected, charset)

    def test_costly(self) -> None:
        """A mail whose multiparts would take minutes to read is its subject and one attachment."""
        nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(300))
        found = content_of(b"Subject: Hello\r\n" + nested + b"\r\n" + b"a\r\n" * 110_000)
        self.assertEqual((found.subject, found.text), ("Hello", ""))
        self.assertEqual([each.content_type for each in found.attachments], ["multipart/mixed"])

    def test_junk(self) -> None:
        """Nothing raises: junk, deep nesting and broken headers are empty or text."""
        deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
        for raw in (b"", b"\0\xff", deep, b"Subject: =?x?q?=FF?=\r\nContent-Type: ;;;\r\n\r\n\xff"):
            self.assertIsInstance(content_of(raw).text, str)
        self.assertEqual(opened(b"Subject: =?nonsense?q?a?=\r\n\r\n").subject, "=?nonsense?q?a?=")

    def test_raw(self) -> None:
        """Raw messages are read as base64 with foreign characters in it, and taken literally when it is none."""
        self.assertEqual(parsed({"raw_message": "SGkh\r\n!"}).raw_message, b"Hi!")
        self.assertEqual(parsed({"raw_message": "abcde"}).raw_message, b"abcde")
        self.assertEqual(parsed({"to": "a@b.test"}).unverified_payload["to"], ["a@b.test"])
        self.assertEqual(opened(RAW).agent_email, BOT)


class SharedVectorTests(SynchronousTestCase):
    def test_inbound_emails(self) -> None:
        """Each of the 12 e-mails says what is marked, as the TypeScript client has it, but for line ends."""
        self.assertEqual(len(VECTORS["inbound_emails"]), 12)
        for vector in VECTORS["inbound_emails"]:
            said = dict(parsed(vector["payload"]).unverified_payload)
            for name, expected in vector["expect"].items():
                found = said[name]
                if name in ("text_body", "html_body"):
                    found, expected = (found or "").strip(), (expected or "").strip()
                self.assertEqual(found, expected, (vector["id"], name))
