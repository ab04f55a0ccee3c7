"""After a change of the deployment secret, what was made before it is still good."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from e2a.core.errors import BadRequest
from e2a.core.mail.conversations import ConversationMac
from e2a.core.trust.approvaltoken import ApprovalTokens, TokenRefused
from e2a.core.trust.bouncetoken import BounceTokens
from e2a.core.trust.browser import CsrfTokens
from e2a.core.trust.delegation import DelegationTokens
from e2a.core.trust.pagetoken import PageTokens
from e2a.core.trust.sealing import Sealer

MESSAGE, DELEGATION = "msg_" + "1" * 32, "dlg_" + "2" * 32

#: What lasts for minutes: a sign-in under way is begun again.
SHORT_LIVED = ("sign-in",)

#: By class: what makes a token, and what says of one whether it is good.
TOKENS: dict[Any, tuple[Callable[[Any], str], Callable[[Any, str], object]]] = {
    ApprovalTokens: (lambda it: it.make(MESSAGE, "approve", 9), lambda it, text: it.read(text, "approve", 5)),
    BounceTokens: (lambda it: it.make(MESSAGE), lambda it, text: it.read(text)),
    DelegationTokens: (lambda it: it.make(DELEGATION), lambda it, text: it.read(text)),
    CsrfTokens: (lambda it: it.mint("session"), lambda it, text: it.matches("session", text)),
    PageTokens: (lambda it: it.make("list", [7]), lambda it, text: it.read("list", text)),
    ConversationMac: (lambda it: it.make("c", "a@b.test", 5.0), lambda it, text: it.check(text, "c", "a@b.test", 6.0)),
}


class FormerKeyTests(TestCase):
    def setUp(self) -> None:
        before = Sealer("the former deployment secret", os.urandom)
        self.old, self.new = (
            before.derive_all("any"),
            Sealer("the new one", os.urandom, ["the former deployment secret"]).derive_all("any"),
        )

    def test_keys(self) -> None:
        """The current key comes first, each old one after it, none like another."""
        self.assertEqual(self.new[1:], self.old)
        self.assertEqual(len({*self.new}), 2)

    def test_made_before(self) -> None:
        """Every kind of token that the former secret made is accepted, and the current secret makes the new ones."""
        for kind, (make, read) in TOKENS.items():
            self.assertTrue(read(kind(*self.new), make(kind(*self.old))), kind)
            self.assertTrue(read(kind(self.new[0]), make(kind(*self.new))), kind)

    def test_unlisted(self) -> None:
        """A former secret that is not listed any more proves nothing."""
        for kind, (make, read) in TOKENS.items():
            try:
                good = read(kind(self.new[0]), make(kind(*self.old)))
            except (TokenRefused, BadRequest):
                good = False
            self.assertFalse(good, kind)

    def test_all_keys_are_asked_for(self) -> None:
        """No part of the daemon derives the current key alone: what it made would be worthless after a rotation."""
        service = Path(__file__).resolve().parents[2] / "e2a"
        found = [
            f"{path.relative_to(service)}: {line.strip()}"
            for path in service.rglob("*.py")
            for line in path.read_text(encoding="utf-8").splitlines()
            if re.search(r"sealer\.derive\(", line) and not any(f'"{purpose}"' in line for purpose in SHORT_LIVED)
        ]
        self.assertEqual(found, [], "use sealer.derive_all(...): the first key makes, all of them verify")
