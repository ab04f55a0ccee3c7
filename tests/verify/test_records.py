"""The report on a domain's DNS records."""

from __future__ import annotations

from twisted.trial import unittest

from e2a.verify import records
from e2a.verify.records import RecordReport

from .signing import rsa_key
from .zone import Zone

TOKEN = "e2a-verify=" + "0" * 32
HOST = "e2a202611a._domainkey"
RECORD = rsa_key()[1].decode()


class RecordsTests(unittest.TestCase):
    def report(self, zone: Zone) -> dict[str, RecordReport]:
        return {one.purpose: one for one in zone.run(records.check("a.test", TOKEN, "mx.e2a.test", [(HOST, RECORD)]))}

    def test_all_found(self) -> None:
        """A domain with everything in place is found throughout, without advice."""
        zone = Zone(
            {("a.test", "TXT"): [b"other", TOKEN.encode(), b"v=spf1 -all"], ("a.test", "MX"): [(10, "mx.e2a.test")]}
        )
        zone.put(f"{HOST}.a.test", "TXT", rsa_key()[1])
        zone.put("_dmarc.a.test", "TXT", b"v=DMARC1; p=reject")
        found = self.report(zone)
        self.assertEqual({one.status for one in found.values()}, {"found"})
        self.assertEqual({one.hint for one in found.values()}, {""})
        self.assertEqual(list(found), ["ownership", "mx", "spf", "dkim", "dmarc"])
        self.assertEqual(len(zone.asked), 1)

    def test_all_missing(self) -> None:
        """An empty zone misses every record, and each report says what to publish and where."""
        found = self.report(Zone())
        self.assertEqual({one.status for one in found.values()}, {"missing"})
        self.assertEqual(found["ownership"].expected, TOKEN)
        self.assertEqual((found["mx"].name, found["mx"].expected), ("a.test", "10 mx.e2a.test"))
        self.assertEqual(found["dmarc"].name, "_dmarc.a.test")
        self.assertTrue(all(one.hint for one in found.values()))

    def test_mismatches(self) -> None:
        """Records that say something else are shown and told apart from missing ones."""
        zone = Zone(
            {
                ("a.test", "TXT"): [b"e2a-verify=other", b"v=spf1 -all", b"v=spf1 +all"],
                ("a.test", "MX"): [(5, "mx.b.test")],
            }
        )
        zone.put(f"{HOST}.a.test", "TXT", b"v=DKIM1; p=\x00junk")
        zone.put("_dmarc.a.test", "TXT", b"v=DMARC1; p=maybe")
        found = self.report(zone)
        self.assertEqual({one.status for one in found.values()}, {"mismatch"})
        self.assertEqual(found["mx"].found, ("5 mx.b.test",))
        self.assertEqual(found["dkim"].found, ("v=DKIM1; p=?junk",))

    def test_token_must_stand_alone(self) -> None:
        """The token inside another text does not prove ownership."""
        zone = Zone({("a.test", "TXT"): [b"please add " + TOKEN.encode(), TOKEN.encode() + b"0"]})
        self.assertNotEqual(self.report(zone)["ownership"].status, "found")

    def test_preferred_over(self) -> None:
        """An MX of ours behind another host is found, with a warning."""
        zone = Zone({("a.test", "MX"): [(20, "mx.e2a.test"), (5, "mx.b.test")]})
        self.assertEqual(self.report(zone)["mx"].status, "found")
        self.assertIn("preferred", self.report(zone)["mx"].hint)

    def test_deferred(self) -> None:
        """A DNS that does not answer is deferred, never missing."""
        zone = Zone()
        for name, type in [
            ("a.test", "TXT"),
            ("a.test", "MX"),
            (f"{HOST}.a.test", "TXT"),
            ("_dmarc.a.test", "TXT"),
        ]:
            zone.fail(name, type)
        self.assertEqual({one.status for one in self.report(zone).values()}, {"deferred"})

    def test_dkim_key(self) -> None:
        """Only the expected key counts, however its record is spelled; another one, a revoked one or two do not."""
        key = RECORD.partition("p=")[2]
        other = rsa_key(number=1)[1]
        for texts, status in (
            ([RECORD], "found"),
            ([f"k=rsa;t=s; p={key[:100]} {key[100:]} ;"], "found"),
            ([other.decode()], "mismatch"),
            ([RECORD, RECORD], "mismatch"),
            (["v=DKIM1; k=rsa; p="], "mismatch"),
            ([f"v=DKIM1; h=sha1; p={key}"], "mismatch"),
            ([], "missing"),
        ):
            zone = Zone()
            zone.put(f"{HOST}.a.test", "TXT", *(text.encode() for text in texts))
            self.assertEqual(self.report(zone)["dkim"].status, status, texts)
            alone = zone.run(records.check_key("a.test", HOST, RECORD))
            self.assertEqual(alone, self.report(zone)["dkim"])
        self.assertEqual((alone.name, alone.expected), (f"{HOST}.a.test", RECORD))
