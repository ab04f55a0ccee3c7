"""The webhook client and the agent under it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import TCPTimedOutError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from e2a.deliver import clients
from e2a.deliver.safeagent import load_trust_root
from e2a.deliver.webhook import WebhookClient, encode
from e2a.flows.ports import WebhookRequest, WebhookResult
from tests.support.certificates import Authority


class Resolver:
    """Answers each question with the next of its lists, the last one for ever."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def addresses(self, host: str) -> Iterable[str]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if answer == ["fail"]:
            raise RuntimeError("DNS trouble at 192.0.2.53")
        return answer


def request(url: str, body: bytes = b"{}") -> WebhookRequest:
    return WebhookRequest(url, {"Content-Type": "application/json", "X-E2A-Auth-Sender": "zo\u00eb@example.com"}, body)


class RefusalTests(SynchronousTestCase):
    """What must never be dialled, observed at the reactor."""

    def post(self, url: str, addresses: Iterable[str], production: bool) -> tuple[WebhookResult, MemoryReactorClock]:
        memory = MemoryReactorClock()
        client = WebhookClient(memory, Resolver(addresses).addresses, memory.seconds, production)
        d = Deferred.fromCoroutine(client.post(request(url)))
        memory.advance(0)
        memory.advance(60)
        return self.successResultOf(d), memory

    def test_refused_addresses_are_not_dialled(self) -> None:
        """Private, mapped, translated and tunnelled addresses: no connection attempt, in either mode."""
        for address in (
            "10.0.0.1",
            "169.254.169.254",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "0.0.0.0",
            "::",
            "100.64.0.1",
        ):
            for production in (True, False):
                result, memory = self.post("https://hooks.example.com/", [address], production)
                self.assertEqual(result, WebhookResult(None, "the webhook host is not a public one"), address)
                self.assertEqual((memory.tcpClients, memory.sslClients), ([], []))

    def test_loopback_only_in_development(self) -> None:
        """A name for 127.0.0.1 is dialled in development and refused in production."""
        result, memory = self.post("https://hooks.example.com/", ["127.0.0.1"], True)
        self.assertEqual((result.error, memory.tcpClients), ("the webhook host is not a public one", []))
        _, memory = self.post("http://hooks.example.com/", ["127.0.0.1"], False)
        self.assertEqual([client[0] for client in memory.tcpClients], ["127.0.0.1"])

    def test_half_inside_is_refused(self) -> None:
        """One refused address among good ones refuses the name."""
        result, memory = self.post("https://hooks.example.com/", ["93.184.216.34", "10.0.0.1"], True)
        self.assertEqual((result.error, memory.tcpClients), ("the webhook host is not a public one", []))

    def test_the_vetted_address_is_dialled(self) -> None:
        """What is dialled is the address that was judged, at the URL's port, after exactly one look-up."""
        memory = MemoryReactorClock()
        resolver = Resolver(["93.184.216.34"], ["127.0.0.1"])
        client = WebhookClient(memory, resolver.addresses, memory.seconds, True)
        d = Deferred.fromCoroutine(client.post(request("https://hooks.example.com:8443/")))
        self.assertEqual([client[:2] for client in memory.tcpClients], [("93.184.216.34", 8443)])
        self.assertEqual(resolver.asked, ["hooks.example.com"])
        memory.advance(15)
        self.assertEqual(self.successResultOf(d), WebhookResult(None, "no answer in time"))

    def test_rebinding(self) -> None:
        """A name that turns to loopback after a good answer is refused at the next connection."""
        memory = MemoryReactorClock()
        resolver = Resolver(["93.184.216.34"], ["127.0.0.1"])
        client = WebhookClient(memory, resolver.addresses, memory.seconds, True)
        first = Deferred.fromCoroutine(client.post(request("https://hooks.example.com/")))
        memory.advance(15)
        self.assertEqual(self.successResultOf(first).error, "no answer in time")
        dialled = len(memory.tcpClients)
        second = Deferred.fromCoroutine(client.post(request("https://hooks.example.com/")))
        self.assertEqual(self.successResultOf(second).error, "the webhook host is not a public one")
        self.assertEqual(len(memory.tcpClients), dialled)

    def test_urls_are_judged_again(self) -> None:
        """A URL that should never have been stored is not posted to."""
        for url in ("http://hooks.example.com/", "https://10.0.0.1/", "https://a@b.example.com/", "gopher://x/"):
            result, memory = self.post(url, ["93.184.216.34"], True)
            self.assertEqual((result.error, memory.tcpClients), ("the webhook URL is not allowed", []), url)

    def test_dns_trouble(self) -> None:
        """No address and a failing resolver are failures without details."""
        for answer in ([], ["fail"]):
            result, memory = self.post("https://hooks.example.com/", answer, True)
            self.assertEqual((result.error, memory.tcpClients), ("the webhook host cannot be resolved", []))

    def test_addresses_are_tried_in_turn(self) -> None:
        """An address that does not answer in five seconds gives way to the next."""
        memory = MemoryReactorClock()
        resolver = Resolver(["2606:2800:220:1::1", "93.184.216.34"])
        client = WebhookClient(memory, resolver.addresses, memory.seconds, True)
        d = Deferred.fromCoroutine(client.post(request("https://hooks.example.com/")))
        self.assertEqual(memory.tcpClients[0][0], "93.184.216.34")
        memory.tcpClients[0][2].clientConnectionFailed(None, Failure(TCPTimedOutError()))
        self.assertEqual(memory.tcpClients[1][0], "2606:2800:220:1::1")
        memory.advance(15)
        self.assertEqual(self.successResultOf(d).error, "no answer in time")


