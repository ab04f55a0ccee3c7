"""Return paths that name their message."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.trust.bouncetoken import BounceTokens

TOKENS = BounceTokens(b"k" * 32)
MESSAGE = "msg_0192f0a1b2c37d4e8f90a1b2c3d4e5f6"


class BounceTokenTests(TestCase):
    """``BounceTokens``"""

    def test_round_trip(self) -> None:
        """A return path leads back to its message, also after a server changed the case of its letters."""
        address = TOKENS.address(MESSAGE, "send.test")
        self.assertEqual(TOKENS.message_of(address), (MESSAGE, "send.test"))
        self.assertEqual(TOKENS.message_of(address.upper()), (MESSAGE, "send.test"))

    def test_fits(self) -> None:
        """The local part stays within RFC 5321's 64 octets, in characters that every server passes on."""
        local = TOKENS.address(MESSAGE, "send.test").partition("@")[0]
        self.assertLessEqual(len(local), 64)
        self.assertRegex(local, r"\Abounce\+[a-z2-7]+\Z")

    def test_foreign(self) -> None:
        """Any change of a token, another deployment's, and plain addresses lead nowhere."""
        token = TOKENS.make(MESSAGE)
        for place in range(len(token) - 1):
            changed = token[:place] + ("a" if token[place] != "a" else "b") + token[place + 1 :]
            self.assertIsNone(TOKENS.read(changed), place)
        self.assertIsNone(BounceTokens(b"x" * 32).read(token))
        for address in ("bounce@send.test", "bounce+news@send.test", "bot+" + token + "@send.test", "", "@", token):
            self.assertIsNone(TOKENS.message_of(address), address)

    def test_only_messages(self) -> None:
        """A token is made for a message id only."""
        for text in ("", "msg_1", MESSAGE.upper(), MESSAGE + "0", "conv_" + MESSAGE[4:]):
            with self.assertRaises(ValueError):
                TOKENS.make(text)

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=60))
    def test_junk(self, text: str) -> None:
        """No text raises or passes."""
        self.assertIsNone(TOKENS.read(text))
        self.assertIsNone(TOKENS.message_of(f"bounce+{text}@send.test"))
