"""What every request that makes mail go out has in common: its key, how long it waits, and its answer."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import Field

from e2a.core import payloads
from e2a.core.entities import OutboundRecipient
from e2a.core.errors import BadRequest, DeliveryFailed
from e2a.core.rules.idempotency import HEADER, REPLAYED, Once, once
from e2a.flows.outcomes import Submitted

from .models import Shape
from .routing import Call, Query, Reply

DEFAULT_WAIT = 20
LONGEST_WAIT = 60
#: Octets of a reply that are shown in the one line of a plain answer.
_SHOWN = 200

WAIT = Query(
    "wait",
    "seconds to wait for the outcome before the answer is 202",
    {"type": "integer", "minimum": 0, "maximum": LONGEST_WAIT, "default": DEFAULT_WAIT},
)


class RecipientOutcome(Shape):
    """How one recipient's copy stands."""

    address: str
    kind: Literal["to", "cc", "bcc"]
    state: Literal["pending", "sent", "failed", "unknown", "bounced"] = Field(
        description="sent: a server took it; unknown: its answer was lost; bounced: reported undeliverable later"
    )
    code: int | None = Field(default=None, description="the SMTP reply code; absent when there was no reply")
    reply: str | None = Field(default=None, description="that reply's text; absent when there was none")


class Outcome(Shape):
    """A message that was taken in, and how it stands."""

    status: str = Field(description="sent, queued, unknown, or pending_approval when a human must approve it first")
    message_id: str = Field(description="our id, under which the message is found")
    provider_message_id: str = Field(description="the RFC 5322 Message-ID")
    method: Literal["smtp", "loopback"] = Field(description="loopback: every recipient is an agent of this deployment")
    conversation_id: str | None = Field(description="the conversation it belongs to; null when it is in none")
    recipients: list[RecipientOutcome] = Field(description="empty while the message is held")
    approval_expires_at: str | None = Field(default=None, description="when nobody will have decided; only while held")


def once_of(call: Call, route: str) -> Once | None:
    """What the request's ``Idempotency-Key`` makes of it; None without one.

    :param route: names the operation.
    :raises BadRequest: the key is malformed.
    """
    key = call.request.getHeader(HEADER)
    if key is None:
        return None
    principal = call.principal
    path = repr(sorted(call.path.items())).encode()
    # What a request is about may depend on which agents its key sees. And such a key neither uses up the words of
    # others nor learns which they have used.
    reach = (principal.agent_id or "") + (f"\0{principal.label_prefix}" if principal.label_prefix else "")
    if reach:
        route = f"{route} {hashlib.sha256(reach.encode()).hexdigest()}"
    return once(principal.organisation_id, route, key, path, call.body_digest)


def seconds_of(call: Call) -> float:
    """How long the request waits for the outcome, by its query or its body.

    :raises BadRequest: not a whole number from 0 to 60.
    """
    given = getattr(call.body, "wait", None)
    if given is None or "wait" in call.query:
        return float(call.whole("wait", 0, LONGEST_WAIT, DEFAULT_WAIT))
    if not 0 <= given <= LONGEST_WAIT:
        raise BadRequest(f"wait must be a whole number from 0 to {LONGEST_WAIT}", field="wait")
    return float(given)


def outcome(submitted: Submitted) -> dict[str, Any]:
    """A submitted message as :class:`Outcome`."""
    message = submitted.message
    shown: dict[str, Any] = {
        "status": message.status,
        "message_id": message.id,
        "provider_message_id": message.provider_message_id or message.email_message_id,
        "method": message.method,
        "conversation_id": message.conversation_id,
        "recipients": [recipient(one) for one in submitted.recipients],
    }
    if message.status == "pending_approval" and message.approval_expires_at is not None:
        shown["approval_expires_at"] = payloads.micros(message.approval_expires_at)
    return shown


def answered(submitted: Submitted, **extra: Any) -> Reply:
    """200 once the outcome is known, 202 before.

    :param extra: further members of the answer.
    :raises DeliveryFailed: every recipient was refused for good.
    """
    message = submitted.message
    if message.status == "failed":
        replies = "; ".join(f"{one.address}: {_said(one)}" for one in submitted.recipients if one.state == "failed")
        raise DeliveryFailed(f"no recipient accepted the message: {replies}"[:1000], details=outcome(submitted))
    status = 202 if message.status in ("pending_approval", "queued", "unknown") else 200
    headers = {REPLAYED: "true"} if submitted.replayed else {}
    return Reply({**outcome(submitted), **extra}, status, headers, allowance=submitted.allowance)


def recipient(found: OutboundRecipient) -> dict[str, Any]:
    """One recipient as :class:`RecipientOutcome`."""
    shown: dict[str, Any] = {"address": found.address, "kind": found.kind, "state": found.state}
    if found.code is not None:
        shown["code"] = found.code
    if found.reply:
        shown["reply"] = found.reply
    return shown


def _said(recipient: OutboundRecipient) -> str:
    return f"{recipient.code or ''} {recipient.reply[:_SHOWN]}".strip() or "not delivered"
