"""Tests for e2a.core.mail.smtpgrammar."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.mail import smtpgrammar
from e2a.core.mail.smtpgrammar import (
    CommandError,
    MailCommand,
    Reply,
    parse_bdat,
    parse_helo,
    parse_mail,
    parse_rcpt,
    split_command,
)


class MailTests(TestCase):
    def test_understood(self) -> None:
        """Paths, routes, quoting, parameters in any case and order are read as RFC 5321 has them."""
        for text, expected in {
            b"FROM:<>": MailCommand(""),
            b"from:<a@b.test>": MailCommand("a@b.test"),
            b"FROM: <A@B.Test> size=12 BODY=8bitmime": MailCommand("A@b.test", 12, "8BITMIME"),
            b"FROM:<@r.test,@q.test:a@b.test>  BODY=7BIT": MailCommand("a@b.test"),
            b'FROM:<"a b"@c.test>': MailCommand('"a b"@c.test'),
            b'FROM:<"a\\"> SIZE=1"@c.test>': MailCommand('"a\\"> SIZE=1"@c.test'),
            b'FROM:<"plain"@c.test>': MailCommand("plain@c.test"),
            b"FROM:<a@[192.0.2.1]>": MailCommand("a@[192.0.2.1]"),
        }.items():
            with self.subTest(text=text):
                self.assertEqual(parse_mail(text), expected)

    def test_refused(self) -> None:
        """What is malformed, unknown or not offered gets the reply that says which."""
        for text, code in {
            b"": 501,
            b"FROM": 501,
            b"TO:<a@b.test>": 501,
            b"FROM:a@b.test": 501,
            b"FROM:<a@b.test": 501,
            b"FROM:<a b@c.test>": 501,
            b"FROM:<a@b.test>SIZE=1": 501,
            b"FROM:<a@b@c.test>": 501,
            b"FROM:<.a@b.test>": 501,
            b"FROM:<a@-b.test>": 501,
            b"FROM:<%s@b.test>" % (b"a" * 400): 501,
            b"FROM:<a@b.test> SIZE=x": 501,
            b"FROM:<a@b.test> SIZE=-1": 501,
            b"FROM:<a@b.test> SIZE=%s" % (b"9" * 21): 501,
            b"FROM:<a@b.test> SIZE=1 SIZE=2": 501,
            b"FROM:<a@b.test> BODY=BINARYMIME": 501,
            b"FROM:<a@b.test> =": 501,
            b"FROM:<a@b.test> SMTPUTF8": 504,
            b"FROM:<a@b.test> RET=HDRS": 504,
            b"FROM:<a@b.test> X=1": 555,
            b"FROM:<postmaster>": 553,
            "FROM:<ä@b.test>".encode(): 553,
        }.items():
            with self.subTest(text=text):
                error = self.assertRaises(CommandError, parse_mail, text)
                self.assertEqual(error.reply.code, code)

    @given(
        st.sampled_from([b"<"] * 5 + [b" <", b"<@a.test:", b""]),
        st.sampled_from([b"ana", b"A.b+c=d", b"x" * 100, b'"a b"', b".a", b"o'b"]),
        st.sampled_from([b".".join([b"l" * 60] * count) for count in (3, 4, 5)])
        | st.lists(st.sampled_from([b"a", b"b-C", b"l" * 63, b"0"]), min_size=1, max_size=6).map(b".".join),
        st.sampled_from(
            [b">", b"> SIZE=7", b"> SIZE=" + b"9" * 20, b"> SIZE=" + b"9" * 21, b"> size=7", b"> ", b">x", b"._u>"]
        ),
    )
    @settings(deadline=None, max_examples=400)
    def test_the_short_way(self, before: bytes, local: bytes, domain: bytes, after: bytes) -> None:
        """What the pattern for usual commands reads, the full grammar reads alike."""
        argument = before + local + b"@" + domain + after
        for keyword, short, full in (
            (b"FROM:", parse_mail, smtpgrammar._any_mail),
            (b"TO:", parse_rcpt, smtpgrammar._any_rcpt),
        ):
            try:
                expected = full(keyword + argument)
            except CommandError:
                self.assertRaises(CommandError, short, keyword + argument)
            else:
                self.assertEqual(short(keyword + argument), expected)

    @given(st.binary(max_size=80))
    @settings(deadline=None, max_examples=200)
    def test_never_anything_else(self, tail: bytes) -> None:
        """Whatever follows the keyword is an address without line breaks or NUL, or a CommandError."""
        for parse, keyword in ((parse_mail, b"FROM:<"), (parse_rcpt, b"TO:<")):
            try:
                result = parse(keyword + tail)
            except CommandError as error:
                self.assertNotRegex(error.reply.wire[:-2], b"[\r\n\0]")
                continue
            text = result.reverse_path if isinstance(result, MailCommand) else result.address
            self.assertNotRegex(text, "[\r\n\0]")
            self.assertTrue(text.isascii())


class OtherCommandTests(TestCase):
    def test_rcpt(self) -> None:
        """A recipient has a domain, except postmaster; the null path and parameters are refused."""
        self.assertEqual(parse_rcpt(b"TO:<Bot+t@X.test>").address, "Bot+t@x.test")
        self.assertEqual(parse_rcpt(b"TO:<Postmaster>").domain, "")
        for text, code in {b"TO:<>": 501, b"TO:<a@b.test> NOTIFY=NEVER": 504, b"TO:<a@b.test> X": 555}.items():
            with self.subTest(text=text):
                self.assertEqual(self.assertRaises(CommandError, parse_rcpt, text).reply.code, code)

    def test_bdat(self) -> None:
        """BDAT has a size and maybe LAST; nothing else."""
        self.assertEqual(parse_bdat(b"12"), (12, False))
        self.assertEqual(parse_bdat(b"0 last"), (0, True))
        for text in (b"", b"-1", b"+1", b"1 LASTLY", b"1 LAST x", b"1_0", b"0x1", b"1" * 21, b"\xd9\xa1"):
            with self.subTest(text=text):
                self.assertRaises(CommandError, parse_bdat, text)

    def test_helo(self) -> None:
        """A client's name has no meaning in header fields; missing, long or odd ones are refused."""
        self.assertEqual(parse_helo(b"mail_1.test"), "mail_1.test")
        self.assertEqual(parse_helo(b"[IPv6:2001:db8::1]"), "[IPv6:2001:db8::1]")
        self.assertEqual(parse_helo(b"a(b)<c>;d"), "a?b??c??d")
        for text in (b"", b"a b", b"\xe4.test", b"a\nb", b"a" * 256):
            with self.subTest(text=text):
                self.assertRaises(CommandError, parse_helo, text)

    def test_split(self) -> None:
        """Verbs are case-insensitive and trailing white space is dropped."""
        self.assertEqual(split_command(b"noop  "), (b"NOOP", b""))
        self.assertEqual(split_command(b"Mail  FROM:<> "), (b"MAIL", b"FROM:<>"))


class ReplyTests(TestCase):
    @given(st.text(max_size=600))
    @settings(deadline=None, max_examples=100)
    def test_one_line(self, text: str) -> None:
        """A reply is one line of printable ASCII under 512 octets, whatever its text."""
        wire = Reply(250, "2.0.0", text).wire
        self.assertRegex(wire, rb"\A250 2\.0\.0 [ -~]*\r\n\Z")
        self.assertLessEqual(len(wire), 512)
