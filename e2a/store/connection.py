"""One connection to PostgreSQL on the reactor: dialled without blocking, and lost without noise."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, QueryCanceledError, parse_dsn
from psycopg2.extras import NamedTupleCursor
from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from txpostgres import txpostgres

from e2a.core.errors import SettingsError, Unavailable

#: Seconds until an attempt to connect is given up.
DIAL_SECONDS = 10
#: What libpq is told unless the connection string says otherwise. A peer that vanished without a word is noticed
#: within 45 s when idle and 15 s when something was sent; after a failover only the primary is used.
DEFAULTS = {
    "application_name": "e2a",
    "client_encoding": "UTF8",
    "target_session_attrs": "read-write",
    "keepalives_idle": "30",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
#: Sent as a statement and not as start-up options, because poolers refuse those. What is prepared is prepared to be
#: planned once; the server would plan a group of one anew each time, for longer than it takes to store it. Every
#: statement has an index for what it looks for: a plan made while a table was small must not read all of it when it has
#: grown.
SESSION = """
    SET timezone = 'UTC'; SET datestyle = 'ISO'; SET statement_timeout = '30s'; SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s'; SET idle_session_timeout = 0; SET standard_conforming_strings = on;
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off;
    SELECT set_config(name, 'lz4', false) FROM pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)
