"""ARC chains, made by dkimpy and then broken in every place."""

from __future__ import annotations

import re
from typing import Any

import dkim as dkimpy
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from twisted.trial import unittest

from e2a.core.mail.headers import scan
from e2a.core.trust.verdict import ArcResult
from e2a.verify import arc
from e2a.verify.canonical import body_hashes
from e2a.verify.questions import Answer

from .signing import message, rsa_key
from .zone import Zone


def sealed(raw: bytes, zone: Zone, domain: str) -> bytes:
    """One more ARC set on top, by a hop that reports the chain as it found it."""
    private, record = rsa_key()
    zone.put(f"arc._domainkey.{domain}", "TXT", record)
    seen = evaluate(raw, zone).result
    reported = f"Authentication-Results: {domain}; spf=pass; arc={seen}\r\n".encode() + raw
    added = dkimpy.arc_sign(
        reported,
        b"arc",
        domain.encode(),
        private,
        domain.encode(),
        include_headers=[b"from", b"to", b"subject", b"date"],
    )
    return b"".join(added) + raw


def evaluate(raw: bytes, zone: Zone) -> ArcResult:
    block = scan(raw)
    chain = arc.read(block)
    answers = {question: zone.answers.get(question, Answer()) for question in arc.questions(chain)}
    wanted = {chain.newest.body} if isinstance(chain, arc.Chain) else set()
    return arc.judge(chain, answers, block, body_hashes(raw, block.body_start, wanted))


class ArcTests(unittest.TestCase):
    def setUp(self) -> None:
        self.zone = Zone()

    def chain(self, hops: int) -> bytes:
        raw = message(b"Some  text \r\n")
        for hop in range(hops):
            raw = sealed(raw, self.zone, f"hop{hop + 1}.test")
        return raw

    def oracle(self, raw: bytes) -> bytes:
        def txt(name: bytes, timeout: int = 5) -> bytes:
            for question, answer in self.zone.answers.items():
                if question.name == name.decode().rstrip(".") and answer.records:
                    return bytes(answer.records[0])
            return b""

        try:
            word: Any = dkimpy.arc_verify(raw, dnsfunc=txt)[0]
        except dkimpy.MessageFormatError:
            # It judges no message with a line that is no field, such as a name with a space in it.
            reject()
        return bytes(word or b"fail")

    def test_no_chain(self) -> None:
        """A message without ARC fields is ``none``."""
        self.assertEqual(evaluate(message(), self.zone), ArcResult("none"))

    def test_chains_pass(self) -> None:
        """Chains of one to five hops pass and name the newest sealer; dkimpy agrees."""
        for hops in (1, 2, 5):
            raw = self.chain(hops)
            self.assertEqual(evaluate(raw, self.zone), ArcResult("pass", hops, f"hop{hops}.test"))
            self.assertEqual(self.oracle(raw), b"pass")

    def test_changed_body_fails(self) -> None:
        """A body changed after the last seal breaks the chain."""
        raw = self.chain(2).replace(b"Some", b"None")
        self.assertEqual(evaluate(raw, self.zone).result, "fail")

    def test_older_message_signature_may_break(self) -> None:
        """A hop that changes the body and seals it anew leaves the chain whole."""
        raw = self.chain(1).replace(b"Some", b"More")
        private = rsa_key()[0]
        added = dkimpy.arc_sign(
            b"Authentication-Results: list.test; arc=pass\r\n" + raw,
            b"arc",
            b"list.test",
            private,
            b"list.test",
            include_headers=[b"from"],
        )
        self.zone.put("arc._domainkey.list.test", "TXT", rsa_key()[1])
        self.assertEqual(evaluate(b"".join(added) + raw, self.zone).result, "pass")

    def test_forged_authentication_results(self) -> None:
        """Changing what a hop claims to have seen breaks its seal, in any instance."""
        raw = self.chain(3)
        for hop in (1, 2, 3):
            forged = raw.replace(
                f"i={hop}; hop{hop}.test;\r\n spf=pass".encode(), f"i={hop}; hop{hop}.test;\r\n spf=fail".encode()
            )
            self.assertNotEqual(forged, raw)
            self.assertEqual(evaluate(forged, self.zone).result, "fail")

    def test_form(self) -> None:
        """Missing, repeated, zero, huge and non-numeric instances fail; so do reported breaks and h= in a seal."""
        raw = self.chain(2)
        fields = [field.raw for field in scan(raw).fields]
        for position in range(6):
            rest = b"".join(fields[:position] + fields[position + 1 :]) + b"\r\n"
            self.assertEqual(evaluate(rest, self.zone).result, "fail", fields[position])
            self.assertEqual(evaluate(fields[position] + raw, self.zone).result, "fail", fields[position])
        for old, new in [
            (b"i=2;", b"i=3;"),
            (b"i=1;", b"i=0;"),
            (b"i=1;", b"i=51;"),
            (b"i=1;", b"i=x;"),
            (b"cv=pass", b"cv=fail"),
            (b"cv=none", b"cv=pass"),
            (b"cv=pass;", b"cv=pass; h=from;"),
            (b"cv=pass;", b""),
        ]:
            self.assertIn(old, raw)
            # Refused for its form, before any key is asked for.
            refused = arc.read(scan(raw.replace(old, new)))
            assert isinstance(refused, ArcResult), (old, new)
            self.assertEqual(refused.result, "fail")
        self.assertEqual(evaluate(raw.replace(b"Subject: ", b"Subject: x\n y"), self.zone).result, "fail")

    def test_keys(self) -> None:
        """A key that cannot be had now is temperror; one that does not exist, or another one, is fail."""
        raw = self.chain(2)
        for domain in ("hop1.test", "hop2.test"):
            name = f"arc._domainkey.{domain}"
            self.zone.fail(name, "TXT")
            self.assertEqual(evaluate(raw, self.zone), ArcResult("temperror", 2))
            self.zone.put(name, "TXT")
            self.assertEqual(evaluate(raw, self.zone).result, "fail")
            self.zone.put(name, "TXT", rsa_key(1024, 1)[1])
            self.assertEqual(evaluate(raw, self.zone).result, "fail")
            self.zone.put(name, "TXT", rsa_key()[1])

    def test_too_many_fields(self) -> None:
        """More fields than fifty sets are refused without reading them."""
        raw = b"ARC-Seal: i=1\r\n" * 151 + message()
        self.assertEqual(evaluate(raw, self.zone).result, "fail")

    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_damage(self, data: st.DataObject) -> None:
        """A chain changed at one random place passes here only if dkimpy lets it pass too."""
        zone, self.zone = self.zone, Zone()
        try:
            raw = self.chain(2)
            position = data.draw(st.integers(0, len(raw) - 1))
            changed = raw[:position] + data.draw(st.sampled_from([b"", b" ", b"x", b"1", b";"])) + raw[position + 1 :]
            if evaluate(changed, self.zone).result == "pass":
                self.assertEqual(
                    self.oracle(changed),
                    b"pass",
                    (raw[position - 5 : position + 5], changed[position - 5 : position + 5]),
                )
        finally:
            self.zone = zone

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]),
                st.binary(max_size=80),
            )
        )
    )
    def test_junk_never_raises(self, fields: list[tuple[str, bytes]]) -> None:
        """No ARC field, however broken, raises or passes."""
        raw = (
            b"".join(name.encode() + b": i=1; " + re.sub(rb"[\r\n]", b"", value) + b"\r\n" for name, value in fields)
            + message()
        )
        self.assertNotEqual(evaluate(raw, Zone()).result, "pass")
