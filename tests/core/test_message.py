"""What a received message's row says, and which bytes are kept."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Envelope
from e2a.core.mail.headers import scan
from e2a.core.mail.message import MAX_REFERENCES, kept_bytes, parse
from e2a.core.mail.trace import trace_header
from e2a.core.mail.words import clean, decoded

TRACE = b"Received: by us\r\n"


def parsed(*lines: bytes):
    return parse(scan(b"\r\n".join(lines) + b"\r\n\r\nbody\r\n"))


def kept(raw: bytes) -> bytes:
    return kept_bytes(raw, scan(raw), TRACE, "mx.e2a.test")


class ParseTests(SynchronousTestCase):
    """``parse``"""

    def test_ordinary_mail(self) -> None:
        """Addresses are bare, the subject decoded, the Message-ID kept with its brackets."""
        message = parsed(
            b"From: Ana <ana@corp.test>",
            b"To: Bot <bot@agents.test>, other@agents.test",
            b"Cc: team: x@corp.test, y@corp.test;",
            b"Reply-To: desk@corp.test",
            b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= an alle",
            b"Message-ID:  <1@corp.test> ",
            b"Received: one",
            b"Received: two",
        )
        self.assertEqual(message.to, ("bot@agents.test", "other@agents.test"))
        self.assertEqual(message.cc, ("x@corp.test", "y@corp.test"))
        self.assertEqual(message.reply_to, ("desk@corp.test",))
        self.assertEqual(message.subject, "Grüße an alle")
        self.assertEqual(message.email_message_id, "<1@corp.test>")
        self.assertEqual((message.hops, message.defects), (2, ()))

    def test_references_nearest_first(self) -> None:
        """In-Reply-To comes first, then References from the end, each id once and not more than the limit."""
        message = parsed(b"In-Reply-To: <c@x> <d@x>", b"References: <a@x> <b@x>\r\n <c@x>")
        self.assertEqual(message.references, ("<c@x>", "<d@x>", "<b@x>", "<a@x>"))
        many = parsed(b"References: " + b" ".join(b"<%d@x>" % number for number in range(500)))
        self.assertEqual(len(many.references), MAX_REFERENCES)
        self.assertEqual(many.references[0], "<499@x>")

    def test_unstorable_text(self) -> None:
        """NUL and bytes that are no UTF-8 become the replacement character in every text column."""
        message = parsed(b"Subject: a\0b\xff", b"Message-ID: <\0\xfe@x>", b"To: x\0@y.test")
        for text in (message.subject, message.email_message_id, *message.to):
            self.assertNotIn("\0", text)
            text.encode("utf-8")
        self.assertEqual(message.subject, "a\ufffdb\ufffd")
        self.assertIn("nul", message.defects)

    def test_no_header(self) -> None:
        """A message without any header is marked, not refused."""
        self.assertEqual(parse(scan(b"\r\nhello")).defects, ("no_header",))

    @settings(deadline=None, max_examples=200)
    @given(
        st.binary(max_size=300), st.sampled_from([b"Subject", b"To", b"Cc", b"Reply-To", b"Message-ID", b"References"])
    )
    def test_any_value(self, value: bytes, name: bytes) -> None:
        """Whatever a header holds, parsing ends without an error and with text that can be stored."""
        message = parse(scan(name + b": " + value + b"\r\n\r\n"))
        texts = (
            message.subject,
            message.email_message_id,
            *message.to,
            *message.cc,
            *message.reply_to,
            *message.references,
        )
        for text in texts:
            self.assertNotIn("\0", text)
            text.encode("utf-8")


class KeptBytesTests(SynchronousTestCase):
    """``kept_bytes``: forged verdicts go, everything else stays to the byte."""

    def test_untouched(self) -> None:
        """Ordinary mail is stored exactly, below the trace header."""
        raw = b"From: a@b.test\r\nSubject: \xff\0\r\n\r\nbody\nwith bare\rnewlines\0\r\n"
        self.assertEqual(kept(raw), TRACE + raw)

    def test_forged_headers_removed(self) -> None:
        """Every X-E2A header goes: any case, folded, repeated, behind a bare newline, a space before the colon."""
        raw = (
            b"X-E2A-Auth-Verified: true\r\nFrom: a@b.test\r\nx-e2a-AUTH-Sender: ceo@bank.test\r\n\tfolded\r\n"
            b"Subject: x\nX-E2A-Auth-Signature: f\r\nX-E2A-Conversation-Id : c\r\nTo: y\r\n\r\n"
            b"X-E2A-Auth-Verified: in the body\r\n"
        )
        self.assertEqual(
            kept(raw), TRACE + b"From: a@b.test\r\nSubject: x\nTo: y\r\n\r\nX-E2A-Auth-Verified: in the body\r\n"
        )

    def test_our_authentication_results_removed(self) -> None:
        """Authentication-Results that claim to be ours go, in every disguise of RFC 8601; those of others stay."""
        foreign = b"Authentication-Results: mx.other.test; spf=pass\r\n"
        forged = (
            b"Authentication-Results: mx.e2a.test; dkim=pass header.d=bank.test\r\n"
            b"authentication-results:\r\n (a (nested;) comment)\r\n MX.E2A.test 1; spf=pass\r\n"
            b'Authentication-Results: "mx.e2a.test"; spf=pass\r\n'
            b"Authentication-Results: (" + b"(x)" * 400 + b";) mx.e2a.test; spf=pass\r\n"
            b"Authentication-Results: (\\);) mx.e2a.test; spf=pass\r\n"
            b'Authentication-Results: "mx.e2a\\.test"; spf=pass\r\n'
            b"Authentication-Results: (never closed mx.e2a.test; spf=pass\r\n"
        )
        self.assertEqual(kept(foreign + forged + b"\r\n"), TRACE + foreign + b"\r\n")

    def test_bracketed_results(self) -> None:
        """A quarter of a megabyte of nested comments takes no time to speak of."""
        field = b"Authentication-Results: " + b"(" * 480 + b")" * 480 + b" x;\r\n"
        raw = field * 256 + b"\r\n"
        block = scan(raw)
        began = time.thread_time()
        self.assertEqual(kept_bytes(raw, block, b"", "mx.e2a.test"), raw)
        self.assertLess(time.thread_time() - began, 0.1)

    def test_orphan_fold(self) -> None:
        """Fold lines at the very top cannot continue a trace header of ours."""
        raw = b" ; dkim=pass header.d=bank.test\r\n\tmore\r\nFrom: a@b.test\r\n\r\n"
        self.assertEqual(kept(raw), TRACE + b"From: a@b.test\r\n\r\n")

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=200), st.binary(max_size=200))
    def test_nothing_forged_survives(self, before: bytes, after: bytes) -> None:
        """Whatever stands around it, no reader that splits at CR, LF or CRLF finds a foreign X-E2A header."""
        raw = before + b"\r\nX-E2A-Auth-Verified: true\r\n" + after
        stored = kept(raw)
        header = scan(stored)
        self.assertFalse([field for field in header.fields if field.key.startswith(b"x-e2a-")])


class TraceTests(SynchronousTestCase):
    """``trace_header``"""

    def test_lines(self) -> None:
        """Three complete fields that name the peer, the session and the time."""
        envelope = Envelope("192.0.2.7", "mail.corp.test", "ana@corp.test", (), "ESMTPS", "0a1b2c3d", 1_777_636_800.0)
        block = scan(trace_header(envelope, "mx.e2a.test", "mx.e2a.test; spf=pass") + b"\r\n")
        self.assertEqual(block.defects, ())
        self.assertEqual(
            [field.key for field in block.fields], [b"return-path", b"authentication-results", b"received"]
        )
        self.assertEqual(block.fields[0].unfolded, b"<ana@corp.test>")
        self.assertEqual(
            block.fields[2].unfolded,
            b"from mail.corp.test ([192.0.2.7])\tby mx.e2a.test with ESMTPS id 0a1b2c3d;"
            b"\tFri, 01 May 2026 12:00:00 +0000",
        )

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=50), st.text(max_size=50))
    def test_no_injection(self, helo: str, sender: str) -> None:
        """Nothing in HELO or MAIL FROM adds a line or a field."""
        envelope = Envelope("2001:db8::1", helo, sender, (), "ESMTP", "00000000", 0.0)
        block = scan(trace_header(envelope, "mx.e2a.test", "mx.e2a.test; none") + b"\r\n")
        self.assertEqual((len(block.fields), block.defects), (3, ()))


class WordsTests(SynchronousTestCase):
    """``clean`` and ``decoded``"""

    def test_broken_words_stay(self) -> None:
        """Encoded words in an unknown charset or broken base64 never raise."""
        for value in (b"=?x-no-such?q?a?=", b"=?utf-8?b?a?=", b"=?utf-8?q?=ZZ?=", b"=?", b"=?utf-8?b?4pi?="):
            self.assertIsInstance(decoded(value), str)

    def test_decoded_line_breaks(self) -> None:
        """A line break hidden in an encoded word becomes a space."""
        self.assertEqual(decoded(b"=?utf-8?q?a=0D=0AFrom:_x?="), "a From: x")

    def test_surrogates(self) -> None:
        """Lone surrogates cannot reach the database."""
        self.assertEqual(clean("a\udc80"), "a?")
