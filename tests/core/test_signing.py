"""The X-E2A-Auth headers and the Standard Webhooks signature."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Facts
from e2a.core.trust import signing, webhooksignature
from tests.support.sinks import library_secret

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text("utf-8"))
SECRET = "d56a17ee58eb5a2cd136c630083d89b593e15fdf559ed4b12b05314e87c7b1ba"
FACTS = Facts(True, "alice@example.com", "human", "spf=pass; dkim=none", signing.body_hash(b"hello"))
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


def unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class VectorTests(SynchronousTestCase):
    """The contract's vectors, each exactly as marked."""

    def test_canonical_strings(self) -> None:
        """Eight lines joined by single line feeds; a value with a line feed in it is refused, not signed."""
        self.assertEqual(len(VECTORS["canonical_strings"]), 5)
        for vector in VECTORS["canonical_strings"]:
            fields = vector["fields"].values()
            if vector["line_count"] != 8:
                self.assertRaises(ValueError, signing.canonical, fields)
                continue
            self.assertEqual(signing.canonical(fields).hex(), vector["canonical_utf8_hex"], vector["id"])

    def test_header_signatures(self) -> None:
        """Each of the 32 cases is accepted or refused for exactly the reasons the vector gives."""
        self.assertEqual(len(VECTORS["header_signatures"]), 32)
        for vector in VECTORS["header_signatures"]:
            check = signing.check(
                vector["presented_headers"],
                base64.b64decode(vector["raw_message_b64"]),
                vector["verifier_secrets"],
                unix(vector["verifier_clock"]),
                vector["max_age_seconds"],
                vector["future_skew_seconds"],
            )
            expect = vector["expect"]
            found = {
                "body_hash_ok": check.body_hash_ok,
                "signature_ok": check.signature_ok,
                "timestamp_ok": check.timestamp_ok,
                "accept": check.accepted,
            }
            self.assertEqual(found, expect, vector["id"])

    def test_signing_makes_the_accepted_vectors(self) -> None:
        """What we sign is, octet for octet, what the vectors that use our timestamp form present."""
        made = 0
        for vector in VECTORS["header_signatures"]:
            signed = vector["signed_fields"]
            if not vector["expect"]["accept"] or not signed["timestamp"].endswith("Z"):
                continue
            facts = Facts(
                signed["verified"] == "true",
                signed["sender"],
                signed["entity_type"],
                signed["domain_check"],
                signed["body_hash"],
                signed["delegation"],
            )
            headers = signing.sign(facts, signed["message_id"], vector["signing_secret"], unix(signed["timestamp"]))
            self.assertEqual(headers, vector["presented_headers"], vector["id"])
            made += 1
        self.assertGreaterEqual(made, 10)


class SeveralSecretsTests(SynchronousTestCase):
    """While secrets are rotated one set of headers carries a signature of each."""

    def test_vectors(self) -> None:
        """Each of the ten cases is accepted or refused as it says."""
        self.assertEqual(len(VECTORS["several_signatures"]), 10)
        for vector in VECTORS["several_signatures"]:
            raw = base64.b64decode(vector["raw_message_b64"])
            accepted = signing.verify(
                vector["presented_headers"], raw, vector["verifier_secrets"], unix(vector["verifier_clock"])
            )
            self.assertEqual(accepted, vector["expect"], vector["id"])

    def test_one_secret(self) -> None:
        """With one secret there is no list, and with several the first signs the header of old."""
        alone = signing.sign(FACTS, "msg_1", SECRET, NOON)
        self.assertNotIn(signing.SIGNATURES, alone)
        several = signing.sign(FACTS, "msg_1", SECRET, NOON, ["another"])
        self.assertEqual(several[signing.SIGNATURE], alone[signing.SIGNATURE])
        self.assertEqual(several[signing.SIGNATURES].split()[0], alone[signing.SIGNATURE])
        self.assertTrue(signing.verify(several, b"hello", ["another"], NOON))


