"""Quotas: what an organisation may have, whether its mailboxes are full, and the operator's say in both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from e2a.core.entities import Envelope, Principal, Recipient
from e2a.core.errors import MailboxFull, NeverFits, NotFound, QuotaExceeded
from e2a.core.rules.limits import QuotaName, Quotas
from e2a.core.rules.permissions import require_whole_account
from e2a.store import agents, audit, domains
from e2a.store import quotas as store
from e2a.store.rows import Cursor

from .bootstrap import OPERATOR
from .ports import Now, Transactions

T = TypeVar("T")
#: An organisation's own quotas by name; None: the deployment's.
Own = Mapping[QuotaName, int | None]

#: Seconds for which it is believed how much an organisation keeps, and whether anybody has a quota at all.
FRESH_SECONDS = 10.0
#: Seconds that finding it out may take.
_ASKING_SECONDS = 2.0
#: Agents whose organisation is remembered.
_MOST_OWNERS = 100_000


async def quotas_of(cur: Cursor, organisation_id: str, defaults: Quotas) -> Quotas:
    """What an organisation may have. The operator may have everything: postmaster must be reached (RFC 5321 4.5.1)."""
    if organisation_id == OPERATOR:
        return Quotas()
    return defaults.overridden(await store.own_quotas(cur, organisation_id) or {})


async def check_agents(cur: Cursor, organisation_id: str, defaults: Quotas) -> None:
    """Refuse one more agent. The organisation must be locked, so that two do not take the last place.

    :raises QuotaExceeded: there are as many as may be.
    """
    most = (await quotas_of(cur, organisation_id, defaults)).agents
    if most and await agents.has_agents(cur, organisation_id, most):
        raise QuotaExceeded("agents", most)


async def check_domains(cur: Cursor, organisation_id: str, defaults: Quotas) -> None:
    """The same for one more claim on a domain.

    :raises QuotaExceeded: there are as many as may be.
    """
    most = (await quotas_of(cur, organisation_id, defaults)).domains
    if most and await domains.count_domains(cur, organisation_id) >= most:
        raise QuotaExceeded("domains", most)


async def count_message(cur: Cursor, organisation_id: str, own: int | None, defaults: Quotas) -> None:
    """Count a message that an agent sends, when the transaction commits.

    :param own: the organisation's own quota, if it has one.
    :raises QuotaExceeded: today's are used up.
    """
    most = defaults.messages_per_day if own is None else own
    if not most or organisation_id == OPERATOR:
        return
    if not await store.take_message(cur, organisation_id, most):
        raise QuotaExceeded("messages_per_day", most)


async def count_messages(
    cur: Cursor, organisations: Sequence[tuple[str, int | None]], defaults: Quotas
) -> list[QuotaExceeded | None]:
    """As ``count_message`` for several messages: for each its organisation and that one's own quota, and in the answer
    the error of a message that was not counted.
    """
    most = {one: defaults.messages_per_day if own is None else own for one, own in organisations}
    number = Counter(one for one, _ in organisations)
    wanted = {one: (count, most[one]) for one, count in number.items() if most[one] and one != OPERATOR}
    counted = await store.take_messages(cur, wanted) if wanted else set()
    errors: list[QuotaExceeded | None] = []
    for one, _ in organisations:
        # Where not all of them have room the first ones have, perhaps.
        room = one not in wanted or one in counted or await store.take_message(cur, one, most[one])
        errors.append(None if room else QuotaExceeded("messages_per_day", most[one]))
    return errors


class Storage:
    """Whether there is room for mail. Nothing is asked while nobody has a quota.

    What other replicas store is learnt after ``FRESH_SECONDS``, and what is under way counts when it is stored: an
    organisation can go over its quota by what arrives in that time.

    :param most: octets of mail that an organisation may keep, unless it has a quota of its own; 0: no limit.
    """

    def __init__(self, database: Transactions, now: Now, *, most: int = 0) -> None:
        self._database = database
        self._now = now
        self._most = most
        self._any = bool(most)
        self._stopping = False
        self._owners: dict[str, str] = {}
        #: By organisation: until when it is believed, the quota, and how much is kept.
        self._kept: dict[str, tuple[float, int, int]] = {}

    @property
    def limited(self) -> bool:
        """Whether anybody has a quota; while nobody has, there is always room."""
        return self._any

    async def refresh(self) -> None:
        """Learn whether anybody has a quota of its own; to be called every ``FRESH_SECONDS``."""
        self._any = bool(self._most) or await self._database.read("any quotas", store.any_storage_quotas)
        now = self._now()
        self._kept = {one: known for one, known in self._kept.items() if now < known[0]}
        # An address may have gone and come back as another organisation's.
        self._owners.clear()

    async def take_off_freed(self) -> None:
        """Take what was deleted off the counts, and forget the counts of days that are over. To be called every minute;
        any number of replicas may do it at once.
        """
        await self._batches("storage freed", store.take_off_freed)
        await self._batches("message days", store.forget_message_days)

    async def _batches(self, name: str, work: Callable[[Cursor], Awaitable[int]]) -> None:
        while not self._stopping:
            done = await self._database.run(name, work)
            if not done:
                break

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping = True

    async def check_recipient(self, recipient: Recipient | None) -> None:
        """:raises MailboxFull: its organisation keeps as much as it may.
        :raises Unavailable: the database cannot be asked.
        """
        if self._any and recipient is not None:
            most, size = (await self._room([recipient.agent_id]))[recipient.agent_id]
            if most and size >= most:
                raise MailboxFull

    async def check_message(self, envelope: Envelope, size: int) -> None:
        """:raises NeverFits: the message is larger than all that any of its recipients may keep."""
        if not self._any:
            return
        room = await self._room([recipient.agent_id for recipient in envelope.recipients])
        if room and all(most and size > most for most, _ in room.values()):
            raise NeverFits

    async def full(self, cur: Cursor, agent_ids: Iterable[str], size: int) -> frozenset[str]:
        """Those of these agents that have no room for a message of that size; asked in the transaction of ``cur``."""
        if not self._any:
            return frozenset()
        room = await self._room(list(agent_ids), cur)
        return frozenset(agent_id for agent_id, (most, kept) in room.items() if most and kept + size > most)

    def stored(self, agent_ids: Iterable[str], size: int) -> None:
        """Copies were stored: they count before the database is asked again."""
        if self._any:
            for agent_id in agent_ids:
                organisation_id = self._owners.get(agent_id, "")
                known = self._kept.get(organisation_id)
                if known is not None:
                    self._kept[organisation_id] = (known[0], known[1], known[2] + size)

    async def _room(self, agent_ids: list[str], cur: Cursor | None = None) -> dict[str, tuple[int, int]]:
        """For each agent its organisation's quota and how much that keeps."""
        unknown = [agent_id for agent_id in agent_ids if agent_id not in self._owners]
        if unknown:
            if len(self._owners) > _MOST_OWNERS:
                self._owners.clear()
                unknown = agent_ids
            self._owners |= await self._ask(store.owners, unknown, cur)
        organisations = {self._owners[agent_id] for agent_id in agent_ids if agent_id in self._owners}
        now = self._now()
        stale = [one for one in organisations if one not in self._kept or self._kept[one][0] <= now]
        for one in stale:
            if one in self._kept:
                # Until it is known anew, the others go by what was known: one question is enough.
                self._kept[one] = (now + _ASKING_SECONDS, *self._kept[one][1:])
        if stale:
            for found in await self._ask(store.storage_of, stale, cur):
                most = self._most if found.own is None else found.own
                if found.organisation_id == OPERATOR:
                    most = 0
                self._kept[found.organisation_id] = (now + FRESH_SECONDS, most, found.bytes)
        room: dict[str, tuple[int, int]] = {}
        for agent_id in agent_ids:
            _, most, kept = self._kept.get(self._owners.get(agent_id, ""), (0.0, 0, 0))
            room[agent_id] = most, kept
        return room

    async def _ask(
        self, question: Callable[[Cursor, Sequence[str]], Awaitable[T]], about: Sequence[str], cur: Cursor | None
    ) -> T:
        if cur is not None:
            # On this connection: those who wait for another one while they hold theirs would wait for each other.
            return await question(cur, about)
        return await self._database.read("storage", question, about)


