"""Mail that a person must approve first: what may be changed in it, and what it is afterwards.

A held message is stored as it was composed, so what a reviewer looks at is what would be sent. Unchanged content is
carried over octet by octet; what was changed is checked and composed as a new message would be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from e2a.core.entities import OutboundMessage
from e2a.core.errors import BadRequest, Conflict
from e2a.core.mail import parts
from e2a.core.mail.compose import entity_of
from e2a.core.mail.headers import HeaderBlock, scan
from e2a.core.mail.words import clean

from .drafts import (
    AskedFile,
    Auto,
    Draft,
    File,
    Recipients,
    checked_files,
    checked_recipients,
    checked_subject,
    checked_text,
)

#: The reason stored with a message that nobody decided about in time.
EXPIRED_REASON = "ttl_expired"
LONGEST_REASON = 2000

_BREAK = re.compile(r"\r\n|\r|\n")
_MIXED = re.compile(rb'Content-Type: multipart/mixed;\r\n boundary="([0-9A-Za-z_]+)"\r\n\r\n')


@dataclass(frozen=True, slots=True)
class Edits:
    """What a reviewer wants changed; None leaves a value as it is, an empty one clears it."""

    subject: str | None = None
    text: str | None = None
    html: str | None = None
    to: Sequence[str] | None = None
    cc: Sequence[str] | None = None
    bcc: Sequence[str] | None = None
    attachments: Sequence[AskedFile] | None = None

    @property
    def none(self) -> bool:
        return self == Edits()


@dataclass(frozen=True, slots=True)
class Revision:
    """:ivar edited: whether anything is different from what was held; attachments that are given always count."""

    draft: Draft
    edited: bool


def check_open(message: OutboundMessage, now: datetime) -> None:
    """Refuse to approve what is decided, or whose time is over.

    :raises Conflict: it is; the text says which.
    """
    if message.status != "pending_approval":
        raise Conflict(f"the message is not pending any more, it is {message.status}")
    if message.approval_expires_at is not None and message.approval_expires_at <= now:
        raise Conflict("the time to approve the message is over")


def checked_reason(text: str) -> str:
    """Why something was rejected, as it is kept.

    :raises BadRequest: over 2000 characters, or not text.
    """
    reason = checked_text(text.strip(), "reason")
    if len(reason) > LONGEST_REASON:
        raise BadRequest(f"reason can have at most {LONGEST_REASON} characters", field="reason")
    return reason


def revised(message: OutboundMessage, raw: bytes, edits: Edits, own: frozenset[str]) -> Revision:
    """The held message as a draft, with the edits made.

    :param raw: its bytes, as composed.
    :param own: the addresses that lead back to the sending agent; a test message is meant for them.
    :raises BadRequest: ``field`` names the edit that cannot be used, or nothing would be left to send.
    """
    recipients = _recipients(message, edits, own)
    subject = message.subject if edits.subject is None else checked_subject(edits.subject)
    if not subject:
        raise BadRequest("subject is required", field="subject")
    block = scan(raw)
    draft = Draft(
        message_type=message.message_type,
        recipients=recipients,
        subject=subject,
        conversation_id=message.conversation_id,
        in_reply_to=message.in_reply_to,
        references=tuple(_value(block, b"references").split()),
        auto=_auto(block),
        on_behalf_of=message.on_behalf_of,
        **_content(message, raw, edits),
    )
    before = (message.subject, Recipients(message.to, message.cc, message.bcc))
    return Revision(draft, not draft.entity or (subject, recipients) != before)


def _recipients(message: OutboundMessage, edits: Edits, own: frozenset[str]) -> Recipients:
    if edits.to is None and edits.cc is None and edits.bcc is None:
        return Recipients(message.to, message.cc, message.bcc)
    if message.message_type == "test":
        own = frozenset()
    return checked_recipients(
        message.to if edits.to is None else edits.to,
        message.cc if edits.cc is None else edits.cc,
        message.bcc if edits.bcc is None else edits.bcc,
        own,
    )


def _content(message: OutboundMessage, raw: bytes, edits: Edits) -> dict[str, Any]:
    """The fields of the draft that say what is in it: the entity as it was, or all that it is made of."""
    entity = entity_of(raw)
    if edits.text is None and edits.html is None and edits.attachments is None:
        return {"entity": entity}
    content = parts.content(raw, len(raw))
    text = content.text if edits.text is None else checked_text(edits.text, "body_text")
    html = content.html if edits.html is None else checked_text(edits.html, "body_html")
    if edits.attachments is None and _same(text, content.text) and _same(html, content.html):
        return {"entity": entity}
    files = _files(raw, entity) if edits.attachments is None else checked_files(edits.attachments)
    if not text and not html and not (files and message.message_type == "forward"):
        raise BadRequest("body_text or body_html is required", field="body_text")
    return {"text": text, "html": html, "files": files}


def _same(one: str, other: str) -> bool:
    """Whether two texts differ in their line ends at most."""
    return _BREAK.sub("\n", one).rstrip("\n") == _BREAK.sub("\n", other).rstrip("\n")


def _files(raw: bytes, entity: bytes) -> tuple[File, ...]:
    """The attachments as they were given, with every parameter of their types."""
    found = list(parts.attachments(raw, len(raw)))
    types = _types(entity)
    if len(types) != len(found):
        types = [info.content_type for info, _ in found]
    return tuple(File(info.filename, kind, octets) for kind, (info, octets) in zip(types, found, strict=True))


def _types(entity: bytes) -> list[str]:
    """The Content-Type of everything that is attached."""
    match = _MIXED.match(entity)
    if match is None:
        return []
    pieces = entity[match.end() :].split(b"--" + match[1] + b"\r\n")[2:]
    return [_value(scan(piece), b"content-type") for piece in pieces]


def _auto(block: HeaderBlock) -> Auto:
    found = _value(block, b"auto-submitted")
    return next((auto for auto in get_args(Auto) if auto == found), "")


def _value(block: HeaderBlock, key: bytes) -> str:
    field = block.first(key)
    return "" if field is None else clean(field.unfolded)
