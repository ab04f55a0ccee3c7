"""``e2a inbox``, ``read``, ``wait``, ``attachments``, ``conversations``: received mail."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .errors import NOT_FOUND, NOTHING_CAME, USAGE, CommandError
from .output import Output, clean, octets
from .session import AGENT, Session, client_command
from .urls import path_of

F = TypeVar("F", bound=Callable[..., Any])
#: Messages that the server gives at a time.
_PAGE = 100
#: Seconds of one long poll.
_POLL = 60
_MISSING_TEXT = "(no text)"


def _filters(function: F) -> F:
    function = click.option("--subject", metavar="TEXT", help="Only mail whose subject contains this.")(function)
    return click.option("--from", "sender", metavar="ADDRESS", help="Only mail from this address.")(function)


@click.group("attachments")
def attachments() -> None:
    """Attachments of received mail."""


@click.group("conversations")
def conversations() -> None:
    """Threads of received and sent mail."""


def commands(group: click.Group) -> None:
    """Register the commands."""
    group.add_command(attachments)
    group.add_command(conversations)

    @client_command(group, "inbox")
    @click.option("--unread", "status", flag_value="unread", help="Only what nobody has read.")
    @click.option("--read", "status", flag_value="read", help="Only what has been read.")
    @click.option("--limit", type=click.IntRange(1), default=20, show_default=True, metavar="N")
    @click.option("--token", metavar="T", help="Go on after the page that printed it.")
    @_filters
    @AGENT
    def inbox(
        session: Session,
        status: str | None,
        limit: int,
        token: str | None,
        sender: str | None,
        subject: str | None,
        agent: str | None,
    ) -> None:
        """List received mail, oldest first. Listing does not mark it read."""
        query = {"status": status or "all", "from": sender, "subject_contains": subject}
        path = path_of("agents", session.agent(agent), "messages")
        found: list[dict[str, Any]] = []
        while True:
            page = session.server.get(path, {**query, "page_size": min(limit - len(found), _PAGE), "token": token})
            found += page["messages"]
            token = page.get("next_token")
            if not token or len(found) >= limit:
                break
        if session.out.as_json:
            session.out.document({"messages": found} | ({"next_token": token} if token else {}))
            return
        if not found:
            session.out.line("No messages.")
            return
        rows = [
            (each["message_id"], each["from"], each["subject"], each["created_at"], _proven(each)) for each in found
        ]
        columns = ("ID", "FROM", "SUBJECT", "RECEIVED", "VERIFIED")
        session.out.table(columns, rows, most={"FROM": 25, "SUBJECT": 30})
        more = f" (use --token {token} for next page)" if token else ""
        session.out.line(f"{len(found)} messages{more}")

    @client_command(group, "read")
    @click.argument("identifier", metavar="ID")
    @click.option("--keep-unread", is_flag=True, help="Do not mark it read.")
    @click.option("--html", is_flag=True, help="The HTML body instead of the text.")
    @click.option("--raw", is_flag=True, help="The message as stored (.eml), octet by octet; does not mark it read.")
    @AGENT
    def read(session: Session, identifier: str, keep_unread: bool, html: bool, raw: bool, agent: str | None) -> None:
        """Show one message, and mark it read."""
        path = path_of("agents", session.agent(agent), "messages", identifier)
        if raw:
            with session.server.stream(path + "/raw") as chunks:
                for chunk in chunks:
                    sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            return
        message = session.server.get(path, {"mark_read": "false"} if keep_unread else None)
        if session.out.as_json:
            session.out.document(message)
        else:
            show(session.out, message, html=html)

    @client_command(group, "wait")
    @click.option("--timeout", type=click.IntRange(0), default=300, show_default=True, metavar="SECONDS")
    @click.option("--after", type=click.IntRange(0), metavar="CURSOR", help="Only what came after this cursor.")
    @_filters
    @AGENT
    def wait(
        session: Session,
        timeout: int,
        after: int | None,
        sender: str | None,
        subject: str | None,
        agent: str | None,
    ) -> None:
        """Wait for a message that matches.

        The oldest unread one counts. Waiting does not mark it read. Ends with 8 when nothing came in time.
        """
        address = session.agent(agent)
        session.out.hint(f"Waiting for mail to {address}…")
        found = wait_for(session, address, timeout, after, sender=sender, subject=subject)
        if found is None:
            raise CommandError("no message came in time", exit_code=NOTHING_CAME)
        message = found["message"]
        if session.out.as_json:
            session.out.document(found)
            return
        session.out.fields(
            ("Message ID", message["message_id"]),
            ("From", message["from"]),
            ("Subject", message["subject"]),
            ("Date", message["created_at"]),
            ("Verified", _proven(message)),
            ("Cursor", str(found["cursor"])),
        )
        session.out.hint(f"Read it: e2a read {message['message_id']}")


def wait_for(
    session: Session,
    agent: str,
    timeout: float,
    after: int | None = None,
    *,
    sender: str | None = None,
    subject: str | None = None,
) -> dict[str, Any] | None:
    """The first message that matches with its cursor, or None after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    query = {"from": sender, "subject_contains": subject}
    while True:
        left = max(0, min(_POLL, math.ceil(end - time.monotonic())))
        found: dict[str, Any] | None = session.server.get(
            path_of("agents", agent, "messages", "wait"),
            {**query, "timeout": left, "after": after},
            patience=left,
        )
        if found is not None or time.monotonic() >= end:
            return found


