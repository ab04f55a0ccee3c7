"""The reference in the documentation is that of the code."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support import sdkreference


class ReferenceTests(SynchronousTestCase):
    def test_current(self) -> None:
        """What is committed is what the docstrings say; ``python -m tests.support.sdkreference`` writes it anew."""
        self.assertEqual(sdkreference.PAGE.read_text(encoding="utf-8"), sdkreference.page())

    def test_complete(self) -> None:
        """It names everything that the package offers."""
        page = "\n".join(sdkreference.reference())
        for name in sdkreference.v1.__all__:
            self.assertIn(name, page)
