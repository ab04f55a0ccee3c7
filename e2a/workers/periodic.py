"""Work that repeats: it survives its errors, never overlaps itself, can be woken, and ends when it is stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from e2a.core.errors import Unavailable


class Periodic:
    """:param name: for the log.
    :param interval: seconds from the end of one round to the start of the next.
    :param work: one round.
    :param interrupt: asks the round that runs to end early; a stop begins with it.
    """

    _log = Logger()

    def __init__(
        self,
        name: str,
        interval: float,
        clock: IReactorTime,
        work: Callable[[], Awaitable[object]],
        *,
        interrupt: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self._interval = interval
        self._clock = clock
        self._work = work
        self._interrupt = interrupt
        self._running = False
        self._active = False
        self._again = False
        self._timer: IDelayedCall | None = None
        self._ended = clock.seconds()
        self._stopping: list[Deferred[None]] = []

    @property
    def idle_seconds(self) -> float:
        """How long ago a round last ended: its sign of life."""
        return self._clock.seconds() - self._ended

    def start(self) -> None:
        """Start the first round at once."""
        self._running = True
        self._ended = self._clock.seconds()
        self.wake()

    async def stop(self) -> None:
        """Start no further round; returns when the running one has ended."""
        self._running = False
        self._cancel()
        self._interrupt()
        if self._active:
            ended: Deferred[None] = Deferred()
            self._stopping.append(ended)
            await ended

    def wake(self) -> None:
        """Start a round now; if one is running, another follows it directly."""
        if not self._running:
            return
        self._again = True
        if not self._active:
            self._cancel()
            self._active = True
            Deferred.fromCoroutine(self._rounds())

    async def _rounds(self) -> None:
        while self._again and self._running:
            self._again = False
            try:
                await self._work()
            except Unavailable as error:
                self._log.warn("{name}: {text}", name=self.name, text=error.text)
            except Exception:
                # One error must not end the series: the next round may find a better world.
                self._log.failure("{name} failed and will be tried again", name=self.name)
            self._ended = self._clock.seconds()
        self._active = False
        if self._running:
            self._timer = self._clock.callLater(self._interval, self.wake)
        stopping, self._stopping = self._stopping, []
        for ended in stopping:
            ended.callback(None)

    def _cancel(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
