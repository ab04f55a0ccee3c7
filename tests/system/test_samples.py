"""Every code sample of README and docs runs as it stands, against a daemon with an agent whose mail keeps coming."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.daemon import CHECKOUT, Daemon
from tests.support.ports import free_port
from tests.support.samples import DOCUMENTS, ELSEWHERE, runnable
from tests.support.smtpclient import Disconnected, send
from tests.support.smtpsink import SmtpSink
from tests.system.case import NO_SERVER, SystemCase, mail

#: The agent that samples use.
DOMAIN = "agents.example.org"
AGENT = f"bot@{DOMAIN}"
#: These begin with nothing: no user, no agent.
BARE = ("README.md", "quickstart.md")
#: How Python runs: with the key that the commands before have kept.
PREAMBLE = """\
set -euo pipefail
program() {
    if grep -q e2a_your_key "$1"; then
        key=${E2A_API_KEY:-$(python -c 'import json; print(json.load(open(".e2a/config.json"))["api_key"])')}
        sed -i "s/e2a_your_key/$key/" "$1"
    fi
    python "$1"
}
"""
#: What the samples of a document print, besides other things.
PRINTED = {
    "quickstart.md": ("signature: good\nsender: peer@agents.example.org verified\nQuestion How much for seven?",),
    "webhooks.md": ("bot@agents.example.org verified Hello\n",),
}
#: Seconds for all samples of one document.
PATIENCE = 90


class SampleTests(SystemCase):
    skip = NO_SERVER
    timeout = PATIENCE + 60

    def run_document(self, document: Path) -> None:
        """One shell for all of a document's commands, as one terminal would be. Samples in Python that follow each
        other are one program.
        """
        if shutil.which("curl") is None or shutil.which("bash") is None:
            self.skipTest("curl and bash are needed")
        sink = SmtpSink()
        self.addCleanup(sink.stop)
        way_out = {"E2A_OUTBOUND_SMTP_HOST": "127.0.0.1", "E2A_OUTBOUND_SMTP_PORT": str(sink.port)}
        daemon = self.daemon(
            environment={
                "E2A_SHARED_DOMAIN": None,
                "E2A_OUTBOUND_SMTP_TLS": "none",
                "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "mail.example.org",
                **way_out,
            }
        ).start()
        environment = {}
        if document.name not in BARE:
            api = self.owner(daemon)
            api.post("/api/v1/domains", {"domain": DOMAIN})
            api.post(f"/api/v1/domains/{DOMAIN}/verify", status=200)
            api.post("/api/v1/agents", {"email": AGENT, "agent_mode": "local"})
            environment = {"E2A_API_KEY": api.key, "E2A_AGENT_EMAIL": AGENT, "E2A_WEBHOOK_SECRET": api.secret()}
        lines = [PREAMBLE]
        for language, following in itertools.groupby(runnable(document), lambda sample: sample.language):
            group = list(following)
            if language == "python":
                program = self.home / f"line{group[0].line}.py"
                program.write_text("".join(self.fitted(sample.code, daemon) for sample in group))
                lines.append(f"echo '>> line {group[0].line}' >&2\nprogram {program.name}")
                continue
            for sample in group:
                lines.append(f"echo '>> line {sample.line}' >&2\n{self.fitted(sample.code, daemon)}")
        with Incoming(daemon):
            self.executed("\n".join(lines), daemon, environment, document)

    def fitted(self, code: str, daemon: Daemon) -> str:
        """The sample with the places of this daemon."""
        for said, meant in (
            ("localhost:8080", f"127.0.0.1:{daemon.http_port}"),
            ("localhost:2525", f"127.0.0.1:{daemon.smtp_port}"),
            ("9000", str(self.hook_port)),
            ("e2a demo", f"e2a demo --smtp 127.0.0.1:{daemon.smtp_port}"),
            (".venv/bin/", f"{self.bin}/"),
        ):
            code = code.replace(said, meant)
        return code

    @functools.cached_property
    def hook_port(self) -> int:
        """Where a sample may listen."""
        return free_port()

    @functools.cached_property
    def home(self) -> Path:
        """Where the samples run."""
        home = self.directory / "home"
        home.mkdir()
        return home

    @functools.cached_property
    def bin(self) -> Path:
        """A directory with the commands that an installation has."""
        folder = self.directory / "bin"
        folder.mkdir()
        modules = {"e2a": ("e2a.cli.main", "main"), "twistd": ("twisted.scripts.twistd", "run")}
        for name, (module, function) in modules.items():
            path = folder / name
            path.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
            path.chmod(0o755)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        return folder

    def executed(self, script: str, daemon: Daemon, environment: dict[str, str], document: Path) -> None:
        done = subprocess.run(
            ["bash", "-c", script],
            env={
                **daemon.environment,
                "HOME": str(self.home),
                "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}",
                "PYTHONPATH": str(CHECKOUT),
                "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
                "E2A_URL": daemon.url,
                "NO_PROXY": "*",
                **environment,
            },
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            where = re.findall(r">> line (\d+)", done.stderr)
            place = f"{document.name}:{where[-1] if where else '?'}"
            self.fail(
                f"the sample at {place} ended with {done.returncode}:\n{done.stderr[-3000:]}{done.stdout[-2000:]}"
            )
        for expected in PRINTED.get(document.name, ()):
            self.assertIn(expected, done.stdout)


class Incoming:
    """Mail that keeps coming, so that a sample which waits for some gets it."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        number = 0
        while True:
            key = f"sample-{number}@people.test"
            raw = mail(key, "ana@people.test", AGENT, subject=f"Your code is {1000 + number}")
            with contextlib.suppress(Disconnected):
                send(self._daemon.smtp_port, "ana@people.test", [AGENT], raw)
            number += 1
            if self._over.wait(0.5):
                return


def _add_tests() -> None:
    for document in DOCUMENTS:
        if document.name not in ELSEWHERE and runnable(document):
            name = f"test_{re.sub(r'[^a-z]+', '_', document.stem.lower())}"

            def test(self: SampleTests, document: Path = document) -> None:
                self.run_document(document)

            test.__name__ = name
            test.__doc__ = f"The samples of {document.name} run."
            setattr(SampleTests, name, test)


_add_tests()
