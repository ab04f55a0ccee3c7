"""Deciding about held mail: approve, reject, or let time decide. Of all who decide about a message one wins.

Approving only puts the message into the outbox, in one short transaction; what comes of it is the outbox's business.
No fault on the way out can therefore undo a decision or cost the message.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_args

from twisted.logger import Logger

from e2a.core.entities import (
    Agent,
    AttachmentInfo,
    Origin,
    OutboundMessage,
    OutboundRecipient,
    OutboundStatus,
    Principal,
)
from e2a.core.errors import Conflict, E2AError, Forbidden, Gone, NotFound
from e2a.core.mail import parts
from e2a.core.mail.parts import Content
from e2a.core.rules import holds as rules
from e2a.core.rules.holds import Edits, Revision
from e2a.core.rules.idempotency import Once
from e2a.core.rules.permissions import ROLE_PERMISSIONS, require_unbound
from e2a.core.trust.approvaltoken import Link
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import agents, audit, holds, idempotency, members, rawmail
from e2a.store import outbound as store
from e2a.store.rows import Cursor

from .outbound import Outbound, Prepared
from .outcomes import Submitted, load_submitted
from .ports import Cpu, Now, Transactions
from .scope import covers

T = TypeVar("T")

Status = OutboundStatus | Literal["all"]

#: Messages over this many octets are taken apart in the CPU pool.
INLINE_BYTES = 65_536
#: Messages whose time is over that are looked at together.
BATCH = 100

STATUSES: tuple[OutboundStatus, ...] = get_args(OutboundStatus)


@dataclass(frozen=True, slots=True)
class Page:
    """:ivar next_token: None on the last page."""

    messages: tuple[OutboundMessage, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A message as those see it who may decide about it.

    :ivar recipients: empty until it is released.
    :ivar content: what it says; None unless it is pending.
    """

    message: OutboundMessage
    recipients: tuple[OutboundRecipient, ...] = ()
    content: Content | None = field(default=None, repr=False)


