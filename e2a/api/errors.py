"""Failures on the wire: one table for every route.

The default is one line of ``text/plain``, which shipped clients show as it is. A request whose ``Accept`` names
``application/problem+json`` gets an RFC 9457 object with a stable ``code``. What went wrong inside never leaves: the
log has it, under the request id that every answer carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson

from e2a.core.errors import Busy, E2AError, TooManyRequests

from .routing import Reply

#: Seconds a client is asked to wait when the database or another part is away.
UNAVAILABLE_RETRY = 5
PROBLEM = "application/problem+json"

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    500: "internal",
    503: "unavailable",
}

#: What Python before 3.13 still calls by the names of RFC 7231 and RFC 4918.
_PHRASES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}


def phrase(status: int) -> str:
    """What a status is called (RFC 9110 section 15), with every Python."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def wants_problem(accept: str | None) -> bool:
    """Whether an ``Accept`` header names ``application/problem+json`` and not with weight 0 (RFC 9110 12.5.1)."""
    for part in (accept or "").lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type == PROBLEM:
            weights = [piece[2:] for piece in parameters if piece.startswith("q=")]
            return not weights or weights[0].rstrip("0.") != ""
    return False


def failure(
    status: int,
    text: str,
    *,
    problem: bool,
    request_id: str,
    code: str | None = None,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Reply:
    """The answer for one failure.

    :param problem: whether the client asked for the RFC 9457 form.
    :param details: further members of that form (RFC 9457 section 3.2).
    """
    # Texts may quote the sender's input, which may hold line breaks.
    line = " ".join(text.split())
    extra = dict(headers or {})
    if not problem:
        return Reply(f"{line}\n".encode(), status, extra, "text/plain; charset=utf-8")
    document: dict[str, Any] = {"type": "about:blank", "title": phrase(status), "status": status}
    document["code"] = code or _CODES.get(status, "error")
    document["detail"] = line
    if field is not None:
        document["field"] = field
    document["request_id"] = request_id
    document |= details or {}
    return Reply(orjson.dumps(document) + b"\n", status, extra, PROBLEM)


def refusal(error: E2AError, *, problem: bool, request_id: str) -> Reply:
    """The answer for an error that says itself what outsiders may know."""
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="e2a"'
    if isinstance(error, TooManyRequests | Busy):
        headers["Retry-After"] = str(error.retry_after)
    elif error.status == 503:
        headers["Retry-After"] = str(UNAVAILABLE_RETRY)
    elif error.status == 426:
        headers["Upgrade"] = "websocket"
        headers["Connection"] = "Upgrade"
    return failure(
        error.status,
        error.text,
        problem=problem,
        request_id=request_id,
        code=error.code,
        field=error.field,
        headers=headers,
        details=error.details,
    )
