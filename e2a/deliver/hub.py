"""Who is connected to this process, and who hears of what.

Fed by ``store.listener``: ``mail`` and ``changed`` take its notifications, ``gap`` its return after a loss. A
notification only wakes its hearers, who read for themselves. Each process keeps one socket for an agent: a newcomer
replaces the one before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from e2a.core.entities import Principal
from e2a.core.errors import TooManyRequests, Unavailable
from e2a.core.rules.limits import network_of
from e2a.flows.live import LiveRights

#: Close codes (RFC 6455 7.4.1).
GOING_AWAY = 1001
POLICY_VIOLATION = 1008
#: Sockets judged by one statement.
BATCH = 2000


class Socket(Protocol):
    """An open live connection."""

    agent_id: str
    principal: Principal

    def wake(self) -> None:
        """There may be new mail."""
        ...

    def end(self, code: int, reason: str) -> None:
        """Close; the socket leaves the hub when it is closed."""
        ...


class Hub:
    """:param most_each: sockets at a time from one client's IPv4 address or IPv6 /64; loopback does not count."""

    _log = Logger()

    def __init__(self, rights: LiveRights, *, most_each: int = 1024) -> None:
        self._rights = rights
        self._most_each = most_each
        self._each: Counter[str] = Counter()
        self._current: dict[str, Socket] = {}
        self._open: set[Socket] = set()
        self._hearers: dict[str, set[Callable[[], object]]] = {}
        self._closing = False
        self._empty: list[Deferred[None]] = []

    @property
    def connected(self) -> int:
        """Sockets that are open or closing."""
        return len(self._open)

    # --- sockets ------------------------------------------------------------------------------------------------------

    def check_room(self, principal: Principal) -> None:
        """:raises TooManyRequests: as many sockets as may be are open to where this caller comes from."""
        whom = _whom(principal)
        if whom and self._each[whom] >= self._most_each:
            raise TooManyRequests("too many WebSockets are open to this address", retry_after=60)

    def join(self, socket: Socket) -> None:
        """Take in a socket; the agent's earlier one is closed, after this one stands."""
        self._open.add(socket)
        self._each[_whom(socket.principal)] += 1
        earlier = self._current.get(socket.agent_id)
        self._current[socket.agent_id] = socket
        if earlier is not None:
            earlier.end(POLICY_VIOLATION, "replaced by new connection")
        if self._closing:
            socket.end(GOING_AWAY, "server shutting down")

    def leave(self, socket: Socket) -> None:
        """Forget a closed socket."""
        if socket in self._open:
            self._open.discard(socket)
            whom = _whom(socket.principal)
            self._each[whom] -= 1
            if not self._each[whom]:
                del self._each[whom]
        if self._current.get(socket.agent_id) is socket:
            del self._current[socket.agent_id]
        if not self._open:
            empty, self._empty = self._empty, []
            for waiting in empty:
                waiting.callback(None)

    def subscribe(self, agent_id: str, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back whenever that agent may have new mail; returns how to end it."""
        hearers = self._hearers.setdefault(agent_id, set())
        hearers.add(callback)

        def end() -> None:
            hearers.discard(callback)
            if not hearers and self._hearers.get(agent_id) is hearers:
                del self._hearers[agent_id]

        return end

    async def close(self) -> None:
        """Close every socket, refuse newcomers; returns when all are gone. Each closes within its own time-out."""
        self._closing = True
        for socket in list(self._open):
            socket.end(GOING_AWAY, "server shutting down")
        if self._open:
            empty: Deferred[None] = Deferred()
            self._empty.append(empty)
            await empty

    # --- notifications ------------------------------------------------------------------------------------------------

    def mail(self, payload: str) -> None:
        """Take in a notification of ``e2a_mail``: lines of agent id, message id and more."""
        if not self._current and not self._hearers:
            return
        for agent_id in {line.partition(" ")[0] for line in payload.split("\n")}:
            socket = self._current.get(agent_id)
            if socket is not None:
                socket.wake()
            for callback in tuple(self._hearers.get(agent_id, ())):
                callback()

    def changed(self, payload: str) -> None:
        """Take in a notification of ``e2a_changed``: the sockets it may concern are judged anew."""
        kind, _, name = payload.partition(" ")
        if kind == "key":
            concerned = [socket for socket in self._open if socket.principal.key_id == name]
        elif kind == "agent":
            concerned = [socket for socket in self._open if socket.agent_id == name]
        elif kind == "session":
            # Named by a digest that nobody here knows; such sockets are few.
            concerned = [socket for socket in self._open if socket.principal.session_id is not None]
        else:
            return
        self._judge_soon(concerned)

    def gap(self) -> None:
        """Notifications may have been missed: everybody reads, every socket is judged."""
        for socket in list(self._current.values()):
            socket.wake()
        for hearers in list(self._hearers.values()):
            for callback in tuple(hearers):
                callback()
        self._judge_soon(list(self._open))

    # --- who may stay -------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Close the sockets whose key, session or agent is gone. To be called every few seconds: a notice may be lost.

        :raises Unavailable: the database cannot be asked.
        """
        await self._judge(list(self._open))

    async def _judge(self, sockets: list[Socket]) -> None:
        for start in range(0, len(sockets), BATCH):
            batch = sockets[start : start + BATCH]
            for place, reason in await self._rights.lost([(socket.agent_id, socket.principal) for socket in batch]):
                batch[place].end(POLICY_VIOLATION, reason)

    def _judge_soon(self, sockets: Iterable[Socket]) -> None:
        concerned = list(sockets)
        if concerned:
            Deferred.fromCoroutine(self._judge(concerned)).addErrback(self._not_judged)

    def _not_judged(self, failure: Failure) -> None:
        # The regular check comes to it when the database is back.
        if failure.check(Unavailable) is None:
            self._log.failure("judging live connections", failure)


def _whom(principal: Principal) -> str:
    """Whom a socket counts for; "" for nobody: this machine, or who has no address."""
    client_ip = principal.origin.client_ip
    try:
        return "" if ip_address(client_ip).is_loopback else network_of(client_ip)
    except ValueError:
        return ""
