"""The ``e2a`` command as a process of its own against a real daemon."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from e2a.cli.main import main
from e2a.cli.session import Surroundings
from tests.support.daemon import Api, Daemon, e2a
from tests.support.sinks import WebhookSink, wait_until
from tests.support.smtpclient import Session
from tests.system.case import SystemCase, mail


class Responses(WebhookSink):
    """A Responses API that says the same to everything."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/responses"

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        document = {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Thank you."}]}]}
        return self.status, json.dumps(document).encode()


class Running:
    """A command that goes on, with its lines as they come."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            e2a(*arguments),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # As in a terminal, also when the tests themselves run in the background, where Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.out: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.hints: list[str] = []
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._read, self._listen)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.out.put(line.rstrip("\n"))

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.hints.append(line.rstrip("\n"))

    def line(self) -> str:
        return self.out.get(timeout=60)

    def connected(self, times: int = 1) -> None:
        wait_until(lambda: self.hints.count("Connected.") >= times, 60, lambda: "\n".join(self.hints))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        for thread in self._threads:
            thread.join(5)
        assert self.process.stdout is not None and self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()


class CommandTests(SystemCase):
    def started(self) -> tuple[Daemon, Api]:
        daemon = self.daemon().start()
        api = self.owner(daemon)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("E2A_")},
            "PYTHONPATH": daemon.environment["PYTHONPATH"],
            "HOME": str(self.directory),
            "E2A_URL": daemon.url,
            "E2A_API_KEY": api.key,
        }
        return daemon, api

    def run_e2a(self, *arguments: str, code: int = 0, stdin: str = "", **environment: str) -> Any:
        """The command's output; parsed, when it was asked for JSON. Within this process, which saves its start."""
        surroundings = Surroundings(environ=self.environment | environment)
        done = CliRunner().invoke(main, list(arguments), obj=surroundings, input=stdin, catch_exceptions=False)
        return self.checked(arguments, done.exit_code, code, done.stdout, done.stderr)

    def run_process(self, *arguments: str, code: int = 0, stdin: str = "") -> Any:
        """The same in a process of its own."""
        done = subprocess.run(
            e2a(*arguments), env=self.environment, input=stdin, capture_output=True, text=True, timeout=60
        )
        return self.checked(arguments, done.returncode, code, done.stdout, done.stderr)

    def checked(self, arguments: tuple[str, ...], code: int, expected: int, out: str, err: str) -> Any:
        self.assertEqual(code, expected, out + err)
        return json.loads(out) if "--json" in arguments and not code else out

    def running(self, *arguments: str) -> Running:
        started = Running(list(arguments), self.environment)
        self.addCleanup(started.stop)
        return started

    def deliver(self, daemon: Daemon, to: str, key: str, subject: str = "A question") -> None:
        with Session(daemon.smtp_port) as session:
            session.greet()
            answer = session.send("ana@corp.test", [to], mail(f"{key}@corp.test", "ana@corp.test", to, subject=subject))
            self.assertEqual(answer.code, 250)

    def test_a_day(self) -> None:
        """Two agents are made, write to each other, read, answer and save; what is listed is what happened."""
        self.started()
        self.assertEqual(self.run_process("agents", "register", "pal"), "Registered: pal@agents.test\n")
        self.run_e2a("agents", "register", "bot")
        self.assertIn("bot@agents.test  local (active)", self.run_e2a("agents", "list"))
        file = Path(self.directory) / "note.txt"
        file.write_text("a note")
        sent = self.run_process(
            "send", "--to", "pal@agents.test", "--subject", "Hi", "--body", "-", "--attach", str(file), stdin="Hello"
        )
        self.assertTrue(sent.startswith("Sent: msg_"), sent)
        pal = ("--agent", "pal")
        found = self.run_process("wait", "--timeout", "20", "--subject", "Hi", "--json", *pal)["message"]
        self.assertEqual((found["from"], found["verified"]), ("bot@agents.test", True))
        identifier = found["message_id"]
        self.run_e2a("attachments", "save", identifier, "--dir", str(self.directory / "saved"), *pal)
        self.assertEqual((self.directory / "saved" / "note.txt").read_text(), "a note")
        self.assertIn(identifier, self.run_e2a("inbox", "--unread", *pal))
        shown = self.run_e2a("read", identifier, *pal)
        self.assertIn("internal=pass", shown)
        self.assertTrue(shown.rstrip().endswith("Hello"), shown)
        self.assertEqual(self.run_e2a("inbox", "--unread", *pal), "No messages.\n")
        self.run_e2a("reply", identifier, "--body", "Yes?", *pal)
        self.assertEqual(self.run_e2a("wait", "--timeout", "20", "--json")["message"]["from"], "pal@agents.test")
        (thread,) = self.run_e2a("conversations", "list", "--json")["conversations"]
        self.assertEqual(thread["message_count"], 2)
        self.assertIn("→", self.run_e2a("conversations", "show", thread["id"]))
        self.assertEqual(self.run_e2a("agents", "delete", "pal"), "Deleted: pal@agents.test\n")
        self.run_process("read", identifier, *pal, code=4)

    def test_review(self) -> None:
        """A held message is listed, shown, changed in the editor and sent; another is rejected."""
        _, api = self.started()
        self.run_e2a("agents", "register", "bot")
        api.agent("pal")
        self.assertIn("enabled", self.run_e2a("agents", "update", "bot", "--hitl", "--hitl-ttl", "3600"))
        message = ("send", "--to", "pal@agents.test", "--subject", "Offer", "--body", "Hello")
        first, second = (self.run_e2a(*message).split()[1] for _ in range(2))
        self.assertIn("59m", self.run_e2a("pending", "list"))
        self.assertIn("Hello", self.run_e2a("pending", "show", first))
        editor = self.directory / "editor.sh"
        editor.write_text('#!/bin/sh\nsed -i s/Hello/Goodbye/ "$1"\n')
        editor.chmod(0o700)
        done = self.run_e2a("pending", "approve", first, "--edit", EDITOR=str(editor))
        self.assertTrue(done.startswith(f"Approved: {first} → <") and done.endswith("(with edits)\n"), done)
        self.assertEqual(self.run_e2a("pending", "reject", second, "--reason", "no"), f"Rejected: {second}\n")
        self.run_e2a("pending", "reject", first, code=5)
        (arrived,) = api.messages("pal@agents.test")
        self.assertEqual(api.message("pal@agents.test", arrived["message_id"])["text"].strip(), "Goodbye")

    def test_account(self) -> None:
        """Domains, keys, secrets and suppressions are made, listed and taken away again; who may not listen is told."""
        _, api = self.started()
        self.run_e2a("domains", "register", "corp.test")
        self.assertEqual(self.run_e2a("domains", "verify", "corp.test"), "Verified: corp.test\n")
        self.assertIn("mx: ", self.run_e2a("domains", "check", "corp.test"))
        self.run_e2a("domains", "delete", "corp.test")
        key = self.run_e2a("keys", "create", "ci", "--permission", "domains:read", "--expires", "1d", "--json")
        self.run_e2a("agents", "list", code=5, E2A_API_KEY=key["key"])
        self.run_e2a("domains", "list", E2A_API_KEY=key["key"])
        self.assertIn(key["id"], self.run_e2a("keys", "list"))
        self.run_e2a("keys", "revoke", key["id"])
        self.run_e2a("domains", "list", code=3, E2A_API_KEY=key["key"])
        secret = self.run_e2a("secrets", "create", "ci", "--json")
        self.run_e2a("secrets", "delete", secret["id"])
        self.assertNotIn(secret["id"], self.run_e2a("secrets", "list"))
        self.run_e2a("suppressions", "add", "ana@corp.test")
        self.assertIn("ana@corp.test", self.run_e2a("suppressions", "list"))
        self.run_e2a("suppressions", "remove", "ana@corp.test")
        self.run_e2a("suppressions", "remove", "ana@corp.test", code=4)
        self.assertIn("agents:write", self.run_e2a("whoami"))
        # What no new connection cures ends a listener.
        self.run_process("listen", "--agent", "nobody@agents.test", code=4)
        self.run_e2a("listen", "--agent", api.agent("bot"), code=3, E2A_API_KEY="e2a_" + "0" * 64)

    def test_listen_through_a_restart(self) -> None:
        """listen --json prints each message once, also what came while the daemon was away; Ctrl-C ends it with 0."""
        daemon, api = self.started()
        bot = api.agent("bot")
        self.deliver(daemon, bot, "early")
        listening = self.running("listen", "--agent", bot, "--json")
        self.assertEqual(json.loads(listening.line())["email_message_id"], "<early@corp.test>")
        listening.connected()
        daemon.stop()
        daemon.start()
        self.deliver(daemon, bot, "late")
        self.assertEqual(json.loads(listening.line())["email_message_id"], "<late@corp.test>")
        listening.connected(2)
        wait_until(lambda: not api.messages(bot, status="unread"), 60, lambda: "\n".join(listening.hints))
        self.assertEqual(listening.interrupt(), 0)
        self.assertTrue(listening.out.empty())

    def test_forward(self) -> None:
        """A message is forwarded until it is taken, stays unread until then, and what a model says is the reply."""
        _, api = self.started()
        bot = api.agent("bot")
        pal = api.agent("pal")
        sink = Responses(status=503)
        self.addCleanup(sink.stop)
        listening = self.running("listen", "--agent", bot, "--forward", sink.url, "--forward-token", "t0ken")
        listening.connected()
        api.post("/api/v1/send", {"from": pal, "to": [bot], "subject": "Hi", "body": "Are you there?"}, status=200)
        sink.wait_for(1)
        self.assertEqual([each["status"] for each in api.messages(bot)], ["unread"])
        sink.status = 200
        request = sink.wait_for(2)[1]
        self.assertIn("Are you there?", json.loads(request.body)["input"])
        wait_until(lambda: bool(api.messages(pal)), 60, lambda: "\n".join(listening.hints))
        wait_until(lambda: api.messages(bot)[0]["status"] == "read", 60, lambda: "\n".join(listening.hints))
        (answer,) = api.messages(pal)
        self.assertEqual(api.message(pal, answer["message_id"])["text"].strip(), "Thank you.")
        self.assertEqual(listening.interrupt(), 0)