def _proven(summary: dict[str, Any]) -> str:
    """Whether the sender is who the From header says; earlier servers leave that out of their lists."""
    verified = summary.get("verified")
    return "—" if verified is None else "yes" if verified else "no"


def show(out: Output, message: dict[str, Any], *, html: bool = False) -> None:
    """One whole message, for people."""
    pairs = [
        ("Message ID", message["message_id"]),
        ("From", message["from"]),
        ("To", message["recipient"]),
    ]
    also = [address for address in message["to"] if address.lower() != message["recipient"].lower()]
    for label, addresses in (("Also-To", also), ("Cc", message["cc"])):
        if addresses:
            pairs.append((label, ", ".join(addresses)))
    pairs += [("Date", message["created_at"]), ("Subject", message["subject"])]
    pairs.append(("Verified", verdict(message)))
    if message.get("attachments"):
        names = [f"{each['filename']} ({octets(each['size'])})" for each in message["attachments"]]
        pairs.append(("Attachments", ", ".join(names)))
    out.fields(*pairs)
    out.line()
    out.line(clean(message["html"] if html else message["text"]).rstrip("\n") or _MISSING_TEXT)
    if not html and not message["text"].strip() and message["html"]:
        out.hint("The message has HTML only: add --html")
    if message.get("thread_hijack_suspected"):
        out.warning("Careful: it quotes a known conversation, but its sender was not shown to take part in it.")


def verdict(message: dict[str, Any]) -> str:
    """Whether the sender is who the From header says, and the check behind it."""
    check = message.get("auth_headers", {}).get("X-E2A-Auth-Domain-Check", "")
    return ("yes" if message.get("verified") else "no") + (f" ({check})" if check else "")


@client_command(attachments, "list")
@click.argument("identifier", metavar="ID")
@AGENT
def list_attachments(session: Session, identifier: str, agent: str | None) -> None:
    """List the attachments of a message; does not mark it read."""
    found = _attachments(session, session.agent(agent), identifier)
    if session.out.as_json:
        session.out.document({"attachments": found})
    elif not found:
        session.out.line("No attachments.")
    else:
        rows = [(str(each["index"]), each["filename"], each["content_type"], octets(each["size"])) for each in found]
        session.out.table(("INDEX", "NAME", "TYPE", "SIZE"), rows, most={"NAME": 60})


