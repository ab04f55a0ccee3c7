"""What the command's tests share: a scripted server, a private home, and the command run within this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner, Result
from twisted.trial.unittest import TestCase

from e2a.cli.main import main
from e2a.cli.session import Surroundings

BOT = "bot@agents.test"
MESSAGE = {
    "message_id": "msg_1",
    "from": "ana@corp.test",
    "to": [BOT, "eve@corp.test"],
    "cc": ["cc@corp.test"],
    "reply_to": [],
    "recipient": BOT,
    "tag": "",
    "subject": "A question",
    "conversation_id": None,
    "verified": True,
    "automation": {"is_auto": False, "reasons": []},
    "thread_hijack_suspected": False,
    "status": "unread",
    "size": 120,
    "created_at": "2026-01-31T12:00:00Z",
    "text": "How are you?\r\n",
    "html": "",
    "attachments": [],
    "auth_headers": {"X-E2A-Auth-Domain-Check": "spf=pass; dkim=pass"},
    "raw_message": "aGk=",
}


class Scripted:
    """Answers as told, and remembers what it was asked.

    :ivar answers: by ``METHOD /path``: JSON, or a whole response; a list is used up one by one.
    """

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.answers.get(f"{request.method} {request.url.raw_path.decode().partition('?')[0]}")
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        if found is None:
            return httpx.Response(404, text="not found\n")
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    def body(self, number: int = -1) -> Any:
        return json.loads(self.asked[number].content)

    @property
    def lines(self) -> list[str]:
        """Each request as ``METHOD /path?query``."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.asked]


def problem(status: int, detail: str, code: str = "x", **members: Any) -> httpx.Response:
    """A refusal as the daemon words it."""
    document = {"title": "x", "status": status, "detail": detail, "code": code, "request_id": "r1", **members}
    return httpx.Response(
        status, content=json.dumps(document).encode(), headers={"Content-Type": "application/problem+json"}
    )


class CommandCase(TestCase):
    """``self.run_e2a(...)`` is the command with a key, a home of its own, and no network."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        self.environ = {"HOME": str(self.home), "E2A_API_KEY": "e2a_key", "E2A_URL": "https://mail.test"}
        self.server = Scripted({})

    @property
    def config(self) -> Path:
        return self.home / ".e2a" / "config.json"

    def run_e2a(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Result:
        """:param code: the exit code that is expected."""
        surroundings = Surroundings(environ=self.environ, transport=httpx.MockTransport(self.server))
        result = CliRunner().invoke(main, list(arguments), obj=surroundings, input=stdin, catch_exceptions=False)
        self.assertEqual(result.exit_code, code, result.output)
        return result
