"""Reading delivery reports."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.mail.dsn import Failure, Report, read
from e2a.core.mail.headers import scan

HEAD = (
    b"From: MAILER-DAEMON@mx.corp.test (Mail Delivery System)\r\nSubject: Undelivered Mail Returned to Sender\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nI'm sorry. Message-ID: <text@x.test>\r\n"
)
ORIGINAL = (
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: hi\r\nMessage-ID:\r\n <1@send.test>\r\n\r\n"
    b"Message-ID: <body@x.test>\r\n--b--\r\n"
)


def status(*groups: bytes) -> bytes:
    body = b"\r\n\r\n".join([b"Reporting-MTA: dns; mx.corp.test", *groups])
    return HEAD + b"--b\r\nContent-Type: message/delivery-status\r\n\r\n" + body + b"\r\n" + ORIGINAL


def of(raw: bytes) -> Report | None:
    return read(raw, scan(raw))


class StandardTests(TestCase):
    """RFC 3464"""

    def test_failed(self) -> None:
        """Address, status, reply code and text of a recipient that was given up, and the message it is about."""
        raw = status(
            b"Final-Recipient: rfc822; Ana@corp.test\r\nOriginal-Recipient: rfc822;ana+2Bnews@corp.test\r\n"
            b"Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 <ana@corp.test>:\r\n"
            b"    User unknown"
        )
        text = "smtp; 550 5.1.1 <ana@corp.test>: User unknown"
        failure = Failure(("ana+news@corp.test", "ana@corp.test"), "5.1.1", 550, text)
        self.assertEqual(of(raw), Report((failure,), ("<1@send.test>",)))
        self.assertTrue(failure.hard)

    def test_several(self) -> None:
        """Every group is a recipient; delays and deliveries are no failures, nor are other kinds of addresses."""
        raw = status(
            b"Final-Recipient: rfc822;a@x.test\r\nAction: failed\r\nStatus: 5.2.2",
            b"Final-Recipient: rfc822; b@x.test\r\nAction: delayed\r\nStatus: 4.4.1",
            b"Final-Recipient: rfc822; c@x.test\r\nAction: relayed\r\nStatus: 2.0.0",
            b"Final-Recipient: X400; /s=d/\r\nAction: failed\r\nStatus: 5.1.1",
            b"Final-Recipient: RFC822; <e@x.test>\r\nAction: FAILED (given up)\r\nStatus: 4.4.7 (too old)",
            b"Final-Recipient: rfc822; f@x.test\r\nStatus: 5.7.1",
        )
        report = of(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        assert report is not None
        found = [(failure.addresses[0], failure.status, failure.hard) for failure in report.failures]
        self.assertEqual(
            found,
            [("a@x.test", "5.2.2", False), ("e@x.test", "4.4.7", False), ("f@x.test", "5.7.1", False)],
        )

    def test_vague_status(self) -> None:
        """Where the status says nothing the quoted reply speaks; it never makes a delay a dead address."""
        for told, diagnostic, expected in (
            (b"5.0.0", b"smtp; 550-5.1.1 no such user", "5.1.1"),
            (b"5.0.0", b"smtp; 550 no such user", "5.0.0"),
            (b"4.0.0", b"smtp; 550 5.1.1 no such user", "4.0.0"),
            (b"", b"smtp; 550 5.1.1 no such user", "5.1.1"),
            (b"5.4.4", b"X-Postfix; Host or domain name not found", "5.4.4"),
        ):
            raw = status(
                b"Final-Recipient: rfc822; a@x.test\r\nAction: failed\r\nStatus: %b\r\nDiagnostic-Code: %b"
                % (told, diagnostic)
            )
            report = of(raw)
            assert report is not None
            self.assertEqual(report.failures[0].status, expected, (told, diagnostic))

    def test_what_is_hard(self) -> None:
        """Only what says that the address is dead counts as hard."""
        for code in ("5.1.1", "5.1.2", "5.1.10", "5.2.1"):
            self.assertTrue(Failure(("a@x.test",), code, 550, "").hard, code)
        for code in ("", "5.0.0", "5.1.8", "5.2.2", "5.7.1", "4.1.1", "5.3.4"):
            self.assertFalse(Failure(("a@x.test",), code, 550, "").hard, code)

    def test_bare_line_feeds(self) -> None:
        """Reports with bare line feeds are read as well."""
        raw = status(b"Final-Recipient: rfc822; a@x.test\r\nAction: failed\r\nStatus: 5.1.1").replace(b"\r\n", b"\n")
        report = of(HEAD[: HEAD.index(b"\r\n\r\n") + 4] + raw.partition(b"\n\n")[2])
        assert report is not None
        self.assertEqual([failure.status for failure in report.failures], ["5.1.1"])


class OtherFormsTests(TestCase):
    """What is no RFC 3464 and still met."""

    def test_header(self) -> None:
        """X-Failed-Recipients names the addresses, the text the reason."""
        raw = (
            b"From: Mail Delivery System <Mailer-Daemon@mx.test>\r\nX-Failed-Recipients: Ana@corp.test"
            b"\r\n\r\nA message that you sent could not be delivered.\r\n\r\n  ana@corp.test\r\n"
            b"    550 5.1.1 Unknown user\r\n\r\n------ This is a copy ------\r\n\r\nMessage-ID: <1@send.test>\r\n"
        )
        report = of(raw)
        assert report is not None
        self.assertEqual(report, Report((Failure(("ana@corp.test",), "5.1.1", 550, "550 5.1.1"),), ("<1@send.test>",)))

    def test_header_with_several(self) -> None:
        """A reason that may be about any of several addresses is held against none."""
        report = of(b"X-Failed-Recipients: a@x.test,\r\n b@x.test\r\n\r\n550 5.1.1 Unknown user\r\n")
        assert report is not None
        found = [(failure.addresses, failure.status, failure.code) for failure in report.failures]
        self.assertEqual(found, [(("a@x.test",), "", None), (("b@x.test",), "", None)])

    def test_control_characters(self) -> None:
        """An encoded NUL makes no address."""
        raw = status(
            b"Original-Recipient: rfc822;a+00@x.test\r\nFinal-Recipient: rfc822;a@x.test\r\nAction: failed\r\n"
            b"Status: 5.1.1"
        )
        report = of(raw)
        assert report is not None
        self.assertEqual(report.failures[0].addresses, ("a@x.test",))

    def test_qmail(self) -> None:
        """The qmail-send format: a paragraph for each address, then the message."""
        raw = (
            b"From: MAILER-DAEMON@mx.test\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send"
            b" program.\r\nI'm afraid I wasn't able to deliver it.\r\n\r\n<Ana@corp.test>:\r\n192.0.2.1 does not like"
            b" recipient.\r\nRemote host said: 550 no such user (#5.1.1)\r\n\r\n<bob@corp.test>:\r\nSorry.\r\n\r\n"
            b"--- Below this line is a copy of the message.\r\n\r\nMessage-ID: <1@send.test>\r\n\r\n"
            b"<eve@x.test>:\r\nno\r\n"
        )
        report = of(raw)
        assert report is not None
        found = [(failure.addresses[0], failure.status, failure.code) for failure in report.failures]
        self.assertEqual(found, [("ana@corp.test", "5.1.1", 550), ("bob@corp.test", "", None)])
        self.assertEqual(report.message_ids, ("<1@send.test>",))

    def test_ordinary(self) -> None:
        """Ordinary mail is no report, even when it speaks of one or forwards one."""
        self.assertIsNone(of(b"Subject: hi\r\n\r\nFinal-Recipient: rfc822; a@x.test\r\nAction: failed\r\n"))
        inner = status(b"Final-Recipient: rfc822; a@x.test\r\nAction: failed\r\nStatus: 5.1.1")
        self.assertIsNone(of(b"Subject: Fwd\r\nContent-Type: message/rfc822\r\n\r\n" + inner))

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=400))
    def test_junk(self, junk: bytes) -> None:
        """No report is too broken to be read, and what is read can be stored."""
        for raw in (junk, status(junk), HEAD + junk, b"X-Failed-Recipients: " + junk + b"\r\n\r\n" + junk):
            report = of(raw)
            for failure in report.failures if report else ():
                self.assertNotIn("\0", "".join((*failure.addresses, failure.status, failure.text)))
