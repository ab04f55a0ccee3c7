"""DMARC: alignment, policy discovery, result words."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList
from twisted.trial import unittest

from e2a.core.trust.verdict import DkimResult, DmarcResult, SpfResult, domain_of
from e2a.verify import dmarc

from .zone import Zone

ORGANISATIONS = dmarc.Organisations(PublicSuffixList())


class AlignmentTests(unittest.TestCase):
    def test_aligned(self) -> None:
        """Names of one organisational domain are aligned; names that merely share a public suffix are not."""
        for one, other, relaxed, strict in [
            ("a.com", "a.com", True, True),
            ("mail.a.com", "a.com", True, False),
            ("x.a.com", "y.a.com", True, False),
            ("a.com", "b.com", False, False),
            ("evil-a.com", "a.com", False, False),
            ("a.com.evil.com", "a.com", False, False),
            ("a.co.uk", "b.co.uk", False, False),
            ("a.co.uk", "co.uk", False, False),
            ("co.uk", "co.uk", True, True),
            ("uk", "a.co.uk", False, False),
            ("one.github.io", "two.github.io", False, False),
            ("xn--bcher-kva.de", "mail.xn--bcher-kva.de", True, False),
            ("bucher.de", "xn--bcher-kva.de", False, False),
            ("", "", False, False),
            ("a.com", "", False, False),
        ]:
            self.assertEqual(ORGANISATIONS.aligned(one, other), relaxed, (one, other))
            self.assertEqual(ORGANISATIONS.aligned(other, one), relaxed, (one, other))
            self.assertEqual(ORGANISATIONS.aligned(one, other, strict=True), strict, (one, other))

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.text("ab-_0xn.", min_size=1, max_size=8), min_size=1, max_size=5))
    def test_any_host_name(self, labels: list[str]) -> None:
        """Every name that counts as a host name has an answer, and is aligned with itself."""
        name = domain_of("@" + ".".join(labels) + ".xn--p1ai")
        self.assertEqual(ORGANISATIONS.aligned(name, name), name != "")
        self.assertFalse(ORGANISATIONS.aligned(name, "other.test"))


class DiscoveryTests(unittest.TestCase):
    def discover(self, domain: str, zone: Zone) -> dmarc.Discovery:
        return zone.run(dmarc.discover(domain, ORGANISATIONS))

    def test_own_before_organisation(self) -> None:
        """The From domain's own record wins; without one the organisation's counts, with its subdomain policy."""
        zone = Zone({("_dmarc.a.com", "TXT"): b"v=DMARC1; p=reject; sp=quarantine"})
        found = self.discover("x.a.com", zone)
        self.assertTrue(found.inherited)
        spf = SpfResult("fail", "x.a.com")
        self.assertEqual(dmarc.conclude("x.a.com", found, spf, (), ORGANISATIONS).policy, "quarantine")
        own = self.discover("a.com", zone)
        self.assertEqual(dmarc.conclude("a.com", own, spf, (), ORGANISATIONS).policy, "reject")
        zone.put("_dmarc.x.a.com", "TXT", b"v=DMARC1; p=none")
        self.assertEqual(self.discover("x.a.com", zone).policy, dmarc.Policy("none", "none", "r", "r", 100))
        self.assertEqual(len(zone.asked[0]), 2)

    def test_records(self) -> None:
        """Other TXT records are ignored, several policies count as none, broken ones as none or ``p=none``."""
        for records, policy in [
            ((), None),
            ((b"v=spf1 -all",), None),
            ((b"v=DMARC1; p=reject", b"v=DMARC1; p=none"), None),
            ((b"unrelated", b"v=DMARC1;p=reject"), "reject"),
            ((b"p=reject; v=DMARC1",), None),
            ((b"v=DMARC10; p=reject",), None),
            ((b"v=DMARC1; p=bogus",), None),
            ((b"v=DMARC1; p=bogus; rua=mailto:x@a.com",), "none"),
            ((b"v = DMARC1 ; P = Reject ; pct=20; adkim=s",), "reject"),
            ((b"v=DMARC1; p=\xff",), None),
        ]:
            zone = Zone()
            zone.put("_dmarc.a.com", "TXT", *records)
            found = self.discover("a.com", zone).policy
            self.assertEqual(found and found.policy, policy, records)

    def test_failure(self) -> None:
        """A policy that cannot be looked up gives temperror, whatever passed."""
        zone = Zone()
        zone.fail("_dmarc.a.com", "TXT")
        found = self.discover("a.com", zone)
        self.assertEqual(
            dmarc.conclude("a.com", found, SpfResult("pass", "a.com"), (), ORGANISATIONS),
            DmarcResult("temperror", "", "a.com"),
        )


class ResultTests(unittest.TestCase):
    def word(self, record: bytes, spf: SpfResult, *dkim: DkimResult) -> str:
        policy = dmarc.Discovery(dmarc.read_policy(record) if record else None)
        return dmarc.conclude("a.com", policy, spf, dkim, ORGANISATIONS).result

    def test_words(self) -> None:
        """One aligned pass is enough, strict alignment counts, trouble that might have been a pass is temperror."""
        none, record = SpfResult("none"), b"v=DMARC1; p=reject"
        strict = record + b"; adkim=s; aspf=s"
        self.assertEqual(self.word(b"", SpfResult("pass", "a.com")), "none")
        self.assertEqual(self.word(record, SpfResult("pass", "m.a.com")), "pass")
        self.assertEqual(self.word(strict, SpfResult("pass", "m.a.com")), "fail")
        self.assertEqual(self.word(record, SpfResult("pass", "b.com")), "fail")
        self.assertEqual(self.word(record, none, DkimResult("fail", "a.com"), DkimResult("pass", "m.a.com")), "pass")
        self.assertEqual(self.word(strict, none, DkimResult("pass", "m.a.com")), "fail")
        self.assertEqual(self.word(record, none, DkimResult("temperror", "a.com")), "temperror")
        self.assertEqual(self.word(record, none, DkimResult("temperror", "b.com")), "fail")
        self.assertEqual(self.word(record, SpfResult("softfail", "a.com"), DkimResult("policy", "a.com")), "fail")

    def test_no_author(self) -> None:
        """Without a sole From mailbox the result is permerror."""
        self.assertEqual(
            dmarc.conclude("", dmarc.Discovery(), SpfResult("pass", "a.com"), (), ORGANISATIONS).result, "permerror"
        )