@client_command(attachments, "save")
@click.argument("identifier", metavar="ID")
@click.argument("indices", type=click.IntRange(0), nargs=-1, metavar="[INDEX]...")
@click.option(
    "--dir",
    "-d",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where to; made if missing.",
)
@AGENT
def save(session: Session, identifier: str, indices: tuple[int, ...], directory: Path, agent: str | None) -> None:
    """Save attachments.

    All of them or those named; a file that is there is never replaced.
    """
    address = session.agent(agent)
    found = _attachments(session, address, identifier)
    missing = set(indices) - {each["index"] for each in found}
    if missing:
        raise CommandError(f"the message has no attachment {min(missing)}", exit_code=NOT_FOUND)
    saved = []
    for each in found:
        if indices and each["index"] not in indices:
            continue
        url = path_of("agents", address, "messages", identifier, "attachments", str(each["index"]))
        with session.server.stream(url) as chunks:
            path = _write(directory, each["filename"], chunks)
        saved.append({**each, "path": str(path)})
        if not session.out.as_json:
            session.out.line(f"Saved: {path}")
    if session.out.as_json:
        session.out.document({"attachments": saved})
    elif not found:
        session.out.line("No attachments.")


def _attachments(session: Session, agent: str, identifier: str) -> list[dict[str, Any]]:
    message = session.server.get(path_of("agents", agent, "messages", identifier), {"mark_read": "false"})
    return list(message["attachments"])


def _write(directory: Path, name: str, chunks: Any) -> Path:
    """A new file, under the name that the sender chose as far as that is safe."""
    safe = "".join(char if char.isprintable() and char not in '/\\:*?"<>|' else "_" for char in name).strip(". ")
    stem, dot, suffix = (safe[:200] or "attachment").partition(".")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            path = directory / (f"{stem}{dot}{suffix}" if number == 1 else f"{stem}-{number}{dot}{suffix}")
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
            except FileExistsError:
                continue
            with os.fdopen(handle, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
            return path
    except OSError as error:
        raise CommandError(f"{directory} cannot be written to: {error.strerror}", exit_code=USAGE) from error
    raise CommandError(f"{directory} holds too many files of the name {safe}", exit_code=USAGE)


@client_command(conversations, "list")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, metavar="N")
@click.option("--token", metavar="T", help="Go on after the page that printed it.")
@AGENT
def list_conversations(session: Session, limit: int, token: str | None, agent: str | None) -> None:
    """List conversations, the one with the latest message first."""
    path = path_of("agents", session.agent(agent), "conversations")
    page = session.server.get(path, {"page_size": limit, "token": token})
    if session.out.as_json:
        session.out.document(page)
        return
    if not page["conversations"]:
        session.out.line("No conversations.")
        return
    rows = [
        (
            each["id"],
            ", ".join(each["participants"]),
            each["subject"],
            str(each["message_count"]),
            str(each["unread"]),
            each["last_message_at"],
        )
        for each in page["conversations"]
    ]
    headers = ("ID", "WITH", "SUBJECT", "MESSAGES", "UNREAD", "LATEST")
    session.out.table(headers, rows, most={"WITH": 40, "SUBJECT": 30})
    if page.get("next_token"):
        session.out.hint(f"More: --token {page['next_token']}")


@client_command(conversations, "show")
@click.argument("identifier", metavar="ID")
@AGENT
def show_conversation(session: Session, identifier: str, agent: str | None) -> None:
    """Show one conversation, oldest message first.

    Nothing is marked as read.
    """
    path = path_of("agents", session.agent(agent), "conversations", identifier)
    found = [each for page in session.server.pages(path, {"page_size": _PAGE}) for each in page["messages"]]
    if session.out.as_json:
        session.out.document({"id": identifier, "messages": found})
        return
    rows = [
        (
            each["message_id"],
            "→" if each["direction"] == "outbound" else "←",
            each["from"],
            each["subject"],
            each["status"],
            each["created_at"],
        )
        for each in found
    ]
    session.out.table(("ID", "", "FROM", "SUBJECT", "STATUS", "TIME"), rows, most={"FROM": 30, "SUBJECT": 40})
