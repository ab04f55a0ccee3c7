"""Every endpoint about agents, domains and mail, as a function from its arguments to a :class:`~.transport.Call`.

Declared once here; :mod:`.api` makes a blocking and an asynchronous method of each.
"""

from __future__ import annotations

import uuid
from typing import Any

from . import models
from .account import DeploymentInfo
from .transport import IDEMPOTENCY_KEY, Answer, Call, content, nothing, octets, path, shaped

#: Seconds that the server waits for the outcome of a message when it is not told, and the longest it can be told.
_OUTCOME_WAIT = 20
_LONGEST_POLL = 60


def once(key: str | None) -> dict[str, str]:
    """The header under which the server acts at most once: a key of the caller, or a fresh one for this call."""
    return {IDEMPOTENCY_KEY: key or uuid.uuid4().hex}


# --- agents -----------------------------------------------------------------------------------------------------------


def list_agents(page_size: int | None = None, token: str | None = None) -> Call[models.ListAgentsResponse]:
    """List the account's agents, newest first: all of them, or a page."""
    where = path("agents", page_size=page_size, token=token)
    return Call("GET", where, shaped(models.ListAgentsResponse), safe=True)


def register_agent(
    request: models.RegisterAgentRequest, *, idempotency_key: str | None = None
) -> Call[models.RegisterAgentResponse]:
    """Register an agent."""
    return Call(
        "POST",
        path("agents"),
        shaped(models.RegisterAgentResponse),
        content(request),
        once(idempotency_key),
        safe=True,
    )


def get_agent(email: str) -> Call[models.Agent]:
    """One agent."""
    return Call("GET", path("agents", email), shaped(models.Agent), safe=True)


def update_agent(email: str, request: models.UpdateAgentRequest) -> Call[models.Agent]:
    """Change what is set in the request."""
    return Call("PUT", path("agents", email), shaped(models.Agent), content(request, only_set=True))


def delete_agent(email: str) -> Call[None]:
    """Delete an agent with its mail."""
    return Call("DELETE", path("agents", email), nothing)


def send_test_email(email: str, *, idempotency_key: str | None = None) -> Call[dict[str, Any]]:
    """Send a test message to an agent, by the way that real mail takes; the answer as it is."""
    return Call(
        "POST",
        path("agents", email, "test"),
        lambda answer: shaped(models.SendEmailResponse)(answer).model_dump(exclude_unset=True),
        headers=once(idempotency_key),
        patience=_OUTCOME_WAIT,
        safe=True,
    )


# --- domains ----------------------------------------------------------------------------------------------------------


def list_domains() -> Call[models.ListDomainsResponse]:
    """List the account's domains."""
    return Call("GET", path("domains"), shaped(models.ListDomainsResponse), safe=True)


def register_domain(request: models.RegisterDomainRequest) -> Call[models.Domain]:
    """Claim a domain. Asking again answers the same claim."""
    return Call("POST", path("domains"), shaped(models.Domain), content(request), safe=True)


def get_domain(domain: str) -> Call[models.DomainReport]:
    """One domain, with what DNS says of each of its records now."""
    return Call("GET", path("domains", domain), shaped(models.DomainReport), safe=True)


def verify_domain(domain: str) -> Call[models.VerifyDomainResponse]:
    """Prove a claim by the TXT record. A record that is not there yet is a ``ConflictError`` (412)."""
    return Call("POST", path("domains", domain, "verify"), shaped(models.VerifyDomainResponse), safe=True)


def rotate_domain_key(domain: str) -> Call[models.Domain]:
    """Make a new DKIM key, which signs once its record is in DNS; until then the present one does."""
    return Call("POST", path("domains", domain, "dkim", "rotate"), shaped(models.Domain), safe=True)


def delete_domain(domain: str) -> Call[None]:
    """Give a domain up. Not while agents are on it."""
    return Call("DELETE", path("domains", domain), nothing)


# --- received mail ----------------------------------------------------------------------------------------------------


