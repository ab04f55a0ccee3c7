"""What goes over the wire about mail, agents and domains, member for member.

Answers are read generously: every member may be absent, unknown members are ignored, and words such as a status are
plain text, so that a newer server does not break an older client. Requests are checked here, before they are sent. A
member called ``from`` is the attribute ``from_``.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

AgentMode = Literal["cloud", "local"]
ExpirationAction = Literal["approve", "reject"]


class Model(BaseModel):
    """What all of them share."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


# --- agents -----------------------------------------------------------------------------------------------------------


class Agent(Model):
    """An agent."""

    id: str | None = None
    domain: str | None = None
    email: str | None = None
    name: str | None = None
    webhook_url: str | None = None
    agent_mode: str | None = None
    domain_verified: bool | None = None
    created_at: str | None = None
    hitl_enabled: bool | None = None
    hitl_ttl_seconds: int | None = None
    hitl_expiration_action: str | None = None
    label: str | None = None


class ListAgentsResponse(Model):
    """A page of agents, newest first."""

    agents: list[Agent] | None = None
    next_token: str | None = None


class RegisterAgentRequest(Model):
    """A new agent: by slug on the deployment's shared domain, or by address on a domain of the account."""

    slug: str | None = None
    email: str | None = None
    name: str | None = None
    webhook_url: str | None = None
    agent_mode: AgentMode | None = None
    label: str | None = None


class RegisterAgentResponse(Model):
    """The agent that was made."""

    id: str | None = None
    domain: str | None = None
    email: str | None = None


class UpdateAgentRequest(Model):
    """Changes to an agent. Only what is set is sent."""

    name: str | None = None
    webhook_url: str | None = None
    agent_mode: AgentMode | None = None
    hitl_enabled: bool | None = None
    hitl_ttl_seconds: int | None = None
    hitl_expiration_action: ExpirationAction | None = None
    label: str | None = None


# --- domains ----------------------------------------------------------------------------------------------------------


class RegisterDomainRequest(Model):
    """A domain to claim."""

    domain: str | None = None


class DNSRecord(Model):
    """A DNS record to publish; ``@`` is the domain itself."""

    host: str | None = None
    value: str | None = None
    priority: int | None = None
    active: bool | None = Field(default=None, description="for DKIM: whether mail is signed with it")


class DNSRecords(Model):
    """The DNS records that a domain needs."""

    mx: DNSRecord | None = None
    txt: DNSRecord | None = None
    dkim: DNSRecord | None = None


class Domain(Model):
    """A domain of the account."""

    domain: str | None = None
    verified: bool | None = None
    verification_token: str | None = None
    dns_records: DNSRecords | None = None
    created_at: str | None = None
    verified_at: str | None = None


class ListDomainsResponse(Model):
    """The account's domains."""

    domains: list[Domain] | None = None


class RecordReport(Model):
    """What DNS says of one record: ``status`` is ``found``, ``missing``, ``mismatch`` or ``deferred``."""

    purpose: str | None = None
    type: str | None = None
    name: str | None = None
    expected: str | None = None
    found: list[str] | None = None
    status: str | None = None
    hint: str | None = None


class DomainReport(Domain):
    """A domain, with what DNS says of each of its records now."""

    records: list[RecordReport] | None = None


class VerifyDomainResponse(Model):
    """A domain after its ownership was looked up."""

    domain: str | None = None
    verified: bool | None = None
    verified_at: str | None = None
    records: list[RecordReport] | None = None


# --- received mail ----------------------------------------------------------------------------------------------------


class AttachmentInfo(Model):
    """An attachment without its octets, which are fetched by ``index``."""

    index: int | None = None
    filename: str | None = None
    content_type: str | None = None
    size: int | None = None
    content_id: str | None = None


class Automation(Model):
    """Whether a program sent a message, and by which signs."""

    is_auto: bool | None = None
    reasons: list[str] | None = None


class MessageSummary(Model):
    """A received message as lists show it."""

    message_id: str | None = None
    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    to: list[str] | None = None
    cc: list[str] | None = None
    reply_to: list[str] | None = None
    recipient: str | None = None
    tag: str | None = None
    subject: str | None = None
    conversation_id: str | None = None
    verified: bool | None = None
    automation: Automation | None = None
    thread_hijack_suspected: bool | None = None
    status: str | None = None
    size: int | None = None
    created_at: str | None = None


class ListMessagesResponse(Model):
    """A page of received messages, oldest first."""

    messages: list[MessageSummary] | None = None
    next_token: str | None = None


class MessageDetail(MessageSummary):
    """A whole received message."""

    email_message_id: str | None = None
    text: str | None = None
    html: str | None = None
    attachments: list[AttachmentInfo] | None = None
    authentication: dict[str, Any] | None = None
    auth_headers: dict[str, str] | None = None
    defects: list[str] | None = None
    expires_at: str | None = None
    raw_message: str | None = Field(default=None, description="the message as stored, in base64")


class WaitResult(Model):
    """What a long poll ended with.

    :ivar message: the first message that matched, None when none came in time.
    :ivar cursor: give it as ``after`` to wait for what comes next.
    """

    message: MessageSummary | None = None
    cursor: int = 0


class DeliveryAttempt(Model):
    """One attempt to deliver to the webhook."""

    number: int | None = None
    started_at: str | None = None
    duration_ms: int | None = None
    status_code: int | None = None
    error: str | None = None


