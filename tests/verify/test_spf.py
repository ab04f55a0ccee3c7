"""SPF against the public RFC 7208 suite and against stock pyspf."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import spf as pyspf
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial import unittest

from e2a.verify import spf
from e2a.verify.questions import Answer, Question

from .zone import Zone

SUITE = Path(__file__).parent.parent / "data" / "rfc7208-tests.yml"


class SuiteZone(Zone):
    """The suite's zone format: generated TXT records, TIMEOUT markers, CNAMEs followed as a recursive server does."""

    def __init__(self, zonedata: dict[str, list[Any]]) -> None:
        super().__init__()
        self.names = {name.lower().rstrip("."): list(entries) for name, entries in zonedata.items()}

    def answer(self, question: Question, depth: int = 0) -> Answer:
        entries = self.names.get(question.name, [])
        if question.name.startswith("error.") and not entries:
            return Answer(failure="time-out")
        spelled_out = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
        found: list[Any] = []
        for entry in entries:
            if entry == "TIMEOUT":
                return Answer(tuple(found)) if found else Answer(failure="time-out")
            ((kind, value),) = entry.items()
            if kind == "SPF" and not spelled_out:
                kind = "TXT"
            if kind == question.type and value == "TIMEOUT":
                return Answer(failure="time-out")
            if kind == "CNAME" and depth < 10:
                target = self.answer(Question(value.lower().rstrip("."), question.type), depth + 1)
                found.extend(target.records)
            elif kind == question.type and value != "NONE":
                if kind == "TXT":
                    value = b"".join(part.encode() for part in ([value] if isinstance(value, str) else value))
                found.append(tuple(value) if kind == "MX" else value)
        return Answer(tuple(found))

    def run(self, check: Any) -> Any:
        try:
            questions = next(check)
            while True:
                self.asked.append(questions)
                questions = check.send({question: self.answer(question) for question in questions})
        except StopIteration as stop:
            return stop.value


class SuiteTests(unittest.TestCase):
    def test_rfc7208_suite(self) -> None:
        """Every case of the public suite ends with a result that the suite allows."""
        count, wrong = 0, []
        with SUITE.open(encoding="utf-8") as file:
            for scenario in yaml.safe_load_all(file):
                for name, case in scenario["tests"].items():
                    count += 1
                    zone = SuiteZone(scenario["zonedata"])
                    result = zone.run(spf.check(case["host"], case["mailfrom"], case["helo"])).result
                    expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
                    if result not in expected:
                        wrong.append((name, expected, result))
        self.assertEqual(wrong, [])
        self.assertEqual(count, 203)


def stock(ip: str, sender: str, helo: str, zone: Zone) -> str:
    """pyspf's own verdict, fed from the same answers through its driver hook."""

    def lookup(name: str, qtype: str, *args: Any) -> list[Any]:
        answer = zone.answers.get(Question(name.lower(), qtype), Answer())  # type: ignore[arg-type]
        return [((name, qtype), (record,) if qtype == "TXT" else record) for record in answer.records]

    original, pyspf.DNSLookup = pyspf.DNSLookup, lookup
    try:
        return str(pyspf.check2(ip, sender, helo)[0])
    finally:
        pyspf.DNSLookup = original


NAMES = ["a.test", "b.test", "c.test", "d.test"]
DIRECTIVES = st.one_of(
    st.sampled_from(
        ["all", "-all", "~all", "?all", "+all", "a", "mx", "-a:b.test", "exists:%{i}.x.test", "moo", "ip4:1.2.3", ""]
    ),
    st.builds(
        "{}ip4:192.0.2.{}/{}".format,
        st.sampled_from(["", "-", "?", "~", "+"]),
        st.integers(0, 255),
        st.sampled_from([24, 30, 32, 33]),
    ),
    st.builds(
        "{}ip6:2001:db8::{:x}/{}".format,
        st.sampled_from(["", "-"]),
        st.integers(0, 65535),
        st.sampled_from([32, 112, 128]),
    ),
    st.builds("{}include:{}".format, st.sampled_from(["", "-", "?"]), st.sampled_from([*NAMES, "none.test", "B.TEST"])),
    st.builds("redirect={}".format, st.sampled_from(NAMES)),
)
RECORDS = st.lists(DIRECTIVES, max_size=6).map(lambda terms: " ".join(["v=spf1", *terms]).encode())


