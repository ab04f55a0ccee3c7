"""Live updates: one stream of server-sent events for each open page (HTML Living Standard 9.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from e2a.core.entities import Principal
from e2a.core.errors import E2AError, TooManyRequests
from e2a.core.rules.permissions import SELF
from e2a.flows.events import Events, Kind

from .routing import Gate, View, page

#: Seconds between comments that keep proxies from closing the stream; who looks is asked for as often.
HEARTBEAT = 5.0
#: Streams of one person.
MOST_STREAMS = 20


class EventStreams:
    """``/dashboard/events``: ``data: <kind>`` for each event in the organisation."""

    def __init__(self, events: Events, gate: Gate, clock: IReactorTime) -> None:
        self._events = events
        self._gate = gate
        self._clock = clock
        self._open: dict[str, int] = {}
        self._streams: set[_Stream] = set()

    @page("GET", "/dashboard/events", action=SELF)
    async def stream(self, view: View) -> Any:
        user_id = view.principal.user_id
        if self._open.get(user_id, 0) >= MOST_STREAMS:
            raise TooManyRequests("too many pages are open at once", retry_after=60)
        self._open[user_id] = self._open.get(user_id, 0) + 1
        stream = _Stream(view.principal, self._events, self._gate, self._clock, self._ended)
        self._streams.add(stream)
        return stream

    def _ended(self, stream: _Stream) -> None:
        self._streams.discard(stream)
        left = self._open.get(stream.user_id, 1) - 1
        if left:
            self._open[stream.user_id] = left
        else:
            self._open.pop(stream.user_id, None)

    def close(self) -> None:
        """End every stream; browsers come again by themselves."""
        for stream in list(self._streams):
            stream.finish()


class _Stream(Resource):
    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        principal: Principal,
        events: Events,
        gate: Gate,
        clock: IReactorTime,
        ended: Callable[[_Stream], None],
    ) -> None:
        super().__init__()
        self.user_id = principal.user_id
        self._principal = principal
        self._events = events
        self._gate = gate
        self._clock = clock
        self._ended: Callable[[_Stream], None] | None = ended
        self._request: Any = None
        self._unsubscribe: Callable[[], None] | None = None
        self._beat: Any = None

    def render(self, request: Any) -> Any:
        self._request = request
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        request.setHeader("Cache-Control", "no-store")
        request.setHeader("X-Content-Type-Options", "nosniff")
        request.setHeader("X-Accel-Buffering", "no")
        request.notifyFinish().addBoth(lambda _: self._over())
        request.write(b"retry: 2000\n\n")
        self._unsubscribe = self._events.subscribe(self._principal.organisation_id, self._told)
        self._beat = self._clock.callLater(HEARTBEAT, self._check)
        return NOT_DONE_YET

    def _told(self, kind: Kind) -> None:
        if self._request is not None:
            self._request.write(f"data: {kind}\n\n".encode("ascii"))

    def _check(self) -> None:
        Deferred.fromCoroutine(self._still()).addErrback(lambda failure: self._log.failure("event stream", failure))

    async def _still(self) -> None:
        """Go on only while the session lasts and is in the same organisation."""
        self._beat = None
        try:
            principal = await self._gate.principal(self._request)
        except E2AError:
            principal = self._principal
        if self._request is None:
            return
        if principal is None or principal.organisation_id != self._principal.organisation_id:
            self.finish()
            return
        self._request.write(b": \n\n")
        self._beat = self._clock.callLater(HEARTBEAT, self._check)

    def finish(self) -> None:
        if self._request is not None:
            self._request.finish()

    def _over(self) -> None:
        self._request = None
        if self._beat is not None and self._beat.active():
            self._beat.cancel()
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self)
