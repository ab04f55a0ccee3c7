"""One request as a value, and the two ways to carry it out: blocking and with ``asyncio``.

A :class:`Call` says what to ask and how to read the answer. :class:`Transport` and :class:`AsyncTransport` add the key,
keep connections open, try again where that is safe, and turn refusals into exceptions.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, NoReturn, TypeVar
from urllib.parse import quote, urlencode

import httpx
from pydantic import BaseModel, RootModel, ValidationError

from .. import __version__
from .errors import UnexpectedAnswerError, error_for, retry_after
from .hosts import mounts_for

DEFAULT_BASE_URL = "https://e2a.dev"
DEFAULT_TIMEOUT = 30.0
DEFAULT_RETRIES = 2
API = "/api/v1"
#: The problem details carry the code and the request id; the server's default is one line of text.
ACCEPT = "application/json, application/problem+json;q=0.9, */*;q=0.5"
USER_AGENT = f"e2a-python/{__version__}"
IDEMPOTENCY_KEY = "Idempotency-Key"

#: Statuses of servers and proxies that are away for the moment.
_AWAY = frozenset({502, 503, 504})
#: Seconds: the first pause, the longest pause of our own, and the longest that a server may ask for.
_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_WAIT = 0.5, 8.0, 60.0

T = TypeVar("T")
Changed = TypeVar("Changed")
Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. ``headers`` has names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how to read its answer.

    :ivar path: percent-encoded, from the root of the server, with its query.
    :ivar read: raises ``ValueError`` for an answer of another shape.
    :ivar patience: seconds that the server itself may take before it answers, on top of the time-out.
    :ivar safe: whether a repetition does no harm: it only reads, or it carries a key under which the server acts once.
    """

    method: str
    path: str
    read: Callable[[Answer], T]
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    patience: float = 0.0
    safe: bool = False

    def then(self, change: Callable[[T], Changed]) -> Call[Changed]:
        """The same request, with its result changed."""
        return Call(
            self.method,
            self.path,
            lambda answer: change(self.read(answer)),
            self.body,
            self.headers,
            self.patience,
            self.safe,
        )


