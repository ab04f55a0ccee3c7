"""The friendly clients' calls: with the client's own agent where none is named, and plain objects as results.

Declared once here; :mod:`.client` makes a blocking and an asynchronous method of each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from . import account, accountcalls, calls, models
from .methods import Pages
from .mime import Attachment
from .models import AgentMode, ExpirationAction
from .results import MessageList, MessageSummary, SendResult, wire_attachments
from .transport import Call

T = TypeVar("T")
Page = TypeVar("Page")


class HasAgent(Protocol):
    """A client, as far as its calls need it."""

    agent_email: str


def default_agent(agent_email: str | None) -> str:
    """The given agent, or that of the environment; "" when there is none."""
    return agent_email or os.environ.get("E2A_AGENT_EMAIL", "")


def agent_of(client: HasAgent, agent_email: str | None) -> str:
    """The agent of one call.

    :raises ValueError: none is named, and the client has none.
    """
    agent = agent_email or client.agent_email
    if not agent:
        raise ValueError("an agent is needed: pass agent_email, to the call or to the client, or set E2A_AGENT_EMAIL")
    return agent


# --- received mail ----------------------------------------------------------------------------------------------------


def get_messages(
    client: HasAgent,
    status: str = "unread",
    page_size: int = 50,
    token: str | None = None,
    agent_email: str | None = None,
    *,
    sort: str | None = None,
    from_: str | None = None,
    subject_contains: str | None = None,
    conversation_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Call[MessageList]:
    """A page of received messages. Listing does not mark them read. Parameters as for ``E2AApi.list_messages``."""
    call = calls.list_messages(
        agent_of(client, agent_email),
        status,
        page_size,
        token,
        sort=sort,
        from_=from_,
        subject_contains=subject_contains,
        conversation_id=conversation_id,
        since=since,
        until=until,
    )
    return call.then(lambda page: MessageList([MessageSummary.of(one) for one in page.messages or ()], page.next_token))


def iter_messages(
    client: HasAgent,
    status: str = "unread",
    *,
    page_size: int = 50,
    from_: str | None = None,
    subject_contains: str | None = None,
    conversation_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
    sort: str | None = None,
    agent_email: str | None = None,
) -> Pages[MessageSummary]:
    """Every received message, oldest first, page by page as they are needed. Filters as for
    ``E2AApi.list_messages``."""
    agent = agent_of(client, agent_email)

    def page(token: str | None) -> Call[tuple[Sequence[MessageSummary], str | None]]:
        call = calls.list_messages(
            agent,
            status,
            page_size,
            token,
            sort=sort,
            from_=from_,
            subject_contains=subject_contains,
            conversation_id=conversation_id,
            since=since,
            until=until,
        )
        return call.then(lambda found: ([MessageSummary.of(one) for one in found.messages or ()], found.next_token))

    return Pages(page)


def get_raw_message(client: HasAgent, message_id: str, agent_email: str | None = None) -> Call[bytes]:
    """A received message exactly as it is stored (``.eml``). Does not mark it read."""
    return calls.get_raw_message(agent_of(client, agent_email), message_id)


def get_attachment(client: HasAgent, message_id: str, index: int, agent_email: str | None = None) -> Call[bytes]:
    """The octets of one attachment of a received message. Does not mark it read.

    :param index: counts from 0, as in ``list_attachments``.
    """
    return calls.get_attachment(agent_of(client, agent_email), message_id, index)


def list_attachments(
    client: HasAgent, message_id: str, agent_email: str | None = None
) -> Call[list[models.AttachmentInfo]]:
    """What a received message carries, without the octets. Does not mark it read."""
    call = calls.get_message(agent_of(client, agent_email), message_id, mark_read=False)
    return call.then(lambda found: found.attachments or [])


def get_delivery(client: HasAgent, message_id: str, agent_email: str | None = None) -> Call[models.Delivery]:
    """The webhook delivery of one message, attempt by attempt."""
    return calls.get_delivery(agent_of(client, agent_email), message_id)


def redeliver(client: HasAgent, message_id: str, agent_email: str | None = None) -> Call[models.Delivery]:
    """Deliver one message to the agent's webhook again, now."""
    return calls.redeliver(agent_of(client, agent_email), message_id)


def iter_failed_deliveries(client: HasAgent, agent_email: str | None = None) -> Pages[models.Delivery]:
    """Every webhook delivery that ran out of attempts, newest first."""
    agent = agent_of(client, agent_email)
    return paged(
        lambda token: calls.list_deliveries(agent, token=token),
        lambda page: page.deliveries,
        lambda page: page.next_token,
    )


def iter_conversations(client: HasAgent, agent_email: str | None = None) -> Pages[models.Conversation]:
    """Every conversation, the one with the latest message first."""
    agent = agent_of(client, agent_email)
    return paged(
        lambda token: calls.list_conversations(agent, token=token),
        lambda page: page.conversations,
        lambda page: page.next_token,
    )


