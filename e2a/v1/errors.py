"""What can go wrong in the client, as exceptions.

An answer of status 400 and above is an :class:`E2AApiError` of the class for its status. A connection that fails is
left as the ``httpx`` exception that it is; a missing key, agent or secret is a ``ValueError``; a webhook whose
signature is wrong is Python's own ``PermissionError``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

_PROBLEM = "application/problem+json"
_KNOWN = ("type", "title", "status", "code", "detail", "field", "request_id")


class E2AApiError(Exception):
    """The server refused a request, or answered something that is no answer of an e2a server.

    :ivar status_code: the HTTP status.
    :ivar message: one sentence for people.
    :ivar code: one stable word for programs, such as ``not_found``; "" from a server that does not send it.
    :ivar field: the request field at fault, if one is.
    :ivar request_id: names the request in the server's log; "" when unknown.
    :ivar retry_after: seconds after which the same request makes sense again, None when the server did not say.
    :ivar details: what else the server said, such as the recipients of a message that nobody accepted.
    """

    def __init__(
        self,
        status_code: int,
        message: str,
        *,
        code: str = "",
        field: str | None = None,
        request_id: str = "",
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status_code, message)
        self.status_code = status_code
        self.message = message
        self.code = code
        self.field = field
        self.request_id = request_id
        self.retry_after = retry_after
        self.details = dict(details or {})

    def __str__(self) -> str:
        return f"e2a API error ({self.status_code}): {self.message}"


class InvalidRequestError(E2AApiError):
    """400, 413 and 422: the request is malformed, too large, or cannot be carried out as it is."""


class AuthenticationError(E2AApiError):
    """401: the API key is missing, wrong, revoked or expired."""


class QuotaExceededError(E2AApiError):
    """402: the account has as much as it may have; ``details`` names the quota. Waiting does not help."""


class PermissionDeniedError(E2AApiError):
    """403: the API key is good, but may not do this."""


class NotFoundError(E2AApiError):
    """404: there is no such object, or it is somebody else's. 410: it is over."""


class ConflictError(E2AApiError):
    """409 and 412: the request does not fit the present state."""


class RateLimitError(E2AApiError):
    """429: too many requests; ``retry_after`` says how long to wait."""


class ServerError(E2AApiError):
    """500 and above: the server failed, or is away for the moment."""


class UnexpectedAnswerError(E2AApiError, ValueError):
    """The answer is not one of an e2a server: a redirect, a page, or JSON of another shape."""


class UnverifiedEmailError(RuntimeError):
    """A field of a received e-mail was read before its signature was checked."""


_CLASSES: dict[int, type[E2AApiError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: QuotaExceededError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitError,
}


def error_for(status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> E2AApiError:
    """The exception for a refusal.

    :param headers: of the answer, with names in lower case.
    :param now: Unix time, for a ``Retry-After`` that is a date.
    """
    text = body.decode("utf-8", "replace").strip()
    problem: dict[str, Any] = {}
    if headers.get("content-type", "").partition(";")[0].strip().lower() == _PROBLEM:
        try:
            loaded = json.loads(text)
        except ValueError:
            loaded = None
        if isinstance(loaded, dict):
            problem = loaded
    kind = _CLASSES.get(status, ServerError if status >= 500 else E2AApiError)
    field = problem.get("field")
    return kind(
        status,
        str(problem.get("detail") or problem.get("title") or text),
        code=str(problem.get("code") or ""),
        field=None if field is None else str(field),
        request_id=str(problem.get("request_id") or headers.get("x-request-id", "")),
        retry_after=retry_after(headers, now),
        details={name: value for name, value in problem.items() if name not in _KNOWN},
    )


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a ``Retry-After`` asks for, given as a number or as a date (RFC 9110 10.2.3); None without one."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None
