"""The configuration file: what counts, what is kept, who may read it."""

from __future__ import annotations

import json
import os

from tests.cli.case import CommandCase


class ConfigFile(CommandCase):
    def stored(self) -> dict[str, str]:
        return json.loads(self.config.read_text())

    def test_private(self) -> None:
        """The file is the owner's alone, in a directory that is the owner's alone, and is replaced as a whole."""
        self.run_e2a("config", "set", "agent_email", "bot@x.test")
        first = self.config.stat()
        self.assertEqual((first.st_mode & 0o777, self.config.parent.stat().st_mode & 0o777), (0o600, 0o700))
        self.run_e2a("config", "set", "agent_email", "pal@x.test")
        self.assertNotEqual(self.config.stat().st_ino, first.st_ino)
        self.assertEqual(os.listdir(self.config.parent), ["config.json"])
        self.assertEqual(self.config.read_text(), '{\n  "agent_email": "pal@x.test"\n}\n')

    def test_order(self) -> None:
        """A variable goes before the file, the file before the default; the default is this machine."""
        self.environ = {"HOME": str(self.home)}
        self.assertEqual(self.run_e2a("config", "get", "api_url").stdout, "http://localhost:8080\n")
        self.run_e2a("config", "set", "api_url", "https://file.test/")
        self.assertEqual(self.run_e2a("config", "api_url").stdout, "https://file.test\n")
        self.environ["E2A_URL"] = "https://variable.test"
        self.assertEqual(self.run_e2a("config", "get", "api_url").stdout, "https://variable.test\n")

    def test_strangers_survive(self) -> None:
        """Members that this version does not know are kept."""
        self.config.parent.mkdir()
        self.config.write_text('{"theme": {"dark": true}, "shared_domain": "a.test"}')
        self.run_e2a("config", "set", "shared_domain", "")
        self.run_e2a("config", "set", "api_key", "e2a_0123456789")
        self.assertEqual(self.stored(), {"theme": {"dark": True}, "api_key": "e2a_0123456789"})

    def test_key_is_not_shown(self) -> None:
        """Lists cut the key short; asking for it by name prints it."""
        self.environ = {"HOME": str(self.home)}
        self.run_e2a("config", "set", "api_key", "e2a_0123456789")
        for arguments in (("config",), ("config", "list"), ("config", "list", "--json")):
            shown = self.run_e2a(*arguments).stdout
            self.assertIn("e2a_0123…", shown)
            self.assertNotIn("e2a_01234", shown)
        self.assertEqual(self.run_e2a("config", "get", "api_key").stdout, "e2a_0123456789\n")
        self.assertEqual(self.run_e2a("config", "get", "agent_email").stdout, "")

    def test_wrong(self) -> None:
        """An unknown key, a URL that is none, and a file that cannot be read are named."""
        self.assertIn("api_url", self.run_e2a("config", "get", "colour", code=1).stderr)
        self.run_e2a("config", "set", "colour", "blue", code=1)
        self.run_e2a("config", "set", "api_url", "mail.test", code=2)
        self.assertFalse(self.config.exists())
        self.config.parent.mkdir()
        for text in ("{", "[]", '"x"'):
            self.config.write_text(text)
            self.assertIn("e2a login", self.run_e2a("config", code=1).stderr)
