"""Composition: what is written is read back the same, and nothing that is written can be anything else."""

from __future__ import annotations

import email
import itertools
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.mail import parts
from e2a.core.mail.addresses import mailboxes, sole_from
from e2a.core.mail.compose import Letter, Part, compose, entity_of
from e2a.core.mail.conversations import ConversationMac
from e2a.core.mail.headers import scan
from e2a.core.mail.message import parse

NOW = datetime(2026, 4, 20, 8, 0, 5, tzinfo=UTC)
LIMITS = settings(deadline=None, max_examples=150)
#: What the checks of ``core.rules.drafts`` let into a header.
LINE = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=300)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=400)


def random() -> Any:
    numbers = itertools.count(1)
    return lambda count: next(numbers).to_bytes(count, "big")


def letter(**given: Any) -> Letter:
    values: dict[str, Any] = {
        "from_address": "bot@agents.test",
        "from_name": "Bot",
        "to": ("ana@corp.test",),
        "cc": (),
        "subject": "Quote",
        "text": "Hello",
        "html": "",
        "parts": (),
        "message_id": "<1@agents.test>",
        "date": NOW,
    }
    return Letter(**(values | given))


def written(**given: Any) -> bytes:
    raw = compose(letter(**given), random())
    assert raw.endswith(b"\r\n")
    for line in raw.split(b"\r\n"):
        assert len(line) <= 998, line[:60]
        assert b"\r" not in line and b"\n" not in line and line.isascii() and b"\0" not in line, line[:60]
    return raw


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=policy.SMTP)


def shown(raw: bytes, name: str) -> str:
    """A field's value as the standard library decodes it."""
    return str(make_header(decode_header(email.message_from_bytes(raw)[name])))


class HeaderTests(TestCase):
    def test_fields(self) -> None:
        """Every field that a message has is there once, in a fixed order, and Bcc never."""
        raw = written(
            cc=("bo@corp.test",),
            reply_to="bot@agents.test",
            in_reply_to="<a@corp.test>",
            references=("<0@corp.test>", "<a@corp.test>"),
            conversation_id="conv_1",
            conversation_mac="1.ab",
            auto_submitted="auto-replied",
        )
        self.assertEqual(
            raw.partition(b"\r\n\r\n")[0].decode().split("\r\n"),
            [
                'From: "Bot" <bot@agents.test>',
                "To: ana@corp.test",
                "Cc: bo@corp.test",
                "Reply-To: bot@agents.test",
                "Subject: Quote",
                "Date: Mon, 20 Apr 2026 08:00:05 +0000",
                "Message-ID: <1@agents.test>",
                "In-Reply-To: <a@corp.test>",
                "References: <0@corp.test> <a@corp.test>",
                "Auto-Submitted: auto-replied",
                "X-E2A-Conversation-Id: conv_1",
                "X-E2A-Conversation-Mac: 1.ab",
                "MIME-Version: 1.0",
                "Content-Type: text/plain; charset=us-ascii",
                "Content-Transfer-Encoding: 7bit",
            ],
        )

    def test_long_lists_fold(self) -> None:
        """A hundred recipients and fifty references fold into lines of at most 78."""
        to = tuple(f"person{number}@corp.test" for number in range(100))
        references = tuple(f"<{number}.reference@corp.test>" for number in range(50))
        raw = written(to=to, references=references)
        head = raw.partition(b"\r\n\r\n")[0]
        self.assertLessEqual(max(map(len, head.split(b"\r\n"))), 78)
        self.assertEqual(parse(scan(raw)).to, to)
        self.assertEqual(parse(scan(raw)).references, references[::-1])

    @LIMITS
    @given(LINE)
    def test_subject(self, subject: str) -> None:
        """Any subject is read back as it was, by our reader and by the standard library's."""
        raw = written(subject=subject)
        if subject:
            self.assertEqual(parse(scan(raw)).subject.strip(" "), subject.strip(" "))
            self.assertEqual(shown(raw, "Subject").strip(" "), subject.strip(" "))
        else:
            self.assertNotIn(b"Subject", raw)
        self.assertEqual(len(scan(raw).fields), 8 if subject else 7)

    @LIMITS
    @given(LINE)
    def test_display_name(self, name: str) -> None:
        """Any name stands before the address without changing it."""
        raw = written(from_name=name)
        self.assertEqual(len(scan(raw).all(b"from")), 1)
        self.assertEqual([one.addr_spec for one in read(raw)["From"].addresses], ["bot@agents.test"])
        (mailbox,) = mailboxes(scan(raw).all(b"from")[0].unfolded.decode())
        self.assertEqual(mailbox.address, "bot@agents.test")
        self.assertEqual(mailbox.name, " ".join(name.split()))
        self.assertIn(sole_from(scan(raw)), (None, "bot@agents.test"))

    @LIMITS
    @given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=256))
    def test_conversation(self, conversation_id: str) -> None:
        """Any conversation id that callers may choose comes back with its MAC."""
        if not conversation_id.isprintable():
            return
        mac = ConversationMac(b"k" * 32)
        made = mac.make(conversation_id, "bot@agents.test", NOW.timestamp())
        raw = written(conversation_id=conversation_id, conversation_mac=made)
        self.assertEqual(mac.conversation_of(scan(raw), "bot@agents.test", NOW.timestamp()), conversation_id)

    def test_line_ends_are_refused(self) -> None:
        """A line end in a value that is written as it stands makes no message at all."""
        for values in (
            {"message_id": "<1@x>\r\nBcc: eve@corp.test"},
            {"to": ("ana@corp.test\r\nBcc: eve@corp.test",)},
            {"from_address": "bot@agents.test\nX: y"},
            {"references": ("<a@b>\r\n\r\nbody",)},
            {"parts": (Part("a", "text/plain\r\nX: y", b""),)},
            {"conversation_mac": "1\r\n\r\n"},
        ):
            self.assertRaises(ValueError, compose, letter(**values), random())

    @LIMITS
    @given(st.text(max_size=200), st.sampled_from(["subject", "from_name", "conversation_id"]))
    def test_no_injection(self, value: str, field: str) -> None:
        """Whatever text stands in a free field, the message has the fields it had."""
        raw = written(**{field: value.encode("utf-8", "replace").decode()})
        names = [one.key for one in scan(raw).fields]
        plain = [one.key for one in scan(written(**{field: "x"})).fields]
        self.assertEqual(names, [name for name in plain if name in names])
        self.assertGreaterEqual(len(names), len(plain) - 1)
        self.assertEqual(scan(raw).defects, ())


