"""Tests for e2a.receive.factory and e2a.receive.limits."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.trial.unittest import SynchronousTestCase

from e2a.receive.limits import ByteBudget, ConnectionCaps, UnknownRecipients, unmapped
from tests.receive.peer import OPENING, Gateway, Peer, make_factory


class AdmissionTests(SynchronousTestCase):
    def test_not_ready(self) -> None:
        """Until the daemon is ready every connection is 421 4.3.2."""
        factory = make_factory(Gateway(), ready=False)
        peer = Peer(factory)
        self.assertTrue(peer.heard().startswith(b"421 4.3.2 "))
        self.assertTrue(peer.closed)
        factory.ready()
        self.assertTrue(Peer(factory).heard().startswith(b"220 "))

    def test_total(self) -> None:
        """One session too many is 421 4.7.0; a place that becomes free is given again."""
        factory = make_factory(Gateway(), max_connections=2)
        peers = [Peer(factory, f"192.0.2.{number}") for number in range(3)]
        heard = [peer.heard()[:9] for peer in peers]
        self.assertEqual(heard, [b"220 mx.te", b"220 mx.te", b"421 4.7.0"])
        for peer in peers:
            peer.hang_up()
        self.assertEqual(factory.sessions, 0)
        self.assertTrue(Peer(factory).heard().startswith(b"220 "))

    def test_per_address(self) -> None:
        """One address cannot take all places; the addresses of one IPv6 /64 are one."""
        factory = make_factory(Gateway(), max_connections_per_address=1)
        for hosts in (("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::1", "2001:db8::2:3")):
            first, second = (Peer(factory, host) for host in hosts)
            self.assertTrue(first.heard().startswith(b"220 "))
            self.assertTrue(second.heard().startswith(b"421 4.7.0 "))
        self.assertTrue(Peer(factory, "2001:db8:0:1::1").heard().startswith(b"220 "))

    def test_mapped_address(self) -> None:
        """An IPv4 client of a dual-stack socket is reported by its IPv4 address."""
        gateway = Gateway()
        Peer(make_factory(gateway), "::ffff:192.0.2.9").say(OPENING + b"DATA\r\n.\r\n")
        self.assertEqual(gateway.accepted[0][0].client_ip, "192.0.2.9")


class ProxyTests(SynchronousTestCase):
    """Behind ``haproxy:`` endpoints."""

    def connect(self, factory: object) -> tuple[object, StringTransport]:
        wrapper = HAProxyWrappingFactory(factory).buildProtocol(None)
        transport = StringTransport(peerAddress=IPv4Address("TCP", "10.0.0.1", 1))
        wrapper.makeConnection(transport)
        return wrapper, transport

    def test_address_behind_the_proxy(self) -> None:
        """The client's address is the one in the PROXY header, and the caps count that one."""
        gateway = Gateway()
        factory = make_factory(gateway, max_connections_per_address=1)
        said = []
        for source in (b"192.0.2.1", b"192.0.2.2", b"192.0.2.1"):
            wrapper, transport = self.connect(factory)
            wrapper.dataReceived(b"PROXY TCP4 " + source + b" 192.0.2.99 1000 25\r\n")
            wrapper.dataReceived(OPENING + b"DATA\r\n.\r\n")
            said.append(transport.value().splitlines()[-1][:3])
        self.assertEqual(said, [b"250", b"250", b"421"])
        self.assertEqual([envelope.client_ip for envelope, _ in gateway.accepted], ["192.0.2.1", "192.0.2.2"])


class DrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.factory = make_factory(self.gateway, Clock())

    def test_idle_sessions(self) -> None:
        """Sessions without a message are told 421 and closed at once; new ones are turned away."""
        idle, begun = Peer(self.factory), Peer(self.factory)
        idle.heard()
        begun.say(OPENING)
        done = self.factory.drain()
        self.assertNoResult(done)
        for peer in (idle, begun):
            self.assertTrue(peer.heard().startswith(b"421 4.3.2 "))
            peer.hang_up()
        self.successResultOf(done)
        late = Peer(self.factory)
        self.assertTrue(late.heard().startswith(b"421 4.3.2 "))

    def test_message_on_its_way(self) -> None:
        """A message that is being sent or stored is finished and answered, then the session ends."""
        sending, storing, chunking = (Peer(self.factory) for _ in range(3))
        sending.say(OPENING + b"DATA\r\nhalf")
        storing.say(OPENING + b"DATA\r\n")
        chunking.say(OPENING + b"BDAT 1\r\nx")
        self.gateway.hold = True
        storing.say(b".\r\n")
        self.gateway.hold = False
        done = self.factory.drain()
        self.gateway.release()
        for peer, said in ((storing, peer_said(storing)), (sending, sending.say(b"\r\n.\r\nMAIL FROM:<>\r\n"))):
            self.assertEqual([line[:9] for line in said.splitlines()], [b"250 2.0.0", b"421 4.3.2"])
            self.assertTrue(peer.closed)
            peer.hang_up()
        self.assertEqual(chunking.codes(b"BDAT 1 LAST\r\ny"), [250, 421])
        self.assertNoResult(done)
        chunking.hang_up()
        self.successResultOf(done)
        self.assertEqual(len(self.gateway.accepted), 3)

    def test_refused_message(self) -> None:
        """A message that turns out too large ends a draining session as well."""
        factory = make_factory(self.gateway, max_message_bytes=5)
        peer = Peer(factory)
        peer.say(OPENING + b"DATA\r\ntoo much")
        factory.drain()
        self.assertEqual(peer.codes(b"\r\n.\r\n"), [552, 421])

    def test_abort(self) -> None:
        """What did not finish in time is cut."""
        peer = Peer(self.factory)
        peer.say(OPENING + b"DATA\r\nhalf")
        done = self.factory.drain()
        self.factory.abort()
        self.assertTrue(peer.transport.aborted)
        peer.hang_up()
        self.successResultOf(done)
        self.assertEqual(self.factory.budget.used, 0)

    def test_nobody_there(self) -> None:
        """Without sessions the drain is over at once."""
        self.successResultOf(self.factory.drain())


def peer_said(peer: Peer) -> bytes:
    return peer.heard()


class LimitTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """Mapped addresses are unmapped, and zones dropped."""
        self.assertEqual(unmapped("::FFFF:192.0.2.1"), "192.0.2.1")
        self.assertEqual(unmapped("fe80::1%eth0"), "fe80::1")
        self.assertEqual(unmapped("::ffff:junk"), "::ffff:junk")

    def test_connection_caps(self) -> None:
        """Leaving frees both places, and addresses that left are forgotten."""
        caps = ConnectionCaps(2, 1)
        self.assertEqual(
            [caps.enter("a"), caps.enter("a"), caps.enter("b"), caps.enter("c")], [None, "address", None, "total"]
        )
        caps.leave("a")
        self.assertEqual((caps.enter("a"), caps.count), (None, 2))
        caps.leave("a")
        caps.leave("b")
        self.assertEqual((caps.count, len(caps._open)), (0, 0))

    def test_byte_budget(self) -> None:
        """What does not fit is not taken at all."""
        budget = ByteBudget(10)
        self.assertEqual((budget.take(10), budget.take(1), budget.used), (True, False, 10))
        budget.give_back(10)
        self.assertTrue(budget.room(10))

    def test_unknown_recipients(self) -> None:
        """Tries are counted per address and window, and no more addresses are remembered than fit."""
        tries = UnknownRecipients(2, 60.0)
        tries.note("a", 0.0)
        self.assertFalse(tries.too_many("a", 1.0))
        tries.note("a", 1.0)
        self.assertTrue(tries.too_many("a", 59.0))
        self.assertFalse(tries.too_many("a", 60.0))
        tries.REMEMBERED = 2
        for key in ("b", "c"):
            tries.note(key, 2.0)
        self.assertFalse(tries.too_many("a", 3.0))
