"""The ``e2a`` command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner
from twisted.trial.unittest import TestCase

from e2a import __version__
from e2a.cli import serve
from e2a.cli.main import main

ROOT = Path(__file__).resolve().parents[2]


class Command(TestCase):
    def test_version(self) -> None:
        """--version prints name and version."""
        self.assertEqual(CliRunner().invoke(main, ["--version"]).output, f"e2a {__version__}\n")

    def test_help(self) -> None:
        """--help names the commands."""
        output = CliRunner().invoke(main, ["--help"]).output
        self.assertIn("serve", output)
        self.assertIn("bootstrap", output)

    def test_lists(self) -> None:
        """In the lists of commands every line is whole on a terminal of 80 columns."""

        def groups(group: click.Group, words: list[str]) -> Iterator[list[str]]:
            yield words
            for word, command in group.commands.items():
                if isinstance(command, click.Group):
                    yield from groups(command, [*words, word])

        for words in groups(main, []):
            _, _, listed = CliRunner().invoke(main, [*words, "--help"], terminal_width=80).output.partition("Commands:")
            self.assertTrue(listed, words)
            self.assertNotIn("...", listed, words)

    def test_light(self) -> None:
        """Starting the command loads nothing of the daemon."""
        code = (
            "import e2a.cli.main, sys; print([m for m in ('twisted', 'psycopg2', 'e2a.service') if m in sys.modules])"
        )
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=True)
        self.assertEqual(done.stdout, "[]\n")

    def test_without_the_server(self) -> None:
        """Without the daemon's libraries the commands that need them say what to install."""
        for arguments in (["serve"], ["bootstrap", "you@example.com"]):
            code = (
                "import sys; sys.modules['twisted'] = None\n"
                "sys.modules['psycopg2'] = None\n"
                f"from e2a.cli.main import main; main({arguments!r})"
            )
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, env=environ, check=False
            )
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("install e2a with its extras [server,embedded]", done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_wrong_configuration(self) -> None:
        """bootstrap with a wrong configuration names every fault and ends with 1."""
        path = Path(self.mktemp())
        path.write_text("a: 1\nb: 2\n")
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        code = "from e2a.cli.main import main; main()"
        arguments = ["bootstrap", "you@example.com", "--config", str(path)]
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environ, check=False
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.splitlines()), 2)

    def test_no_database(self) -> None:
        """bootstrap without the daemon's database says that it is the database which is missing, and ends with 1."""
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "E2A_DATABASE_URL": "postgresql://e2a@127.0.0.1:1/e2a",
            "E2A_HMAC_SECRET": "s" * 32,
        }
        code = "from e2a.cli.main import main; main()"
        arguments = [sys.executable, "-c", code, "bootstrap", "you@example.com"]
        done = subprocess.run(arguments, capture_output=True, text=True, env=environ, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertTrue(done.stderr.startswith("Error: the database cannot be reached: "), done.stderr)

    def test_own_faults_are_not_hidden(self) -> None:
        """A missing module of e2a itself is a fault of ours, not a missing extra."""
        with self.assertRaises(ModuleNotFoundError), serve.server_installed():
            raise ModuleNotFoundError("No module named 'e2a.x'", name="e2a.x")
