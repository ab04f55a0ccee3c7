"""A server that is a function, and webhooks as a server would sign them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx

from e2a.core.entities import Facts
from e2a.core.trust import signing, webhooksignature
from e2a.v1 import AsyncE2AClient, E2AClient

SECRET = "d56a17ee58eb5a2cd136c630083d89b593e15fdf559ed4b12b05314e87c7b1ba"
BOT = "bot@agents.test"
RAW = b"From: Ana <ana@corp.test>\r\nSubject: =?utf-8?q?Caf=C3=A9?=\r\n\r\nHello\r\nthere\r\n"

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, *, retries: int = 2, key: str = "e2a_key") -> E2AClient:
    """A client whose server is that function, and which does not really wait between attempts."""
    made = E2AClient(
        key,
        BOT,
        "https://e2a.test/",
        max_retries=retries,
        http_client=httpx.Client(transport=httpx.MockTransport(handler)),
    )
    made.api.transport._sleep = lambda seconds: None
    return made


def async_client(handler: Handler) -> AsyncE2AClient:
    async def no_wait(seconds: float) -> None:
        pass

    made = AsyncE2AClient(
        "e2a_key", BOT, "https://e2a.test/", http_client=httpx.AsyncClient(transport=httpx.MockTransport(handler))
    )
    made.api.transport._sleep = no_wait
    return made


class Recorder:
    """Answers each request with the next answer, the last one for good, and keeps the requests."""

    def __init__(self, *answers: httpx.Response | Exception | dict[str, Any]) -> None:
        self.requests: list[httpx.Request] = []
        self._answers = list(answers) or [{}]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return httpx.Response(200, json=answer)

    @property
    def last(self) -> httpx.Request:
        return self.requests[-1]

    @property
    def body(self) -> Any:
        """The JSON body of the last request."""
        return json.loads(self.last.content)

    @property
    def target(self) -> str:
        """The method and the raw path of the last request."""
        return f"{self.last.method} {self.last.url.raw_path.decode()}"


def webhook(raw: bytes = RAW, *, secret: str = SECRET, age: float = 0, **members: Any) -> dict[str, Any]:
    """A signed webhook body; ``members`` are put in after signing."""
    facts = Facts(True, "ana@corp.test", "human", "spf=pass; dkim=pass", signing.body_hash(raw))
    return {
        "message_id": "msg_1",
        "conversation_id": "c-1",
        "from": "ana@corp.test",
        "to": [BOT],
        "cc": [],
        "recipient": BOT,
        "subject": "in the envelope",
        "auth_headers": signing.sign(facts, "msg_1", secret, time.time() - age),
        "raw_message": base64.b64encode(raw).decode(),
        "received_at": "2026-04-20T08:00:00.123456Z",
        **members,
    }


def signed_request(body: bytes, *secrets: str) -> dict[str, str]:
    """The Standard Webhooks headers for that body, now."""
    return webhooksignature.sign("msg_1", time.time(), body, secrets)
