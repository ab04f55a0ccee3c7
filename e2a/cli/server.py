"""The REST interface as the command uses it: the client library's transport, with JSON exactly as the server says it.

Commands show what came, so nothing is modelled here: a member that a newer server adds appears in ``--json`` at once.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx

from ..v1.errors import E2AApiError, UnexpectedAnswerError
from ..v1.hosts import mounts_for
from ..v1.transport import DEFAULT_RETRIES, DEFAULT_TIMEOUT, IDEMPOTENCY_KEY, Answer, Call, Transport
from .errors import NOT_AUTHENTICATED, UNAVAILABLE, ApiError, CommandError, not_authenticated
from .output import one_line
from .urls import checked_url, listing_of, path_of

T = TypeVar("T")
_WRONG_URL = "Is the URL right? See: e2a config get api_url"


class Server:
    """:param key: the API key; empty for what needs none.
    :param transport: instead of the network.
    """

    def __init__(self, url: str, key: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = checked_url(url)
        self.key = key
        if not (key.isascii() and key.isprintable() and " " not in key):
            raise CommandError(
                "the API key holds characters that no key has",
                exit_code=NOT_AUTHENTICATED,
                hint="Copy it again, or get a new one: e2a login",
            )
        self._client = httpx.Client(transport=transport, mounts=mounts_for(self.url))
        self._keyed = Transport(key, self.url, DEFAULT_TIMEOUT, DEFAULT_RETRIES, self._client)
        # A question to a server that may not be there is asked once.
        self._open = Transport(None, self.url, DEFAULT_TIMEOUT, 0, self._client)

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None, *, patience: float = 0.0) -> Any:
        """The answer's JSON, an object; None when it has no body.

        :param query: entries that are None or empty are left out.
        :param patience: seconds that the server may take on top of the time-out.
        :raises CommandError: no answer, or a refusal.
        """
        return self._run(Call("GET", _with(path, query), _decoded, patience=patience, safe=True))

    def array(self, path: str) -> list[Any]:
        """The answer's JSON where that is a bare array."""
        return self._run(Call("GET", path, _decoded_array, safe=True))

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
        with _translated(self.url, path), self._keyed.stream(Call("GET", _with(path, query), _decoded)) as chunks:
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
        return found or {}

    def _run(self, call: Call[T]) -> T:
        self._need_key()
        with _translated(self.url, call.path):
            return self._keyed.run(call)

    def _need_key(self) -> None:
        if not self.key:
            raise not_authenticated()


class _Object(dict[str, Any]):
    """A JSON object of an answer, in which a member that must be there is missed with a message."""

    def __missing__(self, name: str) -> Any:
        raise CommandError(f"the server's answer has no {name!r}", exit_code=UNAVAILABLE, hint=_WRONG_URL)


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body, object_pairs_hook=_Object)
    except ValueError as error:
        raise UnexpectedAnswerError(answer.status, "the answer is not JSON") from error


def _decoded(answer: Answer) -> Any:
    if answer.status == 204:
        return None
    found = _json(answer)
    if not isinstance(found, dict):
        raise UnexpectedAnswerError(answer.status, "the answer is not a JSON object")
    return found


def _decoded_array(answer: Answer) -> list[Any]:
    found = _json(answer)
    if not (isinstance(found, list) and all(isinstance(each, dict) for each in found)):
        raise UnexpectedAnswerError(answer.status, "the answer is not an array of JSON objects")
    return found


def _content(body: Any) -> bytes | None:
    if body is None:
        return None
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _with(path: str, query: Mapping[str, Any] | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


@contextmanager
def _translated(url: str, path: str = "") -> Iterator[None]:
    """The library's exceptions as the command's.

    :param path: of what is asked, for what to do next.
    """
    try:
        yield
    except E2AApiError as error:
        raise refused(url, error, path) from error
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


def refused(url: str, error: E2AApiError, path: str) -> CommandError:
    """:param path: of what was asked, for what to do next."""
    if isinstance(error, UnexpectedAnswerError):
        what = error.message.removesuffix(": is base_url right?")
        said = f"{url} does not answer as an e2a server does: {what}"
        return CommandError(said, exit_code=UNAVAILABLE, hint=_WRONG_URL)
    if error.message.startswith("<"):
        said = f"{url} answered {error.status_code} with a web page{_title(error.message)}"
        return CommandError(said, exit_code=UNAVAILABLE, hint=_WRONG_URL)
    listing = listing_of(path) if error.status_code == 404 else ""
    return ApiError(
        error.status_code,
        error.message,
        code=error.code,
        field=error.field or "",
        request_id=error.request_id,
        retry_after="" if error.retry_after is None else str(math.ceil(error.retry_after)),
        hint=f"What there is: {listing}" if listing else "",
    )


def unreachable(url: str, error: Exception) -> CommandError:
    """:param error: of the connection."""
    text = one_line(str(error))
    if isinstance(error, httpx.TimeoutException):
        reason = f"{url} did not answer in time"
    else:
        reason = f"{url} cannot be reached: {text}" if text else f"{url} cannot be reached"
    hint = "Does the server run, and is the URL right? See: e2a config get api_url"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "Its certificate is not trusted here. If it is of an authority of your own: SSL_CERT_FILE=authority.pem"
    elif "WRONG_VERSION_NUMBER" in text:
        hint = "Does the server speak http there instead of https? See: e2a config get api_url"
    return CommandError(reason, exit_code=UNAVAILABLE, hint=hint)


def _title(page: str) -> str:
    found = re.search(r"<title[^>]*>(.*?)</title>", page[:10_000], re.DOTALL | re.IGNORECASE)
    title = one_line(found[1])[:80] if found else ""
    return f": {title}" if title else ""
