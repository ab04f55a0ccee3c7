"""What other processes announce: LISTEN on one connection of its own.

A notification is a hint. While the connection was away any number may have been missed, and observers of the gap read
what they need from the tables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from e2a.core.errors import Unavailable

from .connection import Connection, Target
from .reconnecting import Reconnecting

#: Inbound mail was committed; the payload has one line ``agent_id message_id`` for each copy, and a third word ``due``
#: when it is to be delivered to a webhook.
MAIL = "e2a_mail"
#: A row that caches hold has changed or gone; the payload is ``kind id``, kind one of ``changes.Kind``.
CHANGED = "e2a_changed"
#: Mail to people was queued; the payload is empty.
OUTBOX = "e2a_outbox"


class Listener:
    """:param dsn: as for ``Database``; a pooler in transaction mode cannot carry it.
    :raises SettingsError: the DSN cannot be read.
    """

    _log = Logger()

    def __init__(self, reactor: Any, dsn: str, channels: tuple[str, ...] = (MAIL, CHANGED, OUTBOX)) -> None:
        self._reactor = reactor
        self._target = Target(reactor, dsn)
        self._channels = channels
        self._observers: dict[str, list[Callable[[str], object]]] = {channel: [] for channel in channels}
        self._gap_observers: list[Callable[[], object]] = []
        #: Whether announcements arrive, as far as is known.
        self.connected = False
        self._running = False
        self._connection: Connection | None = None
        self._returning = Reconnecting(
            reactor, "the database's announcements", self._return, lambda: self._running and self._connection is None
        )

    def observe(self, channel: str, callback: Callable[[str], object]) -> None:
        """Call ``callback(payload)`` for each announcement, in the order of commits. What it raises is logged."""
        self._observers[channel].append(callback)

    def on_gap(self, callback: Callable[[], object]) -> None:
        """Call ``callback()`` each time listening has resumed after announcements may have been missed."""
        self._gap_observers.append(callback)

    async def start(self) -> None:
        """:raises Unavailable: the database cannot be reached."""
        self._running = True
        try:
            await self._listen()
        except Unavailable:
            self._running = False
            raise

    async def stop(self) -> None:
        self._running = False
        if self._connection is not None:
            self._connection.close()
        await self._returning.stop()

    async def _listen(self) -> None:
        try:
            connection = await self._target.dial(self._remember)
            connection.on_notify = self._notified
            connection.on_lost = self._lost
            await connection.cursor().execute("; ".join(f"LISTEN {channel}" for channel in self._channels))
        except Exception as error:
            failed, self._connection = self._connection, None
            if failed is not None:
                failed.on_lost = None
                failed.close()
            raise Unavailable("the database cannot be reached") from error
        self.connected = True
        if not self._running:
            connection.close()

    def _remember(self, connection: Connection) -> None:
        self._connection = connection

    def _notified(self, channel: str, payload: str) -> None:
        for callback in self._observers.get(channel, ()):
            try:
                callback(payload)
            except Exception:
                self._log.failure("observer of {channel}", channel=channel)

    def _lost(self, connection: Connection) -> None:
        self._connection, self.connected = None, False
        if self._running:
            self._returning.begin()

    async def _return(self) -> None:
        await self._listen()
        for callback in self._gap_observers if self._running else ():
            try:
                callback()
            except Exception:
                self._log.failure("observer of a gap")
