"""A short run of the message fuzz target, so that it cannot rot."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.message import main


class MessageFuzzTests(SynchronousTestCase):
    def test_mutated_messages(self) -> None:
        """No message out of a thousand mutated ones makes the reader fail or leaves a forged header."""
        main(1000, 7)
