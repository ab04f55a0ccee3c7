"""The live socket of one agent.

The protocol, after an upgrade that the API has authenticated (RFC 6455):

    server -> client   text frame   one notice (``core.payloads.notice``) for every unread message, oldest first,
                                    then for every new one as it comes
    server -> client   ping         every 30 seconds
    client -> server   pong         within 10 seconds
    client -> server   anything     ignored up to 32,768 octets

A notice marks nothing as read and is not acknowledged: a message stays unread, and is announced again to the next
connection, until its detail is fetched. The server closes with

    1001 "server shutting down"       connect again, to whoever answers
    1001 "ping timeout"               no pong came
    1008 "replaced by new connection" the agent connected again
    1008 "key revoked"                or expired, or may no longer read
    1008 "agent deleted", "agent is no longer in local mode"
    1009                              a frame or message over 32,768 octets
    1011 "internal error"             connect again

A client that reads slowly is written to slowly: the next notice is only made when the one before is out of our hands.
"""

from __future__ import annotations

from typing import Any

import orjson
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.logger import Logger
from twisted.web.resource import IResource
from zope.interface import implementer

from e2a.core import payloads
from e2a.core.entities import Principal
from e2a.core.errors import Unavailable
from e2a.flows.live import PAGE, LiveFeed, LiveFeeds

from .hub import GOING_AWAY, Hub

PING_SECONDS = 30.0
PONG_SECONDS = 10.0
#: Seconds for the peer to answer a close frame, and for the opening handshake.
CLOSE_SECONDS = 5
OPEN_SECONDS = 10
#: Octets of a client's frame or message.
MAX_FRAME = 32_768
#: Seconds until the database is asked again after it could not be.
RETRY_SECONDS = 1.0
INTERNAL_ERROR = 1011


@implementer(IPushProducer)
class AgentSocket(WebSocketServerProtocol):
    """One connection. Its names in camel case are Autobahn's."""

    _log = Logger()

    def __init__(self, hub: Hub, feed: LiveFeed, clock: Any, agent_id: str, principal: Principal) -> None:
        super().__init__()
        self.agent_id = agent_id
        self.principal = principal
        self._hub = hub
        self._feed = feed
        self._clock = clock
        self._announcing: Deferred[None] | None = None
        self._waiting: Deferred[None] | None = None
        self._woken = False
        self._paused = False
        self._timer: IDelayedCall | None = None

    # --- from Autobahn ------------------------------------------------------------------------------------------------

    def onOpen(self) -> None:
        # The HTTP channel may still be registered; flow control is ours from here on.
        transport: Any = self.transport
        transport.unregisterProducer()
        transport.registerProducer(self, True)
        self._hub.join(self)
        if self.state == self.STATE_OPEN:
            self._expect_pong_after_ping()
            self._announcing = Deferred.fromCoroutine(self._announce())
            self._announcing.addErrback(self._failed)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        pass

    def onPong(self, payload: bytes) -> None:
        if self.state == self.STATE_OPEN and self._timer is not None:
            self._expect_pong_after_ping()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._quiet()
        self._hub.leave(self)

    # --- from the hub -------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There may be new mail."""
        self._woken = True
        self._go_on()

    def end(self, code: int, reason: str) -> None:
        """Close with a code that Autobahn's own ``sendClose`` keeps for itself."""
        if self.state == self.STATE_OPEN:
            self._quiet()
            self.sendCloseFrame(code=code, reasonUtf8=reason.encode("utf-8"), isReply=False)

    # --- from the transport: back-pressure ----------------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        """The connection is lost, which ``onClose`` will say."""

    # --- the work -----------------------------------------------------------------------------------------------------

    async def _announce(self) -> None:
        while True:
            self._woken = False
            try:
                page = await self._feed.page()
            except Unavailable:
                await self._rest(RETRY_SECONDS)
                continue
            for message in page:
                while self._paused:
                    await self._rest()
                self.sendMessage(orjson.dumps(payloads.notice(message)), False)
            while len(page) < PAGE and not self._woken:
                await self._rest()

    async def _rest(self, seconds: float | None = None) -> None:
        """Until something happens, or for some seconds."""
        waiting = self._waiting = Deferred()
        timer = None if seconds is None else self._clock.callLater(seconds, self._go_on)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer is not None and timer.active():
                timer.cancel()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _failed(self, failure: Any) -> None:
        if failure.check(CancelledError) is None:
            self._log.failure("live connection", failure)
            self.end(INTERNAL_ERROR, "internal error")

    def _quiet(self) -> None:
        """No notice and no ping from here on."""
        self._set_timer(None)
        announcing, self._announcing = self._announcing, None
        if announcing is not None:
            announcing.cancel()

    # --- pings --------------------------------------------------------------------------------------------------------

    def _expect_pong_after_ping(self) -> None:
        self._set_timer(self._clock.callLater(PING_SECONDS, self._ping))

    def _ping(self) -> None:
        self._timer = self._clock.callLater(PONG_SECONDS, self.end, GOING_AWAY, "ping timeout")
        self.sendPing()

    def _set_timer(self, timer: IDelayedCall | None) -> None:
        earlier, self._timer = self._timer, timer
        if earlier is not None and earlier.active():
            earlier.cancel()


class LiveSockets:
    """Makes the resources that turn an authenticated request into a socket."""

    def __init__(self, reactor: Any, hub: Hub, feeds: LiveFeeds) -> None:
        self._reactor = reactor
        self._hub = hub
        self._feeds = feeds
        self._factory: Any = WebSocketServerFactory(server="e2a", reactor=reactor)
        self._factory.setProtocolOptions(
            maxFramePayloadSize=MAX_FRAME,
            maxMessagePayloadSize=MAX_FRAME,
            failByDrop=False,
            echoCloseCodeReason=True,
            openHandshakeTimeout=OPEN_SECONDS,
            closeHandshakeTimeout=CLOSE_SECONDS,
            tcpNoDelay=True,
        )

    def live_resource(self, agent_id: str, principal: Principal) -> IResource:
        """The resource that takes over one request's connection for this agent.

        :raises TooManyRequests: the caller's address has as many sockets as may be.
        """
        self._hub.check_room(principal)
        # Importing it at the top would import the reactor, which wiring alone may do.
        from autobahn.twisted.resource import WebSocketResource

        resource: IResource = WebSocketResource(_Binding(self, agent_id, principal))
        return resource

    def socket(self, agent_id: str, principal: Principal) -> AgentSocket:
        socket = AgentSocket(self._hub, self._feeds.open(agent_id), self._reactor, agent_id, principal)
        # What Factory.buildProtocol would do, without a factory for each connection.
        socket.factory = self._factory
        socket.is_server = True
        return socket


class _Binding:
    """Stands where ``WebSocketResource`` expects a factory, and knows whom the connection belongs to."""

    def __init__(self, sockets: LiveSockets, agent_id: str, principal: Principal) -> None:
        self._sockets = sockets
        self._agent_id = agent_id
        self._principal = principal

    def buildProtocol(self, address: object) -> AgentSocket:
        return self._sockets.socket(self._agent_id, self._principal)
