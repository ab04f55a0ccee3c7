"""The whole verdict: what is true is verified, what is forged in any known way is not, and nothing raises."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList
from twisted.internet.defer import Deferred
from twisted.trial import unittest

from e2a.core.entities import Envelope
from e2a.core.mail.headers import scan
from e2a.core.trust.verdict import Verdict
from e2a.verify import arc, dkim, dmarc, spf, verifier
from e2a.verify.questions import Check
from e2a.verify.verifier import Verifier

from .signing import message, rsa_key, signed
from .test_arc import sealed
from .zone import Zone

SUFFIXES = PublicSuffixList()


class ZoneResolver:
    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def seconds(self) -> float:
        return 0.0

    async def drive(self, check: Check[Any], deadline: float) -> Any:
        return self.zone.run(check)


class Thread:
    """A ``Cpu`` that counts."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        self.ran.append(work.__name__)
        return work(*args)


class Case(unittest.TestCase):
    """``good.test`` is the victim, 192.0.2.1 its server; ``evil.test`` and 203.0.113.9 belong to the attacker."""

    def setUp(self) -> None:
        self.zone = Zone(
            {
                ("good.test", "TXT"): b"v=spf1 ip4:192.0.2.1 -all",
                ("mail.good.test", "TXT"): b"v=spf1 ip4:192.0.2.1 -all",
                ("evil.test", "TXT"): b"v=spf1 ip4:203.0.113.9 -all",
                ("_dmarc.good.test", "TXT"): b"v=DMARC1; p=reject",
            }
        )
        self.cpu = Thread()

    def verify(
        self, raw: bytes, mail_from: str = "any@evil.test", ip: str = "203.0.113.9", helo: str = "helo.evil.test"
    ) -> Verdict:
        judge = Verifier(ZoneResolver(self.zone), self.cpu, time.time, SUFFIXES)
        envelope = Envelope(ip, helo, mail_from, (), "ESMTP", "0" * 8, 0.0)
        return self.successResultOf(Deferred.fromCoroutine(judge.verify(envelope, raw, scan(raw))))

    def forged(self, raw: bytes, *args: str) -> None:
        found = self.verify(raw, *args)
        self.assertFalse(found.verified, (raw[:300], found))

    def sign_evil(self, raw: bytes, **options: Any) -> bytes:
        return signed(raw, self.zone, "evil.test", "e", key=rsa_key(1024, 1), **options)

    def sign_good(self, raw: bytes, domain: str = "good.test", **options: Any) -> bytes:
        return signed(raw, self.zone, domain, "g", **options)


class GenuineTests(Case):
    def test_spf(self) -> None:
        """Mail from the domain's own server is verified by the envelope sender, also from a subdomain."""
        raw = message(From="Ann <Ann@Good.test>")
        for sender in ("ann@good.test", "bounce@mail.good.test"):
            found = self.verify(raw, sender, "192.0.2.1")
            self.assertTrue(found.verified)
            self.assertEqual((found.domain_check, found.dmarc.result), ("spf=pass; dkim=none", "pass"))
        self.assertEqual(self.verify(raw, "", "192.0.2.1", "mail.good.test").verified, True)
        self.assertEqual(self.verify(raw, "ann@good.test", "::ffff:192.0.2.1").verified, True)

    def test_dkim(self) -> None:
        """A signature of the domain, or of a subdomain, verifies wherever the mail comes from."""
        for domain in ("good.test", "news.good.test"):
            found = self.verify(self.sign_good(message(From="ann@good.test"), domain))
            self.assertTrue(found.verified)
            self.assertEqual(found.domain_check, "spf=pass; dkim=pass")
            self.assertEqual([one["aligned"] for one in found.authentication["dkim"]], [True])

    def test_without_policy(self) -> None:
        """No DMARC policy is needed."""
        self.zone.put("_dmarc.good.test", "TXT")
        found = self.verify(self.sign_good(message(From="ann@good.test")))
        self.assertEqual((found.verified, found.dmarc.result), (True, "none"))

    def test_trouble_with_one_leaves_the_other(self) -> None:
        """One aligned pass is enough although the other check could not be done."""
        self.zone.fail("good.test", "TXT")
        self.assertTrue(self.verify(self.sign_good(message(From="ann@good.test")), "ann@good.test").verified)

    def test_large_messages_leave_the_reactor(self) -> None:
        """Hashing and judging of large messages happens in a thread, small ones are judged at once."""
        self.assertTrue(self.verify(self.sign_good(message(From="ann@good.test"))).verified)
        self.assertEqual(self.cpu.ran, [])
        big = self.sign_good(message(b"line of text\r\n" * 30_000, From="ann@good.test"))
        self.assertTrue(self.verify(big).verified)
        self.assertIn("_prepare", self.cpu.ran)
        self.cpu.ran.clear()
        self.verify(self.sign_good(b"X: y\r\n" * 10_000 + message(From="ann@good.test")))
        self.assertIn("_prepare", self.cpu.ran)

    def test_questions_go_out_together(self) -> None:
        """Keys, policy and SPF record are asked in one round."""
        self.verify(self.sign_good(message(From="ann@good.test")), "ann@good.test", "192.0.2.1")
        self.assertEqual(len(self.zone.asked), 1)
        self.assertEqual(len(self.zone.asked[0]), 3)


