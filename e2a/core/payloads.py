"""The JSON shapes that agents see, as plain dictionaries: REST, webhook and WebSocket.

A ``Message`` shape's ``from`` is the From header's mailbox, never Reply-To, which has its own list. Absent values are
present as null or empty: readers need no guessing.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from e2a.core.entities import (
    AttachmentInfo,
    Automation,
    Conversation,
    ConversationMessage,
    Delivery,
    InboundMessage,
    Suppression,
)
from e2a.core.mail.parts import Content


def seconds(moment: datetime) -> str:
    """``YYYY-MM-DDTHH:MM:SSZ``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(moment: datetime) -> str:
    """RFC 3339 in UTC with six fractional digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def base64_text(raw: bytes) -> str:
    """Standard base64 with padding on one line."""
    return base64.b64encode(raw).decode("ascii")


def summary(message: InboundMessage) -> dict[str, Any]:
    """An entry of the message list."""
    return {
        "message_id": message.id,
        "from": message.sender,
        "to": list(message.to),
        "cc": list(message.cc),
        "reply_to": list(message.reply_to),
        "recipient": message.recipient,
        "tag": message.tag,
        "subject": message.subject,
        "conversation_id": message.conversation_id,
        "verified": message.facts.verified,
        "automation": automation(message.automation),
        "thread_hijack_suspected": message.thread_hijack_suspected,
        "status": message.inbox_status,
        "size": message.size,
        "created_at": seconds(message.created_at),
    }


def detail(message: InboundMessage, content: Content, raw: str, auth_headers: Mapping[str, str]) -> dict[str, Any]:
    """One whole message.

    :param raw: the message in base64 (``base64_text``), made off the reactor for big mail.
    :param auth_headers: signed now (``core.trust.signing.sign``).
    """
    return {
        **summary(message),
        "email_message_id": message.email_message_id,
        "text": content.text,
        "html": content.html,
        "attachments": [attachment(info) for info in content.attachments],
        "authentication": message.authentication,
        "auth_headers": dict(auth_headers),
        "defects": list(message.defects),
        "expires_at": seconds(message.expires_at),
        "raw_message": raw,
    }


def webhook(message: InboundMessage, content: Content, raw: str, auth_headers: Mapping[str, str]) -> dict[str, Any]:
    """The body of a webhook request; parameters as for ``detail``."""
    return {
        "message_id": message.id,
        "conversation_id": message.conversation_id,
        "from": message.sender,
        "to": list(message.to),
        "cc": list(message.cc),
        "reply_to": list(message.reply_to),
        "recipient": message.recipient,
        "tag": message.tag,
        "subject": message.subject,
        "text": content.text,
        "html": content.html,
        "attachments": [attachment(info) for info in content.attachments],
        "authentication": message.authentication,
        "automation": automation(message.automation),
        "thread_hijack_suspected": message.thread_hijack_suspected,
        "auth_headers": dict(auth_headers),
        "defects": list(message.defects),
        "raw_message": raw,
        "received_at": micros(message.created_at),
    }


def notice(message: InboundMessage) -> dict[str, Any]:
    """The WebSocket frame that announces one message. ``to`` and ``recipient`` are the same address."""
    return {
        "message_id": message.id,
        "conversation_id": message.conversation_id,
        "from": message.sender,
        "to": message.recipient,
        "recipient": message.recipient,
        "subject": message.subject,
        "received_at": micros(message.created_at),
    }


def automation(found: Automation) -> dict[str, Any]:
    """Whether a program sent a message, and the signs of it. Programs should not answer programs."""
    return {"is_auto": found.is_auto, "reasons": list(found.reasons)}


def conversation(found: Conversation) -> dict[str, Any]:
    """An entry of the list of conversations."""
    return {
        "id": found.id,
        "subject": found.subject,
        "participants": list(found.participants),
        "message_count": found.message_count,
        "unread": found.unread,
        "last_message_at": seconds(found.last_message_at),
    }


def conversation_message(message: ConversationMessage) -> dict[str, Any]:
    """A message as its conversation shows it, received or sent."""
    return {
        "message_id": message.id,
        "direction": message.direction,
        "from": message.sender,
        "to": list(message.to),
        "cc": list(message.cc),
        "recipient": message.recipient,
        "subject": message.subject,
        "verified": message.verified,
        "status": message.status,
        "email_message_id": message.email_message_id,
        "size": message.size,
        "created_at": seconds(message.created_at),
    }


def suppression(entry: Suppression) -> dict[str, Any]:
    """An address that is not written to, and why."""
    return {
        "address": entry.address,
        "reason": entry.reason,
        "message_id": entry.message_id,
        "created_at": seconds(entry.created_at),
    }


def attachment(info: AttachmentInfo) -> dict[str, Any]:
    """What is said of an attachment; its octets are fetched one by one by ``index``."""
    return {
        "index": info.index,
        "filename": info.filename,
        "content_type": info.content_type,
        "size": info.size,
        "content_id": info.content_id,
    }


def delivery(record: Delivery) -> dict[str, Any]:
    """The state of one message's webhook delivery, with its attempts, oldest first, as far as they were loaded."""
    return {
        "message_id": record.message_id,
        "status": record.status,
        "attempts": record.attempts,
        "last_error": record.last_error,
        "next_attempt_at": seconds(record.next_attempt_at) if record.next_attempt_at else None,
        "created_at": seconds(record.created_at),
        "delivered_at": seconds(record.delivered_at) if record.delivered_at else None,
        "log": [
            {
                "number": attempt.number,
                "started_at": micros(attempt.started_at),
                "duration_ms": attempt.duration_ms,
                "status_code": attempt.status_code,
                "error": attempt.error,
            }
            for attempt in record.log
        ],
    }