class SpfTests(unittest.TestCase):
    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(RECORDS, min_size=4, max_size=4),
        st.sampled_from(["192.0.2.5", "192.0.2.200", "2001:db8::7", "::ffff:192.0.2.5", "10.0.0.1"]),
    )
    def test_equals_stock(self, records: list[bytes], ip: str) -> None:
        """For random zones of plain and odd records the result is the one stock pyspf gives."""
        zone = Zone({(name, "TXT"): record for name, record in zip(NAMES, records, strict=True)})
        zone.put("b.test", "A", "192.0.2.5")
        expected = stock(ip, "x@a.test", "helo.test", zone)
        self.assertEqual(zone.run(spf.check(ip, "x@a.test", "helo.test")).result, expected)

    def test_plain_record_needs_one_question(self) -> None:
        """A record of addresses is decided with a single lookup and no full evaluation."""
        zone = Zone({("a.test", "TXT"): b"v=spf1 ip4:192.0.2.0/24 -all"})
        self.patch(spf, "_Query", None)
        self.assertEqual(zone.run(spf.check("192.0.2.1", "x@a.test", "h")).result, "pass")
        self.assertEqual(len(zone.asked), 1)

    def test_null_sender_uses_helo(self) -> None:
        """The null sender is judged by the HELO name and says so."""
        zone = Zone({("mx.a.test", "TXT"): b"v=spf1 ip4:192.0.2.1 -all"})
        result = zone.run(spf.check("192.0.2.1", "", "mx.a.test"))
        self.assertEqual((result.result, result.domain, result.identity), ("pass", "mx.a.test", "helo"))

    def test_failure_is_temperror(self) -> None:
        """A lookup that fails at any depth gives temperror, never a pass and never none."""
        for include in (False, True):
            zone = Zone({("a.test", "TXT"): b"v=spf1 include:b.test +all" if include else b""})
            zone.fail("b.test" if include else "a.test", "TXT")
            self.assertEqual(zone.run(spf.check("192.0.2.1", "x@a.test", "h")).result, "temperror")

    def test_domain_is_behind_the_last_at(self) -> None:
        """A quoted or crafted local part with an "@" cannot choose the domain that is asked."""
        zone = Zone({("victim.test", "TXT"): b"v=spf1 +all", ("evil.test", "TXT"): b"v=spf1 -all"})
        for sender in ('"x@victim.test"@evil.test', "x@victim.test'@evil.test"):
            result = zone.run(spf.check("192.0.2.1", sender, "h"))
            self.assertEqual((result.result, result.domain), ("fail", "evil.test"))

    def test_odd_domains_are_none(self) -> None:
        """A reverse-path without a DNS name is ``none`` and asks nothing."""
        zone = Zone()
        for sender in (
            "x",
            "x@",
            "x@[192.0.2.1]",
            "x@single",
            "x@a..test",
            "x@\0.test",
            "x@" + "a" * 64 + ".test",
            "x@b\xfcch.test",
        ):
            self.assertEqual(zone.run(spf.check("192.0.2.1", sender, "h")).result, "none")
        self.assertEqual(zone.asked, [])

    def test_oversized_records(self) -> None:
        """Records that would make pyspf slow are refused before it reads them."""
        for record in (
            b"v=spf1 " + b"a:x " * 2000,
            b"v=spf1 a:" + b"a" * 60_000 + b"!",
            b"v=spf1 exists:" + b"%{" * 300,
        ):
            zone = Zone({("a.test", "TXT"): record})
            self.patch(pyspf.query, "check0", None)
            self.assertEqual(zone.run(spf.check("192.0.2.1", "x@a.test", "h")).result, "permerror")

    def test_including_oneself(self) -> None:
        """A record that includes itself is permerror although a term before it matches."""
        zone = Zone({("a.test", "TXT"): b"v=spf1 +all include:a.test"})
        self.assertEqual(zone.run(spf.check("192.0.2.1", "x@a.test", "h")).result, "permerror")

    def test_rounds_are_bounded(self) -> None:
        """A zone that keeps inventing names ends in permerror after a bounded number of rounds."""
        zone = Zone(
            {
                ("a.test", "TXT"): b"v=spf1 mx ptr exists:%{i}.q.test -all",
                ("a.test", "MX"): [(n, f"m{n}.a.test") for n in range(10)],
            }
        )
        zone.put("1.2.0.192.in-addr.arpa", "PTR", *[f"p{n}.a.test" for n in range(500)])
        for n in range(10):
            zone.put(f"m{n}.a.test", "A", *[str(ipaddress.ip_address(f"10.0.{n}.1"))])
        zone.run(spf.check("192.0.2.1", "x@a.test", "h"))
        self.assertLess(len(zone.asked), 45)