class SigningTests(SynchronousTestCase):
    def test_line_breaks_are_never_signed(self) -> None:
        """CR, LF or NUL in any field of the facts, or in the id, is refused."""
        for bad in ("\r", "\n", "\0"):
            facts = Facts(True, f"a{bad}b@example.com", "human", "spf=pass; dkim=none", FACTS.body_hash)
            self.assertRaises(ValueError, signing.sign, facts, "msg_1", SECRET, NOON)
            self.assertRaises(ValueError, signing.sign, FACTS, f"msg_1{bad}", SECRET, NOON)

    def test_empty_secrets_are_worthless(self) -> None:
        """An empty secret neither signs nor verifies."""
        self.assertRaises(ValueError, signing.sign, FACTS, "msg_1", "", NOON)
        headers = signing.sign(FACTS, "msg_1", SECRET, NOON)
        self.assertFalse(signing.verify(headers, b"hello", [""], NOON))

    def test_header_names_in_any_case(self) -> None:
        """Names that changed their letter case on the way still verify."""
        headers = {name.lower(): value for name, value in signing.sign(FACTS, "msg_1", SECRET, NOON).items()}
        self.assertTrue(signing.verify(headers, b"hello", [SECRET], NOON))

    def test_two_spellings_are_ambiguous(self) -> None:
        """A header present under two spellings is refused: the reader might take the other one."""
        headers = signing.sign(FACTS, "msg_1", SECRET, NOON)
        doctored = {signing.SENDER.upper(): "boss@example.com", **headers}
        self.assertFalse(signing.verify(doctored, b"hello", [SECRET], NOON))

    @settings(deadline=None, max_examples=150)
    @given(st.sampled_from([*signing.SIGNED, signing.SIGNATURE]), st.text(max_size=40))
    def test_any_change_is_noticed(self, name: str, value: str) -> None:
        """No header can be given another value without the check failing."""
        headers = signing.sign(FACTS, "msg_1", SECRET, NOON)
        original = headers.get(name, "")
        self.assertEqual(signing.verify({**headers, name: value}, b"hello", [SECRET], NOON), value == original)

    @settings(deadline=None, max_examples=100)
    @given(st.dictionaries(st.text(max_size=30), st.text(max_size=30)), st.floats(allow_nan=True))
    def test_junk_is_refused_quietly(self, headers: dict[str, str], now: float) -> None:
        """Whatever is presented, the answer is no and not an exception."""
        self.assertFalse(signing.verify(headers, b"", [SECRET], now))

    def test_impossible_timestamps(self) -> None:
        """Dates and offsets that do not exist are refused even when signed."""
        for text in (
            "2026-02-30T12:00:00Z",
            "2026-05-01T12:00:00+24:00",
            "0000-01-01T00:00:00Z",
            "2026-05-01T12:00:60Z",
        ):
            self.assertIsNone(signing._parse_rfc3339(text), text)
        self.assertEqual(signing._parse_rfc3339("2026-05-01T14:00:00.25+02:00"), NOON + 0.25)


class WebhookSignatureTests(SynchronousTestCase):
    BODY = b'{"message_id":"msg_1"}'

    def test_the_published_library_verifies(self) -> None:
        """The standardwebhooks package accepts our headers with either of two live secrets."""
        now = datetime.now(UTC).timestamp()
        headers = webhooksignature.sign("msg_1", now, self.BODY, ["newest", "older"])
        for secret in ("newest", "older"):
            library = Webhook(library_secret(secret))
            self.assertEqual(library.verify(self.BODY, headers), {"message_id": "msg_1"})
        stranger = Webhook(library_secret("stranger"))
        self.assertRaises(WebhookVerificationError, stranger.verify, self.BODY, headers)

    def test_newest_first(self) -> None:
        """The first signature is made with the first secret."""
        both = webhooksignature.sign("msg_1", NOON, self.BODY, ["newest", "older"])["webhook-signature"].split()
        alone = webhooksignature.sign("msg_1", NOON, self.BODY, ["newest"])["webhook-signature"]
        self.assertEqual(both[0], alone)
        self.assertEqual(len(both), 2)

    def test_verify(self) -> None:
        """Right body, right secret, right time: yes; any of them wrong: no."""
        headers = webhooksignature.sign("msg_1", NOON, self.BODY, [SECRET])
        verify = webhooksignature.verify
        self.assertTrue(verify(headers, self.BODY, ["x", SECRET], NOON + 300))
        self.assertFalse(verify(headers, self.BODY + b" ", [SECRET], NOON))
        self.assertFalse(verify(headers, self.BODY, ["x"], NOON))
        self.assertFalse(verify(headers, self.BODY, [SECRET], NOON + 301))
        self.assertFalse(verify({**headers, "webhook-id": "msg_2"}, self.BODY, [SECRET], NOON))
        self.assertFalse(verify({**headers, "webhook-timestamp": "9" * 5000}, self.BODY, [SECRET], NOON))
        self.assertFalse(verify({}, self.BODY, [SECRET], NOON))

    def test_ambiguous_ids_are_refused(self) -> None:
        """An id with a full stop could be read as another id and timestamp."""
        for bad in ("", "a.1", "a\n"):
            self.assertRaises(ValueError, webhooksignature.sign, bad, NOON, self.BODY, [SECRET])

    def test_key_is_the_text(self) -> None:
        """A secret that looks like hex is used as text: its decoded bytes do not verify."""
        headers = webhooksignature.sign("msg_1", NOON, self.BODY, [SECRET])
        octets = b"msg_1.%d." % int(NOON) + self.BODY
        import hmac

        wrong = base64.b64encode(hmac.digest(bytes.fromhex(SECRET), octets, hashlib.sha256)).decode()
        self.assertNotEqual(headers["webhook-signature"], "v1," + wrong)