def list_messages(
    agent_email: str,
    status: str = "unread",
    page_size: int = 50,
    token: str | None = None,
    *,
    sort: str | None = None,
    from_: str | None = None,
    subject_contains: str | None = None,
    conversation_id: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Call[models.ListMessagesResponse]:
    """A page of an agent's received messages. Listing does not mark them read.

    :param status: ``unread``, ``read`` or ``all``.
    :param token: ``next_token`` of the page before, asked for with the same filters.
    :param from_: only mail of this sender.
    :param subject_contains: only mail whose subject contains this text, in any case.
    :param sort: ``asc``, oldest first, or ``desc``.
    :param conversation_id: only mail of this conversation.
    :param since: only mail received at or after this time (RFC 3339 with an offset); ``until`` only before that one.
    """
    where = path(
        "agents",
        agent_email,
        "messages",
        status=status,
        page_size=page_size,
        token=token or None,
        sort=sort,
        from_=from_,
        subject_contains=subject_contains,
        conversation_id=conversation_id,
        since=since,
        until=until,
    )
    return Call("GET", where, shaped(models.ListMessagesResponse), safe=True)


def get_message(agent_email: str, message_id: str, *, mark_read: bool = True) -> Call[models.MessageDetail]:
    """A whole received message, signed at the moment of the answer.

    :param mark_read: whether an unread message becomes read.
    """
    where = path("agents", agent_email, "messages", message_id, mark_read=None if mark_read else False)
    return Call("GET", where, shaped(models.MessageDetail), safe=True)


def get_raw_message(agent_email: str, message_id: str) -> Call[bytes]:
    """A received message exactly as it is stored (``.eml``). Does not mark it read."""
    return Call("GET", path("agents", agent_email, "messages", message_id, "raw"), octets, safe=True)


def get_attachment(agent_email: str, message_id: str, index: int) -> Call[bytes]:
    """The octets of one attachment of a received message. Does not mark it read.

    :param index: as in ``MessageDetail.attachments``.
    """
    where = path("agents", agent_email, "messages", message_id, "attachments", str(index))
    return Call("GET", where, octets, safe=True)


def wait_for_message(
    agent_email: str,
    timeout: int = 30,
    *,
    after: int | None = None,
    from_: str | None = None,
    subject_contains: str | None = None,
    not_before: str | None = None,
) -> Call[models.WaitResult]:
    """Wait on the server for the first message that matches. Does not mark it read.

    :param timeout: seconds, 0 to 60.
    :param after: a cursor of an earlier wait: only mail that came after it, read or not. Without it, unread mail.
    :param from_: only mail of this sender.
    :param subject_contains: only mail whose subject contains this text, in any case.
    :param not_before: only mail received since this time (RFC 3339 with an offset).
    """

    def read(answer: Answer) -> models.WaitResult:
        if answer.status != 204:
            return models.WaitResult.model_validate_json(answer.body)
        cursor = answer.headers.get("x-e2a-cursor", "")
        return models.WaitResult(cursor=int(cursor) if cursor.isdecimal() else after or 0)

    where = path(
        "agents",
        agent_email,
        "messages",
        "wait",
        timeout=timeout,
        after=after,
        from_=from_,
        subject_contains=subject_contains,
        not_before=not_before,
    )
    return Call("GET", where, read, patience=min(max(timeout, 0), _LONGEST_POLL), safe=True)


def get_delivery(agent_email: str, message_id: str) -> Call[models.Delivery]:
    """The webhook delivery of one message, attempt by attempt."""
    where = path("agents", agent_email, "messages", message_id, "delivery")
    return Call("GET", where, shaped(models.Delivery), safe=True)


def redeliver(agent_email: str, message_id: str) -> Call[models.Delivery]:
    """Deliver one message to the agent's webhook again, now."""
    where = path("agents", agent_email, "messages", message_id, "redeliver")
    return Call("POST", where, shaped(models.Delivery))


def list_deliveries(
    agent_email: str, status: str = "failed", page_size: int = 50, token: str | None = None
) -> Call[models.ListDeliveriesResponse]:
    """A page of the webhook deliveries that ran out of attempts, newest first."""
    where = path("agents", agent_email, "deliveries", status=status, page_size=page_size, token=token or None)
    return Call("GET", where, shaped(models.ListDeliveriesResponse), safe=True)


def list_conversations(
    agent_email: str, page_size: int = 50, token: str | None = None
) -> Call[models.ListConversationsResponse]:
    """A page of an agent's conversations, the one with the latest message first."""
    where = path("agents", agent_email, "conversations", page_size=page_size, token=token or None)
    return Call("GET", where, shaped(models.ListConversationsResponse), safe=True)


def get_conversation(
    agent_email: str, conversation_id: str, page_size: int = 50, token: str | None = None
) -> Call[models.ConversationThread]:
    """A page of one conversation, received and sent mail, oldest first. Does not mark it read."""
    where = path("agents", agent_email, "conversations", conversation_id, page_size=page_size, token=token or None)
    return Call("GET", where, shaped(models.ConversationThread), safe=True)


# --- mail that agents send --------------------------------------------------------------------------------------------


def reply_to_message(
    agent_email: str, message_id: str, request: models.ReplyToMessageRequest, *, idempotency_key: str | None = None
) -> Call[models.SendEmailResponse]:
    """Answer a received message, in its conversation.

    :param idempotency_key: a repetition under the same key sends nothing and gets the first answer; a fresh key for
        each call when not given.
    """
    return _submitted(path("agents", agent_email, "messages", message_id, "reply"), request, idempotency_key)


def forward_message(
    agent_email: str, message_id: str, request: models.ForwardMessageRequest, *, idempotency_key: str | None = None
) -> Call[models.SendEmailResponse]:
    """Send a received message on, in a conversation of its own."""
    return _submitted(path("agents", agent_email, "messages", message_id, "forward"), request, idempotency_key)


def send_email(
    request: models.SendEmailRequest, *, idempotency_key: str | None = None
) -> Call[models.SendEmailResponse]:
    """Send a message: to people, to agents of the deployment, or both.

    :param idempotency_key: a repetition under the same key sends nothing and gets the first answer; a fresh key for
        each call when not given.
    """
    return _submitted(path("send"), request, idempotency_key)


def list_pending_messages(
    status: str = "pending_approval", page_size: int | None = None, token: str | None = None
) -> Call[models.ListPendingMessagesResponse]:
    """A page of what agents send: what waits for approval, most urgent first, or any other ``status``."""
    where = path("messages", status=status, page_size=page_size, token=token or None)
    return Call("GET", where, shaped(models.ListPendingMessagesResponse), safe=True)


def get_pending_message(message_id: str) -> Call[models.PendingMessageDetail]:
    """One message that an agent sends, held or released, by our id or by its Message-ID."""
    return Call("GET", path("messages", message_id), shaped(models.PendingMessageDetail), safe=True)


def get_pending_attachment(message_id: str, index: int) -> Call[bytes]:
    """The octets of one attachment of a held message."""
    return Call("GET", path("messages", message_id, "attachments", str(index)), octets, safe=True)


def approve_message(
    message_id: str,
    overrides: models.ApprovePendingMessageRequest | None = None,
    *,
    idempotency_key: str | None = None,
) -> Call[models.ApprovePendingMessageResponse]:
    """Send a held message, as it is or with edits."""
    wait = overrides.wait if overrides is not None else None
    return Call(
        "POST",
        path("messages", message_id, "approve"),
        shaped(models.ApprovePendingMessageResponse),
        content(overrides, only_set=True) if overrides is not None else b"{}",
        once(idempotency_key),
        _OUTCOME_WAIT if wait is None else wait,
        True,
    )


def resend_message(message_id: str, *, idempotency_key: str | None = None) -> Call[models.SendEmailResponse]:
    """Send a message that nobody is known to have taken once more, the same bytes.

    Whoever has it already gets a second copy: that is why it never happens by itself. Anything but ``unknown`` and
    ``failed`` is a ``ConflictError``.
    """
    return Call(
        "POST",
        path("messages", message_id, "resend"),
        shaped(models.SendEmailResponse),
        b"{}",
        once(idempotency_key),
        _OUTCOME_WAIT,
        True,
    )


def reject_message(message_id: str, reason: str = "") -> Call[models.RejectPendingMessageResponse]:
    """Decide that a held message is not sent."""
    return Call(
        "POST",
        path("messages", message_id, "reject"),
        shaped(models.RejectPendingMessageResponse),
        content({"reason": reason}),
    )


def _submitted(
    where: str,
    request: models.SendEmailRequest | models.ReplyToMessageRequest | models.ForwardMessageRequest,
    key: str | None,
) -> Call[models.SendEmailResponse]:
    wait = _OUTCOME_WAIT if request.wait is None else request.wait
    return Call("POST", where, shaped(models.SendEmailResponse), content(request), once(key), wait, True)


# --- the deployment ---------------------------------------------------------------------------------------------------


def get_info() -> Call[DeploymentInfo]:
    """What the deployment says of itself."""
    return Call("GET", path("info"), shaped(DeploymentInfo), safe=True)