class Approvals:
    """:param outbound: composes and releases."""

    _log = Logger()

    def __init__(self, database: Transactions, outbound: Outbound, pages: PageTokens, cpu: Cpu, now: Now) -> None:
        self._database = database
        self._outbound = outbound
        self._pages = pages
        self._cpu = cpu
        self._now = now
        self._running = True

    # --- looking ------------------------------------------------------------------------------------------------------

    async def page(self, principal: Principal, status: Status, size: int, token: str | None) -> Page:
        """Messages that were submitted: pending ones by urgency, others newest first.

        A key for a part of the agents sees theirs.

        :raises BadRequest: the token belongs to no page of this list.
        """
        kind = json.dumps(["outbound", principal.organisation_id, principal.agent_id, principal.label_prefix, status])
        place = self._pages.read(kind, token) if token else None
        found = await self._database.run("list outbound", _list, principal, status, place, size + 1)
        if len(found) <= size:
            return Page(tuple(found), None)
        last = found[size - 1]
        place = [last.id]
        if status == "pending_approval" and last.approval_expires_at is not None:
            place = [last.approval_expires_at.isoformat(), last.id]
        return Page(tuple(found[:size]), self._pages.make(kind, place))

    async def find(self, principal: Principal, message_id: str) -> Reviewed:
        """One message, by our id or either Message-ID.

        :raises NotFound: unknown, another organisation's, or of an agent beyond the key's reach.
        """
        found, raw = await self._database.run("find outbound", _find, principal, message_id)
        return await self._shown(found, raw)

    async def attachment(self, principal: Principal, message_id: str, index: int) -> tuple[AttachmentInfo, bytes]:
        """One attachment of a pending message.

        :raises NotFound: as for ``find``; the message is not pending, or has no such attachment.
        """
        _, raw = await self._database.run("find outbound", _find, principal, message_id)
        found = None if raw is None else await self._take_apart(parts.attachment, raw, index)
        if found is None:
            raise NotFound
        return found

    async def by_link(self, link: Link) -> Reviewed:
        """One message, for a bearer of a link.

        :raises NotFound: it is gone.
        :raises Gone: whose link it is may no longer decide.
        """
        found, raw = await self._database.run("look at outbound", _linked, link)
        return await self._shown(found, raw)

    def check_open(self, message: OutboundMessage) -> None:
        """:raises Conflict: the message cannot be approved any more."""
        rules.check_open(message, self._moment())

    async def _shown(self, found: Submitted, raw: bytes | None) -> Reviewed:
        content = None if raw is None else await self._take_apart(parts.content, raw)
        return Reviewed(found.message, found.recipients, content)

    # --- approving ----------------------------------------------------------------------------------------------------

    async def approve(
        self, principal: Principal, message_id: str, edits: Edits, *, once: Once | None = None, wait: float = 0.0
    ) -> Submitted:
        """Send a held message, as it is or edited.

        :param wait: seconds to wait for the outcome; however it ends, what was approved goes on.
        :raises NotFound: as for ``find``.
        :raises Conflict: somebody or time has decided already.
        :raises Forbidden: the agent's domain is not verified; or the key belongs to an agent.
        :raises BadRequest: an edit cannot be used; the message stays held, as it does after every other error.
        """
        require_unbound(principal)

        async def known(cur: Cursor) -> tuple[Submitted, bytes | None]:
            earlier = await self._outbound.replayed(cur, principal, once)
            return (earlier, None) if earlier is not None else await _find(cur, principal, message_id)

        found, raw = await self._database.run("find held", known)
        try:
            submitted = found if found.replayed else await self._approve(found.message, raw, edits, once, principal)
        except Conflict:
            # An equal request may be the one that has decided since the look for it.
            earlier = await self._database.run("find held", self._outbound.replayed, principal, once)
            if earlier is None:
                raise
            submitted = earlier
        return await self._outbound.settled(submitted, wait)

    async def approve_by_link(self, link: Link, *, client_ip: str = "", wait: float = 0.0) -> Submitted:
        """As ``approve``, for a bearer of a link.

        :param client_ip: where they are, for the audit log.
        :raises Gone: whose link it is may no longer decide.
        """
        found, raw = await self._database.run("find held", _linked, link)
        bearer = _bearer(found.message, link, client_ip)
        return await self._outbound.settled(await self._approve(found.message, raw, Edits(), None, bearer), wait)

    async def _approve(
        self, message: OutboundMessage, raw: bytes | None, edits: Edits, once: Once | None, by: Principal
    ) -> Submitted:
        self.check_open(message)
        return await self._send(message, raw, edits, once, by)

    async def _send(
        self, message: OutboundMessage, raw: bytes | None, edits: Edits, once: Once | None, by: Principal | None
    ) -> Submitted:
        """Compose again, dated now, and release, if nobody else does.

        :param by: who decided; None: time did.
        """
        agent = await self._database.run("get agent", _agent, message)
        if raw is None:
            raise Conflict("the message is not pending any more")
        own = self._outbound.own_addresses(agent.id)
        revision: Revision = await self._take_apart(_revised, raw, message, edits, own)
        prepared = await self._outbound.prepare(agent, revision.draft, held=message)
        return await self._database.run("approve", self._release, message, prepared, revision.edited, once, by)

    async def _release(
        self,
        cur: Cursor,
        held: OutboundMessage,
        prepared: Prepared,
        edited: bool,
        once: Once | None,
        by: Principal | None,
    ) -> Submitted:
        earlier = None if once is None else await idempotency.claim(cur, once, held.id)
        if earlier is not None:
            found = await load_submitted(cur, earlier)
            if found is None:
                raise NotFound
            return replace(found, replayed=True)
        await _agent(cur, held)
        local = [target.local.agent_id for target in prepared.targets if target.local is not None]
        await holds.lock_mailboxes(cur, local)
        if not await holds.lock_pending(cur, held.id, expired=by is None):
            raise Conflict("the message was decided about in the meantime")
        await holds.mark_reviewed(cur, held.id, edited=edited)
        if by is not None:
            await _check_bearer(cur, by)
            await _note(cur, by, "message.approved", held, edited=edited)
        submitted = await self._outbound.release(cur, prepared)
        return replace(submitted, message=replace(submitted.message, edited=edited))

    # --- rejecting ----------------------------------------------------------------------------------------------------

    async def reject(self, principal: Principal, message_id: str, reason: str) -> OutboundMessage:
        """Decide that a held message is not sent. It can be rejected for as long as it is not sent.

        :raises NotFound: as for ``find``.
        :raises Conflict: it is decided already.
        :raises Forbidden: the key belongs to an agent.
        :raises BadRequest: the reason cannot be kept.
        """
        require_unbound(principal)
        reason = rules.checked_reason(reason)

        async def work(cur: Cursor) -> OutboundMessage:
            found = await _known(cur, principal, message_id)
            return await _reject(cur, found.id, reason, principal)

        return await self._database.run("reject", work)

    async def reject_by_link(self, link: Link, reason: str, *, client_ip: str = "") -> OutboundMessage:
        """As ``reject``, for a bearer of a link.

        :param client_ip: where they are, for the audit log.
        :raises Gone: whose link it is may no longer decide.
        """
        reason = rules.checked_reason(reason)

        async def work(cur: Cursor) -> OutboundMessage:
            found, _ = await _linked(cur, link)
            return await _reject(cur, found.message.id, reason, _bearer(found.message, link, client_ip))

        return await self._database.run("reject", work)

    # --- time ---------------------------------------------------------------------------------------------------------

    async def sweep(self) -> float | None:
        """Settle every message whose time is over, as was laid down when it was held.

        :returns: seconds until the next one's time is over, not over 0 when that happened meanwhile; None when none is
            held.
        """
        begun = await self._database.run("expiry clock", holds.moment)
        while self._running:
            if await self._database.run("expire held", holds.expire, rules.EXPIRED_REASON, BATCH) < BATCH:
                break
        after: tuple[datetime, str] | None = None
        while self._running:
            due = await self._database.run("due held", _due, after)
            for message in due:
                if self._running:
                    await self._send_expired(message)
                if message.approval_expires_at is not None:
                    after = message.approval_expires_at, message.id
            if len(due) < BATCH:
                break
        return await self._database.run("next expiry", holds.next_expiry, begun) if self._running else None

    def stop(self) -> None:
        """End a running ``sweep`` after the message in hand."""
        self._running = False

    async def _send_expired(self, message: OutboundMessage) -> None:
        """Send what nobody decided about; what stands in the way for now only leaves it pending, for a later round."""
        try:
            _, raw = await self._database.run("find held", _load, message.id)
            await self._send(replace(message, sent_status="expired_approved"), raw, Edits(), None, None)
        except (Conflict, NotFound):
            # Another replica was there first, or the agent has gone.
            return
        except E2AError as error:
            self._log.warn("{message_id} is due and cannot be sent: {text}", message_id=message.id, text=error.code)
            if not error.temporary:
                reason = f"{rules.EXPIRED_REASON}: not sent, {error.text}"[: rules.LONGEST_REASON]
                await self._database.run("expire held", holds.end, message.id, "expired_rejected", reason)
        except Exception:
            self._log.failure("{message_id} is due and could not be sent", message_id=message.id)

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    async def _take_apart(self, work: Callable[..., T], raw: bytes, *args: Any) -> T:
        return await self._cpu.run(work, raw, *args) if len(raw) > INLINE_BYTES else work(raw, *args)


