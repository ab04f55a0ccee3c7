"""What happens in an organisation, for the pages that show it: fed by the same notifications as the WebSockets.

An event says only that something of a kind happened; the page reads for itself. Events of one moment are told as one,
so a busy organisation does not flood those who look at it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.store import overview, quotas
from e2a.store.rows import Cursor

from .ports import Transactions

#: Mail came; a message on its way out was held, decided, sent or came back; an agent changed.
Kind = Literal["mail", "outbound", "agent"]
KINDS: tuple[Kind, ...] = ("mail", "outbound", "agent")
Told = Callable[[Kind], object]

#: Seconds for which events are gathered.
GATHERING = 0.3
#: Ids gathered at most; what is beyond is told to everybody.
MOST_GATHERED = 2000


class Events:
    """``mail``, ``changed`` and ``gap`` take what ``store.listener`` hears."""

    _log = Logger()

    def __init__(self, database: Transactions, clock: IReactorTime) -> None:
        self._database = database
        self._clock = clock
        self._hearers: dict[str, set[Told]] = {}
        self._agents: dict[Kind, set[str]] = {"mail": set(), "agent": set()}
        self._messages: set[str] = set()
        self._timer: IDelayedCall | None = None

    @property
    def hearers(self) -> int:
        return sum(map(len, self._hearers.values()))

    def subscribe(self, organisation_id: str, told: Told) -> Callable[[], None]:
        """Be told of each kind of event in the organisation; returns how to end it."""
        hearers = self._hearers.setdefault(organisation_id, set())
        hearers.add(told)

        def end() -> None:
            hearers.discard(told)
            if not hearers and self._hearers.get(organisation_id) is hearers:
                del self._hearers[organisation_id]

        return end

    # --- notifications ------------------------------------------------------------------------------------------------

    def mail(self, payload: str) -> None:
        """Take in a notification of ``e2a_mail``."""
        if self._hearers:
            self._gather(self._agents["mail"], {line.partition(" ")[0] for line in payload.split("\n")})

    def changed(self, payload: str) -> None:
        """Take in a notification of ``e2a_changed``."""
        if not self._hearers:
            return
        kind, _, name = payload.partition(" ")
        if kind == "outbound":
            self._gather(self._messages, {name})
        elif kind == "agent":
            self._gather(self._agents["agent"], {name})

    def gap(self) -> None:
        """Notifications may have been missed: everybody reads."""
        for organisation_id in list(self._hearers):
            for kind in KINDS:
                self._tell(organisation_id, kind)

    def _gather(self, into: set[str], names: set[str]) -> None:
        if len(into) < MOST_GATHERED:
            into |= names
        if self._timer is None:
            self._timer = self._clock.callLater(GATHERING, self._flush)

    def stop(self) -> None:
        """Tell nobody of what was gathered."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _flush(self) -> None:
        self._timer = None
        Deferred.fromCoroutine(self._settle()).addErrback(lambda failure: self._log.failure("events", failure))

    async def _settle(self) -> None:
        agents, messages = self._agents, self._messages
        self._agents, self._messages = {"mail": set(), "agent": set()}, set()
        if any(len(names) >= MOST_GATHERED for names in (*agents.values(), messages)):
            return self.gap()
        try:
            told = await self._database.read("events", _concerned, agents, messages)
        except Unavailable:
            # The listener's connection went as well, or a page is a moment behind.
            return
        for organisation_id, kind in sorted(told):
            self._tell(organisation_id, kind)

    def _tell(self, organisation_id: str, kind: Kind) -> None:
        for told in tuple(self._hearers.get(organisation_id, ())):
            told(kind)


async def _concerned(cur: Cursor, agents: dict[Kind, set[str]], messages: set[str]) -> set[tuple[str, Kind]]:
    found: set[tuple[str, Kind]] = set()
    everybody = sorted(set().union(*agents.values()))
    owners = await quotas.owners(cur, everybody) if everybody else {}
    for kind, names in agents.items():
        found |= {(owners[name], kind) for name in names if name in owners}
    if messages:
        found |= {(owner, "outbound") for owner in await overview.owners_of_messages(cur, sorted(messages))}
    return found
