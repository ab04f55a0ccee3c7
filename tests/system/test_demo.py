"""``e2a demo`` against a real daemon: what a newcomer sees first, and nothing left afterwards."""

from __future__ import annotations

import json
import signal
import socket
import subprocess

from tests.support.daemon import Api, Daemon, e2a
from tests.support.postgres import sql
from tests.system.case import SystemCase

#: What the demo makes; the users, keys and organisations are the account's own.
_TABLES = ("agents", "domains", "signing_secrets", "messages")


class DemoTests(SystemCase):
    def demo(self, daemon: Daemon, api: Api | None, *arguments: str) -> subprocess.CompletedProcess[str]:
        smtp = f"127.0.0.1:{daemon.smtp_port}"
        return subprocess.run(
            e2a("demo", "--smtp", smtp, *arguments),
            env=self.environment(daemon, api),
            cwd=daemon_directory(daemon),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def environment(self, daemon: Daemon, api: Api | None) -> dict[str, str]:
        own = {"HOME": str(self.directory), "E2A_URL": daemon.url}
        return {**daemon.environment, **own} | ({"E2A_API_KEY": api.key} if api else {})

    def counts(self) -> dict[str, int]:
        return {table: sql(f"SELECT count(*) FROM {table}", self.dsn)[0][0] for table in _TABLES}

    def test_on_the_shared_domain(self) -> None:
        """The demo sends, receives, checks, answers, and leaves the account as it was."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        before = self.counts()
        done = self.demo(daemon, api)
        self.assertEqual(done.returncode, 0, done.stderr)
        for line in ("Registered the agent demo-bot-", "verified: no (spf=", "Its signature holds", "internal=pass"):
            self.assertIn(line, done.stdout)
        self.assertIn("Deleted everything again.", done.stdout)
        self.assertEqual(self.counts(), before)

    def test_for_programs(self) -> None:
        """With --json it is one document: each step, what was proven, and nothing left; a domain is made if needed."""
        daemon = self.daemon(environment={"E2A_SHARED_DOMAIN": None}).start()
        api = self.owner(daemon)
        before = self.counts()
        done = self.demo(daemon, api, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        document = json.loads(done.stdout)
        steps = {step["step"]: step for step in document["steps"]}
        self.assertEqual((steps["received"]["verified"], steps["reply_received"]["verified"]), (False, True))
        self.assertTrue(steps["signature"]["signature"])
        self.assertTrue(steps["domain"]["domain"].endswith(".example.org"))
        self.assertEqual(document["left"], [])
        self.assertEqual(self.counts(), before)

    def test_first_steps(self) -> None:
        """Without a key the demo names the command that makes one; with that it works, and the key is kept."""
        daemon = self.daemon().start()
        lost = self.demo(daemon, None)
        self.assertEqual(lost.returncode, 3, lost.stderr)
        self.assertIn("e2a demo --bootstrap you@example.com", lost.stderr)
        done = self.demo(daemon, None, "--bootstrap", "you@example.com")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Deleted everything again.", done.stdout)
        config = self.directory / ".e2a" / "config.json"
        self.assertEqual(config.stat().st_mode & 0o777, 0o600)
        self.assertTrue(json.loads(config.read_text())["api_key"].startswith("e2a_"))

    def test_failures_clean_up(self) -> None:
        """A wrong SMTP address is named with what to do, and what had been made until then is deleted."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        before = self.counts()
        done = self.demo(daemon, api, "--smtp", "127.0.0.1:1")
        self.assertEqual(done.returncode, 7, done.stderr)
        self.assertIn("e2a demo --smtp HOST:PORT", done.stderr)
        self.assertEqual(self.counts(), before)

    def test_interrupted(self) -> None:
        """Ctrl-C in the middle deletes what was made, and ends with 130."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        before = self.counts()
        # It never says a word, so that the demo is in the middle until it is interrupted.
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        running = subprocess.Popen(
            e2a("demo", "--smtp", f"127.0.0.1:{silent.getsockname()[1]}"),
            env=self.environment(daemon, api),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As in a terminal, also when the tests run in the background.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.addCleanup(running.kill)
        assert running.stdout is not None
        self.assertIn("Registered the agent", running.stdout.readline())
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
        self.assertEqual(running.returncode, 130)
        self.assertEqual(self.counts(), before)


def daemon_directory(daemon: Daemon) -> str:
    """Where the daemon's relative paths begin."""
    return str(daemon._directory)
