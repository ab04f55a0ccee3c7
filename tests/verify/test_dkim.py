"""DKIM: dkimpy is the oracle for what passes, RFC 6376 and our stricter rules for what does not."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import time
from typing import Any

import dkim as dkimpy
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dkim.canonicalization import Relaxed, Simple
from dkim.util import parse_tag_value
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial import unittest

from e2a.core.mail.headers import Field, scan
from e2a.core.trust.verdict import DkimResult
from e2a.verify import canonical, dkim, keys
from e2a.verify.questions import Answer

from .signing import message, rsa_key, signed
from .zone import Zone


def verify(raw: bytes, zone: Zone, now: float | None = None) -> tuple[DkimResult, ...]:
    block = scan(raw)
    signatures = dkim.read(block, time.time() if now is None else now)
    answers = {question: zone.answers.get(question, Answer()) for question in dkim.questions(signatures)}
    hashes = canonical.body_hashes(raw, block.body_start, dkim.wanted_hashes(signatures))
    return dkim.judge(signatures, answers, block, hashes)


def word(raw: bytes, zone: Zone, now: float | None = None) -> str:
    (result,) = verify(raw, zone, now)
    return result.result


def oracle(raw: bytes, zone: Zone) -> bool:
    def txt(name: bytes, timeout: int = 5) -> bytes:
        for question, answer in zone.answers.items():
            if question.name == name.decode().rstrip(".").lower():
                return bytes(answer.records[0])
        return b""

    try:
        return bool(dkimpy.verify(raw, dnsfunc=txt))
    except Exception:
        return False


TEXT = st.text(st.sampled_from("aB \t.:;=é"), max_size=40)
BODIES = st.lists(
    st.sampled_from([b"a", b"bc", b" ", b"  ", b"\t", b"\r\n", b"\r\n\r\n", b"\r", b".", b"\xff"]), max_size=60
).map(b"".join)


class CanonicalBodyTests(unittest.TestCase):
    @settings(deadline=None, max_examples=200)
    @given(BODIES, st.integers(1, 9) | st.just(canonical._CHUNK))
    def test_equals_dkimpy(self, body: bytes, chunk: int) -> None:
        """Both body hashes equal dkimpy's for random bodies, wherever the slices fall."""
        head = b"From: a@a.test\r\n\r\n"
        original, canonical._CHUNK = canonical._CHUNK, chunk
        try:
            found = canonical.body_hashes(head + body, len(head), [b"simple", b"relaxed"])
        finally:
            canonical._CHUNK = original
        for name, form in ((b"simple", Simple), (b"relaxed", Relaxed)):
            self.assertEqual(found[name], hashlib.sha256(form.canonicalize_body(body)).digest(), name)

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(st.sampled_from([b"v=1", b"a", b"=", b";", b" ", b"\r\n\t", b"b=c", b"x_1", b"1"]), max_size=12).map(
            b"".join
        )
    )
    def test_tag_lists_equal_dkimpy(self, text: bytes) -> None:
        """A tag list that we read is one that dkimpy reads, with the same values."""
        try:
            tags = keys.tag_list(text)
        except keys.Refused:
            return
        self.assertEqual(tags, parse_tag_value(text) if text.strip() else {})

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(st.sampled_from([b"A", b"Qg", b"+/", b"=", b" ", b"\r\n", b"-", b"\0"]), max_size=9).map(b"".join)
        | st.binary(max_size=9).map(base64.b64encode)
    )
    def test_base64_has_one_reading(self, text: bytes) -> None:
        """What the quick decoder takes is what the pattern and the lenient decoder make of it."""
        bare = text.translate(None, b" \t\r\n")
        expected = None
        if re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", bare):
            with contextlib.suppress(ValueError):
                expected = base64.b64decode(bare)
        found = None
        with contextlib.suppress(keys.Refused):
            found = keys.decode_base64(text, "b=")
        self.assertEqual(found, expected)

    @settings(deadline=None, max_examples=300)
    @given(
        st.lists(st.sampled_from([b"b", b"=", b";", b" ", b"\r\n\t", b"bh=x", b"b=y", b"a"]), max_size=9).map(b"".join)
    )
    def test_the_value_is_left_out(self, text: bytes) -> None:
        """The field as it was signed is without the value of its first ``b=``, and otherwise untouched."""
        raw = b"DKIM-Signature:" + text + b"\r\n"
        expected = re.sub(rb"(\A|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*", rb"\1\2", text + b"\r\n", count=1)
        found = canonical.unsigned_form(Field(b"dkim-signature", raw), b"simple")
        self.assertEqual(found, b"DKIM-Signature:" + expected.removesuffix(b"\r\n"))

    def test_every_octet_is_seen_once(self) -> None:
        """The work on a body of nothing but spaces, or of half line ends, is proportional to its size."""
        seen = 0

        class Counting:
            def sub(self, with_: bytes, text: bytes) -> bytes:
                nonlocal seen
                seen += len(text)
                return original.sub(with_, text)

        original = canonical._SPACES
        self.patch(canonical, "_SPACES", Counting())
        for unit in (b" ", b"\t ", b" \r", b"\r \n", b" a"):
            seen = 0
            body = unit * (1_000_000 // len(unit)) + b"x"
            canonical.body_hashes(body, 0, [b"relaxed"])
            self.assertLess(seen, 1.01 * len(body), unit)

    def test_empty_lines_in_bulk(self) -> None:
        """Ten million empty lines are neither looped over one by one nor forgotten when text follows."""
        body = b"a\r\n" + b"\r\n" * 2_000_000
        short = canonical.body_hashes(b"a\r\n", 0, [b"simple", b"relaxed"])
        began = time.thread_time()
        self.assertEqual(canonical.body_hashes(body, 0, [b"simple"]), {b"simple": short[b"simple"]})
        self.assertLess(time.thread_time() - began, 0.05)
        self.assertEqual(canonical.body_hashes(body, 0, [b"relaxed"]), {b"relaxed": short[b"relaxed"]})
        self.assertNotEqual(canonical.body_hashes(body + b"b\r\n", 0, [b"simple", b"relaxed"]), short)


class OracleTests(unittest.TestCase):
    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(st.tuples(st.sampled_from(["Subject", "X-A", "x-a", "Received"]), TEXT), max_size=5),
        BODIES,
        st.sampled_from([b"simple", b"relaxed"]),
        st.sampled_from([b"simple", b"relaxed"]),
        st.sampled_from([b"rsa-sha256", b"ed25519-sha256"]),
        st.lists(st.sampled_from([b"x-a", b"received", b"from", b"absent", b"x-a"]), max_size=4),
    )
    def test_signed_messages_pass(
        self,
        fields: list[tuple[str, str]],
        body: bytes,
        headers: bytes,
        bodies: bytes,
        algorithm: bytes,
        more: list[bytes],
    ) -> None:
        """What dkimpy signs and accepts, we accept: random fields, bodies, canonicalisations and algorithms."""
        zone = Zone()
        head = (
            b"From: Ann <ann@a.test>\r\n"
            + "".join(f"{name}: {text}\r\n" for name, text in dict([("Subject", "x"), *fields]).items()).encode()
        )
        raw = signed(
            head + b"\r\n" + body,
            zone,
            canonicalize=(headers, bodies),
            signature_algorithm=algorithm,
            include_headers=[b"from", b"subject", *[name for name in more if name != b"received"]],
        )
        self.assertEqual(word(raw, zone), "pass" if oracle(raw, zone) else "fail")
        self.assertTrue(oracle(raw, zone))

    @settings(deadline=None, max_examples=100)
    @given(st.data())
    def test_damage(self, data: st.DataObject) -> None:
        """A message changed at one random place passes here only if dkimpy lets it pass too."""
        zone = Zone()
        raw = signed(message(b"Some  text\r\n\r\nmore \r\n"), zone, canonicalize=(b"simple", b"relaxed"))
        position = data.draw(st.integers(0, len(raw) - 1))
        changed = raw[:position] + data.draw(st.sampled_from([b"", b" ", b"x", b"\r\n", b";"])) + raw[position + 1 :]
        for result in verify(changed, zone):
            if result.result == "pass":
                self.assertTrue(oracle(changed, zone))

    def test_several_signatures(self) -> None:
        """Each signature has a result of its own, at most five are looked at."""
        zone = Zone()
        raw = message()
        for number in range(7):
            raw = signed(raw, zone, selector=f"s{number}")
        results = verify(raw, zone)
        self.assertEqual([one.result for one in results], ["pass"] * 5)
        self.assertEqual([one.selector for one in results], ["s6", "s5", "s4", "s3", "s2"])


