"""The things e2a keeps, as frozen values. Times are aware UTC datetimes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Mode = Literal["cloud", "local"]
DeliveryStatus = Literal["pending", "delivered", "failed"]
InboxStatus = Literal["unread", "read"]
#: ``unknown``: transmitted whole to somebody, and the answer never came.
OutboundStatus = Literal[
    "pending_approval", "queued", "sent", "failed", "unknown", "rejected", "expired_approved", "expired_rejected"
]
MessageType = Literal["send", "reply", "forward", "test"]
RecipientKind = Literal["to", "cc", "bcc"]
RecipientState = Literal["pending", "sent", "failed", "unknown", "bounced"]
Role = Literal["owner", "admin", "member"]
AuditResult = Literal["ok", "refused", "failed"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the SMTP session said, apart from the message itself.

    :ivar client_ip: the peer's address as text, an IPv4-mapped IPv6 address already unmapped.
    :ivar helo: the EHLO/HELO argument, printable ASCII, may be empty.
    :ivar mail_from: the reverse-path without angle brackets; ``""`` is the null sender.
    :ivar recipients: accepted recipients in order, each once.
    :ivar protocol: RFC 3848 keyword: ``SMTP``, ``ESMTP`` or ``ESMTPS``.
    :ivar session_id: 8 hex digits that tie log lines and the Received header together.
    :ivar received_at: Unix time at which the end of data arrived.
    """

    client_ip: str
    helo: str
    mail_from: str
    recipients: tuple[Recipient, ...]
    protocol: str
    session_id: str
    received_at: float


@dataclass(frozen=True, slots=True)
class Recipient:
    """An accepted RCPT.

    :ivar address: as the client gave it, without brackets.
    :ivar agent_id: the agent's address (its id).
    :ivar tag: the ``+tag`` that was cut off to find the agent, without the plus; ``""`` when none.
    """

    address: str
    agent_id: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Organisation:
    """:ivar personal: made with its first member, whose address is its name until it is renamed."""

    id: str
    name: str
    created_at: datetime
    personal: bool = True


@dataclass(frozen=True, slots=True)
class Membership:
    """One person's place in one organisation.

    :ivar email: the person's, as are ``user_id`` and ``name``.
    """

    organisation_id: str
    user_id: str
    email: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """:ivar invited_by: the user who asked; None when they are gone.
    :ivar accepted_at: None while it is open, as ``revoked_at``."""

    id: str
    organisation_id: str
    organisation: str
    email: str
    role: Role
    invited_by: str | None
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    revoked_at: datetime | None = None

    def open(self, moment: datetime) -> bool:
        """Whether it can still be accepted."""
        return self.accepted_at is None and self.revoked_at is None and moment < self.expires_at