class Delivery(Model):
    """The webhook delivery of one message; lists leave ``log`` out."""

    message_id: str | None = None
    status: str | None = None
    attempts: int | None = None
    last_error: str | None = None
    next_attempt_at: str | None = None
    created_at: str | None = None
    delivered_at: str | None = None
    log: list[DeliveryAttempt] | None = None


class ListDeliveriesResponse(Model):
    """A page of webhook deliveries, newest first."""

    deliveries: list[Delivery] | None = None
    next_token: str | None = None


class Conversation(Model):
    """A conversation as lists show it."""

    id: str | None = None
    subject: str | None = None
    participants: list[str] | None = None
    message_count: int | None = None
    unread: int | None = None
    last_message_at: str | None = None


class ListConversationsResponse(Model):
    """A page of conversations, the one with the latest message first."""

    conversations: list[Conversation] | None = None
    next_token: str | None = None


class ConversationMessage(Model):
    """A received or sent message as its conversation shows it."""

    message_id: str | None = None
    direction: str | None = None
    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    to: list[str] | None = None
    cc: list[str] | None = None
    recipient: str | None = None
    subject: str | None = None
    verified: bool | None = None
    status: str | None = None
    email_message_id: str | None = None
    size: int | None = None
    created_at: str | None = None


class ConversationThread(Model):
    """A page of one conversation, oldest message first."""

    id: str | None = None
    messages: list[ConversationMessage] | None = None
    next_token: str | None = None


# --- mail that agents send --------------------------------------------------------------------------------------------


class Attachment(Model):
    """A file on the wire; ``data`` is its octets in base64. Answers give ``index`` and ``size`` instead."""

    index: int | None = None
    filename: str | None = None
    content_type: str | None = None
    data: str | None = None
    size: int | None = None


class _Written(Model):
    body: str | None = None
    html_body: str | None = None
    cc: list[str] | None = None
    bcc: list[str] | None = None
    conversation_id: str | None = None
    attachments: list[Attachment] | None = None
    auto: bool | None = Field(default=None, description="a program sends this without a person's doing")
    on_behalf_of: str | None = Field(default=None, description="the person for whom the agent acts")
    wait: int | None = Field(default=None, description="seconds that the server waits for the outcome, 0 to 60")


class SendEmailRequest(_Written):
    """A message to send. ``from_`` is an agent of the account."""

    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    to: list[str] | None = None
    subject: str | None = None
    reply_to_message_id: str | None = Field(default=None, description="the Message-ID that this message answers")


class ReplyToMessageRequest(_Written):
    """An answer to a received message. ``force`` answers even what a program sent."""

    reply_all: bool | None = None
    force: bool | None = None


class ForwardMessageRequest(_Written):
    """A received message to send on, quoted (``inline``) or enclosed whole (``attachment``)."""

    to: list[str] | None = None
    subject: str | None = None
    as_: Literal["inline", "attachment"] | None = Field(default=None, validation_alias="as", serialization_alias="as")
    include_attachments: bool | None = None


class RecipientOutcome(Model):
    """How one recipient's copy stands: ``pending``, ``sent``, ``failed``, ``unknown`` or ``bounced``."""

    address: str | None = None
    kind: str | None = None
    state: str | None = None
    code: int | None = None
    reply: str | None = None


class SendEmailResponse(Model):
    """A message that was taken in: ``sent``, ``queued``, ``unknown``, or ``pending_approval`` while it is held."""

    status: str | None = None
    message_id: str | None = None
    provider_message_id: str | None = None
    method: str | None = None
    conversation_id: str | None = None
    recipients: list[RecipientOutcome] | None = None
    approval_expires_at: str | None = None


class PendingMessageSummary(Model):
    """A message that an agent sends, as lists show it."""

    id: str | None = None
    agent_id: str | None = None
    direction: str | None = None
    subject: str | None = None
    type: str | None = None
    conversation_id: str | None = None
    to: list[str] | None = None
    cc: list[str] | None = None
    bcc: list[str] | None = None
    status: str | None = None
    approval_expires_at: str | None = None
    created_at: str | None = None


class ListPendingMessagesResponse(Model):
    """A page of messages that agents send."""

    messages: list[PendingMessageSummary] | None = None
    next_token: str | None = None


class PendingMessageDetail(PendingMessageSummary):
    """One message that an agent sends: its content while it is held, how each copy stands afterwards."""

    email_message_id: str | None = None
    body_text: str | None = None
    body_html: str | None = None
    attachments: list[Attachment] | None = None
    edited: bool | None = None
    reviewed_at: str | None = None
    rejection_reason: str | None = None
    expiration_action: str | None = None
    provider_message_id: str | None = None
    method: str | None = None
    size: int | None = None
    recipients: list[RecipientOutcome] | None = None


class ApprovePendingMessageRequest(Model):
    """Edits to a held message. What is not set stays as it is; an empty value clears."""

    subject: str | None = None
    body_text: str | None = None
    body_html: str | None = None
    to: list[str] | None = None
    cc: list[str] | None = None
    bcc: list[str] | None = None
    attachments: list[Attachment] | None = None
    wait: int | None = None


class ApprovePendingMessageResponse(SendEmailResponse):
    """A held message after its approval."""

    edited: bool | None = None


class RejectPendingMessageRequest(Model):
    """Why a held message is not sent."""

    reason: str = ""


class RejectPendingMessageResponse(Model):
    """A held message after its rejection."""

    status: str | None = None
    message_id: str | None = None
    rejection_reason: str | None = None
