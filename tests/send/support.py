"""What the tests of sending share."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from e2a.flows.ports import Transmission
from e2a.send.protocol import Waits
from e2a.send.upstream import Server, UpstreamServer
from tests.support.smtpsink import SmtpSink

SENDER = "bounce+t@send.gateway.test"
MAIL = b"Subject: hello\r\nMessage-ID: <m1@send.gateway.test>\r\n\r\nHow are you?\r\n"
#: Long enough for a busy machine, and over before the test is.
QUICK = Waits(*[60.0] * 9)


class Allowed:
    """A permit that says what it is told to; remembers what it was asked."""

    def __init__(self, begin: bool = True, valid: bool = True) -> None:
        self._begin, self._valid = begin, valid
        self.asked: list[str] = []

    async def begin(self) -> bool:
        self.asked.append("begin")
        return self._begin

    def valid(self) -> bool:
        self.asked.append("valid")
        return self._valid


class SinkCase(TestCase):
    """A test with a sink and an upstream that sends to it."""

    def sink(self, **options: Any) -> SmtpSink:
        sink = SmtpSink(**options)
        self.addCleanup(sink.stop)
        return sink

    def upstream(self, sink: SmtpSink, *, waits: Waits = QUICK, size: int = 4, **server: Any) -> UpstreamServer:
        to = Server(**{"host": "127.0.0.1", "port": sink.port, **server})
        upstream = UpstreamServer(reactor, to, "mx.gateway.test", size=size, waits=waits)
        self.addCleanup(upstream.close)
        return upstream

    async def one(
        self, upstream: UpstreamServer, *recipients: str, data: bytes = MAIL, permit: Any = None
    ) -> Transmission:
        return await upstream.send(SENDER, recipients or ("ann@people.test",), data, permit or Allowed())


def states(done: Transmission) -> dict[str, tuple[str, int | None]]:
    return {recipient: (answer.state, answer.code) for recipient, answer in done.answers.items()}
