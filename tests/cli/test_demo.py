"""What `e2a demo` may not leave behind, whenever it is interrupted."""

from __future__ import annotations

import os
import signal

import httpx

from e2a.cli import demo
from tests.cli.case import CommandCase


class Interrupted(CommandCase):
    def test_while_making(self) -> None:
        """Ctrl-C while the server makes an agent waits for the answer, and the agent is deleted."""

        asked: list[str] = []

        def make(request: httpx.Request) -> httpx.Response:
            asked.append(request.method)
            if request.method == "POST":
                os.kill(os.getpid(), signal.SIGINT)
                return httpx.Response(201, json={})
            return httpx.Response(200, json={"shared_domain": "agents.test"})

        self.server = make  # type: ignore[assignment]
        result = self.run_e2a("demo", code=130)
        self.assertNotIn("Traceback", result.output)
        self.assertEqual(asked, ["GET", "POST", "DELETE"])

    def test_smtp_address(self) -> None:
        """An SMTP address that is none is a usage error."""
        for text in ("localhost", "localhost:", "localhost:smtp", ":25", "x:99999"):
            self.run_e2a("demo", "--smtp", text, code=2)
        self.assertEqual(demo._address("[::1]:2525"), ("::1", 2525))
