"""API keys, sealed secrets and page tokens."""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import BadRequest
from e2a.core.trust import apikeys
from e2a.core.trust.pagetoken import PageTokens
from e2a.core.trust.sealing import Damaged, Sealer, UnknownKey

SCALARS = st.one_of(st.none(), st.integers(-(2**63), 2**63), st.text(max_size=40))


class ApiKeyTests(SynchronousTestCase):
    def test_form(self) -> None:
        """A key is e2a_ and 64 lower-case hex digits, shown by its first 12, stored as SHA-256 of the whole."""
        key = apikeys.mint(lambda count: bytes(range(count)))
        self.assertEqual(key.text, "e2a_" + bytes(range(32)).hex())
        self.assertEqual(key.prefix, key.text[:12])
        self.assertEqual(key.digest, sha256(key.text.encode()).digest())

    def test_well_formed(self) -> None:
        """Only text of exactly that form can be a key; case, length and prefix count."""
        good = "e2a_" + "0a" * 32
        self.assertTrue(apikeys.well_formed(good))
        for bad in (
            "",
            good[:-1],
            good + "0",
            good.upper(),
            "e2b" + good[3:],
            good + "\n",
            "\0" * 68,
            "e2a_" + "é" * 64,
        ):
            self.assertFalse(apikeys.well_formed(bad), bad)

    def test_matches(self) -> None:
        """A key matches its own digest and no other."""
        key, other = apikeys.mint(os.urandom), apikeys.mint(os.urandom)
        self.assertTrue(apikeys.matches(key.text, key.digest))
        self.assertFalse(apikeys.matches(other.text, key.digest))


class SealerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sealer = Sealer("first deployment secret", os.urandom)

    def test_round_trip(self) -> None:
        """What is sealed for a row opens for that row, also from the memoryview that the database gives."""
        sealed = self.sealer.seal("wsec_1", "the secret")
        self.assertNotIn(b"the secret", sealed)
        self.assertEqual(self.sealer.open("wsec_1", memoryview(sealed)), "the secret")

    def test_other_row(self) -> None:
        """A value copied to another row does not open there."""
        sealed = self.sealer.seal("wsec_1", "the secret")
        self.assertRaises(Damaged, self.sealer.open, "wsec_2", sealed)

    def test_damage(self) -> None:
        """A change of any octet is noticed, and so is a cut."""
        sealed = self.sealer.seal("wsec_1", "the secret")
        for position in range(len(sealed)):
            changed = bytearray(sealed)
            changed[position] ^= 1
            self.assertRaises((Damaged, UnknownKey), self.sealer.open, "wsec_1", bytes(changed))
        for length in range(len(sealed)):
            self.assertRaises(Damaged, self.sealer.open, "wsec_1", sealed[:length])

    def test_nonces_differ(self) -> None:
        """The same text is never sealed the same way twice."""
        self.assertNotEqual(self.sealer.seal("a", "x"), self.sealer.seal("a", "x"))

    def test_rotation(self) -> None:
        """An old deployment secret still opens what it sealed; new values are sealed under the current one only."""
        old = self.sealer.seal("wsec_1", "the secret")
        rotated = Sealer("second deployment secret", os.urandom, old=["first deployment secret"])
        self.assertEqual(rotated.open("wsec_1", old), "the secret")
        self.assertNotIn(rotated.current_id, old)
        new = rotated.seal("wsec_1", "the secret")
        self.assertIn(rotated.current_id, new)
        self.assertRaises(UnknownKey, self.sealer.open, "wsec_1", new)

    def test_unknown_key_says_so(self) -> None:
        """A missing deployment secret is named as the cause, and no secret is."""
        error = self.assertRaises(
            UnknownKey, Sealer("other", os.urandom).open, "wsec_1", self.sealer.seal("wsec_1", "x")
        )
        self.assertIn("wsec_1 was sealed under a deployment secret that is not configured", str(error))

    def test_derived_keys(self) -> None:
        """Each purpose has its own key, the same in every process and no other under another deployment secret."""
        key = self.sealer.derive("page tokens")
        self.assertEqual(len(key), 32)
        self.assertEqual(key, Sealer("first deployment secret", os.urandom).derive("page tokens"))
        self.assertNotEqual(key, self.sealer.derive("approval tokens"))
        self.assertNotEqual(key, Sealer("other", os.urandom).derive("page tokens"))


class PageTokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pages = PageTokens(b"k" * 32)

    @given(st.text(max_size=60), st.lists(SCALARS, max_size=4))
    @settings(deadline=None, max_examples=100)
    def test_round_trip(self, kind: str, values: list[str | int | None]) -> None:
        """A position comes back as it was given, whatever kind and values are."""
        self.assertEqual(self.pages.read(kind, self.pages.make(kind, values)), values)

    @given(st.text(max_size=60))
    @settings(deadline=None, max_examples=200)
    def test_junk(self, token: str) -> None:
        """Anything that was not made here is a bad request that names the token."""
        error = self.assertRaises(BadRequest, self.pages.read, "list", token)
        self.assertEqual(error.field, "token")

    def test_other_list(self) -> None:
        """A token of one list, or of one key, is refused by every other."""
        token = self.pages.make("agents org_a", [7])
        self.assertRaises(BadRequest, self.pages.read, "agents org_b", token)
        self.assertRaises(BadRequest, PageTokens(b"j" * 32).read, "agents org_a", token)

    def test_no_sliding(self) -> None:
        """Text cannot move between kind and position."""
        token = self.pages.make("a", [1])
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        mac, payload = raw[:16], raw[16:]
        self.assertEqual(payload, b"[1]")
        slid = urlsafe_b64encode(mac + payload[1:]).rstrip(b"=").decode()
        self.assertRaises(BadRequest, self.pages.read, "a[", slid)

    def test_every_character_counts(self) -> None:
        """No character of a token can be changed for another."""
        token = self.pages.make("list", ["position", 12])
        for position in range(len(token) - 1):
            swapped = "A" if token[position] != "A" else "B"
            self.assertRaises(BadRequest, self.pages.read, "list", token[:position] + swapped + token[position + 1 :])
            self.assertRaises(BadRequest, self.pages.read, "list", token[:position] + "!" + token[position:])
