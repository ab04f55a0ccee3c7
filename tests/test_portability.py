"""What differs between the Python versions that e2a runs on."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import e2a


class RegularExpressionTests(SynchronousTestCase):
    """Debian 12 ships Python 3.11.2."""

    def test_no_possessive_groups(self) -> None:
        """Before 3.11.5 possessive and atomic groups can miss what they should match; single characters are safe."""
        trap = re.compile(r"\)[*+?]\+|\)\{[\d,]+\}\+|\(\?>")
        found = [
            f"{path.name}:{number}"
            for path in sorted(Path(e2a.__file__).parent.rglob("*.py"))
            for number, line in enumerate(path.read_text().splitlines(), 1)
            if trap.search(line)
        ]
        self.assertEqual(found, [])
