"""Everything a scenario needs, started on free ports of 127.0.0.1 and removed afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import corpus
from tests.support.daemon import CHECKOUT, SECRET, SHARED_DOMAIN, Daemon
from tests.support.pgprograms import die_with_parent
from tests.support.pgserver import PostgresServer
from tests.support.selfsigned import certificate

AGENTS = 2000
_MAIL_TABLES = "raw_messages, raw_parts, messages, fingerprints, webhook_deliveries, webhook_attempts, usage_events"
_SEED = f"""
INSERT INTO organisations (id, name) SELECT 'org_' || kind || n, 'bench'
    FROM generate_series(0, {AGENTS - 1}) n, unnest(ARRAY['local', 'cloud', 'trouble']) kind;
INSERT INTO agents (id, organisation_id, domain_id, agent_mode, webhook_url, webhook_host)
    SELECT kind || n || '@{SHARED_DOMAIN}', 'org_' || kind || n, domains.id,
        CASE kind WHEN 'local' THEN 'local' ELSE 'cloud' END, url, host
    FROM domains, generate_series(0, {AGENTS - 1}) n,
        (VALUES ('local', '', ''), ('cloud', %(good)s, '127.0.0.1'), ('trouble', %(trouble)s, 'trouble.test'))
            AS kinds (kind, url, host)
    WHERE domains.name = '{SHARED_DOMAIN}';
INSERT INTO mailboxes (agent_id) SELECT id FROM agents ON CONFLICT DO NOTHING;
ANALYZE;
"""


class Helper:
    """A helper process that prints one line when it is ready and answers commands line by line."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        self.pid = self._process.pid
        self.ready: Any = self._line()

    def ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(5)
        except (subprocess.TimeoutExpired, OSError):
            self._process.kill()
            self._process.wait(5)

    def _line(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a helper process ended")
        return json.loads(line)


class World:
    """PostgreSQL with fsync, a DNS stub, a webhook receiver, the load generator and our daemon.

    :param flush_ms: how long PostgreSQL sleeps before each flush of its log: stands for slow storage.
    :param dns_ms: how long the DNS stub thinks.
    :param environment: ``E2A_*`` variables on top of the usual.
    """

    def __init__(self, *, flush_ms: int = 0, dns_ms: int = 0, environment: dict[str, str] | None = None) -> None:
        self._flush_ms, self._dns_ms, self._environment = flush_ms, dns_ms, environment or {}
        self._closing: list[Any] = []
        self._owner_key = ""
        self._run = 0

    def __enter__(self) -> World:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for close in reversed(self._closing):
            close()

    def _start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="e2a-bench-"))
        self._closing.append(lambda: shutil.rmtree(self.directory, ignore_errors=True))
        settings = {"commit_delay": str(self._flush_ms * 1000), "commit_siblings": "0"} if self._flush_ms else {}
        self.postgres = PostgresServer(settings)
        self._closing.append(self.postgres.destroy)
        self.postgres.start()
        self.dsn = self.postgres.create("e2a")
        self.corpus = corpus.Corpus()
        zone = self.directory / "zone.json"
        zone.write_text(json.dumps({**self.corpus.zone(), "trouble.test": {"A": ["127.0.0.1"]}}))
        self.dns = self._helper("tests.support.dnsstub", str(zone), "--delay-ms", str(self._dns_ms))
        self.sink = self._helper("benchmarks.hooksink", SECRET)
        self.trouble = self._helper("benchmarks.hooksink", SECRET)
        chain, key, _ = certificate(self.directory, "mx.gateway.test")
        self.generator = build_generator(self.directory)
        self.daemon = Daemon(
            self.directory / "daemon",
            self.dsn,
            environment={
                "E2A_DNS_SERVERS": f"127.0.0.1:{self.dns.ready}",
                "E2A_SMTP_TLS_CERT": str(chain),
                "E2A_SMTP_TLS_KEY": str(key),
                "E2A_SMTP_MAX_CONNECTIONS": "1000",
                "E2A_SMTP_MAX_CONNECTIONS_PER_ADDRESS": "1000",
                "E2A_LOG_LEVEL": "warn",
                "E2A_LIMITS_POLL_PER_MINUTE": "0",
                "E2A_LIMITS_REGISTRATIONS_PER_HOUR": "0",
                "E2A_LIMITS_CONCURRENT_PER_ORGANISATION": "100000",
                "E2A_LIMITS_CONCURRENT": "100000",
                **self._environment,
            },
        )
        self._closing.append(self._stop_daemon)
        self.daemon.start()
        hooks = {
            "good": f"'http://127.0.0.1:{self.sink.ready}/hook'",
            "trouble": f"'http://trouble.test:{self.trouble.ready}/hook'",
        }
        self.query(_SEED % hooks)

    def _helper(self, *command: str) -> Helper:
        helper = Helper(*command)
        self._closing.append(helper.stop)
        return helper

    def helper(self, *command: str) -> Helper:
        """A further helper process; the caller may stop it earlier."""
        return self._helper(*command)

    def _stop_daemon(self) -> None:
        try:
            self.daemon.stop()
        except subprocess.TimeoutExpired:
            print("the daemon did not stop in time", file=sys.stderr)

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self.daemon.process is not None
        return self.daemon.process.pid

    @property
    def postgres_pid(self) -> int:
        assert self.postgres.process is not None
        return self.postgres.process.pid

    @property
    def owner_key(self) -> str:
        """An API key made with ``e2a bootstrap``."""
        if not self._owner_key:
            self._owner_key = self.daemon.bootstrap("bench@example.test")
        return self._owner_key

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.postgres.execute(sql, "e2a")

    def next_run(self) -> int:
        """A number that no other run of this world has."""
        self._run += 1
        return self._run

    def clean(self) -> None:
        """No mail, nothing due, and the log flushed."""
        self.query(f"TRUNCATE {_MAIL_TABLES} CASCADE")
        self.postgres.execute("CHECKPOINT")

    def file(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def recipients(self, kind: str, count: int = AGENTS) -> Path:
        """The seeded agents of one kind: ``local``, ``cloud``, and ``trouble``, which posts to the second receiver."""
        lines = "".join(f"{kind}{number}@{SHARED_DOMAIN}\n" for number in range(count))
        return self.file(f"recipients-{kind}-{count}", lines)


def build_generator(directory: Path) -> Sequence[str]:
    """The command of the load generator: compiled where there is a compiler, in Python otherwise."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return python_generator()
    program = directory / "load"
    source = CHECKOUT / "benchmarks" / "load.c"
    subprocess.run([compiler, "-O2", "-std=gnu11", "-o", str(program), str(source)], check=True)
    return [str(program)]


def python_generator() -> Sequence[str]:
    return [sys.executable, "-m", "benchmarks.load"]
