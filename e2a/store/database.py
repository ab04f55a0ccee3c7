"""Transactions over a small pool of connections.

A caller who leaves never stops a transaction half way: cancelling abandons the wait, not the work. What cannot be
reached, and what may or may not have been committed, is ``Unavailable``: every write must be safe to repeat.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

import psycopg2
from psycopg2.errors import ForeignKeyViolation as Orphaned
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_IDLE
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from txpostgres.txpostgres import UnexpectedPollResult

from e2a.core.errors import E2AError, Unavailable

from .connection import Connection, Cursor, StatementTimeout, Target
from .reconnecting import Reconnecting

#: ``Orphaned``: what a new row belongs to was removed at the same time. Nothing was done.
__all__ = ["Blocked", "Collision", "Database", "Orphaned", "StatementTimeout", "Undone"]

T = TypeVar("T")

#: Seconds that a transaction waits for a connection.
WAIT_SECONDS = 5
#: Seconds that stop() lets running transactions finish.
DRAIN_SECONDS = 10

#: SQLSTATE classes and codes that say "not now" and nothing about the statement: connection, transaction rollback
#: (deadlock, serialization), resources, operator intervention, system error; lock timeout; a primary that became a
#: standby.
_PASSING_CLASSES = frozenset({"08", "40", "53", "57", "58"})
_PASSING_CODES = frozenset({"25006", "25P03"})
_LOCKED = "55P03"
#: Serialisation failure and deadlock: the transaction met another one and lost; running it again is the answer
#: (PostgreSQL manual, 13.5).
_COLLISIONS = frozenset({"40001", "40P01"})
#: How often ``insist`` runs its work at the most, and the longest pause before the second time, in seconds; each
#: further one may be twice as long.
ATTEMPTS = 8
FIRST_PAUSE = 0.02
_BROKEN = (ConnectionDone, ConnectionLost, UnexpectedPollResult, psycopg2.InterfaceError)


class Undone(Unavailable):
    """Others that ran at the same time stood in the way. Nothing was done."""


class Collision(Undone):
    """The transaction could not be put in a row with the others."""


class Blocked(Undone):
    """A lock was not free in time."""


class Metrics(Protocol):
    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...


class Database:
    """:param dsn: a ``postgresql://`` URL or a libpq connection string.
    :param size: how many connections to hold.
    :param metrics: told ``database_transaction_seconds`` (label ``transaction``), ``database_wait_seconds`` when a
        transaction had to wait for a connection, ``database_unavailable`` and ``database_connections_lost``.
    :raises SettingsError: the DSN cannot be read.
    """

    _log = Logger()

    def __init__(self, reactor: Any, dsn: str, size: int = 4, metrics: Metrics | None = None) -> None:
        self._reactor = reactor
        self._target = Target(reactor, dsn)
        self._size = size
        self._metrics = metrics
        self._running = False
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiting: deque[Deferred[Connection]] = deque()
        self._dialling: Connection | None = None
        self._refilling = Reconnecting(
            reactor, "the database", self._dial, lambda: self._running and len(self._open) < self._size
        )
        self._drained: Deferred[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether at least one connection stands, as far as is known."""
        return bool(self._open)

    async def start(self) -> None:
        """Open the connections.

        :raises Unavailable: the first one cannot be had; nothing is left open.
        """
        self._running = True
        try:
            await self._dial()
        except Unavailable:
            self._running = False
            raise
        while self._running and len(self._open) < self._size:
            try:
                await self._dial()
            except Unavailable:
                self._refilling.begin()
                break

    async def stop(self) -> None:
        """Refuse new transactions, let running ones finish for up to ten seconds, close everything."""
        self._running = False
        while self._waiting:
            self._waiting.popleft().errback(Unavailable("shutting down"))
        if self._dialling is not None:
            self._dialling.close()
        await self._refilling.stop()
        if len(self._open) > len(self._idle):
            self._drained = Deferred()
            timer = self._reactor.callLater(DRAIN_SECONDS, self._drained.callback, None)
            await self._drained
            self._drained = None
            if timer.active():
                timer.cancel()
        for connection in list(self._open):
            connection.close()

    async def run(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run ``work(cursor, *args)`` in one transaction: committed when it returns, rolled back when it raises.

        :param name: for logs and metrics.
        :raises Unavailable: no connection within five seconds, the connection broke, a time limit ended it, or the
            outcome of the commit is unknown.
        """
        return await self._transaction(name, b"begin;", work, args)

    async def statement(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As :meth:`run`, for work that executes one statement: it is a transaction by itself, without the round trip
        of a commit. A second one raises ``RuntimeError``."""
        return await self._transaction(name, b"", work, args, lone=True)

    async def read(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As :meth:`run`, for what writes nothing: each statement is a transaction by itself, in one round trip."""
        return await self._transaction(name, b"", work, args)

    async def snapshot(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As :meth:`run`, read-only, with every statement seeing the same moment."""
        return await self._transaction(name, b"begin isolation level repeatable read read only;", work, args)

    async def insist(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As :meth:`run`, for work that is big enough to collide with others: it is run again, from the start, when it
        has lost against another transaction.

        :raises Unavailable: also when it still collides after ``ATTEMPTS``.
        """
        pause = FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            try:
                return await self.run(name, work, *args)
            except Collision:
                if attempt == ATTEMPTS - 1:
                    raise
                # At random, so that two which met do not meet again.
                await deferLater(self._reactor, random.uniform(0, pause))
                pause *= 2
        raise AssertionError("unreachable")

    async def _transaction(
        self, name: str, begin: bytes, work: Callable[..., Awaitable[T]], args: tuple[Any, ...], lone: bool = False
    ) -> T:
        connection = self._idle.pop() if self._idle and self._running else await self._wait()
        shield: Deferred[T] = Deferred()
        Deferred.fromCoroutine(self._perform(connection, name, begin, work, args, lone)).addCallbacks(
            shield.callback, self._failed, errbackArgs=(name, shield)
        )
        return await shield

    def _failed(self, failure: Failure, name: str, shield: Deferred[Any]) -> None:
        if self._metrics is not None and failure.check(Unavailable):
            self._metrics.count("database_unavailable")
        if shield.called and failure.check(E2AError) is None:
            self._log.failure("{transaction}, which nobody waits for any more", failure, transaction=name)
        shield.errback(failure)

    async def _perform(
        self,
        connection: Connection,
        name: str,
        begin: bytes,
        work: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        lone: bool,
    ) -> T:
        started = self._reactor.seconds()
        try:
            cur = connection.cursor()
            cur.prologue = begin
            cur.lone = lone
            try:
                result = await work(cur, *args)
                if begin and cur.prologue != begin:
                    await cur.execute("commit")
            except Exception:
                await self._roll_back(connection, cur)
                raise
            # COMMIT of a transaction whose error the work swallowed is answered ROLLBACK, without an error.
            if begin and cur.prologue != begin and cur.statusmessage != "COMMIT":
                raise Unavailable("the transaction was rolled back")
            return result
        except E2AError:
            raise
        except _BROKEN as error:
            connection.close()
            raise Unavailable() from error
        except psycopg2.Error as error:
            code = error.pgcode or ""
            lost = not connection.alive or (not code and isinstance(error, psycopg2.OperationalError))
            if lost or code == "25006":
                connection.close()
            if code in _COLLISIONS:
                raise Collision() from error
            if code == _LOCKED:
                raise Blocked() from error
            if lost or code[:2] in _PASSING_CLASSES or code in _PASSING_CODES:
                raise Unavailable() from error
            raise
        finally:
            self._release(connection)
            if self._metrics is not None:
                seconds = self._reactor.seconds() - started
                self._metrics.observe("database_transaction_seconds", seconds, transaction=name)

    async def _roll_back(self, connection: Connection, cur: Cursor) -> None:
        if not connection.alive:
            return
        status = connection.get_transaction_status()
        if status == TRANSACTION_STATUS_IDLE:
            return
        try:
            if status == TRANSACTION_STATUS_ACTIVE:
                raise Unavailable("a statement was left running")
            cur.prologue = b""
            await cur.execute("rollback")
        except Exception:
            connection.close()

    def _release(self, connection: Connection) -> None:
        if connection.alive and connection.get_transaction_status() != TRANSACTION_STATUS_IDLE:
            connection.close()
        if connection.alive:
            self._give(connection)
        if self._drained is not None and len(self._open) == len(self._idle):
            drained, self._drained = self._drained, None
            drained.callback(None)

    def _give(self, connection: Connection) -> None:
        if self._waiting:
            self._waiting.popleft().callback(connection)
        else:
            self._idle.append(connection)

    async def _wait(self) -> Connection:
        if not self._running:
            raise Unavailable("the database is not open")
        waiter: Deferred[Connection] = Deferred(self._waiting.remove)
        self._waiting.append(waiter)
        timer = self._reactor.callLater(WAIT_SECONDS, self._expire, waiter)
        started = self._reactor.seconds()
        try:
            return await waiter
        finally:
            if timer.active():
                timer.cancel()
            if self._metrics is not None:
                self._metrics.observe("database_wait_seconds", self._reactor.seconds() - started)

    def _expire(self, waiter: Deferred[Connection]) -> None:
        self._waiting.remove(waiter)
        if self._metrics is not None:
            self._metrics.count("database_unavailable")
        waiter.errback(Unavailable("no database connection is free"))

    async def _dial(self) -> None:
        try:
            connection = await self._target.dial(self._remember)
        finally:
            self._dialling = None
        if not self._running:
            connection.close()
            return
        connection.on_lost = self._lost
        self._open.add(connection)
        self._give(connection)

    def _remember(self, connection: Connection) -> None:
        self._dialling = connection

    def _lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._running:
            if self._metrics is not None:
                self._metrics.count("database_connections_lost")
            self._refilling.begin()
