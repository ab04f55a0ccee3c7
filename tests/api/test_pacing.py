"""A body that is made while it is written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from e2a.api.pacing import send
from e2a.api.routing import Flow, Stream


class Client:
    """A request and its transport, as far as they are used."""

    def __init__(self) -> None:
        self.transport = self
        self.channel: Any = self
        self.written: list[bytes] = []
        self.aborted = False
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def abortConnection(self) -> None:
        self.aborted = True

    def write(self, octets: bytes) -> None:
        self.written.append(octets)


class PacingTests(TestCase):
    def setUp(self) -> None:
        self.client, self.clock, self.closed = Client(), Clock(), 0

    def close(self) -> None:
        self.closed += 1

    def send(self, chunks: AsyncIterator[bytes]) -> Deferred[None]:
        request: Any = self.client
        return Deferred.fromCoroutine(send(request, Flow(chunks, self.close), self.clock, 10.0, 100))

    async def three(self) -> AsyncIterator[bytes]:
        for chunk in (b"a" * 100, b"b", b"c"):
            yield chunk

    def test_whole(self) -> None:
        """Everything is written, and what it came from is closed."""
        self.successResultOf(self.send(self.three()))
        self.assertEqual(b"".join(self.client.written), b"a" * 100 + b"bc")
        self.assertEqual((self.closed, self.client.producer, self.client.aborted), (1, None, False))

    def test_at_the_clients_pace(self) -> None:
        """While the client has enough nothing more is made."""
        source = self.three()
        sent = self.send(self.pausing(source))
        self.assertEqual(len(self.client.written), 1)
        self.assertNoResult(sent)
        self.client.producer.resumeProducing()
        self.successResultOf(sent)
        self.assertEqual(len(self.client.written), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def pausing(self, source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        first = True
        async for chunk in source:
            if first:
                self.client.producer.pauseProducing()
            first = False
            yield chunk

    def test_slow_client(self) -> None:
        """A client that takes nothing for as long as it may is cut off, one that is a little faster is not."""
        sent = self.send(self.pausing(self.three()))
        self.clock.advance(9.0)
        self.assertFalse(self.client.aborted)
        self.clock.advance(2.5)
        self.assertTrue(self.client.aborted)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual(self.closed, 1)

    def test_patience(self) -> None:
        """What was written earns time, what was waited for uses it up, and time that the source takes is nobody's."""
        source: Deferred[None] = Deferred()

        async def chunks() -> AsyncIterator[bytes]:
            self.client.producer.pauseProducing()
            yield b"a" * 1000
            await source
            self.client.producer.pauseProducing()
            yield b"b" * 100

        sent = self.send(chunks())
        # It was paused before anything was written: ten seconds of grace, no more.
        self.clock.advance(9.0)
        self.client.producer.resumeProducing()
        self.clock.advance(100.0)
        self.assertFalse(self.client.aborted)
        source.callback(None)
        # Ten seconds of grace and ten for a thousand octets, less the nine that it kept us waiting.
        self.clock.advance(10.9)
        self.assertFalse(self.client.aborted)
        self.clock.advance(0.2)
        self.assertTrue(self.client.aborted)
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leaves_no_timer(self) -> None:
        """A client that leaves while it keeps us waiting leaves no timer behind."""
        sent = self.send(self.pausing(self.three()))
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_error(self) -> None:
        """An error breaks the connection off, so that the part is not taken for the whole."""

        async def broken() -> AsyncIterator[bytes]:
            yield b"a"
            raise RuntimeError("no more")

        self.successResultOf(self.send(broken()))
        self.assertEqual((self.client.aborted, self.closed), (True, 1))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_leaving(self) -> None:
        """A client that leaves ends it, wherever it waits."""
        waiting: Deferred[None] = Deferred()

        async def slow() -> AsyncIterator[bytes]:
            yield b"a"
            await waiting

        sent = self.send(slow())
        self.client.channel = None
        sent.cancel()
        self.failureResultOf(sent, CancelledError)
        self.assertEqual((self.closed, self.client.aborted), (1, False))

    def test_known_length(self) -> None:
        """A body whose length is known goes out the same way, and one that fails in the middle breaks off."""

        def chunks() -> Iterator[bytes]:
            self.client.producer.pauseProducing()
            yield b"a"
            yield b"b"
            raise RuntimeError("gone")

        request: Any = self.client
        sent = Deferred.fromCoroutine(send(request, Stream(3, chunks()), self.clock, 10.0, 100))
        self.assertEqual(self.client.written, [b"a"])
        self.assertNoResult(sent)
        self.client.producer.resumeProducing()
        self.successResultOf(sent)
        self.assertEqual((self.client.written, self.client.aborted), ([b"a", b"b"], True))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