class Sink(Resource):
    """Answers as told and remembers what it saw."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []
        self.peers: list[int] = []
        self.headers: dict[bytes, bytes] = {}
        self.code = 200
        self.body: bytes | None = b"ok"

    def render(self, request: Any) -> Any:
        self.seen.append((request.uri, request.requestHeaders.copy(), request.content.read(), request.getHost()))
        self.peers.append(request.transport.getPeer().port)
        request.setResponseCode(self.code)
        for name, value in self.headers.items():
            request.setHeader(name, value)
        if self.body is None:
            request.write(b"drip")
            return NOT_DONE_YET
        return self.body


class LoopbackTests(TestCase):
    """Against a real server on loopback."""

    def serve(self, factory: Any, context: Any = None) -> int:
        if context is None:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        else:
            port = reactor.listenSSL(0, factory, context, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        return int(port.getHost().port)

    def client(self, trust_root: Any = None, deadline: float = 15.0, production: bool = False) -> WebhookClient:
        self.resolver = Resolver(["127.0.0.1"])
        client = WebhookClient(reactor, self.resolver.addresses, lambda: 1000.0, production, trust_root, deadline)
        self.addCleanup(client.close)
        return client

    def sink(self, context: Any = None) -> tuple[Sink, int]:
        sink = Sink()
        factory = WrappingFactory(Site(sink))
        port = self.serve(factory, context)

        def close() -> None:
            for protocol in list(factory.protocols):
                protocol.transport.abortConnection()

        self.addCleanup(close)
        return sink, port

    async def test_a_request_as_it_arrives(self) -> None:
        """Body, path and headers arrive as given, with our product name, and the answer's status comes back."""
        sink, port = self.sink()
        result = await self.client().post(
            request(f"http://hooks.example.com:{port}/in?x=%20y", encode({"a": "\u00e9"}))
        )
        self.assertEqual(result, WebhookResult(200))
        ((uri, headers, body, _),) = sink.seen
        self.assertEqual((uri, body), (b"/in?x=%20y", '{"a":"\u00e9"}'.encode()))
        self.assertEqual(headers.getRawHeaders("content-type"), ["application/json"])
        self.assertEqual(headers.getRawHeaders("user-agent"), [clients.USER_AGENT])
        self.assertEqual(headers.getRawHeaders("host"), [f"hooks.example.com:{port}"])
        self.assertEqual(headers.getRawHeaders(b"x-e2a-auth-sender"), ["zo\u00eb@example.com".encode()])
        self.assertEqual(self.resolver.asked, ["hooks.example.com"])

    async def test_connections_are_kept(self) -> None:
        """The second request to a host uses the first one's connection."""
        sink, port = self.sink()
        client = self.client()
        for _ in range(3):
            await client.post(request(f"http://hooks.example.com:{port}/"))
        self.assertEqual(len(set(sink.peers)), 1)

    async def test_connections_are_not_news(self) -> None:
        """Connecting to a receiver leaves nothing in the log."""
        _, port = self.sink()
        with capturedLogs() as events:
            await self.client().post(request(f"http://hooks.example.com:{port}/"))
        said = [event for event in events if event["log_namespace"].startswith("e2a.")]
        self.assertEqual(said, [])

    async def test_no_cookies_are_carried(self) -> None:
        """A cookie that a receiver sets is not sent with the next request."""
        sink, port = self.sink()
        sink.headers = {b"set-cookie": b"a=b"}
        client = self.client()
        for _ in range(2):
            await client.post(request(f"http://hooks.example.com:{port}/"))
        self.assertIsNone(sink.seen[1][1].getRawHeaders("cookie"))

    async def test_redirects_are_answers(self) -> None:
        """A redirect to loopback is reported as what it is and nothing is requested there."""
        sink, port = self.sink()
        other, other_port = self.sink()
        for code in (301, 302, 307, 308):
            sink.code, sink.headers = code, {b"location": b"http://127.0.0.1:%d/" % other_port}
            result = await self.client().post(request(f"http://hooks.example.com:{port}/"))
            self.assertEqual(result.status_code, code)
        self.assertEqual(other.seen, [])

    async def test_retry_after(self) -> None:
        """Seconds and dates are read, junk is ignored."""
        sink, port = self.sink()
        sink.code = 503
        client = self.client()
        for value, expected in (
            (b"120", 120.0),
            (b"Thu, 01 Jan 1970 00:18:40 GMT", 120.0),
            (b"Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
            (b"soon", None),
            (b"-5", None),
        ):
            sink.headers = {b"retry-after": value}
            result = await client.post(request(f"http://hooks.example.com:{port}/"))
            self.assertEqual(result, WebhookResult(503, "", expected), value)

    async def test_answers_are_read_up_to_a_limit(self) -> None:
        """A huge answer, and a small one that would unpack to a huge one, cost no more than the limit."""
        sink, port = self.sink()
        sink.body = b"x" * 10_000_000
        client = self.client()
        self.assertEqual(await client.post(request(f"http://hooks.example.com:{port}/")), WebhookResult(200))
        sink.body, sink.headers = gzip.compress(b"\0" * 10_000_000), {b"content-encoding": b"gzip"}
        for _ in range(2):
            self.assertEqual(await client.post(request(f"http://hooks.example.com:{port}/")), WebhookResult(200))
        # The huge answer cost its connection; the packed one was read as it came, and its connection was kept.
        self.assertEqual([sink.peers.index(peer) for peer in sink.peers], [0, 1, 1])

    async def test_slow_answers_end_with_the_deadline(self) -> None:
        """A body that drips for ever does not outlive the deadline; the status that came before it counts."""
        sink, port = self.sink()
        sink.body = None
        # Long enough for the status, also on a busy machine.
        result = await self.client(deadline=1.0).post(request(f"http://hooks.example.com:{port}/"))
        self.assertEqual(result, WebhookResult(200))

    async def test_silence_ends_with_the_deadline(self) -> None:
        """A receiver that takes the request and says nothing is given up."""
        lost: Deferred[None] = Deferred()

        class Silent(Protocol):
            def connectionLost(self, reason: object = None) -> None:
                lost.callback(None)

        port = self.serve(Factory.forProtocol(Silent))
        result = await self.client(deadline=0.2).post(request(f"http://hooks.example.com:{port}/"))
        self.assertEqual(result, WebhookResult(None, "no answer in time"))
        await lost

    async def test_no_http(self) -> None:
        """A closed port, a hang-up and an answer that is not HTTP are failures, each in its words."""

        class Rude(Protocol):
            answer = b""

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(self.answer)  # type: ignore[union-attr]
                self.transport.loseConnection()  # type: ignore[union-attr]

        factory = Factory.forProtocol(Rude)
        port = self.serve(factory)
        client = self.client()
        result = await client.post(request(f"http://hooks.example.com:{port}/"))
        self.assertEqual(result, WebhookResult(None, "the connection was closed without an answer"))
        Rude.answer = b"220 mail.example.com ESMTP\r\n"
        result = await client.post(request(f"http://hooks.example.com:{port}/"))
        self.assertIsNone(result.status_code)
        self.assertNotEqual(result.error, "")
        listening = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        free = listening.getHost().port
        await listening.stopListening()
        result = await client.post(request(f"http://hooks.example.com:{free}/"))
        self.assertEqual(result, WebhookResult(None, "the connection was refused"))

    async def test_a_stale_connection_is_replaced(self) -> None:
        """A kept connection that the receiver closes under the next request does not fail the delivery."""

        class OnceOnly(Protocol):
            """Answers the first request of a connection and hangs up at the second."""

            used = 0

            def dataReceived(self, data: bytes) -> None:
                if not data.startswith(b"POST"):
                    return
                type(self).used += 1
                if getattr(self, "answered", False):
                    self.transport.abortConnection()  # type: ignore[union-attr]
                    return
                self.answered = True
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # type: ignore[union-attr]

        port = self.serve(Factory.forProtocol(OnceOnly))
        client = self.client()
        for _ in range(3):
            self.assertEqual(await client.post(request(f"http://hooks.example.com:{port}/")), WebhookResult(200))
        self.assertEqual(OnceOnly.used, 5)

    async def test_tls_is_verified_against_the_name(self) -> None:
        """The right name and authority pass; another name, and an authority we do not trust, do not."""
        authority = Authority()
        sink, port = self.sink(authority.server("hooks.example.com"))
        trusting = load_trust_root(authority.pem)
        result = await self.client(trusting).post(request(f"https://hooks.example.com:{port}/"))
        self.assertEqual(result, WebhookResult(200))
        result = await self.client(trusting).post(request(f"https://other.example.com:{port}/"))
        self.assertIsNone(result.status_code)
        result = await self.client().post(request(f"https://hooks.example.com:{port}/"))
        self.assertEqual(result, WebhookResult(None, "the TLS connection failed"))
        self.assertEqual(len(sink.seen), 1)

    async def test_endless_header(self) -> None:
        """A receiver that sends header lines, folds or interim answers without end is cut off after 256 KiB."""
        sent = 0

        class Flood(Protocol):
            start = line = b""

            def dataReceived(self, data: bytes) -> None:
                if b"POST" in data:
                    self.transport.write(self.start)  # type: ignore[union-attr]
                    self.transport.registerProducer(self, False)  # type: ignore[union-attr]

            def resumeProducing(self) -> None:
                nonlocal sent
                # Would go on for ever; ends here so that the test does when the promise is broken.
                if sent < 20_000_000:
                    sent += len(self.line)
                    self.transport.write(self.line)  # type: ignore[union-attr]

            def stopProducing(self) -> None:
                pass

        for start, line in (
            (b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"a" * 8000 + b"\r\n"),
            (b"HTTP/1.1 200 OK\r\nX-A: b\r\n", b" " + b"a" * 8000 + b"\r\n"),
            (b"", b"HTTP/1.1 100 Continue\r\nX-A: " + b"a" * 8000 + b"\r\n\r\n"),
        ):
            Flood.start, Flood.line, sent = start, line, 0
            port = self.serve(Factory.forProtocol(Flood))
            result = await self.client(deadline=5.0).post(request(f"http://127.0.0.1:{port}/"))
            self.assertEqual(result, WebhookResult(None, "the connection was closed without an answer"))
            self.assertLess(sent, 20_000_000)

    def test_trust_root_needs_a_certificate(self) -> None:
        """A file without certificates is refused when it is read, not when it is used."""
        self.assertRaises(ValueError, load_trust_root, b"nothing here")


class DeadlineTests(SynchronousTestCase):
    def test_resolving_counts(self) -> None:
        """A resolver that never answers ends with the deadline too."""

        async def never(host: str) -> Iterable[str]:
            await Deferred()
            return ()

        clock = Clock()
        client = WebhookClient(clock, never, clock.seconds, True)
        d = Deferred.fromCoroutine(client.post(request("https://hooks.example.com/")))
        clock.advance(14.9)
        self.assertNoResult(d)
        clock.advance(0.1)
        self.assertEqual(self.successResultOf(d), WebhookResult(None, "no answer in time"))