class OperatorQuotas:
    """Reading and setting any organisation's quotas; the operator's alone."""

    def __init__(self, database: Transactions, defaults: Quotas) -> None:
        self._database = database
        self._defaults = defaults

    async def get(self, principal: Principal, organisation_id: str) -> tuple[Own, Quotas, Quotas]:
        """An organisation's own quotas, those in force, and how much it has of each.

        :raises NotFound: there is no such organisation, or the caller is not the operator.
        """
        _require_operator(principal)
        return await self._database.read("get quotas", self._get, organisation_id)

    async def _get(self, cur: Cursor, organisation_id: str) -> tuple[Own, Quotas, Quotas]:
        own = await store.own_quotas(cur, organisation_id)
        if own is None:
            raise NotFound
        in_force = Quotas() if organisation_id == OPERATOR else self._defaults.overridden(own)
        return own, in_force, await store.used(cur, organisation_id)

    async def set(self, principal: Principal, organisation_id: str, own: Own) -> tuple[Own, Quotas, Quotas]:
        """Give an organisation quotas of its own: 0 for no limit, None for those of the deployment.

        :raises NotFound: as ``get``.
        """
        _require_operator(principal)
        return await self._database.run("set quotas", self._set, principal, organisation_id, own)

    async def _set(
        self, cur: Cursor, principal: Principal, organisation_id: str, own: Own
    ) -> tuple[Own, Quotas, Quotas]:
        if not await store.set_quotas(cur, organisation_id, own):
            raise NotFound
        await audit.record(cur, principal, "quota.changed", "organisation", organisation_id, quotas=dict(own))
        return await self._get(cur, organisation_id)


def _require_operator(principal: Principal) -> None:
    if principal.organisation_id != OPERATOR:
        raise NotFound
    require_whole_account(principal)
