"""The TypeScript client: its own tests against a real daemon, and the package as somebody who installs it has it."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
from twisted.trial.unittest import SynchronousTestCase

from e2a.v1 import E2AApi
from tests.support import samples as documents
from tests.support.ports import free_port
from tests.support.samples import TYPESCRIPT
from tests.support.sinks import wait_until
from tests.support.smtpclient import send
from tests.support.typescript import (
    MISSING,
    NODE,
    PACKAGE,
    SENDER,
    TypeScriptCase,
    install,
    installed,
    node,
    npm,
    packed,
)
from tests.system.case import mail


def samples() -> list[str]:
    """The README's programs, in order."""
    return re.findall(r"^```ts\n(.*?)^```$", (PACKAGE / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


class DocumentTests(SynchronousTestCase):
    def test_document_is_current(self) -> None:
        """The document that the client's types are generated from is the one that this checkout serves."""
        command = [sys.executable, str(PACKAGE / "scripts" / "openapi.py"), "--check"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_siblings(self) -> None:
        """Whatever the Python client's raw layer can do, the TypeScript client's can, under the same name."""
        sources = [(PACKAGE / "src" / name).read_text("utf-8") for name in ("api.ts", "account.ts")]
        methods = set(re.findall(r"^  (?:static |async )*(\w+)\(", "".join(sources), re.MULTILINE))
        # A script has its own way to end, and to carry out what is no method yet.
        own = {"close", "run"}
        wanted = {name for name, _ in inspect.getmembers(E2AApi, callable) if not name.startswith("_")} - own
        self.assertEqual({name for name in wanted if _camel_case(name) not in methods}, set())

    def test_lock_names_no_machine(self) -> None:
        """The lock file pins every dependency by its digest, and names no place but the public registry."""
        packages = json.loads((PACKAGE / "package-lock.json").read_text("utf-8"))["packages"]
        for name, entry in packages.items():
            if name:
                self.assertIn("integrity", entry, name)
                self.assertTrue(
                    entry.get("resolved", "https://registry.npmjs.org/").startswith("https://registry.npmjs.org/")
                )


class BuiltTests(SynchronousTestCase):
    """Without a daemon."""

    skip = MISSING

    def setUp(self) -> None:
        install()
        self.directory = Path(tempfile.mkdtemp(prefix="e2a-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def test_types(self) -> None:
        """The committed types are those of the committed document, and all of the code agrees with them."""
        npm(PACKAGE, "run", "check")

    def test_contents(self) -> None:
        """It holds code, declarations and source maps, nothing of one platform, and loads little before it is used."""
        with tarfile.open(packed(self.directory)) as archive:
            archive.extractall(self.directory, filter="data")
        package = self.directory / "package"
        files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
        self.assertLessEqual({"package.json", "README.md", "LICENSE", "dist/index.js", "dist/v1.d.ts"}, files)
        self.assertEqual(
            {name.partition("/")[0] for name in files} - {"dist", "src"}, {"package.json", "README.md", "LICENSE"}
        )
        modules = sorted((package / "dist").glob("*.js"))
        for module in modules:
            self.assertIn(f"dist/{module.stem}.d.ts", files)
            self.assertIn(f"dist/{module.name}.map", files)
            text = module.read_text("utf-8")
            self.assertNotIn("node:", text, module.name)
            at_once = re.findall(r"""^(?:import|export)\b[^;]*?from "([^"]+)";""", text, re.MULTILINE)
            outside = {name for name in at_once if not name.startswith(("./", "@noble/hashes/"))}
            self.assertEqual(outside, set(), module.name)
        self.assertIn('"sideEffects": false', (package / "package.json").read_text("utf-8"))


class SuiteTests(TypeScriptCase):
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


class PackageTests(TypeScriptCase):
    """The packed package in a project of its own, with nothing but what it brings along."""

    def setUp(self) -> None:
        super().setUp()
        self.daemon_, self.api = self.started()
        self.project = installed(self.directory)
        self.bot = self.api.agent("bot")
        self.api.agent("peer")
        self.secret = self.api.secret()

    def compile(self) -> None:
        """The programs of the README and of the documents and one written for the published releases, with the types
        that the package ships.
        """
        for number, text in enumerate(samples(), 1):
            (self.project / f"sample{number}.ts").write_text(text)
        for document in TYPESCRIPT:
            for sample in documents.samples(document):
                if sample.language == "ts" and not sample.why_not:
                    (self.project / f"{document.stem.lower()}-line{sample.line}.ts").write_text(sample.code)
        for name in ("published.ts", "tsconfig.json"):
            shutil.copy(PACKAGE / "test" / "package" / name, self.project / name)
        types = str(PACKAGE / "node_modules" / "@types")
        node(self.project, str(PACKAGE / "node_modules" / "typescript" / "bin" / "tsc"), "--typeRoots", types)

    def environment(self, agent: str = "", **more: str) -> dict[str, str]:
        return {
            "E2A_URL": self.daemon_.url,
            "E2A_API_KEY": self.api.key,
            "E2A_AGENT_EMAIL": agent or self.bot,
            "E2A_WEBHOOK_SECRET": self.secret,
            **more,
        }

    def begin(self, program: str, environment: Mapping[str, str]) -> subprocess.Popen[str]:
        assert NODE
        process = subprocess.Popen(
            [NODE, program],
            cwd=self.project,
            env={"PATH": str(Path(NODE).parent), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def end() -> None:
            process.kill()
            process.communicate()

        self.addCleanup(end)
        return process

    def test_use(self) -> None:
        """A program for the published releases and every program of the README compile, run and do what they say."""
        self.compile()
        data = mail("m1@sender.test", SENDER, self.bot)
        self.assertEqual(send(self.daemon_.smtp_port, SENDER, [self.bot], data).code, 250)
        output = node(self.project, "published.js", environment=self.environment(PEER="peer@agents.test"))
        self.assertIn("published: all well", output)
        (quote_, webhook, live, lists, review) = (f"sample{number}.js" for number in range(1, 6))
        self._check_quote(quote_)
        self._check_webhook(webhook)
        output = node(self.project, live, environment=self.environment())
        self.assertEqual(output, "hook@agents.test Re: Hello there 0\n")
        output = node(self.project, lists, environment=self.environment())
        self.assertRegex(output, r"(?s)A question.*Re: Quote.*gone: [0-9a-f]{16}")
        self._check_review(review)

    def test_bare_platform(self) -> None:
        """Mail is checked and read where the platform has neither Buffer nor Web Crypto."""
        data = mail("m1@sender.test", SENDER, self.bot)
        self.assertEqual(send(self.daemon_.smtp_port, SENDER, [self.bot], data).code, 250)
        (summary,) = self.api.messages(self.bot)
        detail = json.dumps(self.api.message(self.bot, summary["message_id"]))
        shutil.copy(PACKAGE / "test" / "package" / "bare.js", self.project / "bare.js")
        node(self.project, "bare.js", self.secret, "A question", standard_input=detail)

    def _check_quote(self, program: str) -> None:
        process = self.begin(program, self.environment())
        wait_until(
            lambda: [each for each in self.api.messages("peer@agents.test") if each["subject"] == "Quote"],
            60,
            lambda: f"no quote was asked for: {process.poll()}",
        )
        (asked,) = [each for each in self.api.messages("peer@agents.test") if each["subject"] == "Quote"]
        path = f"/api/v1/agents/{quote('peer@agents.test')}/messages/{asked['message_id']}/reply"
        self.api.post(path, {"body": "Seventy."}, status=200)
        output, _ = process.communicate(timeout=60)
        self.assertIn("sent msg_", output)
        self.assertIn("Re: Quote Seventy.", output)
        self.assertEqual(process.returncode, 0, output)

    def _check_webhook(self, program: str) -> None:
        port = free_port()
        process = self.begin(program, self.environment("hook@agents.test", PORT=str(port)))
        wait_until(lambda: _listens(port), 60, lambda: f"nothing listens: {process.poll()}")
        hook = self.api.agent("hook", webhook_url=f"http://127.0.0.1:{port}/")
        self.api.post(
            "/api/v1/send", {"from": self.bot, "to": [hook], "subject": "Hello there", "body": "x"}, status=200
        )
        assert process.stdout
        self.assertEqual(process.stdout.readline(), f"{self.bot} (proven): Hello there\n")
        wait_until(
            lambda: [each for each in self.api.messages(self.bot) if each["subject"] == "Re: Hello there"],
            60,
            lambda: "no answer came",
        )
        wrong = httpx.post(f"http://127.0.0.1:{port}/", content=b"{}", trust_env=False)
        self.assertEqual(wrong.status_code, 401)

    def _check_review(self, program: str) -> None:
        path = f"/api/v1/agents/{quote(self.bot)}"
        self.api.request("PUT", path, json={"hitl_enabled": True})
        for body in ("A Quote for you", "Something else"):
            request = {"from": self.bot, "to": ["peer@agents.test"], "subject": "Held", "body": body}
            self.api.post("/api/v1/send", request, status=202)
        node(self.project, program, environment=self.environment())
        found = self.api.get("/api/v1/messages", params={"status": "all"})["messages"]
        held = {each["subject"]: each["status"] for each in found if each["subject"].startswith("Held")}
        self.assertEqual(held, {"Held (checked)": "sent", "Held": "rejected"})


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