@dataclass(frozen=True, slots=True)
class User:
    id: str
    email: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """:ivar permissions: what the key may do, see ``core.rules.permissions``.
    :ivar agent_id: if set, the only agent that the key can see.
    :ivar label_prefix: if set, only agents whose label begins with it can be seen."""

    id: str
    organisation_id: str
    user_id: str
    name: str
    key_prefix: str
    permissions: tuple[str, ...]
    agent_id: str | None
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    label_prefix: str | None = None


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A webhook signing secret. ``sealed`` is AES-256-GCM (``core.trust.sealing``); the value is shown once.

    :ivar signs_from: when it takes over from the one before it; None: when it was made (``core.rules.signers``).
    :ivar retires_at: when it stops counting; None: it stays.
    """

    id: str
    organisation_id: str
    name: str
    secret_prefix: str
    sealed: bytes
    created_at: datetime
    last_signed_at: datetime | None = None
    signs_from: datetime | None = None
    retires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Domain:
    """One organisation's claim on a domain name; at most one claim of a name is verified.

    :ivar organisation_id: None for the deployment's own shared domain.
    :ivar verification_token: ``e2a-verify=`` + 32 hex, to be found in a TXT record at the domain itself.
    """

    id: int
    name: str
    organisation_id: str | None
    verification_token: str
    created_at: datetime
    verified_at: datetime | None = None

    @property
    def verified(self) -> bool:
        return self.verified_at is not None


@dataclass(frozen=True, slots=True)
class Agent:
    """:ivar id: the full lower-case address, which is also the agent's e-mail address.
    :ivar label: groups agents; a key can be limited to labels that begin alike."""

    id: str
    organisation_id: str
    domain: str
    name: str
    agent_mode: Mode
    webhook_url: str
    domain_verified: bool
    created_at: datetime
    hitl_enabled: bool = False
    hitl_ttl_seconds: int = 604_800
    hitl_expiration_action: Literal["approve", "reject"] = "reject"
    label: str = ""


@dataclass(frozen=True, slots=True)
class AgentState:
    """How an agent stands, for people. Counts stop at ``store.overview.MOST_COUNTED``.

    :ivar last_mail: when mail last came; None when there is none.
    :ivar pending: messages that wait for approval.
    :ivar failed: webhook deliveries that ran out of attempts.
    :ivar retrying: one of the newest webhook deliveries has failed so far, and is tried again.
    """

    last_mail: datetime | None
    unread: int
    pending: int
    failed: int
    retrying: bool


@dataclass(frozen=True, slots=True)
class AttachmentInfo:
    """An attachment without its bytes. ``index`` counts from 0 in MIME order; ``size`` is decoded octets."""

    index: int
    filename: str
    content_type: str
    size: int
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the signed ``X-E2A-Auth-*`` headers will say about one message; everything but the moment of signing."""

    verified: bool
    sender: str
    entity_type: Literal["human", "agent"]
    domain_check: str
    body_hash: str
    delegation: str = ""


