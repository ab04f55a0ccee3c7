"""The types of the client, as a program of its users is checked with them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

PROGRAM = Path(__file__).with_name("typed_program.py")
ROOT = Path(__file__).resolve().parents[2]


class TypedTests(SynchronousTestCase):
    def test_strict(self) -> None:
        """A strictly checked program gets the type of every result, and wrong arguments are found in it."""
        own = Path(self.mktemp())
        own.mkdir()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "mypy", "--strict", "--config-file=", "--warn-unused-ignores"),
                *("--follow-imports=silent", "--namespace-packages", "--explicit-package-bases"),
                *("--cache-dir", str(own / "cache"), str(PROGRAM)),
            ],
            env={**os.environ, "MYPYPATH": str(ROOT)},
            cwd=own,
            capture_output=True,
            text=True,
            timeout=300,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
