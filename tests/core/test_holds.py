"""Edits of held mail, against the bytes that were composed."""

from __future__ import annotations

import base64
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import OutboundMessage
from e2a.core.errors import BadRequest, Conflict
from e2a.core.mail import parts
from e2a.core.mail.compose import Letter, Part, compose
from e2a.core.rules.drafts import AskedFile, File, Recipients
from e2a.core.rules.holds import Edits, Revision, check_open, checked_reason, revised

NOW = datetime(2026, 4, 20, 8, 0, tzinfo=UTC)
BOT = "bot@agents.test"
OWN = frozenset({BOT})


def random() -> Any:
    numbers = itertools.count(1)
    return lambda count: next(numbers).to_bytes(count, "big")


def held(**values: Any) -> OutboundMessage:
    defaults: dict[str, Any] = {
        "id": "msg_1",
        "agent_id": BOT,
        "organisation_id": "org",
        "status": "pending_approval",
        "message_type": "send",
        "sender": BOT,
        "to": ("ana@corp.test",),
        "cc": (),
        "bcc": (),
        "subject": "Quote",
        "email_message_id": "<1@agents.test>",
        "conversation_id": "c-9",
        "in_reply_to": "<0@corp.test>",
        "raw_id": "raw_1",
        "size": 1,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=30),
        "approval_expires_at": NOW + timedelta(hours=1),
        "on_behalf_of": "ana@corp.test",
    }
    return OutboundMessage(**{**defaults, **values})


def raw_of(text: str = "Hello\n", html: str = "", parts: tuple[Part, ...] = (), **values: Any) -> bytes:
    letter = Letter(
        from_address=BOT,
        from_name="",
        to=("ana@corp.test",),
        cc=(),
        subject="Quote",
        text=text,
        html=html,
        parts=parts,
        message_id="<1@agents.test>",
        date=NOW,
        in_reply_to="<0@corp.test>",
        references=("<first@corp.test>", "<0@corp.test>"),
        **values,
    )
    return compose(letter, random())


PDF = Part("Plan ä.pdf", "application/pdf", b"PDF\x00")
CSV = Part("table.csv", "text/csv; charset=utf-8", b"a;b\r\n")


