"""What the API tests share: an authenticator with known keys, and a client that needs no socket."""

from __future__ import annotations

import itertools
from typing import Any

from treq.testing import StubTreq
from twisted.internet.task import Clock

from e2a.api.app import Api
from e2a.api.auth import Authorizer
from e2a.core.entities import Principal
from e2a.core.errors import Unauthenticated
from e2a.core.rules.permissions import ALL_PERMISSIONS

WHOLE = Principal("org_a", "user_a", frozenset(ALL_PERMISSIONS), key_id="apk_whole")
BOUND = Principal("org_a", "user_a", frozenset({"messages:read"}), key_id="apk_bound", agent_id="bot@agents.test")
WEAK = Principal("org_a", "user_a", frozenset(), key_id="apk_weak")
FOREIGN = Principal("org_b", "user_b", frozenset(ALL_PERMISSIONS), key_id="apk_foreign")
KEYS = {"whole": WHOLE, "bound": BOUND, "weak": WEAK, "foreign": FOREIGN}


async def authenticate(token: str) -> Principal:
    """The keys of :data:`KEYS`, by name."""
    if token not in KEYS:
        raise Unauthenticated
    return KEYS[token]


def counting_random() -> Any:
    """A byte source that never repeats."""
    numbers = itertools.count(1)
    return lambda count: next(numbers).to_bytes(count, "big")


def make_app(*resources: object, clock: Clock | None = None) -> Api:
    """An API over the known keys."""
    return Api(resources, Authorizer(authenticate), clock=clock or Clock(), random=counting_random())


class Client:
    """Blocking-looking calls to an :class:`Api` in memory; everything it serves must finish without a reactor turn."""

    def __init__(self, api: Api) -> None:
        self._treq = StubTreq(api)

    def request(self, test: Any, method: str, path: str, key: str | None = "whole", **kwargs: Any) -> Answer:
        """One request; ``key`` becomes the bearer token."""
        headers = dict(kwargs.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key}")
        response = test.successResultOf(
            self._treq.request(method, f"http://api.test{path}", headers=headers, allow_redirects=False, **kwargs)
        )
        content = test.successResultOf(response.content())
        return Answer(response.code, response.headers, response.length, content)

    def get(self, test: Any, path: str, **kwargs: Any) -> Answer:
        return self.request(test, "GET", path, **kwargs)


class Answer:
    """A finished answer. ``length`` is what Content-Length said: treq keeps that header to itself."""

    def __init__(self, code: int, headers: Any, length: Any, content: bytes) -> None:
        self.code = code
        self.length = length
        self.content = content
        self._headers = headers

    def header(self, name: str) -> str | None:
        """The only value of a header; None when absent."""
        values = self._headers.getRawHeaders(name)
        if values is None:
            return None
        assert len(values) == 1, values
        return str(values[0])

    @property
    def text(self) -> str:
        return self.content.decode("utf-8")

    @property
    def json(self) -> Any:
        import orjson

        return orjson.loads(self.content)
