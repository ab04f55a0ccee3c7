"""The TypeScript client as tests see it: its package's directory, npm, Node, and a project that has it installed."""

from __future__ import annotations

import atexit
import fcntl
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.support.daemon import CHECKOUT, Api, Daemon
from tests.system.case import SystemCase

PACKAGE = CHECKOUT / "sdks" / "typescript"
NODE, NPM = shutil.which("node"), shutil.which("npm")
#: What npm says when the registry cannot be reached.
_OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ENOTCACHED|E50\d|network"
)
#: Whose mail the daemon of :class:`TypeScriptCase` finds authentic.
SENDER = "ana@sender.test"


def _missing() -> str | None:
    if not (NODE and NPM):
        return "node and npm are not on this machine"
    version = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=False).stdout
    number = re.match(r"v(\d+)\.", version)
    return None if number and int(number[1]) >= 18 else f"node is {version.strip()}, 18 is needed"


MISSING = _missing()


def npm(directory: Path, *arguments: str, timeout: float = 180.0) -> str:
    """What npm prints.

    :raises SkipTest: the registry cannot be reached.
    """
    assert NPM
    try:
        done = subprocess.run(
            [NPM, *arguments, "--no-audit", "--no-fund", "--prefer-offline"],
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise SkipTest(f"npm {arguments[0]} took over {timeout:g} s") from exc
    if done.returncode and arguments[0] in ("ci", "install") and _OFFLINE.search(done.stderr):
        raise SkipTest(f"npm {arguments[0]} cannot reach the registry: {done.stderr.strip()[-200:]}")
    if done.returncode:
        raise AssertionError(f"npm {' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


@contextmanager
def locked() -> Iterator[None]:
    """Alone among the test processes of this checkout: what npm writes, it writes into the package's directory."""
    with (PACKAGE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


#: Why the package's dependencies cannot be had, once that was tried.
_refused: list[str] = []


def install() -> None:
    """The package's dependencies, once, whichever of several test processes comes first.

    :raises SkipTest: the registry cannot be reached; it is tried once only.
    """
    if _refused:
        raise SkipTest(_refused[0])
    wanted, installed = PACKAGE / "package-lock.json", PACKAGE / "node_modules" / ".package-lock.json"
    with locked():
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            try:
                # npm's own patience is over a minute without a network, and five without an answer.
                npm(PACKAGE, "ci", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000")
            except SkipTest as skip:
                _refused.append(str(skip))
                raise
            installed.touch()


def packed(target: Path) -> Path:
    """The package as it would be published."""
    with locked():
        npm(PACKAGE, "pack", "--pack-destination", str(target))
    (archive,) = target.glob("*.tgz")
    return archive


#: The project that :func:`installed` made.
_project: list[Path] = []


def installed(directory: Path) -> Path:
    """A project in a directory of its own that has the packed package, and nothing but what it brings along.

    It is packed and installed once in a test run; a project has a link to that.
    """
    if not _project:
        base = Path(tempfile.mkdtemp(prefix="e2a-"))
        atexit.register(shutil.rmtree, base, ignore_errors=True)
        (base / "package.json").write_text('{"private": true, "type": "module"}')
        npm(base, "install", str(packed(base)))
        _project.append(base)
    project = directory / "project"
    project.mkdir()
    shutil.copy(_project[0] / "package.json", project)
    (project / "node_modules").symlink_to(_project[0] / "node_modules")
    return project


def run(
    program: str,
    directory: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    standard_input: str = "",
    timeout: float = 90.0,
) -> str:
    """What a program prints that succeeds.

    :param program: Node, or what stands in its place.
    """
    # Without variables of this machine: none of them may be needed, and a key of the environment would be used.
    variables = {"PATH": str(Path(program).parent), "NO_COLOR": "1", "HOME": str(directory), **(environment or {})}
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd=directory,
            env=variables,
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise AssertionError(
            f"{program} {arguments[0]} took over {timeout:g} s:\n{(exc.stdout or b'')[-8000:]!r}"
        ) from exc
    if done.returncode:
        raise AssertionError(f"{program} {' '.join(arguments)}:\n{done.stdout[-8000:]}{done.stderr[-4000:]}")
    return done.stdout


def node(
    directory: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    standard_input: str = "",
    timeout: float = 90.0,
) -> str:
    """What a program for Node prints."""
    assert NODE
    return run(NODE, directory, *arguments, environment=environment, standard_input=standard_input, timeout=timeout)


class TypeScriptCase(SystemCase):
    """A test of the client against a daemon."""

    skip = MISSING

    def started(self) -> tuple[Daemon, Api]:
        """A daemon that finds the mail of :data:`SENDER` authentic, and its owner."""
        install()
        # Nothing listens there: mail to people is taken in, and stays.
        values = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": "1",
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            # What the tests do in seconds others do in days.
            "E2A_LIMITS_POLL_PER_MINUTE": "0",
            "E2A_LIMITS_REGISTRATIONS_PER_HOUR": "0",
        }
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": self.stub("sender.test").address, **values}).start()
        return daemon, self.owner(daemon)