def _revised(raw: bytes, message: OutboundMessage, edits: Edits, own: frozenset[str]) -> Revision:
    return rules.revised(message, raw, edits, own)


async def _list(
    cur: Cursor, principal: Principal, status: Status, place: list[Any] | None, limit: int
) -> list[OutboundMessage]:
    organisation_id = principal.organisation_id
    agent_id, label_prefix = principal.agent_id, principal.label_prefix
    if status == "pending_approval":
        after = None if place is None else (datetime.fromisoformat(str(place[0])), str(place[1]))
        return await holds.list_pending(
            cur, organisation_id, after=after, limit=limit, agent_id=agent_id, label_prefix=label_prefix
        )
    statuses = STATUSES if status == "all" else (status,)
    before = None if place is None else str(place[0])
    return await holds.list_newest(
        cur, organisation_id, statuses, before=before, limit=limit, agent_id=agent_id, label_prefix=label_prefix
    )


async def _known(cur: Cursor, principal: Principal, message_id: str) -> OutboundMessage:
    if "@" in message_id and not message_id.startswith("<"):
        message_id = f"<{message_id}>"
    message = await store.find_outbound(cur, principal.organisation_id, message_id)
    if message is None or not await covers(cur, principal, message.agent_id):
        raise NotFound
    return message


