"""The client's half of SMTP, octet by octet and second by second."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.mail.smtpdata import DataDecoder, MessageBuffer
from e2a.flows.ports import Transmission
from e2a.send.protocol import Client, SessionError, Waits
from tests.send.support import MAIL, SENDER, Allowed, states

ANN = "ann@people.test"


class Transport(StringTransport):
    """Takes a producer and hands it its turns; closes as a socket does."""

    def __init__(self) -> None:
        super().__init__()
        self.client: Any = None

    def run(self) -> None:
        """Let the producer write all that it has."""
        while self.producer is not None and not self.producer.finished:
            self.producer.resumeProducing()

    def abortConnection(self) -> None:
        if self.connected:
            self.connected = False
            self.client.connectionLost(Failure(ConnectionLost()))

    def loseConnection(self) -> None:
        self.abortConnection()


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.client = Client(self.clock, Waits())
        self.transport = Transport()
        self.transport.client = self.client
        self.client.makeConnection(self.transport)

    def ready(self, *extensions: str) -> None:
        """Greeted and ready for MAIL."""
        greeting = Deferred.fromCoroutine(self.client.greet("mx.gateway.test"))
        self.client.dataReceived(b"220 hello\r\n")
        words = ["sink.test", *extensions]
        for number, word in enumerate(words):
            self.client.dataReceived(f"250{' ' if number == len(words) - 1 else '-'}{word}\r\n".encode())
        self.successResultOf(greeting)
        self.transport.clear()

    def transmit(self, *recipients: str, data: bytes = MAIL, permit: Any = None) -> Deferred[Transmission]:
        return Deferred.fromCoroutine(self.client.transmit(SENDER, recipients or (ANN,), data, permit or Allowed()))

    def sent(self) -> bytes:
        written = self.transport.value()
        self.transport.clear()
        return written


class Replies(Case):
    def test_any_segmentation(self) -> None:
        """Replies mean the same however they are cut into segments, and with bare line feeds."""
        greeting = Deferred.fromCoroutine(self.client.greet("mx.gateway.test"))
        for octet in b"220-hello\r\n220 you\n250-sink.test\r\n250-size 10\n250-AUTH=LOGIN\r\n250 AUTH PLAIN\r\n":
            self.client.dataReceived(bytes([octet]))
        self.successResultOf(greeting)
        self.assertEqual(self.client.extensions, {"SIZE": "10", "AUTH": "LOGIN  PLAIN"})

    def test_no_smtp(self) -> None:
        """What is not SMTP ends the session."""
        for words in (b"HTTP/1.1 400 Bad Request\r\n", b"99 x\r\n", b"220x\r\n", b"\r\n", b"220 " + b"x" * 70_000):
            self.setUp()
            greeting = Deferred.fromCoroutine(self.client.greet("mx.gateway.test"))
            self.client.dataReceived(words)
            self.failureResultOf(greeting, SessionError)
            self.assertFalse(self.transport.connected)

    def test_endless_lines(self) -> None:
        """A reply that never ends does not fill the memory."""
        greeting = Deferred.fromCoroutine(self.client.greet("mx.gateway.test"))
        for _ in range(100):
            self.client.dataReceived(b"220-" + b"x" * 1000 + b"\r\n")
        self.failureResultOf(greeting, SessionError)

    def test_text_for_people(self) -> None:
        """A reply's text is one printable line, whatever the server sends."""
        self.ready()
        done = self.transmit()
        self.client.dataReceived(b"550-5.1.1 \x1b[31mno\0\xff\r\n550 such user\r\n")
        text = self.successResultOf(done).answers[ANN].text
        self.assertTrue(text.isprintable() and text.isascii())
        self.assertIn("such user", text)

    def test_unasked_words_when_idle(self) -> None:
        """A session that speaks unasked is not used again."""
        self.ready()
        self.assertTrue(self.client.usable)
        self.client.dataReceived(b"421 bye\r\n")
        self.assertFalse(self.client.usable)


