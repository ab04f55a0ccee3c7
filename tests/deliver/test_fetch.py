"""Requests to services of the operator's: whole answers within limits, or one plain failure."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from e2a.deliver import fetch
from e2a.deliver.fetch import Fetcher
from e2a.flows.ports import Fetched, FetchFailed


class Service(Protocol):
    """Answers every request with the factory's bytes, and remembers what it was sent."""

    def connectionMade(self) -> None:
        self.factory.connected.append(self)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.factory.received += data  # type: ignore[union-attr]
        answer, close = self.factory.answer, self.factory.close  # type: ignore[union-attr]
        if answer and b"\r\n\r\n" in self.factory.received:  # type: ignore[union-attr]
            self.transport.write(answer)  # type: ignore[union-attr]
            if close:
                self.transport.loseConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        lost, self.factory.lost = self.factory.lost, Deferred()  # type: ignore[union-attr]
        lost.callback(None)


class FetchTests(TestCase):
    def setUp(self) -> None:
        self.service: Any = Factory.forProtocol(Service)
        self.service.received, self.service.answer, self.service.close = b"", b"", False
        self.service.connected, self.service.lost = [], Deferred()
        port = reactor.listenTCP(0, self.service, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{port.getHost().port}/a?b=c"
        self.addCleanup(port.stopListening)

    async def ask(self, *, deadline: float = 10.0, method: str = "GET", body: bytes = b"") -> Fetched:
        lost = self.service.lost
        try:
            return await Fetcher(reactor, deadline)(method, self.url, {"X-Name": "value"}, body)
        finally:
            if self.service.connected:
                await lost

    async def fails(self, **values: Any) -> str:
        return str(await self.assertFailure(Deferred.fromCoroutine(self.ask(**values)), FetchFailed))

    async def test_answer(self) -> None:
        """Method, path, header and body go out as given; status and body come back."""
        self.service.answer = b"HTTP/1.1 418 No\r\nContent-Length: 2\r\n\r\n{}"
        self.assertEqual(await self.ask(method="POST", body=b"x=1"), Fetched(418, b"{}"))
        head, _, body = self.service.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"POST /a?b=c HTTP/1.1\r\n"))
        self.assertIn(b"X-Name: value", head)
        self.assertIn(b"User-Agent: e2a/", head)
        self.assertEqual(body, b"x=1")

    async def test_no_redirect(self) -> None:
        """A redirect is an answer like any other."""
        self.service.answer = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        self.assertEqual((await self.ask()).status, 302)

    async def test_without_a_length(self) -> None:
        """The end of the connection ends an answer without a length, and breaks one with a length off."""
        self.service.close = True
        self.service.answer = b"HTTP/1.1 200 OK\r\n\r\n{}"
        self.assertEqual((await self.ask()).body, b"{}")
        self.service.connected.clear()
        self.service.received = b""
        self.service.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}"
        self.assertIn("no whole answer from 127.0.0.1", await self.fails())

    async def test_too_long(self) -> None:
        """An answer beyond the limit is dropped, one of exactly that length is not."""
        self.patch(fetch, "MAX_ANSWER", 10)
        self.service.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + b"x" * 10
        self.assertEqual(len((await self.ask()).body), 10)
        self.service.connected.clear()
        self.service.received = b""
        self.service.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + b"x" * 11
        self.assertIn("too long", await self.fails())

    async def test_deadline(self) -> None:
        """A service that says nothing, or does not end, is given up."""
        self.assertIn("in time", await self.fails(deadline=0.05))
        self.service.connected.clear()
        self.service.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12"
        self.assertIn("in time", await self.fails(deadline=0.2))

    async def test_cancelled(self) -> None:
        """Whoever stops waiting ends the request."""
        waiting = Deferred.fromCoroutine(self.ask())
        while not self.service.received:
            turn: Deferred[None] = Deferred()
            reactor.callLater(0.01, turn.callback, None)  # type: ignore[attr-defined]
            await turn
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)

    async def test_nobody_there(self) -> None:
        """A refused connection is a failure that names the host."""
        self.url = "http://127.0.0.1:1/"
        self.assertIn("127.0.0.1", await self.fails())
