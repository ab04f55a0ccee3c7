"""Which domains can be claimed."""

from __future__ import annotations

import os
import re

from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import BadRequest
from e2a.core.rules.domains import OwnNames, claimable, new_proof, system_name

OWN = OwnNames(shared="agents.gateway.test", smtp="mx.gateway.test", sender="send.gateway.test")


class ClaimTests(SynchronousTestCase):
    def test_one_spelling(self) -> None:
        """A name is stored lower-case, in A-labels, without the final dot."""
        self.assertEqual(claimable(" Mail.Corp.TEST. ", OWN), "mail.corp.test")
        self.assertEqual(claimable("bücher.test", OWN), "xn--bcher-kva.test")

    def test_syntax(self) -> None:
        """What is no domain name is refused, naming the field."""
        for text in (
            "",
            "localhost",
            "a b.test",
            "-a.test",
            "a..test",
            "x" * 64 + ".test",
            "192.0.2.1",
            "a@b.test",
            "a.test\0",
        ):
            self.assertEqual(self.assertRaises(BadRequest, claimable, text, OWN).field, "domain", text)

    def test_own_names(self) -> None:
        """The deployment's names, in any case, and names below the shared domain belong to nobody else."""
        for text in ("Agents.Gateway.test", "x.agents.gateway.test", "MX.gateway.test.", "send.gateway.test"):
            self.assertRaises(BadRequest, claimable, text, OWN)

    def test_neighbours(self) -> None:
        """Names beside and above the deployment's are for their owners to prove."""
        for text in ("gateway.test", "notagents.gateway.test", "other.gateway.test"):
            self.assertEqual(claimable(text, OWN), text)

    def test_no_own_names(self) -> None:
        """A deployment without a shared domain reserves nothing below it."""
        self.assertEqual(claimable("a.test", OwnNames()), "a.test")

    def test_proof(self) -> None:
        """A claim's token is e2a-verify= and 32 hex digits, another for each claim."""
        token = new_proof(os.urandom)
        self.assertTrue(re.fullmatch("e2a-verify=[0-9a-f]{32}", token))
        self.assertNotEqual(token, new_proof(os.urandom))

    def test_system_names(self) -> None:
        """A configured name may be a single label and is kept in the stored spelling."""
        self.assertEqual(system_name("LocalHost"), "localhost")
        self.assertEqual(system_name("Agents.LocalHost."), "agents.localhost")