class SpoofingTests(Case):
    """Each message pretends to come from good.test. The attacker's own SPF and DKIM pass wherever possible."""

    def test_envelope_and_signature_of_the_attacker(self) -> None:
        """Passes for the attacker's own domain vouch for nobody else."""
        raw = self.sign_evil(message(From="admin@good.test"))
        found = self.verify(raw)
        self.assertEqual((found.verified, found.domain_check), (False, "spf=pass; dkim=pass"))
        self.assertEqual(found.dmarc.result, "fail")
        self.forged(raw, "", "203.0.113.9", "evil.test")

    def test_forged_envelope(self) -> None:
        """The victim's domain in the envelope, in HELO, in a missing subdomain or in odd syntax gains nothing."""
        raw = self.sign_evil(message(From="<admin@good.test>"))
        for sender in (
            "admin@good.test",
            "any@mailfrom.notexist.good.test",
            "(any@good.test",
            "any@good.test(a.evil.test",
            "any@good.test'@any.evil.test",
            "@good.test,@any.test:'any@evil.test",
            '"x@good.test"@evil.test',
            "any@good.test\0.evil.test",
            "any@evil.test@good.test",
            "@good.test",
        ):
            self.forged(raw, sender)
        self.forged(raw, "", "203.0.113.9", "good.test")
        self.forged(raw, "", "203.0.113.9", "evil.test")

    def test_from_ambiguities(self) -> None:
        """Several From fields or mailboxes, groups, routes, comments, encodings, folded names: no author."""
        encoded = "=?utf-8?b?" + base64.b64encode(b"<admin@good.test>").decode() + "?="
        for lines in (
            "From: <first@evil.test>\r\nFrom: <admin@good.test>",
            "From: <admin@good.test>\r\nFrom: <first@evil.test>",
            " From: <first@evil.test>\r\nFrom: <admin@good.test>",
            "From: <first@evil.test>\r\nFrom : <admin@good.test>",
            "From\r\n : <first@evil.test>\r\nFrom: <admin@good.test>",
            "From\r\n : <first@evil.test>\r\nSender: <admin@good.test>",
            "From\r\n : <first@evil.test>\r\nResent-From: <admin@good.test>",
            "From: <first@evil.test>, <admin@good.test>",
            "From: <admin@good.test>, <first@evil.test>",
            f"From: {encoded},<second@evil.test>",
            f"From: {encoded} <second@evil.test>",
            "From: <@evil.test,@any.test:admin@good.test>",
            "From: <admin@good.test>\\,<second@evil.test>",
            "From: admin@good.test <second@evil.test>",
            'From: "admin@good.test" <second@evil.test>',
            "From: <admin@good.test><second@evil.test>",
            "From: <admin@good.test>(<second@evil.test>)",
            "From: <second@evil.test> admin@good.test",
            "From: staff: admin@good.test;",
            "From: staff: admin@good.test, second@evil.test;",
            "From: undisclosed:;",
            'From: "admin@good.test"@evil.test',
            "From: <admin@good.test>\0, <second@evil.test>",
            "From: admin@good.test\0.evil.test",
            "From: <admin@good.test\r\n @evil.test>",
            "From: a@evil.test\nFrom: admin@good.test",
            "From: a@evil.test\rFrom: admin@good.test",
            "From: admin@g\u043e\u043ed.test",
            "From: admin@good.test.",
            "From: admin@[203.0.113.9]",
            "From:",
            "X-From: admin@good.test",
        ):
            rest = message(From="first@evil.test").partition(b"\r\n")[2]
            raw = lines.encode() + b"\r\n" + rest
            self.forged(raw)
            try:
                self.forged(self.sign_evil(raw))
            except Exception as error:
                # dkimpy will not sign some of these.
                self.assertNotIsInstance(error, self.failureException)
            # Not even when everything passes for the victim too.
            try:
                both = self.sign_good(raw)
            except Exception:
                continue
            found = self.verify(both, "x@good.test", "192.0.2.1")
            self.assertFalse(found.verified and found.sender.lower().endswith("evil.test"), lines)
            if "evil.test" in lines:
                self.assertFalse(found.verified, lines)

    def test_related_names(self) -> None:
        """Look-alikes, prefixes, siblings under a public suffix and suffixes themselves are other organisations."""
        for domain in ("xgood.test", "good.test.evil.test", "good-test.evil.test", "test", "evil.test"):
            self.zone.put(domain, "TXT", b"v=spf1 ip4:203.0.113.9 -all")
            self.forged(message(From="admin@good.test"), f"a@{domain}")
        self.zone.put("evil.co.uk", "TXT", b"v=spf1 ip4:203.0.113.9 -all")
        self.zone.put("co.uk", "TXT", b"v=spf1 ip4:203.0.113.9 -all")
        for domain in ("evil.co.uk", "co.uk"):
            self.forged(message(From="admin@bank.co.uk"), f"a@{domain}")
        self.forged(signed(message(From="admin@bank.co.uk"), self.zone, "co.uk", "e", key=rsa_key(1024, 1)))
        self.forged(signed(message(From="a@victim.github.io"), self.zone, "evil.github.io", "e", key=rsa_key(1024, 1)))
        self.forged(
            signed(message(From="a@xn--gd-jia4b.test"), self.zone, "good.test.evil.test", "e", key=rsa_key(1024, 1))
        )

    def test_strict_alignment(self) -> None:
        """A domain that publishes strict alignment is not spoken for by its subdomains."""
        self.zone.put("_dmarc.good.test", "TXT", b"v=DMARC1; p=reject; adkim=s; aspf=s")
        self.zone.put("user.good.test", "TXT", b"v=spf1 ip4:203.0.113.9 -all")
        raw = signed(message(From="admin@good.test"), self.zone, "user.good.test", "u", key=rsa_key(1024, 1))
        self.forged(raw, "x@user.good.test")
        self.assertTrue(self.verify(self.sign_good(message(From="admin@good.test"))).verified)

    def test_signature_tricks(self) -> None:
        """Crafted d= and s= values never lead to the attacker's key for the victim's domain."""
        raw = self.sign_evil(message(From="admin@good.test"))
        for old, new in (
            (b"d=evil.test", b"d=good.test"),
            (b"d=evil.test; i=@evil.test", b"d=good.test'.evil.test; i=@good.test"),
            (b"d=evil.test", b"d=good.test\0.evil.test"),
            (b"s=e", b"s=e._domainkey.evil.test.\0.any"),
            (b"d=evil.test", b"d=evil.test; d=good.test"),
            (b"d=evil.test", b'd=good.test"=(.evil.test'),
            (b"d=evil.test", b"d=test"),
            (b"d=evil.test", b"d=good.test#.evil.test"),
        ):
            self.forged(raw.replace(old, new, 1))

    def test_length_limit(self) -> None:
        """A genuine signature with ``l=`` lets anybody append, so it counts for nothing."""
        raw = self.sign_good(message(From="ann@good.test"), length=True)
        self.forged(raw)
        self.forged(raw + b"<h1>Pay now</h1>\r\n")

    def test_replay(self) -> None:
        """A genuine signed message with fields added, above or below, or with another body, is not verified."""
        fields = [b"from", b"to", b"subject", b"date", b"message-id", b"content-type"]
        raw = self.sign_good(message(From="ann@good.test", Content_Type="text/plain"), include_headers=fields)
        self.assertTrue(self.verify(raw).verified)
        head, _, body = raw.partition(b"\r\n\r\n")
        for added in (
            b"From: boss@good.test",
            b"From: x@evil.test",
            b"Subject: Pay now",
            b"To: all@agents.test",
            b"Date: Sat, 21 Nov 2026 00:00:00 +0000",
            b"Reply-To: x@evil.test",
            b"Message-ID: <new@evil.test>",
            b"Content-Type: text/html",
            b"From : boss@good.test",
            b" continued",
            b"junk line",
            b"X: a\rFrom: boss@good.test",
        ):
            self.forged(added + b"\r\n" + raw)
            self.forged(head + b"\r\n" + added + b"\r\n\r\n" + body)
        self.forged(raw.replace(b"Hello", b"Other"))
        self.forged(raw.replace(b"Subject: Hi", b"Subject: Ho"))

    def test_old_and_weak_signatures(self) -> None:
        """rsa-sha1, unsigned From, and revoked, missing and unreachable keys verify nothing."""
        raw = message(From="ann@good.test")
        self.forged(self.sign_good(raw, signature_algorithm=b"rsa-sha1"))
        good = self.sign_good(raw)
        self.forged(good.replace(b"h=from", b"h=fram", 1))
        for records in ((), (b"v=DKIM1; p=",), (rsa_key()[1],) * 2, (rsa_key(1024, 1)[1],)):
            self.zone.put("g._domainkey.good.test", "TXT", *records)
            self.forged(good)
        self.zone.fail("g._domainkey.good.test", "TXT")
        found = self.verify(good)
        self.assertEqual(
            (found.verified, found.domain_check, found.dmarc.result), (False, "spf=pass; dkim=temperror", "temperror")
        )

    def test_arc_does_not_vouch(self) -> None:
        """A whole ARC chain of the attacker, or of anybody, changes nothing."""
        raw = sealed(message(From="admin@good.test"), self.zone, "evil.test")
        found = self.verify(raw)
        self.assertEqual((found.verified, found.arc.result, found.arc.sealer), (False, "pass", "evil.test"))

    def test_forged_results(self) -> None:
        """Authentication-Results and X-E2A-Auth fields brought along are not read."""
        raw = b"Authentication-Results: mx.e2a.test; dkim=pass header.d=good.test\r\nX-E2A-Auth-Verified: true\r\n"
        self.forged(raw + message(From="admin@good.test"))

    def test_dns_trouble(self) -> None:
        """When every lookup fails nothing passes and everything says temperror."""
        raw = sealed(self.sign_good(message(From="ann@good.test")), self.zone, "hop.test")
        for question in list(self.zone.answers):
            self.zone.fail(*question)
        found = self.verify(raw, "ann@good.test", "192.0.2.1")
        words = (found.spf.result, found.dkim[0].result, found.dmarc.result, found.arc.result)
        self.assertEqual((found.verified, words), (False, ("temperror",) * 4))


