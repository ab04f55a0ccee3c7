"""What may be asked to be sent, value by value."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.entities import Facts, InboundMessage
from e2a.core.errors import BadRequest
from e2a.core.mail.headers import scan
from e2a.core.mail.message import parse
from e2a.core.rules.drafts import (
    Asked,
    AskedFile,
    Draft,
    File,
    Original,
    Recipients,
    address,
    ancestors,
    answer,
    answer_subject,
    checked_files,
    checked_recipients,
    forward_subject,
    forwarded,
    new_message,
)

OWN = frozenset({"bot@agents.test", "agent@send.test"})
NOW = datetime(2026, 4, 20, tzinfo=UTC)
GOOD = Asked(to=["ana@corp.test"], subject="Quote", body="Hello")


def original(raw: bytes, **given: Any) -> Original:
    block = scan(raw)
    parsed = parse(block)
    values: dict[str, Any] = {
        "id": "msg_1",
        "uid": 1,
        "agent_id": "bot@agents.test",
        "raw_id": "raw_1",
        "sender": "ana@corp.test",
        "recipient": "bot@agents.test",
        "tag": "",
        "to": parsed.to,
        "cc": parsed.cc,
        "reply_to": parsed.reply_to,
        "subject": parsed.subject,
        "email_message_id": parsed.email_message_id,
        "conversation_id": "c-9",
        "facts": Facts(True, "ana@corp.test", "human", "", ""),
        "authentication": {},
        "size": len(raw),
        "inbox_status": "unread",
        "created_at": NOW,
        "expires_at": NOW,
    }
    return Original(InboundMessage(**(values | given)), block)


MAIL = original(
    b"From: Ana <ana@corp.test>\r\nTo: bot@agents.test, Bo <bo@corp.test>\r\nCc: cy@corp.test\r\n"
    b"Message-ID: <3@corp.test>\r\nReferences: <1@corp.test>\r\n <2@corp.test>\r\nSubject: Quote\r\n\r\nhi\r\n"
)


class RecipientTests(TestCase):
    def test_precedence(self) -> None:
        """Each address is written to once: To before Cc before Bcc, the sender's own never."""
        for to, cc, bcc, expected in (
            (
                ["A@x.example", "a@X.example"],
                ["a@x.example", "b@x.example"],
                ["b@x.example", "c@x.example"],
                Recipients(("a@x.example",), ("b@x.example",), ("c@x.example",)),
            ),
            ([], ["b@x.example"], [], Recipients((), ("b@x.example",))),
            (["agent@send.test", "z@x.example"], ["BOT@agents.test"], [" "], Recipients(("z@x.example",))),
        ):
            self.assertEqual(checked_recipients(to, cc, bcc, OWN), expected)
        envelope = Recipients(("a@x.example",), (), ("c@x.example",)).envelope()
        self.assertEqual(envelope, (("a@x.example", "to"), ("c@x.example", "bcc")))

    def test_nobody_visible(self) -> None:
        """Bcc alone, or the sender alone, is nobody to write to."""
        with self.assertRaises(BadRequest) as caught:
            checked_recipients(["bot@agents.test"], [], ["c@x.example"], OWN)
        self.assertEqual(caught.exception.field, "to")

    def test_addresses(self) -> None:
        """One mailbox, with or without a name, becomes a bare lower-case ASCII address."""
        for text, expected in (
            ("Ana@Corp.Test", "ana@corp.test"),
            ("  ana@corp.test ", "ana@corp.test"),
            ("Ana <Ana@corp.test>", "ana@corp.test"),
            ('"Last, First" <ana@corp.test>', "ana@corp.test"),
            ("ana@bücher.example", "ana@xn--bcher-kva.example"),
            ('"john doe"@corp.test', '"john doe"@corp.test'),
            ("a+b@corp.test", "a+b@corp.test"),
        ):
            self.assertEqual(address(text, "to[0]"), expected)

    def test_bad_addresses(self) -> None:
        """What SMTP without extensions cannot carry, or what names several or nobody, is refused by its field."""
        for text in (
            "ana",
            "ana@",
            "@corp.test",
            "ana@corp",
            "ana@[192.0.2.1]",
            "aña@corp.test",
            "ana@corp.test, bo@corp.test",
            "ana@corp.test\r\nBcc: eve@corp.test",
            "ana@corp.test\0",
            "<>",
            "Group: ana@corp.test;",
            "ana b@corp.test",
            "a" * 65 + "@corp.test",
            "a@" + "b" * 60 + ("." + "b" * 60) * 4 + ".test",
            "=?utf-8?q?a?=@corp.test",
            "x" * 2000 + " <ana@corp.test>",
        ):
            with self.assertRaises(BadRequest, msg=text) as caught:
                checked_recipients(["ok@corp.test", text], [], [], OWN)
            self.assertEqual(caught.exception.field, "to[1]")

    def test_too_many(self) -> None:
        """A hundred recipients may be written to at once, not more, counted without repeats."""
        hundred = [f"p{number}@corp.test" for number in range(100)]
        self.assertEqual(len(checked_recipients(hundred, hundred, [], OWN).to), 100)
        self.assertRaises(BadRequest, checked_recipients, hundred, [], ["one@more.test"], OWN)

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=80))
    def test_any_text(self, text: str) -> None:
        """No text makes an address that could end a line, a list or a bracket."""
        try:
            found = address(text, "to[0]")
        except BadRequest:
            return
        self.assertTrue(found.isascii() and found.isprintable())
        self.assertEqual(checked_recipients([found], [], [], frozenset()).to, (found,))


