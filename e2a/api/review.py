"""``/api/v1/messages``: what agents send, held or released, and deciding about what is held."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from e2a.core import payloads
from e2a.core.entities import OutboundMessage
from e2a.core.rules.holds import Edits
from e2a.flows.approvals import STATUSES, Approvals, Reviewed, Status

from .messages import binary
from .models import Attachment, Shape
from .routing import MESSAGE_BODY, Call, Query, paged, route
from .send import FileIn
from .submitting import WAIT, Outcome, RecipientOutcome, answered, once_of, recipient, seconds_of

_ALL: tuple[Status, ...] = (*STATUSES, "all")


class SubmittedSummary(Shape):
    """A message that an agent sends, as lists show it. Keys without a value are absent."""

    id: str
    agent_id: str = Field(description="the agent that sends")
    direction: Literal["outbound"]
    subject: str
    type: Literal["send", "reply", "forward", "test"]
    conversation_id: str | None = Field(default=None)
    to: list[str]
    cc: list[str] | None = Field(default=None)
    bcc: list[str] | None = Field(default=None)
    status: str = Field(description=", ".join(STATUSES))
    approval_expires_at: str | None = Field(default=None, description="when nobody will have decided")
    created_at: str


class SubmittedPage(Shape):
    messages: list[SubmittedSummary]
    next_token: str | None = Field(default=None, description="for the next page; absent on the last one")


class SubmittedDetail(SubmittedSummary):
    """One message that an agent sends, with what it says while it is held and how it stands afterwards."""

    email_message_id: str | None = Field(default=None, description="the Message-ID of the message it answers")
    provider_message_id: str = Field(description="its own Message-ID, or the one that the upstream server gave it")
    method: Literal["smtp", "loopback"]
    size: int
    body_text: str | None = Field(default=None, description="while it is pending")
    body_html: str | None = Field(default=None, description="while it is pending")
    attachments: list[Attachment] | None = Field(default=None, description="while it is pending")
    recipients: list[RecipientOutcome] = Field(description="how each one's copy stands; empty before it is released")
    edited: bool = Field(description="whether a reviewer changed it")
    reviewed_at: str | None = Field(default=None, description="when it was decided")
    rejection_reason: str | None = Field(default=None, description="what the reviewer gave as the reason")
    expiration_action: str | None = Field(default=None, description="approve or reject: what happens if nobody decides")


class Approval(BaseModel):
    """Edits. What is absent stays as it is; an empty value clears."""

    subject: str | None = None
    body_text: str | None = None
    body_html: str | None = None
    to: list[str] | None = None
    cc: list[str] | None = None
    bcc: list[str] | None = None
    attachments: list[FileIn] | None = Field(default=None, description="replace all that the message has")
    wait: int | None = Field(default=None, description="seconds to wait for the outcome; 0 to 60, 20 when absent")


class Approved(Outcome):
    edited: bool = Field(description="whether anything was changed before it was sent")


class Rejection(BaseModel):
    reason: str = ""


class Rejected(Shape):
    status: Literal["rejected"]
    message_id: str
    rejection_reason: str


class Review:
    def __init__(self, approvals: Approvals) -> None:
        self._approvals = approvals

    @route(
        "GET",
        "/api/v1/messages",
        action="messages:read",
        summary="List what agents send: held messages by urgency, others newest first",
        answers={200: SubmittedPage},
        errors=(400,),
        query=[
            Query(
                "status",
                "which messages",
                {"type": "string", "enum": list(_ALL), "default": "pending_approval"},
            ),
            Query(
                "page_size",
                "messages a page has at most",
                {"type": "integer", "minimum": 1, "maximum": 100, "default": 100},
            ),
            Query("token", "`next_token` of the previous page, made with the same status"),
        ],
    )
    async def list(self, call: Call) -> Any:
        status = call.choice("status", _ALL, "pending_approval")
        size = call.whole("page_size", 1, 100, 100)
        page = await self._approvals.page(call.principal, status, size, call.query.get("token"))
        return paged({"messages": [_summary(message) for message in page.messages]}, page.next_token)

    @route(
        "GET",
        "/api/v1/messages/{id}",
        action="messages:read",
        summary="One message that an agent sends, by our id or its Message-ID",
        answers={200: SubmittedDetail},
        errors=(404,),
    )
    async def detail(self, call: Call) -> Any:
        return _detail(await self._approvals.find(call.principal, call.path["id"]))

    @route(
        "GET",
        "/api/v1/messages/{id}/attachments/{index}",
        action="messages:read",
        summary="The octets of one attachment of a held message",
        answers={200: None},
        errors=(404,),
        media_type="application/octet-stream",
        load="work",
    )
    async def attachment(self, call: Call) -> Any:
        return binary(*await self._approvals.attachment(call.principal, call.path["id"], call.place("index")))

    @route(
        "POST",
        "/api/v1/messages/{id}/approve",
        action="reviews:decide",
        summary="Send a held message, as it is or with edits",
        body=Approval,
        answers={200: Approved, 202: Approved},
        errors=(400, 403, 404, 409, 413, 422, 503),
        query=[WAIT],
        max_body=MESSAGE_BODY,
        load="work",
    )
    async def approve(self, call: Call) -> Any:
        wanted: Approval = call.body
        attachments = wanted.attachments
        edits = Edits(
            subject=wanted.subject,
            text=wanted.body_text,
            html=wanted.body_html,
            to=wanted.to,
            cc=wanted.cc,
            bcc=wanted.bcc,
            attachments=None if attachments is None else [file.asked() for file in attachments],
        )
        submitted = await self._approvals.approve(
            call.principal, call.path["id"], edits, once=once_of(call, "approve"), wait=seconds_of(call)
        )
        return answered(submitted, edited=submitted.message.edited)

    @route(
        "POST",
        "/api/v1/messages/{id}/reject",
        action="reviews:decide",
        summary="Decide that a held message is not sent",
        body=Rejection,
        answers={200: Rejected},
        errors=(400, 403, 404, 409),
    )
    async def reject(self, call: Call) -> Any:
        message = await self._approvals.reject(call.principal, call.path["id"], call.body.reason)
        return {
            "status": message.status,
            "message_id": message.id,
            "rejection_reason": message.rejection_reason or "",
        }


def _summary(message: OutboundMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": message.id,
        "agent_id": message.agent_id,
        "direction": "outbound",
        "subject": message.subject,
        "type": message.message_type,
        "to": list(message.to),
        "status": message.status,
        "created_at": payloads.seconds(message.created_at),
    }
    if message.conversation_id is not None:
        shown["conversation_id"] = message.conversation_id
    if message.cc:
        shown["cc"] = list(message.cc)
    if message.bcc:
        shown["bcc"] = list(message.bcc)
    if message.approval_expires_at is not None:
        shown["approval_expires_at"] = payloads.seconds(message.approval_expires_at)
    return shown


def _detail(found: Reviewed) -> dict[str, Any]:
    message, content = found.message, found.content
    shown = {
        **_summary(message),
        "provider_message_id": message.provider_message_id or message.email_message_id,
        "method": message.method,
        "size": message.size,
        "recipients": [recipient(one) for one in found.recipients],
        "edited": message.edited,
    }
    if content is not None:
        shown["body_text"] = content.text
        shown["body_html"] = content.html
        shown["attachments"] = [payloads.attachment(info) for info in content.attachments]
    if message.in_reply_to:
        shown["email_message_id"] = message.in_reply_to
    if message.reviewed_at is not None:
        shown["reviewed_at"] = payloads.seconds(message.reviewed_at)
    if message.rejection_reason is not None:
        shown["rejection_reason"] = message.rejection_reason
    if message.expiration_action is not None:
        shown["expiration_action"] = message.expiration_action
    return shown
