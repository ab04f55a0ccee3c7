"""How the command fails: one message, what to do next, and a stable exit code."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from .output import clean, json_text

OK = 0
FAILED = 1
USAGE = 2
NOT_AUTHENTICATED = 3
NOT_FOUND = 4
REFUSED = 5
LIMITED = 6
UNAVAILABLE = 7
NOTHING_CAME = 8
WARNINGS = 10
FAILURES = 11
INTERRUPTED = 130

#: Every exit code with its meaning; scripts may rely on both.
EXIT_CODES = (
    (OK, "done"),
    (FAILED, "failed for a reason that has no code of its own"),
    (USAGE, "wrong usage: an unknown command or option, a missing or malformed argument"),
    (NOT_AUTHENTICATED, "no API key, or the server does not accept it"),
    (NOT_FOUND, "no such object, or it belongs to someone else"),
    (REFUSED, "the server understood and refused: a permission, a conflict, a value it cannot accept"),
    (LIMITED, "a rate limit or a quota is used up"),
    (UNAVAILABLE, "the server cannot be reached, or it failed"),
    (NOTHING_CAME, "waited as long as it was told to, and nothing came"),
    (WARNINGS, "`e2a doctor` found something doubtful, and nothing that does not work"),
    (FAILURES, "`e2a doctor` found something that does not work"),
    (INTERRUPTED, "interrupted from the keyboard (`e2a listen` ends with 0)"),
)

#: What usually helps, by the stable code of the server's answer.
_HINTS = {
    "sending_not_configured": "Mail to people needs a way out: see `outbound_smtp` in the daemon's configuration.",
    "recipient_suppressed": "If the address works again: e2a suppressions remove ADDRESS",
    "auto_reply_blocked": "If it should be answered all the same, add --force.",
    "precondition_failed": "DNS changes take a while to be seen. What is still wrong: e2a domains check DOMAIN",
}
#: What usually helps, by the field at fault of a malformed request.
_FIELD_HINTS = {
    "from": "Which agents there are: e2a agents list",
    "slug": "Which domains there are, for an address on one: e2a domains list",
    "webhook_url": "Where mail is posted is said by --webhook-url URL.",
}


class CommandError(click.ClickException):
    """:param hint: what to do next, a full sentence or a command; empty when there is nothing to say.
    :param details: what else a program may want to know, for ``--json``.
    :ivar as_json: whether to show it as one JSON object.
    """

    def __init__(
        self, message: str, *, exit_code: int = FAILED, hint: str = "", details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]
        self.hint = hint
        self.details = details or {}
        self.as_json = False

    def show(self, file: IO[Any] | None = None) -> None:
        stream = file or sys.stderr
        if self.as_json:
            document = {"message": self.message, "exit_code": self.exit_code, "hint": self.hint, **self.details}
            click.echo(json_text({"error": document}), file=stream)
            return
        click.echo(f"Error: {clean(self.message)}", file=stream)
        if self.hint:
            click.echo(clean(self.hint), file=stream)


class ApiError(CommandError):
    """The server's refusal.

    :param hint: what to do where nothing more is known than its status and code.
    :ivar status: the HTTP status.
    :ivar code: the server's stable word for the reason, empty when it gave none.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        field: str = "",
        request_id: str = "",
        retry_after: str = "",
        hint: str = "",
    ) -> None:
        self.status, self.code = status, code
        details: dict[str, Any] = {"status": status, "code": code, "field": field, "request_id": request_id}
        if field and field.partition("[")[0] not in message:
            message = f"{field}: {message}"
        super().__init__(
            message or f"the server answered {status}",
            exit_code=exit_code_of(status),
            hint=_hint(status, code, request_id, retry_after)
            or (_FIELD_HINTS.get(field, hint) if status == 400 else hint),
            details={name: value for name, value in details.items() if value},
        )

    @property
    def retriable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.exit_code in (LIMITED, UNAVAILABLE)


def not_authenticated() -> CommandError:
    return CommandError(
        "Not authenticated. Run: e2a login",
        exit_code=NOT_AUTHENTICATED,
        hint="Or set E2A_API_KEY. On the daemon's own machine `e2a bootstrap you@example.com` makes a first key.",
    )


def exit_code_of(status: int) -> int:
    """The exit code for an HTTP status that is no success."""
    if status == 401:
        return NOT_AUTHENTICATED
    if status == 404:
        return NOT_FOUND
    if status in (402, 429):
        return LIMITED
    if status >= 500:
        return UNAVAILABLE
    return REFUSED if status >= 400 else FAILED


def _hint(status: int, code: str, request_id: str, retry_after: str) -> str:
    if code in _HINTS:
        return _HINTS[code]
    if status == 401:
        return "The key may have been revoked or have expired. A new one: e2a login"
    if status == 429:
        return f"Try again in {retry_after} seconds." if retry_after else "Try again in a minute."
    if status == 402:
        return "What is used and allowed: e2a whoami"
    if status >= 500 and request_id:
        return f"The daemon's log has more under request id {request_id}."
    if status == 403:
        return "What this key may do: e2a whoami"
    return ""
