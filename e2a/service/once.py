"""Work that a command does in a process of its own: the reactor runs until it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..core.settings import Settings
from ..store.database import Database

T = TypeVar("T")


def completed(reactor: Any, work: Coroutine[Any, Any, T]) -> T:
    """``work``'s result, or what it raised. A reactor runs once, so this works once per process."""
    outcome: list[Any] = []

    def begin() -> None:
        Deferred.fromCoroutine(work).addBoth(outcome.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    result: T = outcome[0]
    return result


def on_database(reactor: Any, settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """What ``work`` makes of the configured database, or of the embedded one, which runs meanwhile.

    :raises Unavailable: the database cannot be reached.
    :raises SettingsError: the embedded server cannot be had.
    """

    async def open_and_work(dsn: str) -> T:
        database = Database(reactor, dsn, 1)
        await database.start()
        try:
            return await work(database)
        finally:
            await database.stop()

    if settings.database.url:
        return completed(reactor, open_and_work(settings.database.url))
    from .embedded import EmbeddedPostgres

    embedded = EmbeddedPostgres(settings.data_dir)
    dsn = embedded.start()
    try:
        return completed(reactor, open_and_work(dsn))
    finally:
        embedded.stop()
