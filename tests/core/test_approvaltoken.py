"""The links that decide about held messages."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.trust.approvaltoken import ApprovalTokens, Link, TokenExpired, TokenRefused

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text("utf-8"))
ID = "msg_6852696b06a18a9daf8843ae9b52dee4"
KEY = b"k" * 32

#: Where one key of the deployment, and one spelling of a token, differ from the vectors: a second key of the account
#: (T13) and the bare deployment secret (T14) make no links, and base64 has one spelling (T25).
REFUSED_HERE = {"T13", "T14", "T25"}


def outcome(tokens: ApprovalTokens, token: str, action: Any, now: float) -> str:
    try:
        tokens.read(token, action, now)
    except TokenRefused:
        return "refused"
    except TokenExpired:
        return "expired"
    return "ok"


class TokenTests(SynchronousTestCase):
    def test_minting(self) -> None:
        """Tokens have the form that clients and mails know, and none is made for what cannot stand in one."""
        for vector in VECTORS["approval_token_minting"]:
            tokens = ApprovalTokens(vector["secret"].encode())
            arguments = (vector["message_id"], vector["action"], vector["exp"])
            if vector.get("expect_error"):
                self.assertRaises(ValueError, tokens.make, *arguments)
            else:
                self.assertEqual(tokens.make(*arguments), vector["token"], vector["id"])

    def test_reading(self) -> None:
        """What the vectors accept is accepted, what they refuse is refused, what is over is called so."""
        answers = {400: "refused", 410: "expired", 200: "ok", 409: "ok"}
        for vector in VECTORS["approval_tokens"]:
            tokens = ApprovalTokens(vector["user_secrets"][0].encode())
            now = datetime.fromisoformat(vector["clock"]).timestamp()
            expected = "refused" if vector["id"] in REFUSED_HERE else answers[vector["expect"]["http_status"]]
            found = outcome(tokens, vector["token"] or "", vector["endpoint_action"], now)
            self.assertEqual(found, expected, vector["id"])

    def test_another_key(self) -> None:
        """A token made with any other key decides nothing."""
        token = ApprovalTokens(b"x" * 32).make(ID, "approve", 2_000_000_000)
        self.assertEqual(outcome(ApprovalTokens(KEY), token, "approve", 1_000.0), "refused")

    def test_reviewer(self) -> None:
        """A token can name whom it is for, and nothing that would end the name."""
        tokens = ApprovalTokens(KEY)
        token = tokens.make(ID, "reject", 2_000_000_000, "5" * 32)
        self.assertEqual(tokens.read(token, "reject", 1_000.0), Link(ID, "5" * 32))
        self.assertEqual(outcome(tokens, token, "approve", 1_000.0), "refused")
        for name in ("a|b", "a~b", "a b", "a" * 65, "\n"):
            self.assertRaises(ValueError, tokens.make, ID, "reject", 2_000_000_000, name)
        self.assertRaises(ValueError, tokens.make, f"{ID}~b", "reject", 2_000_000_000)

    def test_every_flipped_bit_counts(self) -> None:
        """No changed character leaves a token good."""
        tokens = ApprovalTokens(KEY)
        token = tokens.make(ID, "approve", 2_000_000_000)
        self.assertEqual(tokens.read(token, "approve", 2_000_000_000.0), Link(ID, ""))
        for place, char in enumerate(token):
            changed = token[:place] + ("A" if char != "A" else "B") + token[place + 1 :]
            self.assertEqual(outcome(tokens, changed, "approve", 1_000.0), "refused", changed)

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=200))
    def test_junk(self, text: str) -> None:
        """Whatever a stranger sends is refused, never an error."""
        self.assertEqual(outcome(ApprovalTokens(KEY), text, "reject", 0.0), "refused")