async def _find(cur: Cursor, principal: Principal, message_id: str) -> tuple[Submitted, bytes | None]:
    return await _with_content(cur, await _known(cur, principal, message_id))


async def _load(cur: Cursor, message_id: str) -> tuple[Submitted, bytes | None]:
    message = await store.get_outbound(cur, message_id)
    if message is None:
        raise NotFound
    return await _with_content(cur, message)


async def _with_content(cur: Cursor, message: OutboundMessage) -> tuple[Submitted, bytes | None]:
    """The message with its bytes, as long as it is pending."""
    recipients = await store.recipients_of(cur, message.id)
    raw = None
    if message.status == "pending_approval" and message.raw_id is not None:
        try:
            raw = await rawmail.load_raw(cur, message.raw_id)
        except rawmail.RawGone:
            # Decided between the two statements.
            raw = None
    return Submitted(message, recipients), raw


async def _agent(cur: Cursor, message: OutboundMessage) -> Agent:
    """The agent, if it may send.

    :raises NotFound: it was deleted.
    :raises Forbidden: its domain is not verified.
    """
    agent = await agents.get_agent(cur, message.organisation_id, message.agent_id)
    if agent is None:
        raise NotFound
    if not agent.domain_verified:
        raise Forbidden("the domain of this agent is not verified")
    return agent


async def _reject(cur: Cursor, message_id: str, reason: str, by: Principal) -> OutboundMessage:
    ended = await holds.end(cur, message_id, "rejected", reason)
    message = await store.get_outbound(cur, message_id)
    if message is None:
        raise NotFound
    if not ended:
        raise Conflict(f"the message is not pending any more, it is {message.status}")
    await _note(cur, by, "message.rejected", message)
    return message


async def _linked(cur: Cursor, link: Link) -> tuple[Submitted, bytes | None]:
    """The message of a link with its bytes, as long as it is pending.

    :raises NotFound: it is gone.
    :raises Gone: whose link it is may no longer decide.
    """
    found = await _load(cur, link.message_id)
    await _check_bearer(cur, _bearer(found[0].message, link, ""))
    return found


def _bearer(message: OutboundMessage, link: Link, client_ip: str) -> Principal:
    """Whose link is used. They have not signed in, so they hold no permission; the link decides and nothing else."""
    return Principal(message.organisation_id, link.reviewer, frozenset(), origin=Origin(client_ip))


async def _check_bearer(cur: Cursor, by: Principal) -> None:
    """Make sure that whoever decides by a link may decide now.

    :raises Gone: they left the organisation, or their role does not decide any more.
    """
    if by.permissions:
        return
    member = await members.get_member(cur, by.organisation_id, by.user_id)
    if member is None or "reviews:decide" not in ROLE_PERMISSIONS[member.role]:
        raise Gone("this link was made for somebody who may no longer decide here")


async def _note(cur: Cursor, by: Principal, action: str, message: OutboundMessage, **detail: Any) -> None:
    if not by.permissions:
        detail["by"] = "link"
    await audit.record(cur, by, action, "message", message.id, agent=message.agent_id, **detail)


async def _due(cur: Cursor, after: tuple[datetime, str] | None) -> list[OutboundMessage]:
    return await holds.due_approvals(cur, after=after, limit=BATCH)
