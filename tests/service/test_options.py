"""From command line and files to settings; the development secret; certificates; the first words."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path

from twisted.python import usage
from twisted.trial.unittest import TestCase

from e2a.core.errors import SettingsError
from e2a.core.settings import load
from e2a.service.options import Options, read_settings, with_secret
from e2a.service.tls import server_context
from e2a.service.welcome import welcome
from tests.support.selfsigned import certificate


class InDirectory(TestCase):
    """Runs in an empty directory, without E2A_ variables."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(self.directory)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("E2A_")}
        self.patch(os, "environ", clean)


class Files(InDirectory):
    def test_none(self) -> None:
        """No file is needed."""
        self.patch(sys.modules["e2a.service.options"], "PLACES", ("config.yaml",))
        self.assertEqual(read_settings(None, {"E2A_LOG_LEVEL": "debug"}).log.level, "debug")

    def test_found(self) -> None:
        """./config.yaml is read when there is one."""
        Path("config.yaml").write_text("log: {level: warn}\n")
        self.assertEqual(read_settings(None, {}).log.level, "warn")

    def test_named(self) -> None:
        """A named file wins over the places, and must exist."""
        Path("config.yaml").write_text("log: {level: warn}\n")
        Path("other.yaml").write_text("log: {level: error}\n")
        self.assertEqual(read_settings("other.yaml", {}).log.level, "error")
        error = self.assertRaises(SettingsError, read_settings, "missing.yaml", {})
        self.assertIn("missing.yaml cannot be read: No such file", error.complaints[0])

    def test_not_text(self) -> None:
        """A file that is not UTF-8 is refused."""
        Path("config.yaml").write_bytes(b"\xff\xfe")
        self.assertRaises(SettingsError, read_settings, None, {})

    def test_env_file(self) -> None:
        """A .env file is not read."""
        Path(".env").write_text("E2A_LOG_LEVEL=debug\n")
        self.assertEqual(read_settings(None, {}).log.level, "info")


class CommandLine(InDirectory):
    def test_wrong_configuration(self) -> None:
        """Every complaint goes to standard error, and the exit status is 1."""
        Path("config.yaml").write_text("a: 1\nb: 2\n")
        printed = io.StringIO()
        self.patch(sys, "stderr", printed)
        with self.assertRaises(SystemExit) as caught:
            Options().parseOptions([])
        self.assertEqual(caught.exception.code, 1)
        self.assertEqual(len(printed.getvalue().splitlines()), 2)

    def test_config_option(self) -> None:
        """--config names the file."""
        Path("other.yaml").write_text("log: {level: error}\n")
        options = Options()
        options.parseOptions(["--config", "other.yaml"])
        self.assertEqual(options.settings.log.level, "error")

    def test_stray_argument(self) -> None:
        """An argument that means nothing is refused."""
        self.assertRaises(usage.UsageError, Options().parseOptions, ["stray"])


class Secret(InDirectory):
    def test_made_once(self) -> None:
        """In development a secret is made at the first start, private to the user, and is the same ever after."""
        settings = load("", {"E2A_DATA_DIR": "data"}, directory=str(self.directory))
        first = with_secret(settings).signing.hmac_secret
        self.assertEqual(len(first), 64)
        self.assertEqual(with_secret(settings).signing.hmac_secret, first)
        path = self.directory / "data" / "hmac_secret"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual([entry.name for entry in path.parent.iterdir()], ["hmac_secret"])

    def test_given(self) -> None:
        """A given secret is used, and nothing is written."""
        settings = load("", {"E2A_DATA_DIR": "data", "E2A_HMAC_SECRET": "s" * 32}, directory=str(self.directory))
        self.assertEqual(with_secret(settings).signing.hmac_secret, "s" * 32)
        self.assertFalse((self.directory / "data").exists())

    def test_damaged(self) -> None:
        """An emptied file is refused, not replaced: what it sealed could not be opened any more."""
        (self.directory / "data").mkdir()
        (self.directory / "data" / "hmac_secret").write_text("")
        settings = load("", {"E2A_DATA_DIR": "data"}, directory=str(self.directory))
        self.assertRaises(SettingsError, with_secret, settings)

    def test_no_directory(self) -> None:
        """A data directory that cannot be made is named."""
        (self.directory / "data").write_text("a file")
        settings = load("", {"E2A_DATA_DIR": "data"}, directory=str(self.directory))
        (complaint,) = self.assertRaises(SettingsError, with_secret, settings).complaints
        self.assertTrue(complaint.startswith("data_dir (E2A_DATA_DIR): "), complaint)


class Certificates(InDirectory):
    def setUp(self) -> None:
        super().setUp()
        for name in ("mx", "other"):
            Path(name).mkdir()
            made, key, _ = certificate(Path(name), f"{name}.example.org")
            made.rename(f"{name}.pem")
            key.rename(f"{name}.key")

    def complaint(self, chain: str, key: str) -> str:
        return self.assertRaises(SettingsError, server_context, chain, key).complaints[0]

    def test_good(self) -> None:
        """A certificate and its key make a context."""
        server_context("mx.pem", "mx.key").getContext().check_privatekey()

    def test_bad(self) -> None:
        """What is missing, damaged or does not belong together is named with its setting."""
        Path("empty.pem").write_text("")
        Path("bad.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        self.assertIn("smtp.tls_cert: gone.pem cannot be read", self.complaint("gone.pem", "mx.key"))
        self.assertIn("smtp.tls_cert: empty.pem holds no certificate", self.complaint("empty.pem", "mx.key"))
        self.assertIn("smtp.tls_cert: bad.pem holds a damaged certificate", self.complaint("bad.pem", "mx.key"))
        self.assertIn("smtp.tls_key: gone.key cannot be read", self.complaint("mx.pem", "gone.key"))
        self.assertIn("smtp.tls_key: mx.pem holds no unencrypted private key", self.complaint("mx.pem", "mx.pem"))
        self.assertIn("smtp.tls_key: other.key is not the key of mx.pem", self.complaint("mx.pem", "other.key"))


class FirstWords(TestCase):
    def test_pasteable(self) -> None:
        """What the first start prints is a shell script, with this daemon's ports and the domain that it serves."""
        for environ in ({}, {"E2A_SHARED_DOMAIN": "agents.test", "E2A_DATA_DIR": "/srv/a b"}):
            text = welcome(load("", environ), 2525, 8080, environ, "my config.yaml")
            script = text.split("\n\n", 1)[1]
            done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), script)
            self.assertIn("smtp://localhost:2525", script)
            self.assertIn("http://localhost:8080", script)
        self.assertIn("bot@agents.test", script)
        self.assertIn("E2A_DATA_DIR='/srv/a b'", script)

    def test_no_password(self) -> None:
        """Secrets are not repeated, but named where they are needed."""
        environ = {"E2A_DATABASE_URL": "postgresql://u:hunter2@h/d", "E2A_HMAC_SECRET": "hunter2" * 6}
        text = welcome(load("", environ), 1, 2, environ, None)
        self.assertNotIn("hunter2", text)
        self.assertIn("export the daemon's E2A_DATABASE_URL and E2A_HMAC_SECRET first", text)
