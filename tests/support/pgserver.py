"""A PostgreSQL server to break: its own data directory, durable settings, restart and kill at will.

Everything here blocks.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from typing import Any

import psycopg2

from tests.support.pgprograms import die_with_parent, place
from tests.support.ports import free_port

_PREFIX = "e2a-pg-"


class PostgresServer:
    """A throw-away server on a free port of 127.0.0.1.

    :param settings: server settings on top of the durable defaults (``fsync`` and ``synchronous_commit`` stay on).
    :raises FileNotFoundError: there is no PostgreSQL on this machine.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {"max_connections": "100", **(settings or {})}
        self._place = place(_PREFIX)
        self._data, self._log = self._place.home / "data", self._place.home / "log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._data), "-U", "e2a", "-A", "trust", "-E", "UTF8", "--locale=C")

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://e2a@127.0.0.1:{self.port}/{database}"

    def start(self, timeout: float = 60.0) -> PostgresServer:
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self._place.home), **self._settings}
        command = [str(self._place.programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent,
                **self._place.account,
            )
        end = time.monotonic() + timeout
        while True:
            try:
                psycopg2.connect(self.dsn()).close()
                return self
            except psycopg2.OperationalError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise AssertionError(self._log.read_text(errors="replace")[-2000:]) from None
                time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT, timeout: float = 60.0) -> None:
        """Stop and wait. SIGINT ends sessions at once, SIGQUIT leaves crash recovery to the next start."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)

    def create(self, database: str) -> str:
        """A new, empty database; its DSN."""
        self.execute(f'CREATE DATABASE "{database}"')
        return self.dsn(database)

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement on a connection of its own; the rows, if it has any."""
        connection = psycopg2.connect(self.dsn(database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def destroy(self) -> None:
        """Stop at once and remove everything."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._place.home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._place.programs / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **self._place.account,
        )
