"""What every RCPT and every API request asks, answered from memory: whose address, whose key.

An answer is kept until a writer says that it changed (``changed``), until notifications may have been missed
(``clear``), or for a few seconds at the most. A hit takes no reactor turn. What is not there is forgotten within a
second, so that a new agent or key works at once even when its notification is late.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from e2a.core.entities import Principal, Recipient
from e2a.core.errors import E2AError, Unauthenticated
from e2a.core.mail.addresses import split, split_tag
from e2a.core.trust import apikeys
from e2a.store import agents, keys
from e2a.store.keys import Held

from .answers import MISS, Answers, Miss
from .ports import Now, Transactions

#: Questions about addresses under way at a time, and addresses in one of them. What is asked meanwhile shares the next.
QUESTIONS = 2
ADDRESSES = 200
#: Local parts that reach the operator on every hosted domain unless an agent has the very address (RFC 2142).
OPERATOR_NAMES = frozenset({"postmaster", "abuse"})

#: What every key that nobody holds is about: it may have been made.
_NOBODY = "nobody"


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
        self._recipients: Answers[str] = Answers(now, recipient_seconds, capacity, _about_recipient)
        self._keys: Answers[_Holder] = Answers(now, key_seconds, capacity, _about_key)
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
        holder = await self._keys.find(digest, lambda: self._find_key(digest))
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
            self._recipients.changed(changed)
        elif kind == "domain":
            self._recipients.changed(_domain(changed))
        if kind in ("agent", "key"):
            # Keys bound to an agent go with it.
            self._keys.changed((kind, changed))
            self._keys.changed(_NOBODY)

    def clear(self) -> None:
        """Forget everything: notifications may have been missed."""
        self._recipients.clear()
        self._keys.clear()


def _about_recipient(address: str, agent_id: str | None) -> tuple[Hashable, ...]:
    """The address, the agent that its tag is cut from, the domain, and the agent that answers for it."""
    base, domain = split_tag(address)[0], split(address)[1]
    return tuple({address, base, agent_id or base, _domain(domain)})


def _domain(name: str) -> str:
    """The subject, which is no address."""
    return f"@{name}"


def _about_key(digest: bytes, holder: _Holder | None) -> tuple[Hashable, ...]:
    if holder is None:
        return (_NOBODY,)
    return ("key", holder.key_id), ("agent", holder.principal.agent_id)


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
