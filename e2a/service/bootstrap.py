"""The first user and key, made by a process of its own beside a running daemon or without one."""

from __future__ import annotations

import os
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..core.errors import E2AError, SettingsError, Unavailable
from ..core.settings import Settings
from ..flows.bootstrap import bootstrap_user
from ..store import schema
from ..store.database import Database
from .options import sealer_of, with_secret


@dataclass(frozen=True, slots=True)
class Made:
    """:ivar error: why nothing was made; ``""`` when all is well."""

    email: str = ""
    user_id: str = ""
    key: str = ""
    error: str = ""


def run(settings: Settings, email: str) -> Made:
    """Make or find the user and mint a key named ``bootstrap``. Runs the reactor, so it works once per process."""
    from twisted.internet import reactor

    try:
        settings = with_secret(settings)
        if settings.database.url:
            return _completed(reactor, make(reactor, settings, settings.database.url, email))
        from .embedded import EmbeddedPostgres

        embedded = EmbeddedPostgres(settings.data_dir)
        dsn = embedded.start()
        try:
            return _completed(reactor, make(reactor, settings, dsn, email))
        finally:
            embedded.stop()
    except SettingsError as error:
        return Made(error="; ".join(error.complaints))
    except E2AError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        return Made(error=f"the database cannot be reached: {reason}" if isinstance(error, Unavailable) else reason)


async def make(reactor: Any, settings: Settings, dsn: str, email: str) -> Made:
    """The same on a database that runs.

    :raises E2AError: the database cannot be reached, or ``email`` is no address.
    """
    sealer = sealer_of(settings)
    database = Database(reactor, dsn, 1)
    await database.start()
    try:
        await schema.apply(database)
        user, key = await bootstrap_user(database, email, sealer, os.urandom)
    finally:
        await database.stop()
    return Made(user.email, user.id, key)


def _completed(reactor: Any, work: Coroutine[Any, Any, Made]) -> Made:
    """``work``'s result, after running the reactor until it is there."""
    outcome: list[Any] = []

    def begin() -> None:
        Deferred.fromCoroutine(work).addBoth(outcome.append).addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    made: Made = outcome[0]
    return made
