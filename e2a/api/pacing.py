"""Writing a long body no faster than the client takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.web.server import Request
from zope.interface import implementer

from .routing import Flow, Stream

_log = Logger()


async def send(request: Request, content: Stream | Flow, clock: IReactorTime, grace: float, slowest: float) -> None:
    """Write every chunk. A client that leaves ends it, as does one that is too slow, and an error: then the connection
    is broken off, because the beginning of the body is on its way already.

    :param grace: seconds that the client may keep us waiting in all, besides one for each ``slowest`` octets written.
    :raises CancelledError: the client left.
    """
    transport: Any = request.transport
    pace = _Pace(request, clock, transport.abortConnection, grace, slowest)
    request.registerProducer(pace, True)
    try:
        if isinstance(content, Stream):
            for chunk in content.chunks:
                await pace.write(chunk)
        else:
            async for chunk in content.chunks:
                await pace.write(chunk)
    except CancelledError:
        raise
    except Exception:
        _log.failure("an answer broke off after {octets} octets", octets=pace.written)
        transport.abortConnection()
    finally:
        pace.stop()
        # A request whose connection is gone has no channel left to unregister from.
        if request.channel is not None:
            request.unregisterProducer()
        if isinstance(content, Flow):
            content.close()


@implementer(IPushProducer)
class _Pace:
    """Hears from the transport whether the client keeps up.

    :ivar written: octets so far.
    """

    def __init__(
        self, request: Request, clock: IReactorTime, abort: Callable[[], object], grace: float, slowest: float
    ) -> None:
        self._request = request
        self._clock = clock
        self._abort = abort
        self._grace = grace
        self._slowest = slowest
        self._paused_at: float | None = None
        self._waited = 0.0
        self._timer: IDelayedCall | None = None
        self._waiting: Deferred[None] | None = None
        self.written = 0

    async def write(self, chunk: bytes) -> None:
        """Returns when more may be written."""
        self._request.write(chunk)
        self.written += len(chunk)
        if self._paused_at is not None:
            self._waiting = Deferred()
            await self._waiting

    def pauseProducing(self) -> None:
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            left = self._grace + self.written / self._slowest - self._waited
            self._timer = self._clock.callLater(max(left, 0.0), self._abort)

    def resumeProducing(self) -> None:
        if self._paused_at is None:
            return
        self._waited += self._clock.seconds() - self._paused_at
        self._paused_at = None
        self.stop()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:
        # The connection is going; Klein hears of that and cancels the handler, wherever it waits.
        self.stop()

    def stop(self) -> None:
        """Hold nothing against the client any more."""
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
