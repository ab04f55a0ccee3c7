"""Attacks and accidents that stock server code has let through; each has a test of its own here."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import Unavailable
from tests.receive.peer import OPENING, Gateway, Peer, make_factory

#: A session with everything: two messages by DATA, one by BDAT, refusals, stuffing, bare line ends.
SCRIPT = (
    b"EHLO c.test\r\nMAIL FROM:<a@s.test>\r\nRCPT TO:<bot@x.test>\r\nRCPT TO:<no@x.test>\r\nDATA\r\n"
    b"Subject: 1\r\n\r\n..dot\r\n.\n.\r\n.\r\r\nx\r\n.\r\n"
    b"NOOP\r\nMAIL FROM:<b@s.test>\r\nRCPT TO:<bot2@x.test>\r\nBDAT 7\r\nRSET\r\n.BDAT 4 LAST\r\n\r\n.\r"
    b"MAIL FROM:<>\r\nRCPT TO:<bot@x.test>\r\nDATA\r\n.\r\nFOO\r\nQUIT\r\n"
)

Outcome = tuple[bytes, list[tuple[str, tuple[str, ...], bytes]], bool]


def run(pieces: list[bytes], hold: bool = False) -> Outcome:
    """What comes of a session whose octets arrive in these pieces."""
    gateway = Gateway()
    gateway.hold = hold
    peer = Peer(make_factory(gateway))
    said = peer.heard()
    for piece in pieces:
        peer.protocol.dataReceived(piece)
        while gateway.held:
            gateway.release()
    said += peer.heard()
    stored = [(e.mail_from, tuple(r.address for r in e.recipients), data) for e, data in gateway.accepted]
    return said, stored, peer.closed


class SegmentationTests(SynchronousTestCase):
    """How the octets are cut into segments changes nothing."""

    def setUp(self) -> None:
        self.expected = run([SCRIPT])
        self.assertEqual(len(self.expected[1]), 3)
        self.assertTrue(self.expected[2])

    def test_byte_by_byte(self) -> None:
        """Single octets give the same replies and messages as one segment, with and without waiting."""
        octets = [SCRIPT[i : i + 1] for i in range(len(SCRIPT))]
        self.assertEqual(run(octets), self.expected)
        self.assertEqual(run(octets, hold=True), self.expected)

    def test_every_boundary(self) -> None:
        """So do two segments, wherever they are cut."""
        for cut in range(1, len(SCRIPT)):
            with self.subTest(cut=cut):
                self.assertEqual(run([SCRIPT[:cut], SCRIPT[cut:]], hold=bool(cut % 2)), self.expected)

    @given(st.lists(st.integers(1, len(SCRIPT)), max_size=12), st.booleans())
    @settings(deadline=None, max_examples=100)
    def test_any_cuts(self, cuts: list[int], hold: bool) -> None:
        """So do any segments."""
        edges = [0, *sorted(cuts), len(SCRIPT)]
        self.assertEqual(run([SCRIPT[start:end] for start, end in pairwise(edges)], hold), self.expected)

    def test_one_write_per_segment(self) -> None:
        """The replies to the commands of one segment leave together."""
        peer = Peer(make_factory(Gateway()))
        peer.transport.writes.clear()
        peer.say(OPENING + b"NOOP\r\n")
        self.assertEqual(len(peer.transport.writes), 1)


class SmugglingTests(SynchronousTestCase):
    def test_end_of_data_matrix(self) -> None:
        """Of all look-alikes only CRLF dot CRLF ends a message; what follows the others is content, kept exactly."""
        hidden = b"MAIL FROM:<ceo@s.test>\r\nRCPT TO:<bot2@x.test>\r\nDATA\r\nfraud\r\n.\r\n"
        for before in (b"\n", b"\r", b"\r\r\n", b"\r\n", b"\n\r\n", b"\0\r\n"):
            for dot in (b".", b".\0", b"..", b". "):
                for after in (b"\n", b"\r", b"\r\r\n", b"\r\n", b"\r\0\n"):
                    with self.subTest(mark=before + dot + after):
                        content = b"x" + before + dot + after
                        ends = before.endswith(b"\r\n") and dot == b"." and after == b"\r\n"
                        _, stored, _ = run([OPENING + b"DATA\r\n" + content + hidden])
                        self.assertEqual(len(stored), 2 if ends else 1)
                        if not ends:
                            whole = (content + hidden)[: -len(b".\r\n")].replace(b"\r\n.", b"\r\n")
                            self.assertEqual(stored[0][2], whole)

    def test_long_lines(self) -> None:
        """A line of any length inside DATA stays content; the lines behind it are never commands."""
        for length in (1000, 16_384, 16_385, 200_000):
            with self.subTest(length=length):
                gateway = Gateway()
                peer = Peer(make_factory(gateway))
                peer.say(OPENING + b"DATA\r\n")
                body = b"x" * length + b"\r\nRSET\r\n" + OPENING + b"DATA\r\nforged\r\n"
                self.assertEqual(peer.say(body[:length]), b"")
                self.assertEqual(peer.say(body[length:]), b"")
                self.assertEqual(peer.codes(b".\r\n"), [250])
                ((_, data),) = gateway.accepted
                self.assertEqual(data, body)

    def test_oversized_body_is_never_commands(self) -> None:
        """A body that is refused for its size is swallowed to its end, not obeyed."""
        gateway = Gateway()
        peer = Peer(make_factory(gateway, max_message_bytes=100))
        peer.say(OPENING + b"DATA\r\n")
        self.assertEqual(peer.say(b"x" * 150 + b"\r\n" + OPENING), b"")
        self.assertEqual(peer.codes(b"DATA\r\nforged\r\n.\r\n"), [552])
        self.assertEqual(gateway.accepted, [])

    def test_body_behind_a_refused_data(self) -> None:
        """Octets sent behind DATA without waiting for its refusal end the session instead of being obeyed."""
        gateway = Gateway()
        peer = Peer(make_factory(gateway))
        peer.heard()
        codes = peer.codes(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<no@x.test>\r\nDATA\r\nRSET\r\n" + OPENING)
        self.assertEqual((codes, peer.closed, gateway.asked), ([250, 250, 550, 503], True, ["no@x.test"]))

    def test_command_lines(self) -> None:
        """A bare CR or LF, NUL or an over-long line in a command ends the session; nothing of it is obeyed."""
        for line in (
            b"NOOP\nQUIT\r\n",
            b"NOOP\n",
            b"NOOP\rQUIT\r\n",
            b"NOOP\r\r\n",
            b"EHLO c\0\r\n",
            b"EHLO a\nX-Header: b\r\n",
            b'RCPT TO:<"a\nb"@x.test>\r\n',
            b"NOOP " + b"x" * 2042 + b"\r\n",
            b"x" * 2048,
        ):
            with self.subTest(line=line):
                peer = Peer(make_factory(Gateway()))
                peer.heard()
                self.assertEqual((peer.codes(line), peer.closed), ([500], True))
                self.assertEqual(peer.say(OPENING), b"")
        peer = Peer(make_factory(Gateway()))
        peer.heard()
        self.assertEqual(peer.codes(b"NOOP " + b"x" * 2041 + b"\r\n"), [250])

    def test_replies_carry_no_input(self) -> None:
        """Nothing that a client sends can begin a line of a reply."""
        gateway = Gateway()
        gateway.error = Unavailable("x\r\n250 forged")
        said = Peer(make_factory(gateway)).say(b"EHLO (250)<x>\r\n" + OPENING + b"DATA\r\n.\r\n")
        self.assertNotIn(b"\r\n250 forged", said)
        self.assertIn(b"greets ?250??x?\r\n", said)


class OrderTests(SynchronousTestCase):
    def test_pipelining_while_waiting(self) -> None:
        """Commands behind one whose answer takes time are answered in order, once it is there; reading pauses."""
        gateway = Gateway()
        gateway.hold = True
        peer = Peer(make_factory(gateway))
        peer.heard()
        said = peer.say(OPENING + b"RCPT TO:<no@x.test>\r\nDATA\r\n")
        self.assertTrue(said.endswith(b"250 2.1.0 sender OK\r\n"))
        self.assertEqual(peer.transport.producerState, "paused")
        gateway.release()
        self.assertEqual(peer.heard(), b"250 2.1.5 recipient OK\r\n")
        gateway.release()
        self.assertEqual([line[:3] for line in peer.heard().splitlines()], [b"550", b"354"])
        self.assertEqual(peer.transport.producerState, "producing")

    def test_no_pause_for_a_client_that_waits(self) -> None:
        """Reading goes on while nothing arrives, so the usual message costs no change of the reactor's sets."""
        gateway = Gateway()
        gateway.hold = True
        peer = Peer(make_factory(gateway))
        peer.say(OPENING)
        self.assertEqual(peer.transport.producerState, "producing")
        peer.protocol.dataReceived(b"NOOP\r\n")
        self.assertEqual(peer.transport.producerState, "paused")

    def test_failed_store_is_temporary_for_all(self) -> None:
        """With several recipients a failure is one 451, and nobody's copy is claimed."""
        gateway = Gateway()
        gateway.error = Unavailable()
        peer = Peer(make_factory(gateway))
        peer.heard()
        codes = peer.codes(OPENING + b"RCPT TO:<bot2@x.test>\r\nDATA\r\nx\r\n.\r\n")
        self.assertEqual(codes, [250, 250, 250, 250, 354, 451])
        gateway.error = None
        self.assertEqual(peer.codes(OPENING + b"DATA\r\nx\r\n.\r\n")[-1], 250)


class TimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.gateway = Gateway()
        self.factory = make_factory(self.gateway, self.clock)
        self.peer = Peer(self.factory)
        self.peer.heard()

    def test_idle(self) -> None:
        """300 s without a command are 421 4.4.2; a command in time starts them anew."""
        self.clock.advance(299)
        self.peer.say(b"NOOP\r\n")
        self.clock.advance(299)
        self.assertFalse(self.peer.closed)
        self.clock.advance(1)
        self.assertTrue(self.peer.heard().startswith(b"421 4.4.2 "))
        self.assertTrue(self.peer.closed)

    def test_dripping_command(self) -> None:
        """Single octets of a command do not count as life."""
        for _ in range(5):
            self.clock.advance(60)
            self.peer.protocol.dataReceived(b"N")
        self.assertTrue(self.peer.heard().startswith(b"421 4.4.2 "))

    def test_data_counts_as_life(self) -> None:
        """A slow but honest upload may take longer than the idle time-out."""
        self.peer.say(OPENING + b"DATA\r\n")
        for _ in range(10):
            self.clock.advance(200)
            self.peer.protocol.dataReceived(b"x" * 400_000)
        self.assertEqual(self.peer.codes(b"\r\n.\r\n"), [250])

    def test_dripping_message(self) -> None:
        """A message that trickles in is cut off, by DATA and by BDAT, and its memory freed."""
        for command in (b"DATA\r\n", b"BDAT 100000 LAST\r\n"):
            peer = Peer(self.factory)
            peer.say(OPENING + command)
            for _ in range(5):
                self.clock.advance(61)
                peer.protocol.dataReceived(b"x")
            self.assertTrue(peer.heard().startswith(b"421 4.4.2 "))
            self.assertTrue(peer.closed)
            self.assertEqual(self.factory.budget.used, 0)

    def test_our_own_delay_is_no_idleness(self) -> None:
        """However long the gateway takes, the client is not blamed for it."""
        self.peer.say(OPENING + b"DATA\r\n")
        self.gateway.hold = True
        self.peer.say(b"x\r\n.\r\n")
        self.clock.pump([100] * 10)
        self.assertFalse(self.peer.closed)
        self.gateway.release()
        self.assertEqual(self.peer.heard(), b"250 2.0.0 OK msg_1\r\n")
        self.clock.advance(300)
        self.assertTrue(self.peer.closed)

    def test_peer_that_does_not_read(self) -> None:
        """A connection that cannot be closed politely is cut."""
        self.peer.say(b"QUIT\r\n")
        self.assertFalse(self.peer.transport.aborted)
        self.clock.advance(15)
        self.assertTrue(self.peer.transport.aborted)

    def test_nothing_is_left(self) -> None:
        """A closed connection leaves no delayed call."""
        self.peer.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])