class RevisionTests(SynchronousTestCase):
    def revise(self, edits: Edits, raw: bytes | None = None, **values: Any) -> Revision:
        return revised(held(**values), raw_of() if raw is None else raw, edits, OWN)

    def refuses(self, field: str, edits: Edits, **values: Any) -> None:
        self.assertEqual(self.assertRaises(BadRequest, self.revise, edits, **values).field, field)

    def test_nothing_changed(self) -> None:
        """Without edits the content goes out octet by octet, under the same headers."""
        raw = raw_of(html="<p>Hello</p>", parts=(PDF,), auto_submitted="auto-replied")
        revision = self.revise(Edits(), raw, bcc=("eve@corp.test",))
        draft = revision.draft
        self.assertFalse(revision.edited)
        self.assertTrue(raw.endswith(draft.entity) and len(draft.entity) > 200)
        self.assertEqual(draft.recipients, Recipients(("ana@corp.test",), (), ("eve@corp.test",)))
        self.assertEqual((draft.subject, draft.auto), ("Quote", "auto-replied"))
        self.assertEqual((draft.conversation_id, draft.in_reply_to), ("c-9", "<0@corp.test>"))
        self.assertEqual(draft.references, ("<first@corp.test>", "<0@corp.test>"))
        self.assertEqual(draft.on_behalf_of, "ana@corp.test")

    def test_same_values(self) -> None:
        """An edit that changes nothing is no edit, whatever its line ends."""
        edits = Edits(subject="Quote", text="Hello", html="", to=["ANA@corp.test"], cc=[])
        revision = self.revise(edits)
        self.assertFalse(revision.edited)
        self.assertTrue(revision.draft.entity)

    def test_header_edits_keep_the_content(self) -> None:
        """Another subject or other recipients leave the content as it is."""
        revision = self.revise(Edits(subject="Offer", to=["bo@corp.test"], bcc=["eve@corp.test"]))
        self.assertTrue(revision.edited)
        self.assertTrue(revision.draft.entity)
        self.assertEqual(revision.draft.subject, "Offer")
        self.assertEqual(revision.draft.recipients, Recipients(("bo@corp.test",), (), ("eve@corp.test",)))

    def test_text_edit_keeps_the_rest(self) -> None:
        """With a new text, HTML and attachments stay, names and parameters of types included."""
        raw = raw_of(html="<p>Hello</p>", parts=(PDF, CSV))
        revision = self.revise(Edits(text="Goodbye"), raw)
        draft = revision.draft
        self.assertTrue(revision.edited)
        self.assertEqual((draft.text, draft.html.strip(), draft.entity), ("Goodbye", "<p>Hello</p>", b""))
        self.assertEqual(draft.files, tuple(File(part.filename, part.content_type, part.data) for part in (PDF, CSV)))

    def test_attachments_always_count(self) -> None:
        """Attachments that are given replace all of them and count as an edit; an empty list removes them."""
        data = base64.b64encode(b"new").decode()
        revision = self.revise(Edits(attachments=[AskedFile("new.txt", "text/plain", data)]), raw_of(parts=(PDF,)))
        self.assertTrue(revision.edited)
        self.assertEqual(revision.draft.files, (File("new.txt", "text/plain", b"new"),))
        self.assertEqual(revision.draft.text.strip(), "Hello")
        cleared = self.revise(Edits(attachments=[]), raw_of())
        self.assertTrue(cleared.edited)
        self.assertEqual(cleared.draft.files, ())

    def test_refused(self) -> None:
        """An edit is held to the rules of a new message, and the answer names it."""
        self.refuses("subject", Edits(subject=""))
        self.refuses("subject", Edits(subject="a\r\nBcc: eve@corp.test"))
        self.refuses("to", Edits(to=[]))
        self.refuses("to", Edits(to=[BOT]))
        self.refuses("cc[0]", Edits(cc=["nobody"]))
        self.refuses("body_text", Edits(text=""))
        self.refuses("body_html", Edits(html="a\0b"))
        self.refuses("attachments[0].data", Edits(attachments=[AskedFile("a", "text/plain", "***")]))

    def test_one_body_is_enough(self) -> None:
        """Either body can be cleared while the other stays."""
        draft = self.revise(Edits(text=""), raw_of(html="<p>Hello</p>")).draft
        self.assertEqual((draft.text, draft.html.strip()), ("", "<p>Hello</p>"))

    def test_test_message(self) -> None:
        """A test message goes to the agent itself and stays approvable, with edits too."""
        values: dict[str, Any] = {"message_type": "test", "to": (BOT,)}
        self.assertEqual(self.revise(Edits(), **values).draft.recipients.to, (BOT,))
        self.assertEqual(self.revise(Edits(cc=[]), **values).draft.recipients.to, (BOT,))

    @settings(deadline=None, max_examples=100)
    @given(
        st.text(min_size=1, max_size=60).filter(lambda text: text.strip() and "\0" not in text),
        st.sampled_from(["", "<p>ä</p>\n"]),
        st.lists(st.sampled_from([PDF, CSV, Part("a.txt", "text/plain", b"attached\r\n")]), max_size=3),
    )
    def test_round_trip(self, text: str, html: str, files: list[Part]) -> None:
        """Composed again after an edit, a message says the new text and carries the same attachments."""
        try:
            text.encode()
        except UnicodeEncodeError:
            return
        raw = raw_of(html=html, parts=tuple(files))
        draft = self.revise(Edits(text=text), raw).draft
        again = raw_of(draft.text, draft.html, tuple(Part(f.filename, f.content_type, f.data) for f in draft.files))
        if draft.entity:
            again = raw
        found = [octets for _, octets in parts.attachments(again)]
        self.assertEqual(found, [part.data for part in files])


class RuleTests(SynchronousTestCase):
    def test_open(self) -> None:
        """Only what is pending, and only while there is time, can be approved."""
        check_open(held(), NOW)
        self.assertRaises(Conflict, check_open, held(status="rejected"), NOW)
        self.assertRaises(Conflict, check_open, held(approval_expires_at=NOW), NOW)

    def test_reason(self) -> None:
        """A reason is short text."""
        self.assertEqual(checked_reason("  too harsh "), "too harsh")
        self.assertRaises(BadRequest, checked_reason, "x" * 2001)
        self.assertRaises(BadRequest, checked_reason, "a\0")
