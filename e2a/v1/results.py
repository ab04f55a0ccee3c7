"""What the friendly clients answer: plain objects instead of wire shapes."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from . import models
from .mime import Attachment


@dataclass(slots=True)
class MessageSummary:
    """A received message as a list shows it."""

    message_id: str
    conversation_id: str | None
    sender: str
    recipient: str
    to: list[str]
    cc: list[str]
    subject: str
    status: str
    created_at: str
    reply_to: list[str] = field(default_factory=list)
    verified: bool | None = None
    size: int | None = None

    @classmethod
    def of(cls, found: models.MessageSummary) -> MessageSummary:
        """From the wire shape; absent members become empty."""
        return cls(
            found.message_id or "",
            found.conversation_id,
            found.from_ or "",
            found.recipient or "",
            found.to or [],
            found.cc or [],
            found.subject or "",
            found.status or "",
            found.created_at or "",
            found.reply_to or [],
            found.verified,
            found.size,
        )


@dataclass(slots=True)
class MessageList:
    """A page of received messages, oldest first.

    :ivar next_token: for the next page; None on the last one.
    """

    messages: list[MessageSummary]
    next_token: str | None = None

    def __iter__(self) -> Iterator[MessageSummary]:
        return iter(self.messages)

    def __len__(self) -> int:
        return len(self.messages)


@dataclass(slots=True)
class SendResult:
    """A message that was taken in.

    :ivar status: ``sent``; ``queued`` while it is tried again; ``unknown`` when the outcome is not known;
        ``pending_approval`` while a human must approve it.
    :ivar message_id: the server's id, under which the message is found.
    :ivar method: ``smtp`` or ``loopback``.
    :ivar provider_message_id: the RFC 5322 Message-ID.
    :ivar recipients: how each recipient's copy stands.
    :ivar approval_expires_at: when nobody will have decided; only of a held message.
    """

    status: str
    message_id: str
    method: str
    provider_message_id: str = ""
    conversation_id: str | None = None
    recipients: list[models.RecipientOutcome] = field(default_factory=list)
    approval_expires_at: str | None = None

    @classmethod
    def of(cls, found: models.SendEmailResponse) -> SendResult:
        """From the wire shape; absent members become empty, and a held message has no method yet."""
        held = found.status == "pending_approval"
        return cls(
            found.status or "",
            found.message_id or "",
            "" if held else found.method or "",
            found.provider_message_id or "",
            found.conversation_id,
            found.recipients or [],
            found.approval_expires_at,
        )


def wire_attachments(attachments: Iterable[Attachment] | None) -> list[models.Attachment] | None:
    """Files to send, as they go over the wire; None when there are none."""
    return [
        models.Attachment(
            filename=file.filename,
            content_type=file.content_type,
            data=base64.b64encode(file.data).decode("ascii"),
        )
        for file in attachments or ()
    ] or None
