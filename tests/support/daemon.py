"""A real e2a daemon in a process of its own, on free ports, and a REST client for it. Everything here blocks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.support.pgprograms import die_with_parent
from tests.support.ports import free_port
from tests.support.sinks import WebSocketInbox

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "a-deployment-secret-that-only-tests-use-0123456789"
SHARED_DOMAIN = "agents.test"


def script(module: str, function: str, *arguments: str) -> list[str]:
    """A command that runs a console script's function with this interpreter, installed or not."""
    name = module.rsplit(".", 1)[-1]
    code = f"import sys; sys.argv[0] = {name!r}; from {module} import {function} as run; sys.exit(run())"
    return [sys.executable, "-c", code, *arguments]


def twistd(*arguments: str) -> list[str]:
    return script("twisted.scripts.twistd", "run", *arguments)


def e2a(*arguments: str) -> list[str]:
    return script("e2a.cli.main", "main", *arguments)


class Daemon:
    """``twistd -n e2a`` with its environment.

    :param directory: for the data directory and the log; made if missing.
    :param dsn: the database; None leaves the choice to the daemon (the embedded one).
    :param environment: ``E2A_*`` variables on top of the defaults here; None as a value removes one.
    :param command: what to run instead of ``twistd -n e2a``.
    """

    def __init__(
        self,
        directory: Path,
        dsn: str | None,
        *,
        environment: Mapping[str, str | None] | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.smtp_port, self.http_port, self.metrics_port = free_port(), free_port(), free_port()
        self._directory, self._log_path = directory, directory / "daemon.log"
        self._command = list(command or twistd("-n", "--pidfile", str(directory / "twistd.pid"), "e2a"))
        values: dict[str, str | None] = {
            "E2A_DATABASE_URL": dsn,
            "E2A_DATA_DIR": str(directory / "data"),
            "E2A_SMTP_LISTEN": f"127.0.0.1:{self.smtp_port}",
            "E2A_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
            "E2A_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
            "E2A_SMTP_DOMAIN": "mx.gateway.test",
            "E2A_SHARED_DOMAIN": SHARED_DOMAIN,
            "E2A_PUBLIC_URL": f"http://127.0.0.1:{self.http_port}",
            "E2A_HMAC_SECRET": SECRET,
            # Nothing listens there: a test that wants DNS names a stub.
            "E2A_DNS_SERVERS": "127.0.0.1:1",
            "E2A_LOG_FORMAT": "json",
            # All from one address and for one user; tests of limits set their own.
            "E2A_LIMITS_POLL_PER_MINUTE": "0",
            "E2A_LIMITS_REGISTRATIONS_PER_HOUR": "0",
            **(environment or {}),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("E2A_")}
        inherited["PYTHONPATH"] = str(CHECKOUT)
        self.environment = inherited | {name: value for name, value in values.items() if value is not None}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def start(self, timeout: float = 60.0) -> Daemon:
        """Start and wait until ``/api/ready`` says so.

        :raises AssertionError: it ended, or was not ready in time; the message holds the end of its log.
        """
        self.launch()
        self.wait_ready(timeout)
        return self

    def launch(self) -> None:
        """Start without waiting."""
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                env=self.environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # SIGINT is ignored where the tests run in the background.
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            )

    def wait_ready(self, timeout: float = 60.0) -> None:
        end = time.monotonic() + timeout
        # Without the certificates of the machine: to read them takes longer than many a start.
        with httpx.Client(base_url=self.url, timeout=timeout, trust_env=False, verify=False) as client:
            while time.monotonic() < end:
                if self.process is not None and self.process.poll() is not None:
                    raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.log()[-4000:]}")
                try:
                    if client.get("/api/ready").status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                time.sleep(0.03)
        raise AssertionError(f"the daemon is not ready after {timeout} s:\n{self.log()[-4000:]}")

    def log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = 60.0) -> int:
        """The exit status.

        :raises subprocess.TimeoutExpired: it still runs.
        """
        assert self.process is not None
        return self.process.wait(timeout)

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM and the exit status. A daemon that does not stop in time is killed and the time-out raised."""
        if self.process is None or self.process.poll() is not None:
            return -1 if self.process is None else self.process.returncode
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """``kill -9``."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)

    def bootstrap(self, email: str = "owner@example.test") -> str:
        """``e2a bootstrap``: the new API key."""
        done = subprocess.run(
            e2a("bootstrap", email),
            env=self.environment,
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=60,
        )
        keys = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("API key:")]
        if done.returncode or not keys:
            raise AssertionError(f"bootstrap ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return keys[0]

    def api(self, key: str) -> Api:
        return Api(self.url, key)


class Api:
    """The REST interface with one key. Every call checks the status that it expects."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False, verify=False
        )

    def close(self) -> None:
        self._client.close()

    def request(self, method: str, path: str, *, status: int = 200, **options: Any) -> httpx.Response:
        answer = self._client.request(method, path, **options)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options).json()

    def post(self, path: str, body: Any = None, *, status: int = 201) -> Any:
        return self.request("POST", path, status=status, json=body).json()

    def agent(self, slug: str, *, webhook_url: str = "") -> str:
        """Register an agent on the shared domain, in cloud mode when it has a webhook; its address."""
        mode = "cloud" if webhook_url else "local"
        body = {"slug": slug, "agent_mode": mode} | ({"webhook_url": webhook_url} if webhook_url else {})
        return self.post("/api/v1/agents", body)["email"]

    def secret(self) -> str:
        """A new signing secret; it is the newest, so it signs from now on."""
        return self.post("/api/v1/users/me/signing-secrets", {"name": "test"})["secret"]

    def messages(self, agent: str, *, status: str = "all") -> list[dict[str, Any]]:
        """Every inbound message of an agent, over all pages."""
        found: list[dict[str, Any]] = []
        query = {"status": status, "page_size": "100"}
        while True:
            page = self.get(f"/api/v1/agents/{quote(agent)}/messages", params=query)
            found += page["messages"]
            if not page.get("next_token"):
                return found
            query["token"] = page["next_token"]

    def message(self, agent: str, identifier: str) -> dict[str, Any]:
        return self.get(f"/api/v1/agents/{quote(agent)}/messages/{identifier}")

    def raw(self, agent: str, identifier: str) -> bytes:
        return self.request("GET", f"/api/v1/agents/{quote(agent)}/messages/{identifier}/raw").content

    def live(self, agent: str) -> WebSocketInbox:
        """A WebSocket on the agent's mailbox."""
        address = self.url.replace("http", "ws", 1)
        return WebSocketInbox(f"{address}/api/v1/agents/{quote(agent)}/ws?token={self.key}")
