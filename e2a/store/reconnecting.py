"""Coming back to a database that went away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from e2a.core.errors import Unavailable

#: Seconds between attempts; the last one repeats.
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)


class Reconnecting:
    """One attempt after the other for as long as one is wanted, with growing pauses while they fail.

    :param what: cannot be reached, for the log.
    :param attempt: raises ``Unavailable`` when it failed.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, what: str, attempt: Callable[[], Awaitable[None]], wanted: Callable[[], bool]
    ) -> None:
        self._reactor, self._what, self._attempt, self._wanted = reactor, what, attempt, wanted
        self._over: Deferred[None] | None = None
        self._pause: Deferred[None] | None = None

    def begin(self) -> None:
        """Start, unless it is under way."""
        if self._over is None:
            self._over = Deferred()
            Deferred.fromCoroutine(self._try()).addErrback(
                lambda failure: self._log.failure("connecting again: {what}", failure, what=self._what)
            ).addBoth(self._ended)

    async def stop(self) -> None:
        """Nothing is ``wanted`` any more: returns when the attempt in hand has ended."""
        if self._pause is not None:
            self._pause.cancel()
        if self._over is not None:
            await self._over

    def _ended(self, _: object) -> None:
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)

    async def _try(self) -> None:
        failures = 0
        while self._wanted():
            try:
                await self._attempt()
            except Unavailable as error:
                if not failures:
                    self._log.warn("{what} cannot be reached: {reason}", what=self._what, reason=_reason(error))
                if self._wanted():
                    await self._rest(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
            else:
                if failures:
                    self._log.info("{what} can be reached again", what=self._what)
                failures = 0

    async def _rest(self, seconds: float) -> None:
        self._pause = deferLater(self._reactor, seconds)
        self._pause.addErrback(lambda failure: None)
        await self._pause
        self._pause = None


def _reason(error: BaseException) -> str:
    """What is behind it all, without the lines of hints that libpq adds."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