class NewMessageTests(TestCase):
    def refused(self, field: str, **given: Any) -> None:
        with self.assertRaises(BadRequest, msg=str(given)) as caught:
            new_message(replace(GOOD, **given), OWN)
        self.assertEqual(caught.exception.field, field)

    def test_good(self) -> None:
        """What is asked for is what is sent."""
        asked = replace(GOOD, cc=["bo@corp.test"], html_body="<p>", conversation_id="c-1", auto=True)
        self.assertEqual(
            new_message(asked, OWN, "<1@corp.test>"),
            Draft(
                "send",
                Recipients(("ana@corp.test",), ("bo@corp.test",)),
                "Quote",
                "Hello",
                "<p>",
                conversation_id="c-1",
                in_reply_to="<1@corp.test>",
                references=("<1@corp.test>",),
                auto="auto-generated",
            ),
        )

    def test_fields_at_fault(self) -> None:
        """Each value that cannot be used is named."""
        self.refused("subject", subject="")
        self.refused("subject", subject="a\r\nBcc: eve@corp.test")
        self.refused("subject", subject="a\u2028b")
        self.refused("subject", subject="x" * 999)
        self.refused("body", body="")
        self.refused("body", body="a\0b")
        self.refused("html_body", html_body="\ud800")
        self.refused("conversation_id", conversation_id="")
        self.refused("conversation_id", conversation_id="a\r\nX: y")
        self.refused("conversation_id", conversation_id="x" * 257)
        self.refused("on_behalf_of", on_behalf_of="nobody")
        self.refused("to", to=[])
        with self.assertRaises(BadRequest) as caught:
            new_message(GOOD, OWN, "<1@corp.test>\r\nX: y")
        self.assertEqual(caught.exception.field, "reply_to_message_id")

    def test_html_alone(self) -> None:
        """HTML without text is enough."""
        self.assertEqual(new_message(replace(GOOD, body="", html_body="<p>"), OWN).text, "")


class FileTests(TestCase):
    def test_good(self) -> None:
        """Names and types stay, data is decoded, a missing type is octets."""
        data = bytes(range(256)) * 3000
        asked = [
            AskedFile(" ü.pdf ", "", base64.b64encode(data).decode()),
            AskedFile("b", "text/csv; charset=utf-8", ""),
        ]
        self.assertEqual(
            checked_files(asked),
            (File("ü.pdf", "application/octet-stream", data), File("b", "text/csv; charset=utf-8", b"")),
        )

    def test_bad(self) -> None:
        """Each value that cannot be used is named with its place in the list."""
        good = AskedFile("a.pdf", "application/pdf", "UERG")
        for field, bad in (
            ("filename", replace(good, filename=" ")),
            ("filename", replace(good, filename="a\r\nX: y")),
            ("filename", replace(good, filename="x" * 256)),
            ("content_type", replace(good, content_type="pdf")),
            ("content_type", replace(good, content_type="application/pdf\r\nX: y")),
            ("content_type", replace(good, content_type="multipart/mixed; boundary=b")),
            ("content_type", replace(good, content_type='text/plain; name="a\nb"')),
            ("data", replace(good, data="UERG\n")),
            ("data", replace(good, data="UER")),
            ("data", replace(good, data="UE-_")),
            ("data", replace(good, data="UEü=")),
            ("data", replace(good, data="UE==UERG")),
            ("data", replace(good, data="A" * 262_140 + "UE==" + "UERG")),
            ("data", replace(good, data="====")),
        ):
            with self.assertRaises(BadRequest, msg=str(bad)[:80]) as caught:
                checked_files([good, good, bad])
            self.assertEqual(caught.exception.field, f"attachments[2].{field}")
        self.assertRaises(BadRequest, checked_files, [good] * 101)


