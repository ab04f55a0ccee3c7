"""The TypeScript client: its own tests against a real daemon, and the package as somebody who installs it has it."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from unittest import skipIf

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support.daemon import CHECKOUT, Api, Daemon, free_port
from tests.support.smtpclient import send
from tests.system.case import SystemCase, mail

PACKAGE = CHECKOUT / "sdks" / "typescript"
NODE, NPM = shutil.which("node"), shutil.which("npm")
#: What npm says when the registry cannot be reached.
_OFFLINE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|E50\d|network")
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


def install() -> None:
    """The package's dependencies, once, whichever of several test processes comes first."""
    wanted, installed = PACKAGE / "package-lock.json", PACKAGE / "node_modules" / ".package-lock.json"
    with wanted.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists() or installed.stat().st_mtime < wanted.stat().st_mtime:
            npm(PACKAGE, "ci")
            installed.touch()


def node(directory: Path, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 120.0) -> str:
    """What a program prints."""
    assert NODE
    done = subprocess.run(
        [NODE, *arguments],
        cwd=directory,
        env={"PATH": str(Path(NODE).parent), "NO_COLOR": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"node {' '.join(arguments)}:\n{done.stdout[-8000:]}{done.stderr[-4000:]}")
    return done.stdout


class DocumentTests(SynchronousTestCase):
    def test_document_is_current(self) -> None:
        """The document that the client's types are generated from is the one that this checkout serves."""
        command = [sys.executable, str(PACKAGE / "scripts" / "openapi.py"), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_lock_names_no_machine(self) -> None:
        """The lock file pins every dependency by its digest, and names no place but the public registry."""
        packages = json.loads((PACKAGE / "package-lock.json").read_text("utf-8"))["packages"]
        for name, entry in packages.items():
            if name:
                self.assertIn("integrity", entry, name)
                self.assertTrue(
                    entry.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")
                )


class _Case(SystemCase):
    skip = MISSING

    def started(self) -> tuple[Daemon, Api]:
        """A daemon that finds the mail of :data:`SENDER` authentic, and its owner."""
        install()
        # Nothing listens there: mail to people is taken in, and stays.
        values = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": "1",
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": self.stub("sender.test").address, **values}).start()
        return daemon, self.owner(daemon)


class SuiteTests(_Case):
    def test_suite(self) -> None:
        """The client's own tests pass against a real daemon, and none of them is left out."""
        daemon, api = self.started()
        environment = {
            "E2A_TEST_URL": daemon.url,
            "E2A_TEST_KEY": api.key,
            "E2A_TEST_SMTP_PORT": str(daemon.smtp_port),
            "HOME": str(self.directory),
        }
        output = node(PACKAGE, "node_modules/vitest/vitest.mjs", "run", "--cache=false", environment=environment)
        self.assertNotIn("skipped", output)
        self.assertIn("passed", output)

    def test_served_document(self) -> None:
        """Everything that the daemon serves is described where the types are generated from, as it is there."""
        _, api = self.started()
        served = api.get("/api/v1/openapi.json")
        known = json.loads((PACKAGE / "openapi.json").read_text("utf-8"))
        for path, operations in served["paths"].items():
            self.assertEqual(operations, known["paths"].get(path), path)
        for name, schema in served["components"]["schemas"].items():
            self.assertEqual(schema, known["components"]["schemas"].get(name), name)
