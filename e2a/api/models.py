"""The shapes of answers about the system and about mail, for the document; ``core.payloads`` makes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """What an answer holds, exactly: nothing that is not declared is sent."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Health(Shape):
    """The process answers. Nothing else was asked."""

    status: Literal["ok"]


class Readiness(Shape):
    """Whether requests and mail can be served now."""

    status: Literal["ready", "unavailable"]
    failing: dict[str, str] = Field(description="what is wrong, by the name of the check; empty when ready")


class Info(Shape):
    """What a client may want to know before it has a key."""

    shared_domain: str = Field(description="the domain under which agents can be made by slug; empty: none")
    slug_registration_enabled: bool
    public_url: str = Field(description="where the dashboard and the API are reached; empty when not configured")
    version: str
    max_message_bytes: int = Field(description="the longest message taken in or sent, in octets")


class Attachment(Shape):
    """An attachment, without its octets."""

    index: int = Field(description="counts from 0 in MIME order; fetch the octets under this number")
    filename: str = Field(description="as the sender named it; may be empty")
    content_type: str = Field(description="as the sender declared it, such as application/pdf")
    size: int = Field(description="decoded octets")
    content_id: str = Field(description="the Content-ID by which HTML refers to it; empty when there is none")


class Automation(Shape):
    """Whether a program sent a message. Programs should not answer programs."""

    is_auto: bool = Field(description="whether a program wrote it")
    reasons: list[str] = Field(description="the signs that were found; empty unless is_auto")


class MessageSummary(Shape):
    """A received message as lists show it."""

    message_id: str
    sender: str = Field(alias="from", description="the From header's mailbox, never Reply-To")
    to: list[str] = Field(description="addresses of the To header")
    cc: list[str] = Field(description="addresses of the Cc header")
    reply_to: list[str] = Field(description="addresses of the Reply-To header")
    recipient: str = Field(description="the address this copy was sent to")
    tag: str = Field(description="the +tag of the recipient address, without the plus; empty when none")
    subject: str
    conversation_id: str | None = Field(description="the conversation it belongs to; null when it is in none")
    verified: bool = Field(description="whether the sender is who the From header says")
    automation: Automation
    thread_hijack_suspected: bool = Field(
        description="it quotes a known conversation, but its sender could not be shown to take part; it was left out"
    )
    status: Literal["unread", "read"] = Field(description="read once its detail was fetched")
    size: int = Field(description="octets of the raw message")
    created_at: str = Field(description="when it was received: RFC 3339, UTC, whole seconds")


class MessageDetail(MessageSummary):
    """A whole received message."""

    email_message_id: str = Field(description="the RFC 5322 Message-ID")
    text: str = Field(description="the first text/plain part; empty when there is none")
    html: str = Field(description="the first text/html part as it came: make it harmless before a browser shows it")
    attachments: list[Attachment]
    authentication: dict[str, Any] = Field(description="spf, dkim, dmarc and arc results in RFC 8601 words")
    auth_headers: dict[str, str] = Field(description="X-E2A-Auth-* headers, signed at the moment of this answer")
    defects: list[str] = Field(description="why parsing was incomplete; empty for a well-formed message")
    expires_at: str = Field(description="when it is deleted")
    raw_message: str = Field(description="the message as stored, in base64")


class MessagePage(Shape):
    """A page of messages, oldest first."""

    messages: list[MessageSummary]
    next_token: str | None = Field(default=None, description="give it as token to go on; absent on the last page")


class FirstMatch(Shape):
    """What a long poll waited for."""

    message: MessageSummary
    cursor: int = Field(description="give it as after to wait for what comes next")


class Attempt(Shape):
    """One attempt to deliver to the webhook."""

    number: int = Field(description="counts from 1")
    started_at: str
    duration_ms: int
    status_code: int | None = Field(description="null when no HTTP answer arrived")
    error: str = Field(description="why it failed; empty when it succeeded")


class DeliveryRecord(Shape):
    """The webhook delivery of one message."""

    message_id: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int = Field(description="how many were made")
    last_error: str = Field(description="why the latest attempt failed")
    next_attempt_at: str | None = Field(description="null when there will be none")
    created_at: str
    delivered_at: str | None = Field(description="null until it was delivered")
    log: list[Attempt] = Field(description="attempts, oldest first")


class DeliverySummary(Shape):
    """A webhook delivery as lists show it."""

    message_id: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int = Field(description="how many were made")
    last_error: str = Field(description="why the latest attempt failed")
    next_attempt_at: str | None = Field(description="null when there will be none")
    created_at: str
    delivered_at: str | None = Field(description="null until it was delivered")


class DeliveryPage(Shape):
    """A page of deliveries, newest first."""

    deliveries: list[DeliverySummary]
    next_token: str | None = Field(default=None, description="give it as token to go on; absent on the last page")


class Problem(Shape):
    """RFC 9457. Sent instead of one line of text when Accept names application/problem+json."""

    type: str
    title: str
    status: int
    code: str = Field(description="stable, for programs")
    detail: str
    field: str | None = Field(default=None, description="the request field at fault, if one is")
    request_id: str
