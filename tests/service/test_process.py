"""The daemon as a process: how it ends, and what it says while it cannot work yet."""

from __future__ import annotations

import json
import os
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from twisted.trial.unittest import TestCase

from tests.support.daemon import CHECKOUT, Daemon, twistd

#: Nothing listens on port 1, and connecting there is refused at once.
NOWHERE = "postgresql://e2a@127.0.0.1:1/e2a"


class Process(TestCase):
    def daemon(self, dsn: str = NOWHERE, **options: object) -> Daemon:
        daemon = Daemon(Path(self.mktemp()).resolve(), dsn, **options)  # type: ignore[arg-type]
        self.addCleanup(daemon.kill)
        return daemon

    def ended(self, daemon: Daemon) -> tuple[int, str]:
        daemon.launch()
        return daemon.wait(60), daemon.log()


class Refusals(Process):
    def test_wrong_configuration(self) -> None:
        """A wrong configuration ends the daemon with 1 and every complaint, without a traceback."""
        status, said = self.ended(self.daemon(environment={"E2A_ENV": "prod", "E2A_SMTP_LISTEN": "x"}))
        self.assertEqual(status, 1)
        self.assertIn("env (from E2A_ENV)", said)
        self.assertIn("smtp.listen_addr (from E2A_SMTP_LISTEN)", said)
        self.assertNotIn("Traceback", said)

    def test_port_taken(self) -> None:
        """A port that is taken ends the daemon with 1 and one line, whichever way it is started."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for command in (
                twistd("-n", "--pidfile=", "e2a"),
                twistd("-n", "--pidfile=", "-y", str(CHECKOUT / "e2a.tac")),
                _twist(),
            ):
                status, said = self.ended(self.daemon(environment={"E2A_SMTP_LISTEN": address}, command=command))
                self.assertEqual(status, 1, said)
                self.assertIn(f"SMTP cannot listen on {address}", said)
                self.assertNotIn("Traceback", said)

    def test_certificate(self) -> None:
        """A certificate that cannot be read ends the daemon with 1."""
        environment = {"E2A_SMTP_TLS_CERT": "/nonexistent.pem", "E2A_SMTP_TLS_KEY": "/nonexistent.key"}
        status, said = self.ended(self.daemon(environment=environment))
        self.assertEqual(status, 1)
        self.assertIn("/nonexistent.pem cannot be read", said)


class Waiting(Process):
    def test_no_database(self) -> None:
        """Without its database the daemon stays up, answers 421 and 503, and still stops with 0."""
        daemon = self.daemon()
        daemon.launch()
        self.assertEqual(_status(f"{daemon.url}/api/health"), 200)
        self.assertEqual(_status(f"{daemon.url}/api/ready"), 503)
        self.assertEqual(_status(f"http://127.0.0.1:{daemon.metrics_port}/livez"), 200)
        self.assertEqual(_status(f"http://127.0.0.1:{daemon.metrics_port}/readyz"), 503)
        with self.assertRaises(smtplib.SMTPConnectError) as caught:
            smtplib.SMTP("127.0.0.1", daemon.smtp_port, timeout=60)
        self.assertEqual(caught.exception.smtp_code, 421)
        self.assertEqual(daemon.stop(), 0)

    def test_each_event_once(self) -> None:
        """Each event is one JSON object, written once."""
        daemon = self.daemon()
        daemon.launch()
        self.assertEqual(_status(f"{daemon.url}/api/health"), 200)
        self.assertEqual(daemon.stop(), 0)
        events = [json.loads(line) for line in daemon.log().splitlines()]
        self.assertEqual([event["message"] for event in events].count("stopped"), 1)

    def test_in_the_background(self) -> None:
        """twistd forks, and the log goes to its file in the chosen form."""
        daemon = self.daemon(command=twistd("--pidfile=d.pid", "--logfile=d.log", "e2a"))
        daemon.launch()
        self.assertEqual(daemon.wait(60), 0)
        directory = Path(daemon.environment["E2A_DATA_DIR"]).parent
        pid = int((directory / "d.pid").read_text())
        try:
            self.assertEqual(_status(f"{daemon.url}/api/health"), 200)
        finally:
            os.kill(pid, 15)
        _wait_until(lambda: not (directory / "d.pid").exists())
        events = [json.loads(line) for line in (directory / "d.log").read_text().splitlines()]
        self.assertEqual(events[-1]["message"], "stopped")


class Activation(Process):
    def test_inherited_socket(self) -> None:
        """A socket that the service manager holds is served."""
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            daemon = self.daemon(environment={"E2A_SMTP_LISTEN": "systemd:domain=INET:name=e2a-smtp"})
            environment = {**daemon.environment, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "e2a-smtp"}
            command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@" 3<&0', "sh", *twistd("-n", "--pidfile=", "e2a")]
            process = subprocess.Popen(
                command, env=environment, stdin=held, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                with self.assertRaises(smtplib.SMTPConnectError) as caught:
                    smtplib.SMTP("127.0.0.1", held.getsockname()[1], timeout=60)
                self.assertEqual(caught.exception.smtp_code, 421)
            finally:
                process.terminate()
                self.assertEqual(process.wait(60), 0)


def _twist() -> list[str]:
    code = "import sys; sys.argv[0] = 'twist'; from twisted.application.twist._twist import Twist; Twist.main()"
    return [sys.executable, "-c", code, "e2a"]


def _status(url: str) -> int:
    """The status, as soon as somebody answers."""
    end = time.monotonic() + 60
    while True:
        try:
            return httpx.get(url, timeout=5, trust_env=False).status_code
        except httpx.HTTPError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            raise AssertionError("it did not happen in time")
        time.sleep(0.05)
