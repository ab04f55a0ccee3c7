"""The REST interface as the command uses it: the client library's transport, with JSON exactly as the server says it.

Commands show what came, so nothing is modelled here: a member that a newer server adds appears in ``--json`` at once.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from ..v1.errors import E2AApiError, UnexpectedAnswerError
from ..v1.transport import DEFAULT_RETRIES, DEFAULT_TIMEOUT, IDEMPOTENCY_KEY, Answer, Call, Transport
from .errors import UNAVAILABLE, ApiError, CommandError, not_authenticated
from .urls import checked_url, is_loopback, path_of

T = TypeVar("T")


class Server:
    """:param key: the API key; empty for what needs none.
    :param transport: instead of the network.
    """

    def __init__(self, url: str, key: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = checked_url(url)
        self.key = key
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise CommandError("the API key holds characters that no key has", hint="A new one: e2a login")
        # A proxy of the environment is of no use for this machine.
        self._client = httpx.Client(transport=transport, trust_env=not is_loopback(self.url))
        self._keyed = Transport(key, self.url, DEFAULT_TIMEOUT, DEFAULT_RETRIES, self._client)
        # A question to a server that may not be there is asked once.
        self._open = Transport(None, self.url, DEFAULT_TIMEOUT, 0, self._client)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None, *, patience: float = 0.0) -> Any:
        """The answer's JSON; None when it has no body.

        :param query: entries that are None or empty are left out.
        :param patience: seconds that the server may take on top of the time-out.
        :raises CommandError: no answer, or a refusal.
        """
        return self._run(Call("GET", _with(path, query), _decoded, patience=patience, safe=True))

    def post(self, path: str, body: Any = None, *, once: bool = False, key: str = "") -> Any:
        """:param once: send an ``Idempotency-Key``, so that the request can be repeated after a lost answer.
        :param key: this one, so that even another run's repetition is known as one.
        """
        key = key or (uuid.uuid4().hex if once else "")
        headers = {IDEMPOTENCY_KEY: key} if key else {}
        return self._run(Call("POST", path, _decoded, _content(body), headers, safe=bool(key)))

    def put(self, path: str, body: Any) -> Any:
        return self._run(Call("PUT", path, _decoded, _content(body)))

    def delete(self, path: str) -> None:
        self._run(Call("DELETE", path, lambda answer: None))

    def pages(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[dict[str, Any]]:
        """Every page of a list, one after another."""
        token = None
        while True:
            page = self.get(path, {**(query or {}), "token": token})
            yield page
            token = page.get("next_token")
            if not token:
                return

    @contextmanager
    def stream(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[Iterator[bytes]]:
        """An answer's octets, piece by piece.

        :raises CommandError: no answer, a refusal, or an answer that broke off.
        """
        self._need_key()
        with _translated(self.url), self._keyed.stream(Call("GET", _with(path, query), _decoded)) as chunks:
            yield chunks

    def info(self) -> dict[str, Any]:
        """What the deployment says of itself; needs no key. Empty when it answers with an error.

        :raises CommandError: no answer.
        """
        try:
            with _translated(self.url):
                found = self._open.run(Call("GET", path_of("info"), _decoded))
        except ApiError:
            return {}
        return found if isinstance(found, dict) else {}

    def _run(self, call: Call[T]) -> T:
        self._need_key()
        with _translated(self.url):
            return self._keyed.run(call)

    def _need_key(self) -> None:
        if not self.key:
            raise not_authenticated()


def _decoded(answer: Answer) -> Any:
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise UnexpectedAnswerError(answer.status, "the answer is not JSON") from error


def _content(body: Any) -> bytes | None:
    if body is None:
        return None
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _with(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


@contextmanager
def _translated(url: str) -> Iterator[None]:
    """The library's exceptions as the command's."""
    try:
        yield
    except UnexpectedAnswerError as error:
        raise CommandError(
            f"{url} does not answer as an e2a server does: {error.message}",
            exit_code=UNAVAILABLE,
            hint="Is the URL right? See: e2a config get api_url",
        ) from error
    except E2AApiError as error:
        asked = "" if error.retry_after is None else str(math.ceil(error.retry_after))
        raise ApiError(
            error.status_code,
            error.message,
            code=error.code,
            field=error.field or "",
            request_id=error.request_id,
            retry_after=asked,
        ) from error
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


def unreachable(url: str, error: httpx.HTTPError) -> CommandError:
    if isinstance(error, httpx.TimeoutException):
        reason = f"{url} did not answer in time"
    else:
        reason = f"{url} cannot be reached: {error}" if str(error) else f"{url} cannot be reached"
    hint = "Does the server run, and is the URL right? See: e2a config get api_url"
    return CommandError(reason, exit_code=UNAVAILABLE, hint=hint)
