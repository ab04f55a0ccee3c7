"""``e2a pending``: what agents want to send and a human must approve, and what became of it."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import click

from .completion import words
from .errors import USAGE, CommandError
from .output import clean, one_line, remaining
from .reviewform import Edited, changes, form, parsed
from .session import Session, client_command
from .urls import path_of

_STATUSES = (
    "pending_approval",
    "queued",
    "sent",
    "failed",
    "unknown",
    "rejected",
    "expired_approved",
    "expired_rejected",
    "all",
)


@click.group("pending")
def pending() -> None:
    """Messages that wait for a human's approval."""


@client_command(pending, "list")
@click.option(
    "--status",
    default="pending_approval",
    show_default=True,
    metavar="STATUS",
    help="; ".join(_STATUSES),
    shell_complete=words(*_STATUSES),
)
def list_pending(session: Session, status: str) -> None:
    """List what waits for approval, the most urgent first.

    Or other messages that agents sent.
    """
    out = session.out
    found = [
        each for page in session.server.pages(path_of("messages"), {"status": status}) for each in page["messages"]
    ]
    if out.as_json:
        out.document({"messages": found})
        return
    if not found:
        out.line("No messages pending approval." if status == "pending_approval" else "No messages.")
    for each in found:
        to = ", ".join([*each["to"], *each.get("cc", [])])
        last = remaining(each.get("approval_expires_at", ""), out.now())
        if status != "pending_approval":
            last = each["status"]
        parts = (each["id"], f"{each['agent_id']} → {to}", f'"{each["subject"]}"', last)
        out.line("  ".join(one_line(part) for part in parts))


@client_command(pending, "show")
@click.argument("identifier", metavar="ID")
def show(session: Session, identifier: str) -> None:
    """Show one message that an agent sends.

    What it says while it is held, how it stands afterwards.
    """
    message = session.server.get(path_of("messages", identifier))
    if session.out.as_json:
        session.out.document(message)
        return
    out = session.out
    pairs = [
        ("ID", message["id"]),
        ("Agent", message["agent_id"]),
        ("Status", message["status"]),
        ("Type", message["type"]),
        ("To", ", ".join(message["to"])),
    ]
    for label, key in (("Cc", "cc"), ("Bcc", "bcc")):
        if message.get(key):
            pairs.append((label, ", ".join(message[key])))
    pairs.append(("Subject", message["subject"]))
    for label, key in (("ConvID", "conversation_id"), ("Expires", "approval_expires_at")):
        if message.get(key):
            pairs.append((label, message[key]))
    if message.get("edited"):
        pairs.append(("Edited", "yes"))
    if message.get("rejection_reason"):
        pairs.append(("Reason", message["rejection_reason"]))
    for each in message.get("recipients", []):
        said = f" ({each.get('code', '')} {each.get('reply', '')})" if each.get("reply") else ""
        pairs.append(("Recipient", f"{each['address']}: {each['state']}{said}"))
    out.fields(*pairs)
    if message.get("body_text"):
        out.line()
        out.line(clean(message["body_text"]).rstrip("\n"))
    if message.get("body_html"):
        out.line()
        out.line("HTML:")
        out.line(clean(message["body_html"]).rstrip("\n"))
    if message.get("attachments"):
        out.line()
        out.line("Attachments: " + ", ".join(one_line(each["filename"]) for each in message["attachments"]))


@client_command(pending, "approve")
@click.argument("identifier", metavar="ID")
@click.option("--edit", is_flag=True, help="Change it first, in $VISUAL or $EDITOR.")
def approve(session: Session, identifier: str, edit: bool) -> None:
    """Send a held message, as it is or with edits."""
    wanted: dict[str, Any] = {}
    if edit:
        message = session.server.get(path_of("messages", identifier))
        if message["status"] != "pending_approval":
            raise CommandError(f"the message is {message['status']}, no longer pending")
        wanted = changes(message, _edited(session, form(message)))
        if not wanted:
            session.out.hint("Nothing was changed; it is sent as it is.")
    done = session.server.post(path_of("messages", identifier, "approve"), wanted, once=True)
    edits = " (with edits)" if done.get("edited") else ""
    session.out.show(done, f"Approved: {done['message_id']} → {done['provider_message_id']}{edits}")
    if done["status"] not in ("sent", "expired_approved"):
        session.out.hint(f"It is {done['status']}; how it goes on: e2a pending show {done['message_id']}")


@client_command(pending, "reject")
@click.argument("identifier", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Kept with the message.")
def reject(session: Session, identifier: str, reason: str) -> None:
    """Decide that a held message is not sent."""
    done = session.server.post(path_of("messages", identifier, "reject"), {"reason": reason})
    session.out.show(done, f"Rejected: {done['message_id']}")


def _edited(session: Session, text: str) -> Edited:
    """What the user's editor made of the form.

    :raises CommandError: the editor failed, or the form was emptied, which means: leave it held.
    """
    environ = session.surroundings.environ
    editor = environ.get("VISUAL") or environ.get("EDITOR") or "vi"
    # Held mail is confidential: a directory of its own, which nobody else can enter.
    with tempfile.TemporaryDirectory(prefix="e2a-") as directory:
        path = Path(directory) / "message.txt"
        path.write_text(text, encoding="utf-8")
        try:
            status = subprocess.call([*shlex.split(editor), os.fspath(path)])  # noqa: S603 - the user's own choice
        except (OSError, ValueError) as error:
            raise CommandError(
                f"the editor {editor!r} cannot be started", exit_code=USAGE, hint="Set EDITOR to one that is installed."
            ) from error
        if status:
            raise CommandError(f"the editor ended with {status}; nothing was approved")
        text = path.read_text(encoding="utf-8", errors="replace")
    if not text.strip():
        raise CommandError("the form is empty; nothing was approved")
    try:
        return parsed(text)
    except ValueError as error:
        raise CommandError(f"{error}; nothing was approved", exit_code=USAGE) from error