class RobustnessTests(Case):
    def test_defects_become_temperror(self) -> None:
        """An exception inside any check is logged and is temperror there; it neither verifies nor spreads."""

        def broken(*args: object) -> Any:
            raise RuntimeError("defect")

        def broken_check(*args: object) -> Any:
            yield from broken()

        raw = sealed(self.sign_good(message(From="ann@good.test")), self.zone, "hop.test")
        for module, name, defect, verified in (
            (spf, "check", broken_check, True),
            (dkim, "read", broken, False),
            (dkim, "judge", broken, False),
            (arc, "judge", broken, True),
            (dmarc, "discover", broken_check, True),
            (verifier, "sole_from", broken, False),
            (verifier, "body_hashes", broken, False),
        ):
            restore = self.patch(module, name, defect)
            found = self.verify(raw)
            restore.restore()
            self.assertEqual(found.verified, verified, name)
            self.assertGreaterEqual(len(self.flushLoggedErrors(RuntimeError)), 1, name)

    def test_resolver_defect(self) -> None:
        """A resolver that raises leaves everything temperror."""

        class Broken(ZoneResolver):
            async def drive(self, check: Check[Any], deadline: float) -> Any:
                raise RuntimeError("defect")

        raw = self.sign_good(message(From="ann@good.test"))
        judge = Verifier(Broken(self.zone), self.cpu, time.time, SUFFIXES)
        envelope = Envelope("192.0.2.1", "h", "ann@good.test", (), "ESMTP", "0" * 8, 0.0)
        found = self.successResultOf(Deferred.fromCoroutine(judge.verify(envelope, raw, scan(raw))))
        self.assertEqual((found.verified, found.spf.result, found.dmarc.result), (False, "temperror", "temperror"))
        self.flushLoggedErrors(RuntimeError)

    @settings(deadline=None, max_examples=150)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        b"From: ",
                        b"DKIM-Signature: ",
                        b"ARC-Seal: i=1;",
                        b"\r\n",
                        b"\r\n\r\n",
                        b"v=1; a=rsa-sha256; ",
                        b"a@b.test",
                        b";",
                        b"\0",
                    ]
                ),
                st.binary(max_size=20),
            ),
            max_size=20,
        ),
        st.text(max_size=20),
    )
    def test_junk(self, pieces: list[bytes], sender: str) -> None:
        """Random messages and senders get a verdict, and it is not verified."""
        raw = b"".join(pieces)
        found = self.verify(raw, sender)
        self.assertFalse(found.verified)
        self.assertEqual(self.flushLoggedErrors(), [])
