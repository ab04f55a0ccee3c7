"""A short run of the SMTP fuzz target, so that it cannot rot."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.smtp import one_input, session, sessions


class SmtpFuzzTests(SynchronousTestCase):
    def test_mutated_sessions(self) -> None:
        """No session out of a few hundred mutated ones breaks a promise of the SMTP front."""
        source = sessions(20)
        for _ in range(400):
            data = session(source)
            try:
                one_input(data)
            except Exception as error:
                self.fail(f"{data!r}: {error!r}")
