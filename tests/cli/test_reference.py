"""The reference of the command in docs/cli.md."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from tests.support import clireference

#: Commands that run the daemon's own code, or need no server.
_WITHOUT_SERVER = {"e2a bootstrap", "e2a completion", "e2a doctor", "e2a help", "e2a rotate-master-key", "e2a serve"}


class Reference(TestCase):
    def test_current(self) -> None:
        """What is committed is what the commands say; ``python -m tests.support.clireference`` writes it anew."""
        self.assertEqual(clireference.PAGE.read_text(encoding="utf-8"), clireference.page())

    def test_complete(self) -> None:
        """Every command has a help, every option says what it is for, and every command of the client has --json."""
        for name, command in clireference.commands():
            self.assertTrue(command.help, name)
            if hasattr(command, "commands"):
                continue
            options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
            for option in options:
                self.assertTrue(
                    getattr(option, "help", "") or option.name in ("subject", "limit", "timeout"), (name, option)
                )
            if name not in _WITHOUT_SERVER:
                self.assertIn("as_json", [option.name for option in options], name)
