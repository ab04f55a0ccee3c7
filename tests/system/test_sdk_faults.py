"""The clients where answers get lost, where many threads share one, and under a program of the published package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2a.v1 import E2AClient
from tests.support.daemon import CHECKOUT, Daemon, e2a
from tests.support.lossyproxy import LossyProxy
from tests.system.case import SystemCase

PROGRAM = Path(__file__).with_name("published_program.py")


class FaultTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.node: Daemon = self.daemon().start()
        self.key = self.node.bootstrap()
        with E2AClient(self.key, base_url=self.node.url) as owner:
            self.bot = owner.register_agent("bot", agent_mode="local").email or ""
            self.pal = owner.register_agent("pal", agent_mode="local").email or ""

    def proxy(self) -> LossyProxy:
        made = LossyProxy(self.node.http_port)
        self.addCleanup(made.stop)
        return made

    def client(self, url: str) -> E2AClient:
        made = E2AClient(self.key, self.bot, url)
        made.api.transport._sleep = lambda seconds: None
        self.addCleanup(made.close)
        return made

    def test_lost_answers(self) -> None:
        """Whatever is sent goes out once, and its answer is had, although the first two answers were lost."""
        proxy = self.proxy()
        client = self.client(proxy.url)
        got = lambda: [one.message_id for one in client.iter_messages("all", agent_email=self.pal)]  # noqa: E731

        def losing(act: Callable[[], str | None]) -> str:
            proxy.losses, before = 2, len(proxy.keys)
            identifier = act()
            self.assertEqual((proxy.losses, len(proxy.keys) - before), (0, 3))
            self.assertEqual(len({*proxy.keys[before:]}), 1)
            return identifier or ""

        sent = losing(lambda: client.send([self.pal], "Once", "Hi").message_id)
        self.assertEqual(client.get_pending_message(sent).status, "sent")
        (first,) = got()
        client.agent_email = self.pal
        losing(lambda: client.reply(first, "Hi").message_id)
        client.agent_email = self.bot
        (answer,) = client.iter_messages("all")
        losing(lambda: client.forward(answer.message_id, [self.pal]).message_id)
        self.assertEqual(len(got()), 2)
        losing(lambda: client.send_test_email(self.pal)["message_id"])
        self.assertEqual(len(got()), 3)
        client.update_agent(self.bot, hitl_enabled=True)
        held = losing(lambda: client.send([self.pal], "Held", "Hi").message_id)
        self.assertEqual([one.id for one in client.iter_pending_messages()], [held])
        losing(lambda: client.approve_message(held).message_id)
        self.assertEqual(len(got()), 4)
        losing(lambda: client.register_agent("third", agent_mode="local").email)
        self.assertEqual(len(client.list_agents().agents or ()), 3)

    def test_lost_answer_to_the_command(self) -> None:
        """A mail of the command, too, goes out once, and the command says its id."""
        proxy = self.proxy()
        proxy.losses = 1
        done = subprocess.run(
            e2a("send", "--agent", self.bot, "--to", self.pal, "--subject", "Once", "--body", "Hi"),
            env={**self.node.environment, "HOME": str(self.directory), "E2A_API_KEY": self.key, "E2A_URL": proxy.url},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stderr, len(proxy.keys)), (0, "", 2))
        self.assertRegex(done.stdout, r"\ASent: msg_[0-9a-f]{32}\n\Z")
        with E2AClient(self.key, self.pal, self.node.url) as client:
            self.assertEqual([one.subject for one in client.get_messages()], ["Once"])

    def test_threads(self) -> None:
        """Threads share one client: every one of them gets the answers to its own questions."""
        client = self.client(self.node.url)
        begin = threading.Barrier(6, timeout=60)

        def work(number: int) -> list[str]:
            begin.wait()
            subjects = []
            for step in range(4):
                sent = client.send([self.pal], f"{number}-{step}", "Hi")
                subjects.append(client.get_pending_message(sent.message_id).subject or "")
            return subjects

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(work, range(6)))
        self.assertEqual(found, [[f"{number}-{step}" for step in range(4)] for number in range(6)])
        arrived = sorted(one.subject for one in client.iter_messages("all", agent_email=self.pal, page_size=7))
        self.assertEqual(arrived, sorted(subject for each in found for subject in each))

    def test_published(self) -> None:
        """A program for the published 2.x package runs as it is: webhooks, mail both ways, review, listening."""
        done = subprocess.run(
            [sys.executable, str(PROGRAM), self.node.url, self.key],
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), "E2A_AGENT_EMAIL": self.bot, "E2A_WEBHOOK_SECRET": ""},
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=100,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), {"done": True})