def iter_conversation(
    client: HasAgent, conversation_id: str, agent_email: str | None = None
) -> Pages[models.ConversationMessage]:
    """Every message of a conversation, received and sent, oldest first. Does not mark them read."""
    agent = agent_of(client, agent_email)
    return paged(
        lambda token: calls.get_conversation(agent, conversation_id, token=token),
        lambda page: page.messages,
        lambda page: page.next_token,
    )


# --- mail that agents send --------------------------------------------------------------------------------------------


def reply(
    client: HasAgent,
    message_id: str,
    body: str,
    html_body: str | None = None,
    reply_all: bool | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    conversation_id: str | None = None,
    attachments: list[Attachment] | None = None,
    agent_email: str | None = None,
    *,
    force: bool | None = None,
    auto: bool | None = None,
    on_behalf_of: str | None = None,
    wait: int | None = None,
    idempotency_key: str | None = None,
) -> Call[SendResult]:
    """Answer a received message, in its conversation.

    :param force: answer even what a program sent, which is refused otherwise.
    :param auto: a program answers without a person's doing; marks the mail as automatic.
    :param on_behalf_of: the person for whom the agent acts, if it acts for several.
    :param wait: seconds that the server waits for the outcome, 0 to 60.
    :param idempotency_key: a repetition under the same key sends nothing and gets the first answer; a fresh key for
        each call when not given.
    """
    request = models.ReplyToMessageRequest(
        body=body,
        html_body=html_body,
        reply_all=reply_all,
        cc=cc,
        bcc=bcc,
        conversation_id=conversation_id,
        attachments=wire_attachments(attachments),
        force=force,
        auto=auto,
        on_behalf_of=on_behalf_of,
        wait=wait,
    )
    agent = agent_of(client, agent_email)
    return calls.reply_to_message(agent, message_id, request, idempotency_key=idempotency_key).then(SendResult.of)


def send(
    client: HasAgent,
    to: list[str],
    subject: str,
    body: str,
    html_body: str | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    conversation_id: str | None = None,
    attachments: list[Attachment] | None = None,
    agent_email: str | None = None,
    *,
    reply_to_message_id: str | None = None,
    auto: bool | None = None,
    on_behalf_of: str | None = None,
    wait: int | None = None,
    idempotency_key: str | None = None,
) -> Call[SendResult]:
    """Send a message: to people, to agents of the deployment, or both.

    :param to: a list, also for one address.
    :param reply_to_message_id: the Message-ID of the message that this one answers.
    :param auto: a program sends this without a person's doing; marks the mail as automatic.
    :param on_behalf_of: the person for whom the agent acts, if it acts for several.
    :param wait: seconds that the server waits for the outcome, 0 to 60.
    :param idempotency_key: a repetition under the same key sends nothing and gets the first answer; a fresh key for
        each call when not given.
    """
    request = models.SendEmailRequest(
        from_=agent_of(client, agent_email),
        to=to,
        subject=subject,
        body=body,
        html_body=html_body,
        cc=cc,
        bcc=bcc,
        conversation_id=conversation_id,
        attachments=wire_attachments(attachments),
        reply_to_message_id=reply_to_message_id,
        auto=auto,
        on_behalf_of=on_behalf_of,
        wait=wait,
    )
    return calls.send_email(request, idempotency_key=idempotency_key).then(SendResult.of)


def forward(
    client: HasAgent,
    message_id: str,
    to: list[str],
    body: str = "",
    *,
    subject: str | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    enclose: bool = False,
    include_attachments: bool | None = None,
    attachments: list[Attachment] | None = None,
    agent_email: str | None = None,
    wait: int | None = None,
    idempotency_key: str | None = None,
) -> Call[SendResult]:
    """Send a received message on, in a conversation of its own.

    :param body: what to say above it.
    :param subject: ``Fwd:`` and its subject when not given.
    :param enclose: send the whole message as an attachment instead of quoting its text.
    :param include_attachments: whether a quoted message keeps its attachments; it does when not given.
    :param attachments: further files.
    """
    request = models.ForwardMessageRequest(
        to=to,
        body=body,
        subject=subject,
        cc=cc,
        bcc=bcc,
        as_="attachment" if enclose else None,
        include_attachments=include_attachments,
        attachments=wire_attachments(attachments),
        wait=wait,
    )
    agent = agent_of(client, agent_email)
    return calls.forward_message(agent, message_id, request, idempotency_key=idempotency_key).then(SendResult.of)


def iter_pending_messages(client: HasAgent, status: str = "pending_approval") -> Pages[models.PendingMessageSummary]:
    """Every message that waits for approval, most urgent first; or of any other ``status``, newest first."""
    return paged(
        lambda token: calls.list_pending_messages(status, token=token),
        lambda page: page.messages,
        lambda page: page.next_token,
    )