class ContentTests(TestCase):
    @LIMITS
    @given(TEXT, TEXT)
    def test_bodies(self, text: str, html: str) -> None:
        """Text and HTML are read back as they were, line ends apart, by our reader and the standard library's."""
        raw = written(text=text, html=html)
        message = read(raw)
        for kind, given_text in (("plain", text), ("html", html)):
            if not given_text.strip() or not (text.strip() and html.strip()):
                continue
            part = message.get_body((kind,))
            assert part is not None
            octets = part.get_payload(decode=True)
            assert isinstance(octets, bytes)
            self.assertEqual(_lines(octets.decode(part.get_content_charset("utf-8"))), _lines(given_text))
        found = parts.content(raw)
        self.assertEqual(_lines(found.text), _lines(text) if text.strip() else [""])
        self.assertEqual(_lines(found.html), _lines(html) if html.strip() else [""])

    @LIMITS
    @given(
        st.lists(
            st.tuples(
                st.text(
                    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf"), exclude_characters="/\\"),
                    min_size=1,
                    max_size=255,
                ),
                st.binary(max_size=3000),
            ),
            max_size=4,
        )
    )
    def test_attachments(self, files: list[tuple[str, bytes]]) -> None:
        """Attachments come back with their names and octets."""
        raw = written(parts=tuple(Part(name, "application/x-thing", data) for name, data in files))
        found = [(info.filename, data) for info, data in parts.attachments(raw)]
        expected = [(name.strip(), data) for name, data in files]
        self.assertEqual([data for _, data in found], [data for _, data in expected])
        for (name, _), (shown, _) in zip(expected, found, strict=True):
            if name not in ("", ".", ".."):
                self.assertEqual(shown, name)
        octets = [part.get_payload(decode=True) for part in read(raw).iter_attachments()]
        self.assertEqual(octets, [data for _, data in files])

    def test_transfer_encodings(self) -> None:
        """Plain text stays plain, text with some accents is quoted-printable, other scripts are base64."""
        for text, encoding in (
            ("Hello\n", b"7bit"),
            ("H" * 2000, b"quoted-printable"),
            ("Grüße aus Köln, sagt der Bot, und sonst nichts weiter", b"quoted-printable"),
            ("Привет", b"base64"),
            ("bell\x07", b"quoted-printable"),
        ):
            self.assertIn(b"Content-Transfer-Encoding: %s\r\n" % encoding, written(text=text), text[:20])

    def test_html_only(self) -> None:
        """HTML without text is one part of HTML."""
        message = read(written(text="", html="<p>hi</p>"))
        self.assertEqual(message.get_content_type(), "text/html")

    def test_structure(self) -> None:
        """Text, HTML and a file make an alternative within a mixed message."""
        message = read(written(html="<p>Hello</p>", parts=(Part("a.pdf", "application/pdf", b"PDF"),)))
        self.assertEqual(
            [part.get_content_type() for part in message.walk()],
            ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "application/pdf"],
        )

    def test_message_in_message(self) -> None:
        """A message is enclosed as it is where it can be, and as a file where it would have to be encoded."""
        plain = b"From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n"
        for data, kind in ((plain, "message/rfc822"), (plain + "ü".encode(), "application/octet-stream")):
            raw = written(parts=(Part("m.eml", "message/rfc822", data),))
            ((info, octets),) = parts.attachments(raw)
            self.assertEqual((info.content_type, octets), (kind, data))

    def test_long_message(self) -> None:
        """Every octet value survives a long attachment."""
        data = bytes(range(256)) * 1000
        ((_, octets),) = parts.attachments(written(parts=(Part("a", "application/octet-stream", data),)))
        self.assertEqual(octets, data)

    def test_entity(self) -> None:
        """Content composed once goes into another header unchanged."""
        first = written(html="<p>ü</p>", parts=(Part("a.pdf", "application/pdf", b"PDF"),))
        second = written(subject="Other", entity=entity_of(first))
        self.assertEqual(entity_of(second), entity_of(first))
        self.assertEqual(parse(scan(second)).subject, "Other")
        self.assertRaises(ValueError, entity_of, b"Subject: x\r\n\r\nMIME-Version: 1.0\r\n")


def _lines(text: str) -> list[str]:
    """Without the line end at the end, which a message has to have."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
