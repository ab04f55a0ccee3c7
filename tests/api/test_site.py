"""The limits of the HTTP port, on an in-memory transport and a clock; real sockets where closing is the point."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http_headers import Headers

from e2a.api import site as site_module
from e2a.api.routing import PUBLIC, Call, Reply, Stream, route
from e2a.api.site import BoundedSite, ClientAddresses
from e2a.core.errors import TooManyRequests

from .support import counting_random, make_app


class Example:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.pending: Deferred[Any] = Deferred(lambda _: self.cancelled.append(True))
        self.cancelled: list[bool] = []

    @route("GET", "/open", action=PUBLIC, summary="Open", answers={200: None})
    async def open(self, call: Call) -> Any:
        return {"ip": call.client_ip}

    @route("POST", "/small", action=PUBLIC, summary="Small", answers={200: None}, max_body=100)
    async def small(self, call: Call) -> Any:
        assert call.request.content is not None
        self.bodies.append(call.request.content.read())
        return {}

    @route("POST", "/large", action=PUBLIC, summary="Large", answers={200: None}, max_body=1_000_000)
    async def large(self, call: Call) -> Any:
        assert call.request.content is not None
        self.bodies.append(call.request.content.read())
        return {}

    @route("GET", "/wait", action=PUBLIC, summary="Wait", answers={200: None})
    async def wait(self, call: Call) -> Any:
        return await self.pending

    @route("GET", "/busy", action=PUBLIC, summary="Busy", answers={200: None}, errors=(429,))
    async def busy(self, call: Call) -> Any:
        raise TooManyRequests

    @route("GET", "/stream", action=PUBLIC, summary="Stream", answers={200: None})
    async def stream(self, call: Call) -> Any:
        return Reply(Stream(20_000_000, iter([b"a" * 100_000] * 200)), content_type="text/plain")


class Transport(StringTransport):
    """A transport that remembers how it was closed, and whose buffer can be full."""

    aborted = False
    half_closed = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def loseWriteConnection(self) -> None:
        self.half_closed = True


PROXIES = ClientAddresses([ip_network("10.0.0.0/8")])


def make_site(example: Example, clock: Any, **kwargs: Any) -> BoundedSite:
    app = make_app(example, clock=clock)
    kwargs.setdefault("client_address", PROXIES)
    return BoundedSite(app, app.body_limit, reactor=clock, random=counting_random(), **kwargs)


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.example = Example()
        self.site = make_site(self.example, self.clock)
        self.channel, self.transport = self.connect()

    def connect(self, host: str = "203.0.113.9") -> tuple[Any, Transport]:
        kind = IPv6Address if ":" in host else IPv4Address
        channel = self.site.buildProtocol(kind("TCP", host, 1234))
        transport = Transport(peerAddress=kind("TCP", host, 1234))
        if channel is not None:
            channel.makeConnection(transport)
        return channel, transport

    def answer(self) -> bytes:
        return self.transport.value()

    def test_declared_length(self) -> None:
        """A declared length over the cap is 413 before the body, without 100 Continue; the connection closes."""
        self.channel.dataReceived(
            b"POST /small HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n"
        )
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 413 "))
        self.assertIn(b"Connection: close", self.answer())
        self.assertIn(b"X-Request-Id: ", self.answer())
        self.assertTrue(self.transport.half_closed)

    def test_status_line(self) -> None:
        """The status line has words for statuses that are younger than Twisted's table, too."""
        self.channel.dataReceived(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 429 Too Many Requests\r\n"), self.answer())

    def test_chunked_body(self) -> None:
        """Chunks count as they arrive: the one that passes the cap is answered 413."""
        self.channel.dataReceived(b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(6):
            self.assertEqual(self.answer(), b"")
            self.channel.dataReceived(b"10\r\n" + b"x" * 16 + b"\r\n")
        self.channel.dataReceived(b"10\r\n" + b"x" * 16 + b"\r\n")
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 413 "))
        self.assertEqual(self.example.bodies, [])

    def test_at_the_cap(self) -> None:
        """A body of exactly the cap is accepted, declared or chunked."""
        self.channel.dataReceived(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
        self.channel.dataReceived(
            b"POST /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n"
            + b"y" * 100
            + b"\r\n0\r\n\r\n"
        )
        self.assertEqual(self.example.bodies, [b"x" * 100, b"y" * 100])
        self.assertEqual(self.answer().count(b"HTTP/1.1 200"), 2)

    def test_rest_is_thrown_away(self) -> None:
        """What arrives after the refusal is neither kept nor run, and after a while the connection is cut."""
        self.channel.dataReceived(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
        before = self.answer()
        for _ in range(100):
            self.channel.dataReceived(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual(self.answer(), before)
        self.assertEqual(self.example.bodies, [])
        self.clock.advance(site_module.LINGER_SECONDS + 0.1)
        self.assertTrue(self.transport.aborted)

    def test_slow_header(self) -> None:
        """A header that trickles in byte by byte is answered 408 after its time, however regular the bytes."""
        for byte in b"GET /open HTTP/1.1\r\nHost: aaaaaaaaaaaaaaaaaaaaaaaa":
            self.channel.dataReceived(bytes([byte]))
            self.clock.advance(1)
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 408 "))

    def test_slow_body(self) -> None:
        """A body that trickles in is answered 408 after a time that follows from its cap."""
        self.channel.dataReceived(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
        for _ in range(29):
            self.channel.dataReceived(b"x")
            self.clock.advance(1)
        self.assertEqual(self.answer(), b"")
        self.clock.pump([1, 1, 1])
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 408 "))

    def test_large_body_has_time(self) -> None:
        """A larger cap means a longer time."""
        self.channel.dataReceived(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(8):
            self.clock.advance(10)
            self.channel.dataReceived(b"x" * 125_000)
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 200 "))

    def test_idle(self) -> None:
        """A connection without a request is closed after the idle time, silently."""
        self.clock.advance(site_module.IDLE_SECONDS + 1)
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.answer(), b"")

    def test_kept_alive(self) -> None:
        """Between two requests the idle time starts anew, and a finished header ends its deadline."""
        for _ in range(3):
            self.channel.dataReceived(b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n")
            self.clock.advance(site_module.IDLE_SECONDS - 1)
        self.assertEqual(self.answer().count(b"HTTP/1.1 200"), 3)
        self.assertFalse(self.transport.disconnecting)

    def test_drain(self) -> None:
        """Draining closes idle connections at once and busy ones when they are answered, and tells the end."""
        _, idle = self.connect()
        self.channel.dataReceived(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        draining = self.site.drain()
        self.assertTrue(idle.disconnecting)
        self.assertFalse(self.transport.disconnecting)
        self.example.pending.callback({})
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 200 "))
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(draining)
        for channel in list(self.site.connections):
            channel.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(draining)
        self.successResultOf(self.site.drain())

    def test_long_answer_is_not_idle(self) -> None:
        """A request that waits for its answer is not cut off by any of the time-outs."""
        self.channel.dataReceived(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(600)
        self.example.pending.callback({})
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 200 "))

    def test_hang_up(self) -> None:
        """A client that leaves cancels what its handler waits for; nothing is written, logged or left behind."""
        self.channel.dataReceived(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.example.cancelled, [True])
        self.assertEqual(self.answer(), b"")
        self.assertEqual(self.site.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_backpressure(self) -> None:
        """A long answer is made only as fast as it is taken, and a client that takes nothing is cut off."""
        self.channel.dataReceived(b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n")
        self.transport.clear()
        original = self.transport.write

        def full(data: bytes) -> None:
            original(data)
            if len(data) > 1000:
                self.channel.pauseProducing()

        self.transport.write = full  # type: ignore[method-assign]
        self.channel.dataReceived(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertLess(len(self.answer()), 150_000)
        self.channel.resumeProducing()
        self.assertLess(len(self.answer()), 250_000)
        self.clock.advance(site_module.STALL_SECONDS + 1)
        self.assertTrue(self.transport.aborted)
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_reader(self) -> None:
        """A client that takes a long answer in sips is cut off in the end."""
        original = self.transport.write

        def full(data: bytes) -> None:
            original(data)
            if len(data) > 1000:
                self.channel.pauseProducing()

        self.transport.write = full  # type: ignore[method-assign]
        self.channel.dataReceived(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(30):
            self.clock.advance(30)
            if self.transport.aborted:
                break
            self.channel.resumeProducing()
        self.assertTrue(self.transport.aborted)
        self.channel.connectionLost(Failure(ConnectionDone()))

    def test_malformed(self) -> None:
        """What is not HTTP is 400 with the common headers, and the connection closes."""
        for garbage in (b"\x16\x03\x01 \r\n\r\n", b"GET /open\r\n\r\n", b"GET /open HTTP/1.1\r\nNo colon\r\n\r\n"):
            self.channel, self.transport = self.connect()
            self.channel.dataReceived(garbage)
            self.assertTrue(self.answer().startswith(b"HTTP/1.1 400 "), garbage)
            self.assertEqual(self.answer().count(b"HTTP/1.1"), 1)
            self.assertTrue(self.transport.half_closed)

    def test_smuggling(self) -> None:
        """Content-Length together with Transfer-Encoding, or two lengths, is 400 (RFC 9112 6.1)."""
        for headers in (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Transfer-Encoding: chunked, identity\r\n",
        ):
            self.channel, self.transport = self.connect()
            self.channel.dataReceived(
                b"POST /small HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n0\r\n\r\nGET /open HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            self.assertTrue(self.answer().startswith(b"HTTP/1.1 400 "), headers)
            self.assertNotIn(b"HTTP/1.1 200", self.answer())

    def test_header_size(self) -> None:
        """An endless header is 400."""
        self.channel.dataReceived(b"GET /open HTTP/1.1\r\n" + b"X-A: b\r\n" * 5000)
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 400 "))
        self.channel, self.transport = self.connect()
        self.channel.dataReceived(b"GET /" + b"a" * 20_000)
        self.assertTrue(self.answer().startswith(b"HTTP/1.1 400 "))

    def test_form_bodies_are_not_parsed(self) -> None:
        """A body that calls itself a broken multipart form reaches its handler untouched."""
        self.channel.dataReceived(
            b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
            b"Content-Length: 2\r\n\r\n{}"
        )
        self.assertEqual(self.example.bodies, [b"{}"])

    def test_any_octets_in_a_header(self) -> None:
        """Octets that are no UTF-8 in a header are no error: what they stand for is replaced."""
        for name in (b"Accept", b"User-Agent", b"Content-Type", b"X-Nobody-Knows"):
            self.channel.dataReceived(b"GET /open HTTP/1.1\r\nHost: a\r\n" + name + b": \xff\xfe\r\n\r\n")
            self.channel.dataReceived(b"GET /nowhere HTTP/1.1\r\nHost: a\r\n" + name + b": \xff\xfe\r\n\r\n")
        statuses = re.findall(rb"HTTP/1.1 (\d+) ", self.answer())
        self.assertEqual(statuses, [b"200", b"404"] * 4)
        request = self.site.requestFactory(self.channel)
        request.requestHeaders.addRawHeader(b"x-name", b"caf\xc3\xa9 \xff")
        self.assertEqual((request.getHeader("X-Name"), request.getHeader("x-none")), ("caf\xe9 \ufffd", None))
        self.assertEqual(request.getHeader(b"x-name"), b"caf\xc3\xa9 \xff")

    def test_maximum(self) -> None:
        """Connections over the maximum are closed at once; one that ends makes room."""
        self.site.max_connections = 2
        second, _ = self.connect()
        self.assertIsNone(self.connect()[0])
        second.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.connect()[0])

    def test_share_of_one_client(self) -> None:
        """One address, or one IPv6 network, has its share of the connections; proxies and this machine have all."""
        self.channel.connectionLost(Failure(ConnectionDone()))
        self.site = make_site(self.example, self.clock, max_per_address=2, is_proxy=PROXIES.is_proxy)
        for one, other in (("203.0.113.9", "203.0.113.10"), ("2001:db8::1", "2001:db8:0:1::1")):
            first, _ = self.connect(one)
            self.assertIsNotNone(self.connect(one)[0])
            self.assertIsNone(self.connect(one)[0])
            self.assertIsNotNone(self.connect(other)[0])
            first.connectionLost(Failure(ConnectionDone()))
            self.assertIsNotNone(self.connect(one)[0])
        self.assertIsNone(self.connect("2001:db8::2")[0])
        self.assertIsNone(self.connect("::ffff:203.0.113.9")[0])
        for host in ("10.1.2.3", "127.0.0.1", "::1"):
            for _ in range(3):
                self.assertIsNotNone(self.connect(host)[0])

    def test_hand_over(self) -> None:
        """A connection given to another protocol no longer counts and no timer of ours touches it."""
        self.channel.dataReceived(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        self.channel.hand_over()
        self.assertEqual(self.site.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIsNone(self.transport.producer)

    def test_access_log(self) -> None:
        """A request is logged with status, client and request id, but never with its query string or key."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.channel.dataReceived(
            b"GET /open?token=e2a_secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer e2a_other\r\n\r\n"
        )
        logged = [event for event in events if event.get("log_namespace", "").startswith("e2a.api.site")]
        self.assertEqual(len(logged), 1)
        self.assertEqual((logged[0]["path"], logged[0]["status"]), ("/open", 200))
        self.assertEqual(logged[0]["client"], "203.0.113.9")
        self.assertNotIn("e2a_", repr({key: value for key, value in logged[0].items() if key != "log_source"}))


class ClientAddressTests(SynchronousTestCase):
    """Trusted: 10.0.0.0/8 and ::1."""

    def setUp(self) -> None:
        self.addresses = ClientAddresses([ip_network("10.0.0.0/8"), ip_network("::1/128")])

    def seen(self, peer: str, *forwarded: str) -> str:
        headers = Headers({"X-Forwarded-For": list(forwarded)} if forwarded else {})
        request: Any = SimpleNamespace(getClientAddress=lambda: IPv4Address("TCP", peer, 1), requestHeaders=headers)
        return self.addresses(request)

    def test_stranger(self) -> None:
        """What a peer says that is no trusted proxy is ignored."""
        self.assertEqual(self.seen("203.0.113.9", "198.51.100.1"), "203.0.113.9")

    def test_proxy(self) -> None:
        """Behind a trusted proxy the client is the rightmost address that is not a trusted proxy."""
        self.assertEqual(self.seen("10.0.0.1", "1.2.3.4, 198.51.100.1"), "198.51.100.1")
        self.assertEqual(self.seen("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.1.1.1"), "198.51.100.1")
        self.assertEqual(self.seen("10.0.0.1", "1.2.3.4", "198.51.100.1"), "198.51.100.1")
        self.assertEqual(self.seen("::1", "198.51.100.1:4711"), "198.51.100.1")
        self.assertEqual(self.seen("10.0.0.1", "[2001:db8::5]:443"), "2001:db8::5")

    def test_mapped(self) -> None:
        """IPv4-mapped addresses are the IPv4 addresses they map."""
        self.assertEqual(self.seen("::ffff:10.0.0.1", "::ffff:198.51.100.1"), "198.51.100.1")

    def test_junk(self) -> None:
        """An unreadable hop ends the walk at the last proxy; a missing header leaves the peer."""
        self.assertEqual(self.seen("10.0.0.1", "198.51.100.1, unknown"), "10.0.0.1")
        self.assertEqual(self.seen("10.0.0.1"), "10.0.0.1")
        self.assertEqual(self.seen("10.0.0.1", "10.2.2.2, 10.3.3.3"), "10.2.2.2")


class Collector(Protocol):
    """Collects until the connection closes."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.closed: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.received.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(b"".join(self.received))


class SocketTests(TestCase):
    """Over loopback."""

    async def setUp(self) -> None:
        self.example = Example()
        self.site = make_site(self.example, reactor)
        self.port = reactor.listenTCP(0, self.site, interface="127.0.0.1")  # type: ignore[attr-defined]

    async def tearDown(self) -> None:
        await self.port.stopListening()
        # The server hears of the end of a connection a moment after the client does.
        while self.site.connections:
            await deferLater(reactor, 0.01)

    async def connect(self) -> Collector:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        return await connectProtocol(endpoint, Collector())

    async def test_refusal_is_read(self) -> None:
        """A client that has sent far more than the cap still reads the 413, and then the end of the connection."""
        client = await self.connect()
        client.transport.write(b"POST /small HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")  # type: ignore[union-attr]
        client.transport.write(os.urandom(1_000_000))  # type: ignore[union-attr]
        received = await client.closed
        self.assertTrue(received.startswith(b"HTTP/1.1 413 "))

    async def test_long_answer(self) -> None:
        """A long answer arrives whole over a real connection."""
        client = await self.connect()
        client.transport.write(b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")  # type: ignore[union-attr]
        received = await client.closed
        self.assertEqual(len(received.partition(b"\r\n\r\n")[2]), 20_000_000)
