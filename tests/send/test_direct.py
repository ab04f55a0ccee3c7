"""Mail straight to the recipients' servers."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from twisted.internet import reactor

from e2a.core.errors import Unavailable
from e2a.flows.ports import Transmission
from e2a.send.direct import DirectToMx
from e2a.verify.questions import NOTHING, Answer
from tests.send.support import MAIL, QUICK, SENDER, Allowed, SinkCase, states
from tests.support.selfsigned import certificate
from tests.support.smtpsink import DROP, SmtpSink


class Zone:
    """A DNS of MX records and addresses; a failure for what is None."""

    def __init__(self, mx: dict[str, Any], hosts: dict[str, Any]) -> None:
        self.mx, self.hosts = mx, hosts
        self.asked: list[str] = []

    async def lookup(self, name: str, type: str) -> Answer:
        records = self.mx.get(name, ())
        return Answer(failure="SERVFAIL") if records is None else Answer(tuple(records)) if records else NOTHING

    async def addresses(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        found = self.hosts.get(host, ())
        if found is None:
            raise Unavailable
        return tuple(found)


class Direct(SinkCase):
    async def send(
        self, sink: SmtpSink, mx: dict[str, Any], hosts: dict[str, Any], *, production: bool = False
    ) -> Transmission:
        self.zone = Zone(mx, hosts)
        direct = DirectToMx(
            reactor,
            self.zone,
            "mx.gateway.test",
            lambda names: names.reverse(),
            production=production,
            port=sink.port,
            waits=QUICK,
        )
        return await direct.send(SENDER, ("ann@people.test", "bob@people.test"), MAIL, Allowed())

    def assert_all(self, done: Transmission, state: str, code: int | None = None) -> None:
        self.assertEqual(states(done), dict.fromkeys(("ann@people.test", "bob@people.test"), (state, code)))

    async def test_order(self) -> None:
        """The most preferred server that talks to us gets the mail; equals are shuffled; the silent are passed over."""
        sink = self.sink()
        mx = {"people.test": [(20, "late.test"), (10, "b.test"), (10, "a.test"), (5, "dead.test")]}
        done = await self.send(sink, mx, {"dead.test": ["127.0.0.9"], "a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"]})
        self.assert_all(done, "sent", 250)
        self.assertEqual(self.zone.asked, ["dead.test", "a.test"])
        self.assertEqual(sink.wait_for(1)[0].recipients, ("ann@people.test", "bob@people.test"))

    async def test_greeting_of_no(self) -> None:
        """A server that refuses to talk is passed over; its word counts only when nobody else is there."""
        sink = self.sink()
        sink.plan("connect", "554 5.3.2 not here")
        hosts = {"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"]}
        done = await self.send(sink, {"people.test": [(1, "a.test"), (2, "b.test")]}, hosts)
        self.assert_all(done, "sent", 250)
        sink.always("connect", "554 5.3.2 not here")
        done = await self.send(sink, {"people.test": [(1, "a.test"), (2, "b.test")]}, hosts)
        self.assert_all(done, "deferred", 554)
        self.assertTrue(done.unreachable)

    async def test_first_word_counts(self) -> None:
        """Once a server has talked about the mail no other is asked."""
        sink = self.sink()
        sink.plan("RCPT", "550 5.1.1 who?", "550 5.1.1 who?")
        hosts = {"a.test": ["127.0.0.1"], "b.test": ["127.0.0.1"]}
        done = await self.send(sink, {"people.test": [(1, "a.test"), (2, "b.test")]}, hosts)
        self.assert_all(done, "refused", 550)
        self.assertEqual(sink.sessions, 1)

    async def test_null_mx(self) -> None:
        """A domain that says it takes no mail gets none, for good."""
        done = await self.send(self.sink(), {"people.test": [(0, "")]}, {"people.test": ["127.0.0.1"]})
        self.assert_all(done, "refused", 556)

    async def test_no_mx(self) -> None:
        """Without an MX record the domain's own address is the server."""
        sink = self.sink()
        self.assert_all(await self.send(sink, {}, {"people.test": ["127.0.0.1"]}), "sent", 250)

    async def test_no_domain(self) -> None:
        """A domain that does not exist is refused for good."""
        self.assert_all(await self.send(self.sink(), {}, {}), "refused", 550)

    async def test_dns_trouble(self) -> None:
        """While the DNS does not answer nothing is decided."""
        sink = self.sink()
        for mx, hosts in (
            ({"people.test": None}, {"people.test": ["127.0.0.1"]}),
            ({}, {"people.test": None}),
            ({"people.test": [(1, "a.test")]}, {"a.test": None}),
            ({"people.test": [(1, "a.test")]}, {"people.test": ["127.0.0.1"]}),
        ):
            self.assert_all(await self.send(sink, mx, hosts), "deferred")
        self.assertEqual(sink.sessions, 0)

    async def test_private_addresses(self) -> None:
        """In production a domain that points inside is not followed there."""
        sink = self.sink()
        hosts = {"a.test": ["127.0.0.1", "10.0.0.1", "::1"]}
        done = await self.send(sink, {"people.test": [(1, "a.test")]}, hosts, production=True)
        self.assert_all(done, "deferred")
        self.assertEqual(sink.sessions, 0)

    async def test_opportunistic_tls(self) -> None:
        """TLS is used where offered, with any certificate."""
        sink = self.sink(tls=self._context())
        done = await self.send(sink, {"people.test": [(1, "a.test")]}, {"a.test": ["127.0.0.1"]})
        self.assert_all(done, "sent", 250)
        self.assertTrue(sink.wait_for(1)[0].secure)

    async def test_broken_tls(self) -> None:
        """Where STARTTLS fails before anything was said the same server gets the mail in clear."""
        for action in ("454 4.7.0 not now", "220 go on\r\n220 what", DROP):
            sink = self.sink(tls=self._context())
            sink.always("STARTTLS", action)
            done = await self.send(sink, {"people.test": [(1, "a.test")]}, {"a.test": ["127.0.0.1"]})
            self.assert_all(done, "sent", 250)
            self.assertFalse(sink.wait_for(1)[0].secure)

    def _context(self) -> ssl.SSLContext:
        directory = Path(self.mktemp())
        directory.mkdir()
        cert, key, _ = certificate(directory, "elsewhere.test")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context