"""


class StatementTimeout(Unavailable):
    """The server cancelled a statement: it ran over its time limit, or an administrator ended it."""


class Cursor(txpostgres.Cursor):
    """Runs one statement at a time; ``await cur.execute(sql, params)``.

    :ivar prologue: text put before the next statement, so that BEGIN, and what ``later`` was given, cost no round trip
        of their own.
    :ivar lone: whether a statement must be the only one, because no transaction is around it.
    """

    prologue = b""
    lone = False
    _ran = False
    _pollingD: Deferred[Any] | None

    def execute(self, query: str, params: Any = None) -> Deferred[Any]:
        if self.lone and self._ran:
            raise RuntimeError("a second statement outside a transaction")
        self._ran = True
        if not self.prologue:
            return super().execute(query, params)
        try:
            text = self.prologue + self._cursor.mogrify(query, params)
        except Exception:
            return fail()
        self.prologue = b""
        return super().execute(text)

    def later(self, query: str, params: Any = None) -> None:
        """Run a statement whose answer nobody needs, together with the next one or the commit, whatever comes first.
        If it fails, that one fails.
        """
        self.prologue += self._cursor.mogrify(query, params) + b";"

    async def execute_prepared(self, name: str, types: str, query: str, params: Sequence[Any]) -> None:
        """Run a statement that each connection plans once: worth it where planning costs as much as running.

        :param types: the parameters' SQL types, in order, as in ``"json, text[]"``.
        :param query: the statement, its parameters written ``$1``, ``$2``...
        """
        await self._prepare(name, types, query)
        await self.execute(_call(name, params), params)

    async def later_prepared(self, name: str, types: str, query: str, params: Sequence[Any]) -> None:
        """``later`` for a statement that each connection plans once."""
        await self._prepare(name, types, query)
        self.later(_call(name, params), params)

    async def _prepare(self, name: str, types: str, query: str) -> None:
        prepared = self._connection.prepared
        if name not in prepared:
            await super().execute(f"PREPARE {name} ({types}) AS {query}")
            prepared.add(name)

    def _handleCancellation(self, failure: Failure) -> Failure:
        failure.trap(QueryCanceledError)
        timeout = StatementTimeout()
        timeout.__cause__ = failure.value
        return Failure(timeout)

    def continuePolling(self, swallowErrors: bool = False) -> None:
        # The parent fires its Deferred one reactor turn later, lest the caller's code run inside doRead. Nothing
        # follows in a cursor's doRead and doWrite, so the turn is saved.
        outcome: Any = self
        try:
            state = self.pollable().poll()
        except Exception:
            outcome = Failure()
        else:
            if state == POLL_READ:
                return self.reactor.addReader(self)
            if state == POLL_WRITE:
                return self.reactor.addWriter(self)
            if state != POLL_OK:
                outcome = Failure(txpostgres.UnexpectedPollResult())
        waiting, self._pollingD = self._pollingD, None
        if waiting is not None:
            waiting.callback(outcome)
        elif isinstance(outcome, Failure) and not swallowErrors:
            outcome.raiseException()


def _call(name: str, params: Sequence[Any]) -> str:
    return f"EXECUTE {name} ({', '.join(['%s'] * len(params))})"


class Connection(txpostgres.Connection):
    """A connection whose end is an event.

    :ivar on_lost: called once when the connection has ended, whoever ended it.
    :ivar on_notify: called with channel and payload of each notification.
    """

    cursorFactory = Cursor
    _log = Logger()
    on_lost: Callable[[Connection], None] | None = None
    on_notify: Callable[[str, str], None] | None = None

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor)
        #: Names of the statements prepared on this connection.
        self.prepared: set[str] = set()

    @property
    def alive(self) -> bool:
        return self._connection is not None and not self._connection.closed

    def doRead(self) -> None:
        try:
            super().doRead()
        except psycopg2.Error:
            # An idle connection was found dead; nobody waits for an answer on it.
            self.close()

    def close(self) -> None:
        """End the connection, in whatever state it is. A statement in flight fails."""
        if self._connection is None:
            return
        super().close()
        # The parent leaves the socket of a broken connection open.
        self._connection.close()

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if self.alive:
            self.close()
        lost, self.on_lost = self.on_lost, None
        if lost is not None:
            lost(self)

    def checkForNotifies(self) -> None:
        notifies = self._connection.notifies
        while notifies:
            notify = notifies.pop(0)
            try:
                if self.on_notify is not None:
                    self.on_notify(notify.channel, notify.payload)
            except Exception:
                self._log.failure("observer of {channel}", channel=notify.channel)


class Target:
    """Where and how to connect.

    :param dsn: a ``postgresql://`` URL or a libpq connection string.
    :raises SettingsError: it is neither.
    """

    def __init__(self, reactor: Any, dsn: str) -> None:
        self._reactor = reactor
        try:
            self._parameters = {**DEFAULTS, **parse_dsn(dsn)}
        except psycopg2.Error:
            # Without the cause: libpq quotes parts of the string, which may be the password.
            raise SettingsError(
                ["the database URL is neither a postgresql:// URL nor a libpq connection string"]
            ) from None

    async def dial(self, dialling: Callable[[Connection], None] = lambda connection: None) -> Connection:
        """A new connection, ready for statements.

        :param dialling: told the connection before it stands, so that its owner can close it early.
        :raises Unavailable: it cannot be had.
        """
        connection = Connection(self._reactor)
        try:
            parameters = await self._resolved()
            connecting = connection.connect(cursor_factory=NamedTupleCursor, **parameters)
            dialling(connection)
            timer = self._reactor.callLater(DIAL_SECONDS, connection.close)
            try:
                await connecting
                await connection.cursor().execute(SESSION)
            finally:
                if timer.active():
                    timer.cancel()
        except Exception as error:
            connection.close()
            raise Unavailable("the database cannot be reached") from error
        return connection

    async def _resolved(self) -> dict[str, str]:
        """The parameters with each host name's addresses, because libpq would look names up while the reactor waits."""
        names = self._parameters.get("host", "").split(",")
        if "hostaddr" in self._parameters or all(not _is_name(name) for name in names):
            return self._parameters
        ports = self._parameters.get("port", "5432").split(",")
        if len(ports) == 1:
            ports *= len(names)
        hosts: list[tuple[str, str, str]] = []
        for name, port in zip(names, ports, strict=True):
            found = await self._addresses(name) if _is_name(name) else [name]
            hosts += [(name, address, port) for address in found]
        host, address, port = (",".join(column) for column in zip(*hosts, strict=True))
        return {**self._parameters, "host": host, "hostaddr": address, "port": port}

    async def _addresses(self, name: str) -> list[str]:
        found = await deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), socket.getaddrinfo, name, None, 0, socket.SOCK_STREAM
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_name(host: str) -> bool:
    """Whether a host parameter needs a lookup: not a socket directory, not an address."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
