"""Every code sample of README and docs runs as it stands, against a daemon with an agent whose mail keeps coming."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.support.daemon import CHECKOUT, Daemon
from tests.support.samples import DOCUMENTS, Sample, samples
from tests.support.smtpclient import Disconnected, send
from tests.support.smtpsink import SmtpSink
from tests.system.case import NO_SERVER, SystemCase, mail

#: The agent that samples use.
AGENT = "bot@agents.example.org"
#: The README begins with nothing: no user, no agent.
BARE = ("README.md",)
#: Documents whose samples run in a test of their own.
ELSEWHERE = ("sdk-python.md",)
#: What a document may take from the tour.
PREAMBLE = """\
set -euo pipefail
api() { curl -sS --fail-with-body -H "Authorization: Bearer $E2A_API_KEY" "$@"; }
"""
#: Seconds for all samples of one document.
PATIENCE = 90


class SampleTests(SystemCase):
    skip = NO_SERVER
    timeout = PATIENCE + 60

    def run_document(self, document: Path) -> None:
        runnable = [sample for sample in samples(document) if not sample.why_not]
        bare = document.name in BARE
        sink = SmtpSink()
        self.addCleanup(sink.stop)
        way_out = {"E2A_OUTBOUND_SMTP_HOST": "127.0.0.1", "E2A_OUTBOUND_SMTP_PORT": str(sink.port)}
        daemon = self.daemon(
            environment={
                "E2A_SHARED_DOMAIN": None if bare else "agents.example.org",
                "E2A_OUTBOUND_SMTP_TLS": "none",
                "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "mail.example.org",
                **way_out,
            }
        ).start()
        key = ""
        if not bare:
            api = self.owner(daemon)
            api.agent("bot")
            key = api.key
        with Incoming(daemon):
            for language, run in (("sh", self.shell), ("python", self.python)):
                chosen = [sample for sample in runnable if sample.language == language]
                if chosen:
                    run(daemon, key or self.kept_key(), chosen)

    def kept_key(self) -> str:
        """The one that the commands of the document have made; "" when there is none yet."""
        path = self.directory / "home" / ".e2a" / "config.json"
        return str(json.loads(path.read_text())["api_key"]) if path.exists() else ""

    def shell(self, daemon: Daemon, key: str, chosen: Sequence[Sample]) -> None:
        """One shell for all of a document's commands, as one terminal would be."""
        if shutil.which("curl") is None or shutil.which("bash") is None:
            self.skipTest("curl and bash are needed")
        lines = [PREAMBLE]
        for sample in chosen:
            lines += [f"echo '>> line {sample.line}' >&2", self.fitted(sample.code, daemon, key)]
        self.executed(["bash", "-c", "\n".join(lines)], daemon, key, chosen)

    def python(self, daemon: Daemon, key: str, chosen: Sequence[Sample]) -> None:
        """One module for all of a document's Python."""
        lines = []
        for sample in chosen:
            lines += [f"import sys; print('>> line {sample.line}', file=sys.stderr)"]
            lines += [self.fitted(sample.code, daemon, key)]
        self.executed([sys.executable, "-c", "\n".join(lines)], daemon, key, chosen)

    def fitted(self, code: str, daemon: Daemon, key: str) -> str:
        """The sample with the places of this daemon."""
        for said, meant in (
            ("localhost:8080", f"127.0.0.1:{daemon.http_port}"),
            ("localhost:2525", f"127.0.0.1:{daemon.smtp_port}"),
            ("e2a_your_key", key),
            ("@agents.test", "@agents.example.org"),
            ("e2a demo", f"e2a demo --smtp 127.0.0.1:{daemon.smtp_port}"),
            (".venv/bin/", f"{self.bin}/"),
        ):
            code = code.replace(said, meant)
        return code

    @property
    def bin(self) -> Path:
        """A directory with the commands that an installation has."""
        folder = self.directory / "bin"
        if not folder.exists():
            folder.mkdir()
            modules = {"e2a": ("e2a.cli.main", "main"), "twistd": ("twisted.scripts.twistd", "run")}
            for name, (module, function) in modules.items():
                path = folder / name
                path.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
                path.chmod(0o755)
            (folder / "python").symlink_to(sys.executable)
        return folder

    def executed(self, command: list[str], daemon: Daemon, key: str, chosen: Iterable[Sample]) -> None:
        home = self.directory / "home"
        home.mkdir(exist_ok=True)
        environment: dict[str, Any] = {
            **daemon.environment,
            "HOME": str(home),
            "PATH": f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
            "E2A_URL": daemon.url,
            "NO_PROXY": "*",
        }
        if key:
            environment |= {"E2A_API_KEY": key, "E2A_AGENT_EMAIL": AGENT}
        done = subprocess.run(
            command,
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            where = re.findall(r">> line (\d+)", done.stderr)
            place = f"{next(iter(chosen)).document.name}:{where[-1] if where else '?'}"
            self.fail(
                f"the sample at {place} ended with {done.returncode}:\n{done.stderr[-3000:]}{done.stdout[-2000:]}"
            )


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
        if document.name not in ELSEWHERE and any(not sample.why_not for sample in samples(document)):
            name = f"test_{re.sub(r'[^a-z]+', '_', document.stem.lower())}"

            def test(self: SampleTests, document: Path = document) -> None:
                self.run_document(document)

            test.__name__ = name
            test.__doc__ = f"The samples of {document.name} run."
            setattr(SampleTests, name, test)


_add_tests()