class Times(Case):
    def test_each_step(self) -> None:
        """Every step has the time of RFC 5321 4.5.3.2, and no more."""
        greeting = Deferred.fromCoroutine(self.client.greet("mx.gateway.test"))
        self.clock.advance(299)
        self.assertNoResult(greeting)
        self.clock.advance(1)
        self.failureResultOf(greeting, SessionError)
        waits = {"MAIL": 300, "RCPT": 300, "DATA": 120, "body": 180, "end": 600}
        for step, seconds in waits.items():
            self.setUp()
            self.ready()
            done = self.transmit()
            for verb, reply in (("MAIL", b"250 fine\r\n"), ("RCPT", b"250 fine\r\n"), ("DATA", b"354 go\r\n")):
                if verb == step:
                    break
                self.client.dataReceived(reply)
            if step == "end":
                self.transport.run()
            self.clock.advance(seconds - 1)
            self.assertNoResult(done)
            self.clock.advance(1)
            outcome = self.successResultOf(done).answers[ANN].state
            self.assertEqual(outcome, "unknown" if step == "end" else "deferred", step)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_envelope_as_a_whole(self) -> None:
        """A server that answers each recipient at the last moment does not hold a session for hours."""
        self.ready()
        done = self.transmit(*(f"p{number}@people.test" for number in range(50)))
        for _ in range(3):
            self.client.dataReceived(b"250 fine\r\n")
            self.clock.advance(290)
        self.assertNoResult(done)
        self.clock.advance(30)
        self.assertEqual({answer.state for answer in self.successResultOf(done).answers.values()}, {"deferred"})

    def test_message_as_a_whole(self) -> None:
        """A server that takes a block at the last moment does not hold a session for days."""
        self.ready()
        done = self.transmit(data=MAIL + (b"x" * 998 + b"\r\n") * 10_000)
        self.client.dataReceived(b"250 fine\r\n250 fine\r\n354 go\r\n")
        blocks = 0
        while not done.called:
            self.transport.producer.resumeProducing()
            self.clock.advance(170)
            blocks += 1
        self.assertEqual(states(self.successResultOf(done)), {ANN: ("deferred", None)})
        self.assertLess(blocks, 25)


class Data(Case):
    @settings(deadline=None, max_examples=150)
    @given(st.lists(st.sampled_from([b".", b"..", b"a", b"\r\n", b"\r\n.", b"QUIT", b"x" * 65_530, b"\0\xff"])))
    def test_one_message(self, pieces: list[bytes]) -> None:
        """Whatever the message holds, one message with these octets arrives, and nothing behind it."""
        self.setUp()
        data = b"".join(pieces) + b"\r\n"
        self.ready()
        done = self.transmit(data=data)
        self.client.dataReceived(b"250 fine\r\n250 fine\r\n354 go\r\n")
        self.sent()
        self.transport.run()
        buffer = MessageBuffer(10_000_000)
        self.assertEqual(DataDecoder(buffer).feed(self.sent()), b"")
        self.assertEqual(buffer.message(), data)
        self.client.dataReceived(b"250 queued\r\n")
        self.assertEqual(states(self.successResultOf(done)), {ANN: ("sent", 250)})

    def test_final_dot_comes_last(self) -> None:
        """The permit is asked again when the connection has taken the whole message, right before the final dot."""
        self.ready()
        permit = Allowed()
        self.transmit(data=MAIL, permit=permit)
        self.client.dataReceived(b"250 fine\r\n250 fine\r\n354 go\r\n")
        self.sent()
        self.transport.producer.resumeProducing()
        self.assertEqual(self.sent(), MAIL)
        self.assertEqual(permit.asked, ["begin"])
        self.transport.producer.resumeProducing()
        self.assertEqual(permit.asked, ["begin", "valid"])
        self.assertEqual(self.sent(), b".\r\n")

    def test_pipelining(self) -> None:
        """MAIL and every RCPT leave together where that is offered; DATA waits for their answers."""
        self.ready("PIPELINING")
        self.transmit(ANN, "bob@people.test")
        lines = self.sent().split(b"\r\n")
        self.assertEqual([line[:4] for line in lines], [b"MAIL", b"RCPT", b"RCPT", b""])
        self.client.dataReceived(b"250 fine\r\n250 fine\r\n")
        self.assertEqual(self.sent(), b"")
        self.client.dataReceived(b"550 no\r\n")
        self.assertEqual(self.sent(), b"DATA\r\n")

    def test_refused_sender_in_a_pipeline(self) -> None:
        """MAIL's refusal counts for all, not the confusion that follows it."""
        self.ready("PIPELINING")
        done = self.transmit()
        self.client.dataReceived(b"451 4.7.1 slow down\r\n503 5.5.1 no MAIL\r\n")
        self.assertEqual(states(self.successResultOf(done)), {ANN: ("deferred", 451)})
        self.assertTrue(self.client.usable)
        self.assertFalse(self.client.clean)

    def test_error_on_our_side(self) -> None:
        """An error of our own before the final dot sends nothing."""

        class Broken(Allowed):
            async def begin(self) -> bool:
                raise ZeroDivisionError

        self.ready()
        done = self.transmit(permit=Broken())
        self.client.dataReceived(b"250 fine\r\n250 fine\r\n")
        self.assertTrue(self.successResultOf(done).withheld)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertFalse(self.transport.connected)
