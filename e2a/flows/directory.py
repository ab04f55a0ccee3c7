"""What every RCPT and every API request asks, answered from memory: whose address, whose key.

An answer is kept until a writer says that it changed (``changed``), until notifications may have been missed
(``clear``), or for a few seconds at the most. A hit takes no reactor turn. What is not there is forgotten within a
second, so that a new agent or key works at once even when its notification is late.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from e2a.core.entities import Principal, Recipient
from e2a.core.errors import E2AError, Unauthenticated
from e2a.core.mail.addresses import split, split_tag
from e2a.core.trust import apikeys
from e2a.store import agents, keys
from e2a.store.keys import Held

from .ports import Now, Transactions

#: Seconds for which "there is none" is believed.
NEGATIVE_SECONDS = 1.0
#: Questions about addresses under way at a time, and addresses in one of them. What is asked meanwhile shares the next.
QUESTIONS = 2
ADDRESSES = 200
#: Local parts that reach the operator on every hosted domain unless an agent has the very address (RFC 2142).
OPERATOR_NAMES = frozenset({"postmaster", "abuse"})

V = TypeVar("V")


class Miss(Enum):
    """The cache cannot answer; ask with ``await``."""

    MISS = "miss"


MISS = Miss.MISS


class _Cache(Generic[V]):
    """Answers by key, None for "there is none", with one question per key under way at a time."""

    _log = Logger()

    def __init__(self, now: Now, seconds: float, capacity: int) -> None:
        self._now = now
        self._seconds = seconds
        self._capacity = capacity
        self._found: dict[Any, tuple[float, V]] = {}
        # Apart, so that a flood of questions about what is not there pushes out nothing that is.
        self._absent: dict[Any, float] = {}
        self._loading: dict[Any, list[Deferred[V | None]]] = {}

    def get(self, key: Any) -> V | Miss | None:
        entry = self._found.get(key)
        if entry is not None:
            return entry[1] if self._now() < entry[0] else MISS
        return None if self._now() < self._absent.get(key, 0.0) else MISS

    async def load(self, key: Any, fetch: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        """The answer of ``fetch``, shared with whoever asks for the same key meanwhile."""
        waiter: Deferred[V | None] = Deferred()
        waiting = self._loading.get(key)
        if waiting is not None:
            waiting.append(waiter)
        else:
            self._loading[key] = waiting = [waiter]
            # On its own: a caller who leaves must not take the answer away from the others.
            Deferred.fromCoroutine(self._fetch(key, fetch, waiting)).addErrback(
                lambda failure: self._log.failure("directory", failure)
            )
        return await waiter

    async def _fetch(
        self, key: Any, fetch: Callable[[], Coroutine[Any, Any, V | None]], waiting: list[Deferred[V | None]]
    ) -> None:
        try:
            answer = await fetch()
        except Exception as error:
            self._settled(key, waiting)
            for waiter in waiting:
                waiter.errback(error if isinstance(error, E2AError) else Failure())
            return
        # Dropped while it was asked: those who wait may have the answer, nobody after them.
        if self._settled(key, waiting):
            self._put(key, answer)
        for waiter in waiting:
            waiter.callback(answer)

    def _settled(self, key: Any, waiting: list[Deferred[V | None]]) -> bool:
        if self._loading.get(key) is not waiting:
            return False
        del self._loading[key]
        return True

    def _put(self, key: Any, answer: V | None) -> None:
        self._found.pop(key, None)
        self._absent.pop(key, None)
        entries: dict[Any, Any] = self._absent if answer is None else self._found
        if len(entries) >= self._capacity:
            del entries[next(iter(entries))]
        now = self._now()
        entries[key] = now + NEGATIVE_SECONDS if answer is None else (now + self._seconds, answer)

    def drop(self, concerns: Callable[[Any, V | None], bool]) -> None:
        """Forget every answer, and distrust every one under way, for which ``concerns(key, answer)`` holds."""
        for key in [key for key, (_, answer) in self._found.items() if concerns(key, answer)]:
            del self._found[key]
        for entries in (self._absent, self._loading):
            for key in [key for key in entries if concerns(key, None)]:
                del entries[key]

    def clear(self) -> None:
        self._found.clear()
        self._absent.clear()
        self._loading.clear()


@dataclass(frozen=True, slots=True)
class _Holder:
    principal: Principal
    key_id: str
    expires_at: float


class Directory:
    """:param operator: the address of the operator's mailbox.
    :param recipient_seconds: how long an address is believed in without a notification.
    :param key_seconds: the same for a key, which is how long a revoked one can live when notifications are lost.
    :param capacity: how many addresses, and how many keys, are kept.
    """

    def __init__(
        self,
        database: Transactions,
        now: Now,
        *,
        operator: str,
        recipient_seconds: float = 30.0,
        key_seconds: float = 5.0,
        capacity: int = 20_000,
    ) -> None:
        self._database = database
        self._now = now
        self._operator = operator
        self._recipients: _Cache[str] = _Cache(now, recipient_seconds, capacity)
        self._keys: _Cache[_Holder] = _Cache(now, key_seconds, capacity)
        self._used: dict[str, float] = {}
        self._wanted: list[tuple[str, Deferred[str | None]]] = []
        self._questions = 0

    # --- addresses ------------------------------------------------------------------------------------------------

    def cached_recipient(self, address: str) -> Recipient | Miss | None:
        """What ``recipient`` would answer, if that is known already, else ``MISS``."""
        agent_id = self._recipients.get(address.lower())
        return agent_id if agent_id is None or agent_id is MISS else _recipient(address, agent_id)

    async def recipient(self, address: str) -> Recipient | None:
        """The agent that a RCPT address reaches; None when there is none.

        Case does not matter. ``bot+tag@`` reaches ``bot@`` unless an agent has the tagged address itself.
        ``postmaster`` and ``abuse`` of a hosted domain, and ``postmaster`` without a domain (RFC 5321 4.5.1), reach
        the operator.

        :param address: without brackets; the local part quoted only where it must be.
        :raises Unavailable: the database cannot be asked.
        """
        known = self.cached_recipient(address)
        if known is not MISS:
            return known
        key = address.lower()
        agent_id = await self._recipients.load(key, lambda: self._find_agent(key))
        return None if agent_id is None else _recipient(address, agent_id)

    async def _find_agent(self, address: str) -> str | None:
        local, domain = split(address)
        if not domain:
            return self._operator if local == "postmaster" else None
        # NUL cannot be bound, and a quoted local part is no agent's.
        if "\0" in address or local.startswith('"'):
            return None
        answer: Deferred[str | None] = Deferred()
        self._wanted.append((address, answer))
        self._ask()
        return await answer

    def _ask(self) -> None:
        while self._wanted and self._questions < QUESTIONS:
            wanted, self._wanted = self._wanted[:ADDRESSES], self._wanted[ADDRESSES:]
            self._questions += 1
            Deferred.fromCoroutine(self._answer(wanted)).addBoth(self._answered)

    def _answered(self, _: object) -> None:
        self._questions -= 1
        self._ask()

    async def _answer(self, wanted: list[tuple[str, Deferred[str | None]]]) -> None:
        candidates = {candidate for address, _ in wanted for candidate in (address, split_tag(address)[0])}
        domains = {split(address)[1] for address, _ in wanted}
        try:
            found, hosted = await self._database.read(
                "recipient", agents.reach, list(candidates), list(domains), self._operator
            )
        except Exception as error:
            if len(wanted) > 1 and not isinstance(error, E2AError):
                # One of them cannot be asked about.
                for one in wanted:
                    await self._answer([one])
                return
            failure = Failure()
            for _, answer in wanted:
                answer.errback(failure)
            return
        for address, answer in wanted:
            answer.callback(self._reached(address, found, hosted))

    def _reached(self, address: str, found: frozenset[str], hosted: frozenset[str]) -> str | None:
        base = split_tag(address)[0]
        if address in found:
            return address
        if base in found:
            return base
        local, domain = split(base)
        return self._operator if domain in hosted and local in OPERATOR_NAMES else None

    # --- keys -----------------------------------------------------------------------------------------------------

    async def principal(self, token: str) -> Principal:
        """Who holds this API key.

        :raises Unauthenticated: nobody: it is malformed, unknown, revoked or expired.
        :raises Unavailable: the database cannot be asked.
        """
        if not apikeys.well_formed(token):
            raise Unauthenticated
        digest = apikeys.digest(token)
        holder = self._keys.get(digest)
        if isinstance(holder, Miss):
            holder = await self._keys.load(digest, lambda: self._find_key(digest))
        now = self._now()
        if holder is None or holder.expires_at <= now:
            raise Unauthenticated
        self._used[holder.key_id] = now
        return holder.principal

    async def _find_key(self, digest: bytes) -> _Holder | None:
        moment = datetime.fromtimestamp(self._now(), UTC)
        held = await self._database.run("key", keys.find_key, digest, moment)
        if held is None:
            return None
        expires_at = held.key.expires_at.timestamp() if held.key.expires_at is not None else float("inf")
        return _Holder(principal_of(held), held.key.id, expires_at)

    async def record_use(self) -> None:
        """Write down when keys were last used. To be called once a minute: requests themselves write nothing.

        :raises Unavailable: it was not written; the next call writes it.
        """
        used, self._used = self._used, {}
        if not used:
            return
        moments = {key_id: datetime.fromtimestamp(at, UTC) for key_id, at in used.items()}
        try:
            await self._database.run("key use", keys.record_use, moments)
        except Exception:
            self._used = used | self._used
            raise

    # --- changes --------------------------------------------------------------------------------------------------

    def changed(self, payload: str) -> None:
        """Take in a notification of ``e2a_changed``."""
        kind, _, changed = payload.partition(" ")
        if kind == "agent":
            self._recipients.drop(lambda key, agent: changed in (key, agent) or split_tag(key)[0] == changed)
            # Keys bound to an agent go with it.
            self._keys.drop(lambda _, holder: holder is None or holder.principal.agent_id == changed)
        elif kind == "domain":
            self._recipients.drop(lambda key, _: split(key)[1] == changed)
        elif kind == "key":
            self._keys.drop(lambda _, holder: holder is None or holder.key_id == changed)

    def clear(self) -> None:
        """Forget everything: notifications may have been missed."""
        self._recipients.clear()
        self._keys.clear()


def principal_of(held: Held) -> Principal:
    """What holding this key makes of its holder."""
    key = held.key
    return Principal(
        organisation_id=key.organisation_id,
        user_id=key.user_id,
        permissions=held.allows,
        key_id=key.id,
        agent_id=key.agent_id,
        label_prefix=key.label_prefix,
        key_prefix=key.key_prefix,
    )


def _recipient(address: str, agent_id: str) -> Recipient:
    base, tag = split_tag(address)
    return Recipient(address, agent_id, tag if base.lower() == agent_id else "")