@dataclass(frozen=True, slots=True)
class Automation:
    """Whether a program sent a message (``core.mail.automation``).

    :ivar reasons: the signs that were found, machine words; empty unless ``is_auto``.
    """

    is_auto: bool = False
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """One recipient's copy of a received message, without its raw bytes.

    :ivar uid: position in the agent's mailbox: grows in the order of commits, never reused (RFC 9051 2.3.1.1).
    :ivar sender: the From header's mailbox, the envelope sender when that cannot be read.
    :ivar recipient: the RCPT address of this copy.
    :ivar authentication: the verdict as JSON-ready data.
    :ivar defects: why parsing was incomplete; empty for a well-formed message.
    :ivar thread_hijack_suspected: it quotes a message of a conversation in which its sender could not be shown to take
        part; it was left out of that conversation.
    """

    id: str
    uid: int
    agent_id: str
    raw_id: str
    sender: str
    recipient: str
    tag: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    reply_to: tuple[str, ...]
    subject: str
    email_message_id: str
    conversation_id: str | None
    facts: Facts
    authentication: dict[str, Any]
    size: int
    inbox_status: InboxStatus
    created_at: datetime
    expires_at: datetime
    defects: tuple[str, ...] = ()
    automation: Automation = Automation()
    thread_hijack_suspected: bool = False


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A message that an agent sends, without its raw bytes.

    :ivar sender: the From header's mailbox; its domain is also that of the envelope sender.
    :ivar to: canonical addresses; likewise ``cc`` and ``bcc``.
    :ivar email_message_id: the Message-ID we gave it, with its angle brackets.
    :ivar in_reply_to: the Message-ID of the message it answers; ``""`` when it answers none.
    :ivar raw_id: the composed bytes; None once they were let go.
    :ivar method: ``loopback`` when every recipient is an agent of this deployment.
    :ivar provider_message_id: the id that the upstream server gave it; ``""`` when it gave none.
    :ivar sent_status: what ``status`` becomes when it was sent.
    :ivar on_behalf_of: the person that the request named, ``""`` when it named none.
    :ivar automation: ``is_auto`` when a program asked for it to be sent without a person's doing.
    """

    id: str
    agent_id: str
    organisation_id: str
    status: OutboundStatus
    message_type: MessageType
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    subject: str
    email_message_id: str
    conversation_id: str | None
    in_reply_to: str
    raw_id: str | None
    size: int
    created_at: datetime
    expires_at: datetime
    method: Literal["smtp", "loopback"] = "smtp"
    provider_message_id: str = ""
    sent_status: Literal["sent", "expired_approved"] = "sent"
    on_behalf_of: str = ""
    automation: Automation = Automation()
    approval_expires_at: datetime | None = None
    expiration_action: Literal["approve", "reject"] | None = None
    reviewed_at: datetime | None = None
    rejection_reason: str | None = None
    edited: bool = False


@dataclass(frozen=True, slots=True)
class OutboundRecipient:
    """One envelope recipient of an outbound message.

    :ivar destination: for ``smtp``: ``""`` for the upstream server, else the recipient's domain.
    :ivar code: the SMTP reply code that decided the state; None when there was no reply.
    :ivar reply: that reply's text, on one line.
    """

    address: str
    kind: RecipientKind
    route: Literal["smtp", "loopback"]
    destination: str = ""
    state: RecipientState = "pending"
    code: int | None = None
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """An agent's thread, as lists show it.

    :ivar subject: of the oldest message that is kept.
    :ivar participants: addresses seen in recent messages, lower case, without the agent's own.
    :ivar message_count: both directions; counting stops at ``store.conversations.MOST_COUNTED``, as for ``unread``.
    """

    id: str
    subject: str
    participants: tuple[str, ...]
    message_count: int
    unread: int
    last_message_id: str
    last_message_at: datetime


@dataclass(frozen=True, slots=True)
class ConversationMessage:
    """One message of a thread, received or sent.

    :ivar status: ``unread`` or ``read`` for a received one, else how sending stands.
    """

    id: str
    direction: Literal["inbound", "outbound"]
    sender: str
    recipient: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    verified: bool
    status: str
    email_message_id: str
    size: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Suppression:
    """An address that the organisation's agents do not write to.

    :ivar message_id: the message whose bounce suppressed it, None when it was done by hand.
    """

    address: str
    reason: str
    message_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """The webhook delivery of one message."""

    message_id: str
    agent_id: str
    status: DeliveryStatus
    attempts: int
    last_error: str
    next_attempt_at: datetime | None
    created_at: datetime
    delivered_at: datetime | None = None
    log: tuple[DeliveryAttempt, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery this process may attempt until the lease ends; ``fence`` must match when the outcome is recorded."""

    message: InboundMessage
    webhook_url: str
    host: str
    organisation_id: str
    attempt: int
    fence: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, for the audit log. Empty for what the daemon does by itself."""

    client_ip: str = ""
    user_agent: str = ""
    request_id: str = ""

    @classmethod
    def of_request(cls, client_ip: str, user_agent: str | None, request_id: str) -> Origin:
        """:param user_agent: the header, of which the first 200 characters are kept."""
        return cls(client_ip, (user_agent or "").replace("\0", "")[:200], request_id)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, after authentication.

    :ivar permissions: what the credential allows: a key's own permissions, no more than its creator's role gives; for a
        session, what the role gives.
    :ivar key_id: the API key used, None for a session.
    :ivar agent_id: set for a key bound to one agent: everything else is invisible to it.
    :ivar label_prefix: set for a key that sees only the agents whose label begins with it.
    :ivar role: the person's role in the organisation, for a session.
    :ivar session_id: set for a session.
    :ivar key_prefix: the first characters of the key, by which people know it; "" for a session.
    """

    organisation_id: str
    user_id: str
    permissions: frozenset[str]
    key_id: str | None = None
    agent_id: str | None = None
    label_prefix: str | None = None
    role: Role | None = None
    session_id: str | None = None
    key_prefix: str = ""
    origin: Origin = Origin()

    @property
    def restricted(self) -> bool:
        """Whether it sees only a part of the organisation's agents."""
        return self.agent_id is not None or self.label_prefix is not None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit log.

    :ivar action: ``<what>.<past participle>``, as ``key.created``.
    :ivar key_prefix: the key that was used; "" for a session.
    :ivar detail: what else is worth knowing, JSON-ready; never a secret, a body or a subject.
    """

    id: str
    organisation_id: str
    at: datetime
    action: str
    resource_type: str
    resource_id: str
    user_id: str | None
    key_prefix: str
    client_ip: str
    user_agent: str
    request_id: str
    result: AuditResult
    detail: dict[str, Any]