def path(*segments: str, **query: str | int | bool | None) -> str:
    """``/api/v1/…`` from raw segments, percent-encoded; query parameters that are None are left out.

    :raises ValueError: a segment is empty or made of dots, which would name another resource.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} is no address, name or id")
    text = "/".join((API, *(quote(segment, safe="") for segment in segments)))
    given = {
        name.rstrip("_"): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None
    }
    return f"{text}?{urlencode(given)}" if given else text


def content(body: BaseModel | Mapping[str, Any], *, only_set: bool = False) -> bytes:
    """A request body. Members that are None are left out.

    :param only_set: leave out what was not given either, whatever its default.
    """
    if isinstance(body, BaseModel):
        body = body.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=only_set)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def shaped(model: type[Shape]) -> Callable[[Answer], Shape]:
    """Reads an answer as that model."""

    def read(answer: Answer) -> Shape:
        return model.model_validate_json(answer.body)

    return read


def shaped_list(model: type[Shape]) -> Callable[[Answer], list[Shape]]:
    """Reads an answer that is a bare array."""
    whole = RootModel[list[model]]  # type: ignore[valid-type]

    def read(answer: Answer) -> list[Shape]:
        found: list[Shape] = whole.model_validate_json(answer.body).root
        return found

    return read


def nothing(answer: Answer) -> None:
    """Reads an answer whose body does not matter."""


def octets(answer: Answer) -> bytes:
    """Reads an answer that is a file."""
    return answer.body


class Endpoint:
    """Where requests go, and with which key.

    :param api_key: None for requests that need none.
    :param timeout: seconds for each phase of a request; None waits for ever.
    :param max_retries: how often a request that failed is sent again, where that is safe.
    """

    def __init__(self, api_key: str | None, base_url: str, timeout: float | None, max_retries: int) -> None:
        self.api_key = api_key
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.max_retries = max_retries

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client holds connections and a key, and is not copied: make one where it is needed")

    def arguments(self, call: Call[Any]) -> dict[str, Any]:
        """What httpx is called with."""
        headers = {"Accept": ACCEPT, "User-Agent": USER_AGENT, **call.headers}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        timeout: httpx.Timeout | None = None
        if self.timeout is not None:
            timeout = httpx.Timeout(self.timeout, read=self.timeout + call.patience)
        return {
            "method": call.method,
            "url": self.base_url + call.path,
            "content": call.body,
            "headers": headers,
            "timeout": timeout,
        }

    def pause_after(
        self, call: Call[Any], attempt: int, failure: httpx.Response | httpx.TransportError
    ) -> float | None:
        """Seconds until the next attempt; None when there is to be none.

        :param attempt: counts from 0.
        """
        if attempt >= self.max_retries:
            return None
        pause = min(_FIRST_PAUSE * 2**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
        if isinstance(failure, httpx.TransportError):
            # A connection that was never made has carried no request.
            unsent = isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            lost = isinstance(failure, httpx.TimeoutException | httpx.NetworkError | httpx.RemoteProtocolError)
            return pause if unsent or (call.safe and lost) else None
        if not call.safe or not (failure.status_code == 429 or failure.status_code in _AWAY):
            return None
        if b'"sending_not_configured"' in failure.content:
            # The deployment has no way out for mail; it will have none in a second either.
            return None
        asked = retry_after(_lower(failure), time.time())
        if asked is None:
            return pause
        return None if asked > _LONGEST_WAIT else max(asked, pause)

    def check(self, response: httpx.Response, body: bytes) -> Answer:
        """The answer, if it is one.

        :raises E2AApiError: the server refused, or redirects.
        """
        headers, status = _lower(response), response.status_code
        if status >= 400:
            raise error_for(status, headers, body, now=time.time())
        if status >= 300:
            where = headers.get("location", "")
            raise UnexpectedAnswerError(
                status, f"the server redirects to {where or 'another place'}: give the API's own address as base_url"
            )
        return Answer(status, headers, body)

    def result(self, call: Call[T], response: httpx.Response) -> T:
        """What the answer says.

        :raises E2AApiError: the server refused, or it is not an e2a server.
        """
        answer = self.check(response, response.content)
        try:
            return call.read(answer)
        except ValidationError as exc:
            fault = exc.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(step) for step in fault["loc"])
            text = f"the answer is not what an e2a server says ({place + ': ' if place else ''}{fault['msg']})"
            raise UnexpectedAnswerError(
                answer.status, f"{text}: is base_url right?", request_id=answer.headers.get("x-request-id", "")
            ) from exc


class Transport(Endpoint):
    """Carries calls out and waits for them.

    :param client: used instead of an own one, and then not closed: for proxies, certificates or tests.
    """

    def __init__(
        self,
        api_key: str | None,
        base_url: str,
        timeout: float | None,
        max_retries: int,
        client: httpx.Client | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__(api_key, base_url, timeout, max_retries)
        self._client = client or httpx.Client(follow_redirects=False, mounts=mounts_for(base_url))
        self._own = client is None
        self._sleep = sleep

    def run(self, call: Call[T]) -> T:
        """Carry out one call."""
        arguments = self.arguments(call)
        for attempt in range(self.max_retries + 1):
            try:
                response = self._client.request(**arguments)
            except httpx.TransportError as exc:
                pause = self.pause_after(call, attempt, exc)
                if pause is None:
                    raise
            else:
                pause = self.pause_after(call, attempt, response)
                if pause is None:
                    return self.result(call, response)
            self._sleep(pause)
        raise AssertionError("the last attempt neither answers nor fails")

    @contextmanager
    def stream(self, call: Call[Any]) -> Iterator[Iterator[bytes]]:
        """An answer piece by piece, for what may not fit in memory. It is asked for once."""
        with self._client.stream(**self.arguments(call)) as response:
            if response.status_code >= 300:
                self.check(response, response.read())
            yield response.iter_bytes()

    def close(self) -> None:
        """Give the connections back."""
        if self._own:
            self._client.close()


class AsyncTransport(Endpoint):
    """Carries calls out on the running event loop; parameters as for :class:`Transport`."""

    def __init__(
        self,
        api_key: str | None,
        base_url: str,
        timeout: float | None,
        max_retries: int,
        client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(api_key, base_url, timeout, max_retries)
        self._client = client or httpx.AsyncClient(follow_redirects=False, mounts=mounts_for(base_url))
        self._own = client is None
        self._sleep = sleep

    async def run(self, call: Call[T]) -> T:
        """Carry out one call."""
        arguments = self.arguments(call)
        for attempt in range(self.max_retries + 1):
            try:
                response = await self._client.request(**arguments)
            except httpx.TransportError as exc:
                pause = self.pause_after(call, attempt, exc)
                if pause is None:
                    raise
            else:
                pause = self.pause_after(call, attempt, response)
                if pause is None:
                    return self.result(call, response)
            await self._sleep(pause)
        raise AssertionError("the last attempt neither answers nor fails")

    @asynccontextmanager
    async def stream(self, call: Call[Any]) -> AsyncIterator[AsyncIterator[bytes]]:
        """An answer piece by piece, for what may not fit in memory. It is asked for once."""
        async with self._client.stream(**self.arguments(call)) as response:
            if response.status_code >= 300:
                self.check(response, await response.aread())
            yield response.aiter_bytes()

    async def close(self) -> None:
        """Give the connections back."""
        if self._own:
            await self._client.aclose()


def key_from(api_key: str | None) -> str:
    """The given key, or that of the environment.

    :raises ValueError: there is none, or it cannot be one. What it was is not said.
    """
    key = (api_key or os.environ.get("E2A_API_KEY", "")).strip()
    if not key:
        raise ValueError("an API key is needed: pass api_key, or set E2A_API_KEY")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ValueError("the API key holds characters that no key has: was it copied whole?")
    return key


def _lower(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