class AnswerTests(TestCase):
    def test_subjects(self) -> None:
        """``Re: `` and ``Fwd: `` are put in front once, and a received subject becomes one line."""
        for received, expected in (
            ("Hello", "Re: Hello"),
            ("Re: Hello", "Re: Hello"),
            ("RE: Hello", "RE: Hello"),
            ("re:Hello", "Re: re:Hello"),
            ("", "Re: your message"),
            ("Fwd: x", "Re: Fwd: x"),
            ("a\r\nb", "Re: a  b"),
            ("x" * 2000, "Re: " + "x" * 994),
        ):
            self.assertEqual(answer_subject(received), expected)
        for received, expected in (("x", "Fwd: x"), ("Fwd: x", "Fwd: x"), ("FW: x", "FW: x"), ("", "Fwd:")):
            self.assertEqual(forward_subject(received), expected)

    def test_answer(self) -> None:
        """An answer goes to the author, in the conversation, with the whole chain."""
        draft = answer(Asked(body="ok"), MAIL, OWN, reply_all=False)
        self.assertEqual(draft.recipients, Recipients(("ana@corp.test",)))
        self.assertEqual(draft.conversation_id, "c-9")
        self.assertEqual(draft.in_reply_to, "<3@corp.test>")
        self.assertEqual(draft.references, ("<1@corp.test>", "<2@corp.test>", "<3@corp.test>"))

    def test_answer_to_all(self) -> None:
        """With reply_all everybody but the agent is written to; a copy that was asked for comes last."""
        draft = answer(Asked(body="ok", cc=["dee@corp.test"]), MAIL, OWN, reply_all=True)
        self.assertEqual(
            draft.recipients, Recipients(("ana@corp.test",), ("bo@corp.test", "cy@corp.test", "dee@corp.test"))
        )

    def test_reply_to(self) -> None:
        """Reply-To decides who is answered, and without it all authors are."""
        mail = original(b"From: a@b.test, c@d.test\r\nReply-To: list@b.test\r\n\r\n")
        self.assertEqual(answer(Asked(body="ok"), mail, OWN, reply_all=False).recipients.to, ("list@b.test",))
        mail = original(b"From: a@b.test, c@d.test\r\n\r\n")
        self.assertEqual(answer(Asked(body="ok"), mail, OWN, reply_all=False).recipients.to, ("a@b.test", "c@d.test"))

    def test_nobody(self) -> None:
        """A message from nobody, or from the agent itself, cannot be answered."""
        for raw, sender in ((b"Subject: x\r\n\r\n", ""), (b"From: bot@agents.test\r\n\r\n", "bot@agents.test")):
            self.assertRaises(BadRequest, answer, Asked(body="ok"), original(raw, sender=sender), OWN, reply_all=False)

    def test_chain(self) -> None:
        """The chain falls back to In-Reply-To, leaves out what no header can carry, and stays short."""
        self.assertEqual(ancestors(scan(b"In-Reply-To: <1@a>\r\nMessage-ID: <2@a>\r\n\r\n")), ("<1@a>", "<2@a>"))
        self.assertEqual(
            ancestors(scan("References: <ü@a> <1@a>\r\nMessage-ID: <2@a>\r\n\r\n".encode())), ("<1@a>", "<2@a>")
        )
        many = b" ".join(b"<%d@a>" % number for number in range(200))
        found = ancestors(scan(b"References: " + many + b"\r\nMessage-ID: <new@a>\r\n\r\n"))
        self.assertEqual((len(found), found[0], found[-1]), (50, "<0@a>", "<new@a>"))

    def test_forward(self) -> None:
        """A forwarded message begins a conversation of its own and shows what it forwards in text and HTML."""
        asked = Asked(to=["dee@corp.test"], html_body="<p>fyi</p>")
        draft = forwarded(asked, MAIL, OWN, [File("a", "b/c", b"")], "<quote>")
        self.assertEqual((draft.subject, draft.conversation_id, draft.references), ("Fwd: Quote", None, ()))
        self.assertEqual((draft.text, draft.html), ("", "<p>fyi</p><hr><pre>&lt;quote&gt;</pre>"))
        self.assertEqual(forwarded(replace(asked, html_body="", body="fyi"), MAIL, OWN, [], "q").text, "fyi\r\n\r\nq")
