"""The upgrade over a real socket: from the HTTP port to a WebSocket and back to nothing."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from e2a.api.live import Live
from e2a.api.site import BoundedSite, ClientAddresses

from .support import counting_random, make_app
from .test_messages import ScriptedMailbox


class Talk(Protocol):
    """Collects what arrives; ``until`` fires when enough is there."""

    def __init__(self) -> None:
        self.received = b""
        self._wanted: list[tuple[bytes, Deferred[None]]] = []
        self.closed: Deferred[None] = Deferred()

    def until(self, text: bytes) -> Deferred[None]:
        waiting: Deferred[None] = Deferred()
        self._wanted.append((text, waiting))
        self.dataReceived(b"")
        return waiting

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        for entry in [entry for entry in self._wanted if entry[0] in self.received]:
            self._wanted.remove(entry)
            entry[1].callback(None)

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)


def frame(text: bytes) -> bytes:
    """A masked text frame (RFC 6455 5.2)."""
    mask = os.urandom(4)
    masked = bytes(octet ^ mask[place % 4] for place, octet in enumerate(text))
    return bytes([0x81, 0x80 | len(text)]) + mask + masked


class UpgradeTests(TestCase):
    async def setUp(self) -> None:
        # Importing Autobahn's resource imports the reactor.
        from autobahn.twisted.resource import WebSocketResource
        from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol

        test = self

        class Echo(WebSocketServerProtocol):  # type: ignore[misc]
            def onOpen(self) -> None:
                test.producers.append(self.transport.producer)
                self.transport.registerProducer(Silent(), True)

            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                self.sendMessage(b"echo " + payload)

            def onClose(self, wasClean: bool, code: int, reason: str) -> None:
                test.closed.callback(None)

        self.producers: list[Any] = []
        self.closed: Deferred[None] = Deferred()
        factory = WebSocketServerFactory()
        factory.protocol = Echo
        live: Any = ScriptedMailbox()
        app = make_app(Live(live, lambda agent_id, principal: WebSocketResource(factory)))
        self.site = BoundedSite(
            app, app.body_limit, reactor=reactor, random=counting_random(), client_address=ClientAddresses()
        )
        self.port = reactor.listenTCP(0, self.site, interface="127.0.0.1")  # type: ignore[attr-defined]

    async def tearDown(self) -> None:
        await self.port.stopListening()
        while self.site.connections:
            await deferLater(reactor, 0.01)

    async def test_upgrade(self) -> None:
        """After the upgrade frames flow both ways; the port no longer counts the connection, flow control is free."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Talk())
        transport: Any = client.transport
        transport.write(
            b"GET /api/v1/agents/bot%40agents.test/ws?token=whole HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await client.until(b"\r\n\r\n")
        self.assertTrue(client.received.startswith(b"HTTP/1.1 101 "))
        self.assertEqual(self.site.connections, set())
        self.assertEqual(self.producers, [None])
        transport.write(frame(b"hello"))
        await client.until(b"echo hello")
        transport.loseConnection()
        await client.closed
        await self.closed

    async def test_refusal(self) -> None:
        """A refused upgrade is an ordinary answer on a connection that goes on."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Talk())
        transport: Any = client.transport
        for _ in range(2):
            transport.write(b"GET /api/v1/agents/bot@agents.test/ws?token=whole HTTP/1.1\r\nHost: a\r\n\r\n")
            await client.until(b"upgrade is required")
            self.assertTrue(client.received.startswith(b"HTTP/1.1 426 "))
            self.assertIn(b"Upgrade: websocket\r\n", client.received)
            client.received = b""
        transport.loseConnection()
        await client.closed


class Silent:
    """A producer that makes nothing."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...
