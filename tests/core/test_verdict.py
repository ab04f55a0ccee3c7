"""How results combine into a verdict, and how it is written down."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial import unittest

from e2a.core.entities import Envelope
from e2a.core.mail.headers import HeaderBlock, scan
from e2a.core.trust.verdict import (
    ArcResult,
    DkimResult,
    DmarcResult,
    SpfResult,
    Verdict,
    conclude,
    domain_of,
)

ENVELOPE = Envelope("192.0.2.1", "helo.test", "bounce@a.test", (), "ESMTP", "0" * 8, 0.0)
BLOCK = scan(b"From: ann@a.test\r\n\r\n")


def verdict(
    *dkim: DkimResult,
    author: str | None = "ann@a.test",
    block: HeaderBlock = BLOCK,
    spf: SpfResult | None = None,
    dmarc: DmarcResult | None = None,
    arc: ArcResult | None = None,
    envelope: Envelope = ENVELOPE,
) -> Verdict:
    return conclude(
        envelope, block, author, spf or SpfResult("none"), dkim, dmarc or DmarcResult("none"), arc or ArcResult("none")
    )


GOOD = DkimResult("pass", "a.test", "s", aligned=True)


class VerifiedTests(unittest.TestCase):
    def test_what_verifies(self) -> None:
        """An aligned pass of SPF or of any signature verifies, with or without a policy."""
        self.assertTrue(verdict(GOOD).verified)
        self.assertTrue(verdict(DkimResult("fail", "a.test", aligned=True), GOOD).verified)
        self.assertTrue(verdict(spf=SpfResult("pass", "a.test", aligned=True)).verified)
        self.assertTrue(verdict(GOOD, dmarc=DmarcResult("temperror")).verified)

    def test_what_does_not(self) -> None:
        """Unaligned passes, other words, ARC, a missing author, doubtful headers and a failed policy never verify."""
        for words in ("none", "fail", "softfail", "neutral", "temperror", "permerror", "policy"):
            self.assertFalse(verdict(GOOD._replace(result=words)).verified)
            self.assertFalse(verdict(spf=SpfResult(words, "a.test", aligned=True)).verified)
        self.assertFalse(verdict(GOOD._replace(aligned=False)).verified)
        self.assertFalse(verdict(spf=SpfResult("pass", "a.test")).verified)
        self.assertFalse(verdict(arc=ArcResult("pass", 1, "a.test")).verified)
        self.assertFalse(verdict(GOOD, author=None).verified)
        self.assertFalse(verdict(GOOD, author="ann@[192.0.2.1]").verified)
        self.assertFalse(verdict(GOOD, author="ann\n@a.test").verified)
        self.assertFalse(verdict(GOOD, dmarc=DmarcResult("fail", "reject")).verified)
        for head in (b"From: ann@a.test\nX: y\r\n", b"From: ann@a.test\r\nX: \0\r\n", b"junk\r\nFrom: ann@a.test\r\n"):
            self.assertFalse(verdict(GOOD, block=scan(head + b"\r\n")).verified, head)
        self.assertFalse(verdict(GOOD, block=scan(b"From: ann@a.test\r\nFrom : bob@a.test\r\n\r\n")).verified)

    def test_sender(self) -> None:
        """The sender is the sole author, else the reverse-path, else empty, and never holds a control character."""
        self.assertEqual(verdict(author="Ann.X@A.test").sender, "Ann.X@A.test")
        self.assertEqual(verdict(author=None).sender, "bounce@a.test")
        self.assertEqual(verdict(author=None, envelope=replace(ENVELOPE, mail_from="")).sender, "")
        self.assertEqual(verdict(author=None, envelope=replace(ENVELOPE, mail_from="a\r\n@b\0")).sender, "a@b")
        self.assertEqual(verdict().entity_type, "human")


class DomainCheckTests(unittest.TestCase):
    def test_words(self) -> None:
        """The two-part text uses only its own small vocabulary, for every combination of results."""
        spf = {
            "pass": "pass", "fail": "fail", "softfail": "fail", "none": "none",
            "temperror": "temperror", "neutral": "permerror", "permerror": "permerror",
        }  # fmt: skip
        dkim = {
            (): "none", ("pass",): "pass", ("fail",): "fail", ("policy",): "fail", ("permerror",): "fail",
            ("temperror",): "temperror", ("fail", "temperror"): "temperror", ("temperror", "pass"): "pass",
            ("fail", "permerror"): "fail",
        }  # fmt: skip
        for (result, one), (results, other) in itertools.product(spf.items(), dkim.items()):
            found = verdict(*[DkimResult(word) for word in results], spf=SpfResult(result))
            self.assertEqual(found.domain_check, f"spf={one}; dkim={other}")

    def test_authentication(self) -> None:
        """The detail has the documented shape."""
        found = verdict(
            GOOD,
            spf=SpfResult("softfail", "b.test"),
            dmarc=DmarcResult("pass", "reject", "a.test"),
            arc=ArcResult("pass", 2, "list.test"),
        ).authentication
        self.assertEqual(
            found,
            {
                "spf": {"result": "softfail", "domain": "b.test", "client_ip": "192.0.2.1"},
                "dkim": [{"result": "pass", "domain": "a.test", "selector": "s", "aligned": True}],
                "dmarc": {
                    "result": "pass",
                    "policy": "reject",
                    "domain": "a.test",
                    "adkim": "r",
                    "aspf": "r",
                    "pct": 100,
                },
                "arc": {"result": "pass", "instances": 2, "sealer": "list.test"},
            },
        )


class AuthenticationResultsTests(unittest.TestCase):
    def test_field(self) -> None:
        """The field reads as RFC 8601 writes it."""
        found = verdict(GOOD, spf=SpfResult("pass", "a.test"), dmarc=DmarcResult("pass", "reject", "a.test"))
        self.assertEqual(
            found.authentication_results("mx.e2a.test"),
            "mx.e2a.test;\r\n\tspf=pass smtp.mailfrom=a.test;\r\n\tdkim=pass header.d=a.test header.s=s;\r\n"
            "\tdmarc=pass (p=reject) header.from=a.test;\r\n\tarc=none",
        )
        self.assertIn("dkim=none", verdict().authentication_results("mx"))

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
    def test_injection(self, domain: str, selector: str, author: str) -> None:
        """Whatever the names hold, there are exactly the lines we wrote, and a hostile name stays inside its quotes."""
        found = verdict(
            DkimResult("fail", domain, selector), spf=SpfResult("none", domain), dmarc=DmarcResult("none", "", author)
        ).authentication_results("mx.e2a.test")
        self.assertEqual(found.count("\r\n\t"), 4)
        self.assertEqual(found.replace("\r\n\t", "").isprintable(), True)
        outside, quoted, skip = "", False, False
        for char in found:
            if skip:
                skip = False
            elif quoted and char == "\\":
                skip = True
            elif char == '"':
                quoted = not quoted
            elif not quoted:
                outside += char
        self.assertFalse(quoted)
        self.assertEqual(outside.count(";"), 4)
        self.assertEqual(outside.count("=pass"), 0)


class DomainOfTests(unittest.TestCase):
    def test_domains(self) -> None:
        """Only DNS host names of two labels and more are domains; the last "@" decides."""
        for address, domain in [
            ("ann@A.Test", "a.test"), ("x@b@c.test", "c.test"), ("ann@test", ""), ("ann", ""), ("", ""),
            ("ann@[1.2.3.4]", ""), ("ann@a.test.", ""), ("ann@a..test", ""), ("ann@-a.test", ""), ("ann@a.test\n", ""),
            ("ann@b\xfccher.test", ""), ("ann@" + "a." * 130 + "test", ""), ("ann@a.te_st", ""),
        ]:  # fmt: skip
            self.assertEqual(domain_of(address), domain, address)
