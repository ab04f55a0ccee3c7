"""``e2a send``, ``reply``, ``forward``: mail out."""

from __future__ import annotations

import base64
import mimetypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .errors import USAGE, CommandError
from .output import remaining
from .session import AGENT, Session, client_command
from .urls import path_of

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _content(function: F) -> F:
    for option in (
        click.option("--conversation-id", metavar="ID", help="The conversation that it belongs to."),
        click.option("--attach", type=_FILE, multiple=True, metavar="FILE", help="A file to attach; repeatable."),
        click.option("--html-body", metavar="HTML", help="The same in HTML."),
        click.option("--body", metavar="TEXT", help="The text; - reads it from standard input."),
        click.option("--bcc", multiple=True, metavar="ADDRESS", help="A blind copy; repeatable."),
        click.option("--cc", multiple=True, metavar="ADDRESS", help="A copy; repeatable."),
    ):
        function = option(function)
    return function


def commands(group: click.Group) -> None:
    """Register the commands."""

    @client_command(group, "send")
    @click.option("--to", multiple=True, metavar="ADDRESS", help="A recipient; repeatable.")
    @click.option("--subject", required=True)
    @_content
    @AGENT
    def send(session: Session, to: tuple[str, ...], subject: str, agent: str | None, **content: Any) -> None:
        """Send a message.

        To people, to agents of this deployment, or both.
        """
        if not (to or content["cc"]):
            raise click.UsageError("Missing option '--to' (or '--cc').")
        if content["body"] is None:
            raise click.UsageError("Missing option '--body'.")
        wanted = {"from": session.agent(agent), "to": list(to), "subject": subject, **_asked(content)}
        _report(session, session.server.post(path_of("send"), wanted, once=True))

    @client_command(group, "reply")
    @click.argument("identifier", metavar="ID")
    @click.option("--reply-all", is_flag=True, help="Answer everybody who got it.")
    @click.option("--force", is_flag=True, help="Answer even what a program sent.")
    @_content
    @AGENT
    def reply(
        session: Session, identifier: str, reply_all: bool, force: bool, agent: str | None, **content: Any
    ) -> None:
        """Answer a received message, in its conversation."""
        if content["body"] is None:
            raise click.UsageError("Missing option '--body'.")
        wanted = _asked(content)
        if reply_all:
            wanted["reply_all"] = True
        if force:
            wanted["force"] = True
        path = path_of("agents", session.agent(agent), "messages", identifier, "reply")
        _report(session, session.server.post(path, wanted, once=True))

    @client_command(group, "resend")
    @click.argument("identifier", metavar="ID")
    def resend(session: Session, identifier: str) -> None:
        """Send a message once more.

        Only one that nobody is known to have taken: its outcome is unknown or failed. Whoever has it already gets a
        second copy.
        """
        _report(session, session.server.post(path_of("messages", identifier, "resend"), {}, once=True))

    @client_command(group, "forward")
    @click.argument("identifier", metavar="ID")
    @click.option("--to", multiple=True, required=True, metavar="ADDRESS", help="A recipient; repeatable.")
    @click.option("--subject", help="Else Fwd: and the subject of the message.")
    @click.option("--as-attachment", is_flag=True, help="Enclose the whole message instead of quoting its text.")
    @_content
    @AGENT
    def forward(
        session: Session,
        identifier: str,
        to: tuple[str, ...],
        subject: str | None,
        as_attachment: bool,
        agent: str | None,
        **content: Any,
    ) -> None:
        """Send a received message on."""
        wanted = {"to": list(to), **_asked(content)}
        if subject:
            wanted["subject"] = subject
        if as_attachment:
            wanted["as"] = "attachment"
        path = path_of("agents", session.agent(agent), "messages", identifier, "forward")
        _report(session, session.server.post(path, wanted, once=True))


def _asked(content: dict[str, Any]) -> dict[str, Any]:
    """The members of the request that are given."""
    wanted: dict[str, Any] = {
        name: list(content[name]) if name in ("cc", "bcc") else content[name]
        for name in ("cc", "bcc", "html_body", "conversation_id")
        if content[name]
    }
    body = content["body"]
    if body is not None:
        wanted["body"] = _from_stdin() if body == "-" else body
    if content["attach"]:
        wanted["attachments"] = [_attachment(path) for path in content["attach"]]
    return wanted


def _from_stdin() -> str:
    """:raises CommandError: what comes is no text."""
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CommandError(
            "standard input is no text in UTF-8",
            exit_code=USAGE,
            hint="Convert it (iconv -t utf-8), or send it as a file: --attach FILE",
        ) from error


def _attachment(path: Path) -> dict[str, str]:
    guessed, encoding = mimetypes.guess_type(path.name)
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", exit_code=USAGE) from error
    return {
        "filename": path.name,
        "content_type": "application/octet-stream" if guessed is None or encoding else guessed,
        "data": base64.b64encode(octets).decode("ascii"),
    }


def _report(session: Session, sent: dict[str, Any]) -> None:
    out = session.out
    out.show(sent, f"Sent: {sent['message_id']}")
    status = sent.get("status")
    if status == "pending_approval":
        until = remaining(str(sent.get("approval_expires_at", "")), out.now())
        out.hint(f"Held until a person approves it (expires {until}). See: e2a pending show {sent['message_id']}")
    elif status == "queued":
        out.hint(
            f"Not taken by the recipient's server yet; it goes on being tried: e2a pending show {sent['message_id']}"
        )
    elif status == "unknown":
        out.hint("The recipient's server took the message, and its answer was lost. It is not sent again.")
    for one in sent.get("recipients", []):
        if one["state"] == "failed":
            out.warning(f"Refused for {one['address']}: {one.get('code', '')} {one.get('reply', '')}".rstrip())
