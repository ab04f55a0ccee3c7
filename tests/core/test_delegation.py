"""Delegation: what is signed about it, what its link proves, and how long a question stands."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.core.trust.delegation import CONFIRM_WITHIN, Delegation, DelegationTokens, statement

ID = "dlg_" + "0123456789abcdef" * 2
TOKENS = DelegationTokens(b"k" * 32)
START = datetime(2026, 11, 20, tzinfo=UTC)


class DelegationTests(TestCase):
    def test_statement(self) -> None:
        """Mail speaks for the person named, or for the only one; never for somebody who has not agreed."""
        ann, bob = "ann@people.test", "bob@people.test"
        for persons, on_behalf_of, expected in (
            ([], "", ""),
            ([ann], "", f"agent=bot@a.test;human={ann}"),
            ([ann, bob], "", ""),
            ([ann, bob], " Bob@People.test ", f"agent=bot@a.test;human={bob}"),
            ([ann], bob, ""),
            ([], ann, ""),
        ):
            self.assertEqual(statement("bot@a.test", persons, on_behalf_of), expected)

    def test_token(self) -> None:
        """A token leads back to its binding, whole and unchanged only, and under its own key only."""
        token = TOKENS.make(ID)
        self.assertEqual(TOKENS.read(token), ID)
        self.assertIsNone(DelegationTokens(b"j" * 32).read(token))
        for number, char in enumerate(token[:-1]):
            changed = token[:number] + ("A" if char != "A" else "B") + token[number + 1 :]
            self.assertIsNone(TOKENS.read(changed))
        for text in ("", token[:-1], token + "A", token + "=", f" {token}"):
            self.assertIsNone(TOKENS.read(text))
        self.assertRaises(ValueError, TOKENS.make, "msg_" + "0" * 32)

    @settings(deadline=None, max_examples=200)
    @given(st.one_of(st.text(max_size=60), st.text("ABCabc019-_", min_size=43, max_size=43)))
    def test_any_token(self, text: str) -> None:
        """No text that was not made here is taken for a token, and none raises."""
        self.assertIsNone(TOKENS.read(text))

    def test_state(self) -> None:
        """A question stands for seven days; what was confirmed stays, and what was ended is over."""
        asked = Delegation(ID, "bot@a.test", "ann@people.test", START)
        late = START + CONFIRM_WITHIN
        self.assertEqual(CONFIRM_WITHIN, timedelta(days=7))
        self.assertEqual(asked.state(late - timedelta(seconds=1)), "proposed")
        self.assertEqual(asked.state(late), "expired")
        confirmed = replace(asked, confirmed_at=START)
        self.assertEqual(confirmed.state(late), "active")
        self.assertEqual(replace(confirmed, ended_at=START, ended_by="owner").state(START), "ended")
