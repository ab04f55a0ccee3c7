"""Tests for e2a.receive.protocol: commands, replies, recipients and messages."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import MailLoop, UnknownRecipient
from tests.receive.peer import OPENING, Gateway, Peer, Unavailable, make_factory


class SessionCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway()
        self.clock = Clock()

    def peer(self, **limits: object) -> Peer:
        self.factory = make_factory(self.gateway, self.clock, **limits)
        peer = Peer(self.factory)
        self.assertEqual(peer.heard(), b"220 mx.test ESMTP\r\n")
        return peer


class DialogueTests(SessionCase):
    def test_ehlo(self) -> None:
        """EHLO announces exactly what is implemented."""
        lines = self.peer(max_message_bytes=1234, max_recipients=7).say(b"ehlo c.test\r\n").split(b"\r\n")
        self.assertEqual(
            lines,
            [
                b"250-mx.test greets c.test",
                b"250-PIPELINING",
                b"250-8BITMIME",
                b"250-ENHANCEDSTATUSCODES",
                b"250-CHUNKING",
                b"250-SIZE 1234",
                b"250 LIMITS RCPTMAX=7",
                b"",
            ],
        )

    def test_message(self) -> None:
        """A whole transaction reaches the gateway: envelope complete, data un-stuffed and otherwise exact."""
        peer = self.peer()
        self.clock.advance(100.0)
        said = peer.say(
            b"EHLO c.test\r\nMAIL FROM:<Al@S.test> BODY=8BITMIME SIZE=20\r\nRCPT TO:<Bot+t@x.test>\r\nDATA\r\n"
            b"A: \xe4\0\r\n\r\n..\r\nx\ny\rz\r\n.\r\nQUIT\r\n"
        )
        self.assertEqual(
            said.splitlines()[-5:-1],
            [
                b"250 2.1.0 sender OK",
                b"250 2.1.5 recipient OK",
                b"354 end data with <CRLF>.<CRLF>",
                b"250 2.0.0 OK msg_1",
            ],
        )
        self.assertTrue(peer.closed)
        ((envelope, data),) = self.gateway.accepted
        self.assertEqual(data, b"A: \xe4\0\r\n\r\n.\r\nx\ny\rz\r\n")
        self.assertEqual(
            (envelope.client_ip, envelope.helo, envelope.mail_from, envelope.protocol, envelope.session_id),
            ("192.0.2.7", "c.test", "Al@s.test", "ESMTP", "5e5e5e5e"),
        )
        self.assertEqual(envelope.received_at, 100.0)
        (recipient,) = envelope.recipients
        self.assertEqual((recipient.address, recipient.agent_id, recipient.tag), ("Bot+t@x.test", "bot@x.test", "t"))

    def test_helo_and_null_sender(self) -> None:
        """HELO makes it SMTP, and the null sender is taken."""
        peer = self.peer()
        peer.say(b"HELO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<bot@x.test>\r\nDATA\r\n.\r\n")
        ((envelope, data),) = self.gateway.accepted
        self.assertEqual((envelope.protocol, envelope.mail_from, data), ("SMTP", "", b""))

    def test_order(self) -> None:
        """Commands out of order are 503, and help nothing."""
        peer = self.peer()
        self.assertEqual(peer.codes(b"MAIL FROM:<a@b.test>\r\n"), [503])
        self.assertEqual(peer.codes(b"EHLO c\r\nRCPT TO:<bot@x.test>\r\n"), [250, 503])
        self.assertEqual(peer.codes(b"DATA\r\n"), [503])
        self.assertEqual(peer.codes(b"MAIL FROM:<>\r\nMAIL FROM:<>\r\n"), [250, 503])
        self.assertEqual(peer.codes(b"DATA\r\n"), [503])
        self.assertEqual(self.gateway.asked, [])

    def test_small_commands(self) -> None:
        """NOOP, VRFY, HELP, EXPN, AUTH, RSET and QUIT answer as the standard has them."""
        peer = self.peer()
        self.assertEqual(
            peer.codes(b"NOOP x\r\nVRFY bot\r\nHELP\r\nEXPN x\r\nAUTH PLAIN\r\nRSET\r\nSTARTTLS\r\nQUIT\r\n"),
            [250, 252, 214, 502, 504, 250, 502, 221],
        )
        self.assertTrue(peer.closed)

    def test_reset(self) -> None:
        """RSET and a second EHLO forget sender and recipients."""
        peer = self.peer()
        for command in (b"RSET\r\n", b"EHLO c\r\n", b"HELO c\r\n"):
            self.assertEqual(peer.codes(OPENING + command + b"DATA\r\n")[-2:], [250, 503])

    def test_transaction_ends_with_its_message(self) -> None:
        """Nothing of one message is there for the next."""
        peer = self.peer()
        peer.say(OPENING + b"DATA\r\nx\r\n.\r\n")
        self.assertEqual(peer.codes(b"RCPT TO:<bot@x.test>\r\nMAIL FROM:<c@d.test>\r\nDATA\r\n"), [503, 250, 503])

    def test_fourth_error_closes(self) -> None:
        """The fourth protocol error ends the session; an accepted message forgives the earlier ones."""
        peer = self.peer()
        self.assertEqual(peer.codes(b"FOO\r\nLHLO x\r\n\r\n"), [500, 500, 500])
        self.assertEqual(peer.codes(OPENING + b"DATA\r\n.\r\nMAIL\r\n")[-2:], [250, 501])
        self.assertFalse(peer.closed)
        self.assertEqual(peer.codes(b"RSET x\r\nRCPTTO\r\n \r\nQUIT\r\n"), [501, 500, 421])
        self.assertTrue(peer.closed)

    def test_refused_pipeline_is_no_error(self) -> None:
        """A pipelined transaction whose MAIL is refused gets all its answers; the session lives on."""
        peer = self.peer(max_message_bytes=100)
        codes = peer.codes(
            b"EHLO c\r\nMAIL FROM:<a@b.test> SIZE=101\r\n" + b"RCPT TO:<bot@x.test>\r\n" * 9 + b"DATA\r\n"
        )
        self.assertEqual(codes, [250, 552] + [503] * 10)
        self.assertFalse(peer.closed)

    def test_other_protocols(self) -> None:
        """An HTTP request is no SMTP session, whatever its body says."""
        peer = self.peer()
        self.assertEqual(peer.codes(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + OPENING + b"DATA\r\n.\r\n"), [421])
        self.assertEqual((peer.closed, self.gateway.asked), (True, []))

    def test_talk_is_bounded(self) -> None:
        """A session that only talks is ended."""
        peer = self.peer()
        self.assertEqual(peer.codes(b"NOOP\r\n" * 102), [250] * 100 + [421])
        self.assertTrue(peer.closed)


class RecipientTests(SessionCase):
    def codes(self, *recipients: bytes, **limits: object) -> list[int]:
        self.peer_ = self.peer(**limits)
        self.peer_.say(b"EHLO c.test\r\nMAIL FROM:<a@s.test>\r\n")
        return self.peer_.codes(b"".join(b"RCPT TO:<%b>\r\n" % recipient for recipient in recipients))

    def test_known_and_unknown(self) -> None:
        """Agents and postmaster are taken; unknown addresses and literals are 550 5.1.1; the rest still works."""
        self.assertEqual(
            self.codes(
                b"nobody@x.test", b"bot@[192.0.2.1]", b"bot", b"Postmaster", b"postmaster@x.test", b"bot@x.test"
            ),
            [550, 550, 550, 250, 250, 250],
        )
        self.assertEqual(self.gateway.asked, ["nobody@x.test", "postmaster", "postmaster@x.test", "bot@x.test"])

    def test_same_recipient_twice(self) -> None:
        """One recipient named several times is accepted each time and receives one copy; another tag is another one."""
        self.assertEqual(self.codes(b"bot@x.test", b"BOT@X.test", b"bot+t@x.test", b"bot2@x.test"), [250] * 4)
        self.peer_.say(b"DATA\r\n.\r\n")
        ((envelope, _),) = self.gateway.accepted
        self.assertEqual([r.address for r in envelope.recipients], ["bot@x.test", "bot+t@x.test", "bot2@x.test"])

    def test_limit(self) -> None:
        """One recipient too many is 452 4.5.3, and the others stay."""
        self.assertEqual(self.codes(b"bot@x.test", b"bot2@x.test", b"bot@y.test", max_recipients=2), [250, 250, 452])
        self.peer_.say(b"DATA\r\n.\r\n")
        self.assertEqual(len(self.gateway.accepted[0][0].recipients), 2)

    def test_database_trouble(self) -> None:
        """While the directory cannot be asked, a recipient is 451, never 550."""
        for error in (Unavailable(), RuntimeError("secret detail")):
            self.gateway.lookup_error = error
            self.codes()
            said = self.peer_.say(b"RCPT TO:<bot@x.test>\r\n")
            self.assertTrue(said.startswith(b"451 4.3.0 "), said)
            self.assertNotIn(b"secret", said)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_harvesting(self) -> None:
        """After too many unknown recipients the session ends, and soon no session from there is let in."""
        unknown = [b"n%d@x.test" % number for number in range(5)]
        self.assertEqual(
            self.codes(*unknown, max_unknown_recipients=3, max_unknown_per_address=4), [550, 550, 550, 421]
        )
        self.assertTrue(self.peer_.closed)
        second = Peer(self.factory)
        second.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<n@x.test>\r\n")
        self.assertTrue(Peer(self.factory).heard().startswith(b"421 4.7.0"))
        self.assertTrue(Peer(self.factory, "192.0.2.8").heard().startswith(b"220"))
        self.clock.advance(600)
        self.assertTrue(Peer(self.factory).heard().startswith(b"220"))


class OutcomeTests(SessionCase):
    def test_errors(self) -> None:
        """Each of the gateway's errors has its reply; trouble is 451 and says nothing of its cause."""
        for error, expected in (
            (Unavailable(), b"451 4.3.0 "),
            (MailLoop(), b"554 5.4.6 "),
            (UnknownRecipient(), b"550 5.1.1 "),
            (ValueError("secret"), b"451 4.3.0 local error"),
        ):
            self.gateway.error = error
            said = self.peer().say(OPENING + b"DATA\r\nx\r\n.\r\n").splitlines()[-1]
            self.assertTrue(said.startswith(expected), said)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual((self.gateway.accepted, self.factory.budget.used), ([], 0))

    def test_log(self) -> None:
        """Every message leaves one line with its outcome, its session and its reply, and without an address of mail."""
        with capturedLogs() as events:
            self.peer(max_message_bytes=100).say(OPENING + b"DATA\r\nx\r\n.\r\nQUIT\r\n")
            self.peer(max_message_bytes=100).say(OPENING + b"DATA\r\n" + b"x" * 101 + b"\r\n.\r\n")
            self.gateway.error = Unavailable()
            self.peer().say(OPENING + b"DATA\r\nx\r\n.\r\n")
        lines = [formatEvent(event) for event in events]
        self.assertEqual(len(lines), 3, lines)
        start = "3 octets, 1 recipients, from 192.0.2.7, session 5e5e5e5e: "
        self.assertEqual(lines[0], f"message accepted: {start}250 2.0.0 OK msg_1")
        self.assertTrue(lines[1].startswith("message too_large: "), lines[1])
        self.assertTrue(lines[2].startswith(f"message deferred: {start}451 4.3.0 "), lines[2])

    def test_no_250_before_the_gateway_has_it(self) -> None:
        """The end of data is answered when, and only when, the gateway is done."""
        peer = self.peer()
        peer.say(OPENING + b"DATA\r\n")
        self.gateway.hold = True
        self.assertEqual(peer.say(b"x\r\n.\r\n"), b"")
        self.assertEqual(self.factory.budget.used, 3)
        self.gateway.release()
        self.assertEqual((peer.heard(), self.factory.budget.used), (b"250 2.0.0 OK msg_1\r\n", 0))

    def test_client_leaves_while_waiting(self) -> None:
        """A client that hangs up before the answer does not stop the storing, and costs nothing afterwards."""
        peer = self.peer()
        peer.say(OPENING + b"DATA\r\n")
        self.gateway.hold = True
        peer.say(b"x\r\n.\r\n")
        peer.hang_up()
        self.assertEqual(self.factory.budget.used, 3)
        self.gateway.release()
        self.assertEqual((len(self.gateway.accepted), self.factory.budget.used, self.factory.sessions), (1, 0, 0))
        self.assertEqual(peer.heard(), b"")

    def test_client_leaves_within_data(self) -> None:
        """A message without its end is forgotten, its memory freed."""
        peer = self.peer()
        peer.say(OPENING + b"DATA\r\nhalf a message")
        self.assertGreater(self.factory.budget.used, 0)
        peer.hang_up()
        self.assertEqual((self.gateway.accepted, self.factory.budget.used), ([], 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SizeTests(SessionCase):
    def test_one_limit(self) -> None:
        """SIZE, DATA and BDAT agree on the limit to the octet, and the session goes on."""
        for size, codes in ((100, [250, 354, 250]), (101, [552, 503, 503])):
            peer = self.peer(max_message_bytes=100)
            peer.say(b"EHLO c\r\n")
            declared = b"MAIL FROM:<> SIZE=%d\r\n" % size
            self.assertEqual(peer.codes(declared)[0], codes[0])
            peer.say(b"RSET\r\nMAIL FROM:<>\r\nRCPT TO:<bot@x.test>\r\n")
            body = b"." * (size - 2) + b"\r\n"
            self.assertEqual(peer.codes(b"DATA\r\n." + body + b".\r\n"), [354, 250 if size == 100 else 552])
            peer.say(b"MAIL FROM:<>\r\nRCPT TO:<bot@x.test>\r\n")
            self.assertEqual(peer.codes(b"BDAT %d LAST\r\n" % size + body), [250 if size == 100 else 552])
            self.assertEqual(peer.codes(b"NOOP\r\n"), [250])
            self.assertEqual(self.factory.budget.used, 0)
        self.assertEqual([len(data) for _, data in self.gateway.accepted], [100, 100])

    def test_endless_message(self) -> None:
        """A message far beyond the limit is cut off while it is being sent."""
        peer = self.peer(max_message_bytes=100)
        peer.say(OPENING + b"DATA\r\n")
        self.assertEqual(peer.codes(b"x" * 401), [552])
        self.assertTrue(peer.closed)

    def test_common_budget(self) -> None:
        """Beyond the octets that all sessions may hold together, a message is 452 4.3.1, and not for ever."""
        first = self.peer(max_bytes_in_flight=100)
        first.say(OPENING + b"DATA\r\n" + b"x" * 60)
        second = Peer(self.factory)
        second.heard()
        self.assertEqual(second.codes(OPENING.replace(b"s.test>", b"s.test> SIZE=41"))[1], 452)
        self.assertEqual(second.codes(OPENING + b"DATA\r\n" + b"y" * 41 + b"\r\n.\r\n")[-2:], [354, 452])
        self.assertEqual(first.codes(b"\r\n.\r\n"), [250])
        self.assertEqual(second.codes(OPENING + b"DATA\r\n" + b"y" * 41 + b"\r\n.\r\n")[-2:], [354, 250])
        self.assertEqual(self.factory.budget.used, 0)


class ChunkingTests(SessionCase):
    def test_chunks(self) -> None:
        """Chunks are joined as they are: no un-stuffing, no line rules, commands inside are octets."""
        peer = self.peer()
        peer.say(OPENING)
        codes = peer.codes(b"BDAT 8\r\nRSET\r\n.\nBDAT 0\r\nBDAT 3\r\n\r\n.BDAT 2 LAST\r\n\r\nNOOP\r\n")
        self.assertEqual(codes, [250, 250, 250, 250, 250])
        self.assertEqual(self.gateway.accepted[0][1], b"RSET\r\n.\n\r\n.\r\n")

    def test_empty_last_chunk(self) -> None:
        """BDAT 0 LAST ends a message, also an empty one."""
        peer = self.peer()
        self.assertEqual(peer.codes(OPENING + b"BDAT 0 LAST\r\n")[-1], 250)
        self.assertEqual(peer.codes(OPENING + b"BDAT 1\r\nxBDAT 0 LAST\r\n")[-2:], [250, 250])
        self.assertEqual([data for _, data in self.gateway.accepted], [b"", b"x"])

    def test_refused_chunk(self) -> None:
        """A chunk nobody asked for is read to its end and 503; its octets are never commands."""
        peer = self.peer()
        self.assertEqual(peer.codes(b"EHLO c\r\nBDAT 6 LAST\r\nNOOP\r\nQUIT\r\n"), [250, 503, 221])

    def test_after_an_overflow(self) -> None:
        """After a chunk that was too much the rest of the message is refused too."""
        peer = self.peer(max_message_bytes=10)
        peer.say(OPENING)
        self.assertEqual(peer.codes(b"BDAT 11\r\n" + b"x" * 11 + b"BDAT 1 LAST\r\ny"), [552, 503])
        self.assertEqual(self.gateway.accepted, [])

    def test_mixed_with_other_commands(self) -> None:
        """Within a message in chunks MAIL, RCPT and DATA are 503; RSET drops the message."""
        peer = self.peer()
        peer.say(OPENING + b"BDAT 1\r\nx")
        self.assertEqual(peer.codes(b"MAIL FROM:<>\r\nRCPT TO:<bot2@x.test>\r\n"), [503, 503])
        self.assertEqual(peer.codes(b"DATA\r\n"), [503])
        self.assertEqual(peer.codes(b"RSET\r\nBDAT 1 LAST\r\nx"), [250, 503])
        self.assertEqual((self.gateway.accepted, self.factory.budget.used), ([], 0))

    def test_unreadable_size(self) -> None:
        """A BDAT whose size cannot be read, or is absurd, ends the session: its octets cannot be told from commands."""
        for size, code in ((b"x", 501), (b"-1", 501), (b"", 501), (b"9" * 15, 552)):
            peer = self.peer()
            peer.say(OPENING)
            self.assertEqual((peer.codes(b"BDAT " + size + b"\r\nNOOP\r\n"), peer.closed), ([code], True))