class RuleTests(unittest.TestCase):
    def setUp(self) -> None:
        self.zone = Zone()

    def edited(self, raw: bytes, old: bytes, new: bytes) -> bytes:
        self.assertIn(old, raw)
        return raw.replace(old, new, 1)

    def test_length_limit(self) -> None:
        """A signature with ``l=`` is policy, though its hash is right."""
        raw = signed(message(), self.zone, length=True)
        self.assertTrue(oracle(raw, self.zone))
        self.assertEqual(word(raw, self.zone), "policy")

    def test_sha1(self) -> None:
        """rsa-sha1 is policy, though its signature is right."""
        raw = signed(message(), self.zone, signature_algorithm=b"rsa-sha1")
        self.assertTrue(oracle(raw, self.zone))
        self.assertEqual(word(raw, self.zone), "policy")

    def test_key_sizes(self) -> None:
        """RSA keys under 1024 bits are policy; 1024 and 2048 bits pass."""
        short = b"v=DKIM1; p=" + base64.b64encode(
            bytes.fromhex("305c300d06092a864886f70d0101010500034b003048024100") + b"\xc1" * 64 + b"\x02\x03\x01\x00\x01"
        )
        raw = signed(message(), self.zone)
        self.zone.put("s._domainkey.a.test", "TXT", short)
        self.assertEqual(word(raw, self.zone), "policy")
        for bits in (1024, 2048):
            self.assertEqual(word(signed(message(), self.zone, key=rsa_key(bits)), self.zone), "pass")

    def test_key_exponent(self) -> None:
        """An RSA key whose public exponent is as long as a private one, which would make verifying slow, is policy."""
        raw = signed(message(), self.zone)
        for bits, expected in ((64, "fail"), (1023, "policy")):
            numbers = rsa.RSAPublicNumbers((1 << (bits - 1)) + 1, (1 << 1024) - 159)
            der = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            self.zone.put("s._domainkey.a.test", "TXT", b"v=DKIM1; p=" + base64.b64encode(der))
            self.assertEqual(word(raw, self.zone), expected, bits)

    def test_times(self) -> None:
        """An expired signature fails, one from the future is policy, and clocks may differ a little."""
        raw = signed(message(), self.zone)
        now = time.time()
        self.assertEqual(word(raw, self.zone, now - 100_000), "policy")
        self.assertEqual(word(raw, self.zone, now - 200), "pass")
        self.assertEqual(word(self.edited(raw, b"q=dns/txt", b"x=1000; q=dns/txt"), self.zone), "permerror")
        without = raw[: raw.index(b"t=")] + raw[raw.index(b"h=") :]
        self.assertEqual(word(self.edited(without, b"q=dns/txt", b"x=1000; q=dns/txt"), self.zone), "fail")

    def test_from_must_be_signed(self) -> None:
        """A signature that does not cover From is permerror."""
        raw = self.edited(signed(message(), self.zone), b"h=from", b"h=fron")
        self.assertEqual(word(raw, self.zone), "permerror")

    def test_key_records(self) -> None:
        """Each way in which a key record is unusable has its word."""
        raw = signed(message(), self.zone)
        key = rsa_key()[1]
        cases: list[tuple[list[bytes], str]] = [
            ([], "permerror"),
            ([key, key], "permerror"),
            ([b"v=DKIM1; p="], "permerror"),
            ([b"v=DKIM2; " + key[9:]], "permerror"),
            ([key[9:] + b"; v=DKIM1"], "permerror"),
            ([b"v=DKIM1; k=dsa; " + key[16:]], "permerror"),
            ([b"k=ed25519; p=" + base64.b64encode(bytes(32))], "permerror"),
            ([b"v=DKIM1; h=sha1; " + key[9:]], "permerror"),
            ([b"v=DKIM1; s=tlsrpt; " + key[9:]], "permerror"),
            ([b"v=DKIM1; k=rsa"], "permerror"),
            ([b"v=DKIM1; p=!!!!"], "permerror"),
            ([b"v=DKIM1; p=AAAA"], "permerror"),
            ([b"junk"], "permerror"),
            ([b""], "permerror"),
            ([rsa_key(1024, 1)[1]], "fail"),
            ([b"v=DKIM1; h=sha1:sha256; s=email; t=y:s; " + key[9:]], "pass"),
            ([key[9:]], "pass"),
        ]
        for records, expected in cases:
            self.zone.put("s._domainkey.a.test", "TXT", *records)
            self.assertEqual(word(raw, self.zone), expected, records)
        self.zone.fail("s._domainkey.a.test", "TXT")
        self.assertEqual(word(raw, self.zone), "temperror")

    def test_strict_key(self) -> None:
        """``t=s`` in the key refuses a signature for a subdomain identity."""
        raw = signed(message(), self.zone, identity=b"ann@mail.a.test")
        self.assertEqual(word(raw, self.zone), "pass")
        self.zone.put("s._domainkey.a.test", "TXT", rsa_key()[1] + b"; t=s")
        self.assertEqual(word(raw, self.zone), "permerror")

    def test_malformed_signatures(self) -> None:
        """Signatures with broken, missing or absurd tags are permerror and ask for no key."""
        raw = signed(message(), self.zone)
        for old, new in [
            (b"v=1", b"v=2"),
            (b"v=1; ", b""),
            (b"a=rsa-sha256", b"a=rsa-md5"),
            (b"c=relaxed/relaxed", b"c=relaxed/nofws"),
            (b"d=a.test", b"d=a.test\0x"),
            (b"d=a.test", b"d=legitimate.test'a.test"),
            (b"d=a.test", b"d=test"),
            (b"d=a.test", b"d=(a.test"),
            (b"d=a.test;", b""),
            (b"s=s", b"s=s._domainkey.evil.test.\0.x"),
            (b"s=s", b"s="),
            (b"i=@a.test", b"i=@b.test"),
            (b"i=@a.test", b"i=@xa.test"),
            (b"q=dns/txt", b"q=http"),
            (b"bh=", b"bx="),
            (b"h=from", b"h=from : : x"),
            (b"h=from", b"h="),
            (b"v=1", b"v=1; v=1"),
            (b"v=1", b"v=1; z=" + b"a" * 20_000),
            (b"v=1", b"v=1; novalue"),
        ]:
            block = scan(self.edited(raw, old, new))
            (one,) = dkim.read(block, time.time())
            assert isinstance(one, dkim.Unusable), (old, new)
            self.assertEqual(one.result.result, "permerror", (old, new))
            self.assertEqual(dkim.questions([one]), ())

    def test_added_fields(self) -> None:
        """A replayed message with an added single field does not pass, unless every occurrence is covered."""
        raw = signed(
            message(Reply_To="Ann <ann@a.test>"), self.zone, include_headers=[b"from", b"to", b"subject", b"reply-to"]
        )
        self.assertEqual(word(raw, self.zone), "pass")
        for added in (
            b"From: Boss <boss@a.test>",
            b"Subject: Pay now",
            b"To: all@agents.test",
            b"Date: Fri, 01 Jan 2027 00:00:00 +0000",
            b"Reply-To: evil@evil.test",
            b"Cc: x@x.test\r\nCc: y@y.test",
            b"Content-Type: text/html\r\nContent-Type: text/plain",
            b"Message-ID: <2@evil.test>",
        ):
            self.assertEqual(word(added + b"\r\n" + raw, self.zone), "policy", added)
            head, _, body = raw.partition(b"\r\n\r\n")
            self.assertEqual(word(head + b"\r\n" + added + b"\r\n\r\n" + body, self.zone), "policy", added)
        plain = signed(message(), self.zone)
        self.assertEqual(word(b"Reply-To: evil@evil.test\r\n" + plain, self.zone), "policy")
        over = signed(message(), self.zone, include_headers=[b"from", b"from", b"subject", b"subject", b"reply-to"])
        self.assertEqual(word(over, self.zone), "pass")
        self.assertEqual(word(b"Reply-To: evil@evil.test\r\n" + over, self.zone), "fail")

    def test_repeated_fields(self) -> None:
        """Of equal fields the lowest is covered first, so those that relays add on top break nothing."""
        head = b"X-A: one\r\nX-A: two\r\nX-A: three\r\n"
        raw = signed(head + message(), self.zone, include_headers=[b"from", b"subject", b"x-a", b"x-a"])
        self.assertEqual(word(raw, self.zone), "pass")
        self.assertEqual(word(raw.replace(b"X-A: one", b"X-A: new"), self.zone), "pass")
        self.assertEqual(word(raw.replace(b"X-A: two", b"X-A: new"), self.zone), "fail")

    def test_added_trace_fields(self) -> None:
        """Fields that any relay may add leave a signature valid."""
        raw = signed(message(), self.zone)
        self.assertEqual(word(b"Received: from x\r\nX-Spam: no\r\nReceived: from y\r\n" + raw, self.zone), "pass")

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=300), st.binary(max_size=60))
    def test_junk_never_raises(self, junk: bytes, record: bytes) -> None:
        """No signature field and no key record, however broken, raises or passes."""
        zone = Zone()
        raw = b"DKIM-Signature: " + junk + b"\r\nFrom: a@a.test\r\n\r\n"
        for one in verify(raw, zone):
            self.assertNotEqual(one.result, "pass")
        found: Any = keys.read_key(record)
        self.assertTrue(isinstance(found, (tuple, keys.KeyRecord)))
