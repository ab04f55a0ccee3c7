"""A message that was composed and held, as a draft again; and what a reviewer changes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from e2a.core.entities import OutboundMessage
from e2a.core.errors import BadRequest
from e2a.core.mail import parts
from e2a.core.mail.compose import entity_of
from e2a.core.mail.headers import scan

from .drafts import (
    AskedFile,
    Auto,
    Draft,
    File,
    Recipients,
    ancestors,
    checked_files,
    checked_recipients,
    checked_subject,
    checked_text,
)


@dataclass(frozen=True, slots=True)
class Edits:
    """What a reviewer wants otherwise; None leaves a field as it is, empty clears it."""

    subject: str | None = None
    body_text: str | None = None
    body_html: str | None = None
    to: Sequence[str] | None = None
    cc: Sequence[str] | None = None
    bcc: Sequence[str] | None = None
    attachments: Sequence[AskedFile] | None = None

    @property
    def touches_content(self) -> bool:
        return (self.body_text, self.body_html, self.attachments) != (None, None, None)


def draft_of(message: OutboundMessage, raw: bytes) -> Draft:
    """The held message as a draft whose content stays exactly as it was composed.

    :param raw: its bytes, composed here.
    """
    block = scan(raw)
    auto = block.first(b"auto-submitted")
    # An answer's References end with the message it answers; ``ancestors`` would add our own id behind it.
    references = tuple(found for found in ancestors(block) if found != message.email_message_id)
    return Draft(
        message_type=message.message_type,
        recipients=Recipients(message.to, message.cc, message.bcc),
        subject=message.subject,
        conversation_id=message.conversation_id,
        in_reply_to=message.in_reply_to,
        references=references if message.in_reply_to else (),
        auto=cast(Auto, auto.unfolded.decode("ascii")) if auto is not None else "",
        on_behalf_of=message.on_behalf_of,
        entity=entity_of(raw),
    )


def revised(message: OutboundMessage, raw: bytes, edits: Edits, own: frozenset[str]) -> tuple[Draft, bool]:
    """The held message with a reviewer's changes, checked as a new message is; and whether anything is different.

    Attachments that are given count as a change. Takes as long as taking the message apart: big ones belong in the CPU
    pool.

    :param own: the addresses that lead back to the sending agent.
    :raises BadRequest: ``field`` names the first value that cannot be used.
    """
    before = draft_of(message, raw)
    draft = before
    if edits.subject is not None:
        draft = replace(draft, subject=checked_subject(edits.subject))
        if not draft.subject:
            raise BadRequest("subject is required", field="subject")
    lists = (edits.to, edits.cc, edits.bcc)
    if lists != (None, None, None) and message.message_type != "test":
        kept = (message.to, message.cc, message.bcc)
        to, cc, bcc = (old if new is None else new for old, new in zip(kept, lists, strict=True))
        draft = replace(draft, recipients=checked_recipients(to, cc, bcc, own))
    if edits.touches_content:
        draft = _rewritten(draft, raw, edits)
    return draft, draft != before


def _rewritten(draft: Draft, raw: bytes, edits: Edits) -> Draft:
    content = parts.content(raw)
    text = content.text if edits.body_text is None else checked_text(edits.body_text, "body_text")
    html = content.html if edits.body_html is None else checked_text(edits.body_html, "body_html")
    unchanged = _lines(text) == _lines(content.text) and _lines(html) == _lines(content.html)
    if unchanged and edits.attachments is None:
        return draft
    if not text and not html:
        raise BadRequest("body_text or body_html is required", field="body_text")
    files = carried_files(raw) if edits.attachments is None else checked_files(edits.attachments)
    return replace(draft, text=text, html=html, files=files, entity=b"")


def carried_files(raw: bytes) -> tuple[File, ...]:
    """The attachments of a message, ready to go into another."""
    return tuple(File(info.filename, info.content_type, octets) for info, octets in parts.attachments(raw))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")