def approve_message(
    client: HasAgent,
    message_id: str,
    *,
    subject: str | None = None,
    body_text: str | None = None,
    body_html: str | None = None,
    to: list[str] | None = None,
    cc: list[str] | None = None,
    bcc: list[str] | None = None,
    idempotency_key: str | None = None,
) -> Call[models.ApprovePendingMessageResponse]:
    """Send a held message, as it is or with edits. An empty value clears; attachments are edited through ``.api``."""
    given = {
        "subject": subject,
        "body_text": body_text,
        "body_html": body_html,
        "to": to,
        "cc": cc,
        "bcc": bcc,
    }
    edits = {name: value for name, value in given.items() if value is not None}
    overrides = models.ApprovePendingMessageRequest.model_validate(edits) if edits else None
    return calls.approve_message(message_id, overrides, idempotency_key=idempotency_key)


# --- agents and domains -----------------------------------------------------------------------------------------------


def register_agent(
    client: HasAgent,
    slug: str | None = None,
    *,
    email: str | None = None,
    name: str | None = None,
    webhook_url: str | None = None,
    agent_mode: AgentMode | None = None,
    label: str | None = None,
    idempotency_key: str | None = None,
) -> Call[models.RegisterAgentResponse]:
    """Register an agent: by slug on the deployment's shared domain, or by address on a domain of the account.

    :param webhook_url: where its mail is posted; needed in ``cloud`` mode.
    :param label: groups agents; a key can be limited to labels that begin alike.
    :param agent_mode: ``cloud``, or ``local`` for one that fetches its mail; left to the server when not given.
    """
    request = models.RegisterAgentRequest(
        slug=slug, email=email, name=name, webhook_url=webhook_url, agent_mode=agent_mode, label=label
    )
    return calls.register_agent(request, idempotency_key=idempotency_key)


def update_agent(
    client: HasAgent,
    email: str,
    *,
    name: str | None = None,
    webhook_url: str | None = None,
    agent_mode: AgentMode | None = None,
    hitl_enabled: bool | None = None,
    hitl_ttl_seconds: int | None = None,
    hitl_expiration_action: ExpirationAction | None = None,
    label: str | None = None,
) -> Call[models.Agent]:
    """Change what is given. The ``hitl_`` members say whether a human approves its mail, how long they have, and what
    happens when nobody decides."""
    given = {
        "name": name,
        "webhook_url": webhook_url,
        "agent_mode": agent_mode,
        "hitl_enabled": hitl_enabled,
        "hitl_ttl_seconds": hitl_ttl_seconds,
        "hitl_expiration_action": hitl_expiration_action,
        "label": label,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    return calls.update_agent(email, models.UpdateAgentRequest.model_validate(changes))


def register_domain(client: HasAgent, domain: str | models.RegisterDomainRequest) -> Call[models.Domain]:
    """Claim a domain. Its ``dns_records`` say what to publish."""
    request = models.RegisterDomainRequest(domain=domain) if isinstance(domain, str) else domain
    return calls.register_domain(request)


# --- delegations ------------------------------------------------------------------------------------------------------


def list_delegations(client: HasAgent, agent_email: str | None = None) -> Call[list[account.Delegation]]:
    """For whom the agent acts, or has asked to act."""
    return accountcalls.list_delegations(agent_of(client, agent_email)).then(lambda found: found.delegations or [])


def propose_delegation(client: HasAgent, person: str, agent_email: str | None = None) -> Call[account.Delegation]:
    """Ask a person, by mail, whether the agent may act for them."""
    return accountcalls.propose_delegation(agent_of(client, agent_email), person)


def end_delegation(client: HasAgent, delegation_id: str, agent_email: str | None = None) -> Call[None]:
    """End a delegation, or withdraw a proposal."""
    return accountcalls.end_delegation(agent_of(client, agent_email), delegation_id)


# --- the account ------------------------------------------------------------------------------------------------------


def iter_suppressions(client: HasAgent) -> Pages[account.Suppression]:
    """Every address that the account's agents do not write to."""
    return paged(
        lambda token: accountcalls.list_suppressions(token=token),
        lambda page: page.suppressions,
        lambda page: page.next_token,
    )


def iter_audit_events(
    client: HasAgent,
    *,
    action: str | None = None,
    user_id: str | None = None,
    key_prefix: str | None = None,
    resource_type: str | None = None,
    resource_id: str | None = None,
    result: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Pages[account.AuditEvent]:
    """Every entry of the audit log, newest first. Parameters as for ``E2AApi.list_audit_events``."""

    def call(token: str | None) -> Call[account.ListAuditEventsResponse]:
        return accountcalls.list_audit_events(
            token=token,
            action=action,
            user_id=user_id,
            key_prefix=key_prefix,
            resource_type=resource_type,
            resource_id=resource_id,
            result=result,
            since=since,
            until=until,
        )

    return paged(call, lambda page: page.events, lambda page: page.next_token)


def paged(
    call: Callable[[str | None], Call[Page]],
    entries: Callable[[Page], Sequence[T] | None],
    next_token: Callable[[Page], str | None],
) -> Pages[T]:
    """A list from the call for a page and from what the page's answer holds."""

    def page(token: str | None) -> Call[tuple[Sequence[T], str | None]]:
        return call(token).then(lambda found: (entries(found) or (), next_token(found) or None))

    return Pages(page)
