"""``e2a whoami``, ``export``, ``audit``, ``members``, ``invitations``: the account itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from .agents import confirmed
from .errors import USAGE, ApiError, CommandError
from .output import Output, Progress, octets, one_line
from .session import Session, client_command
from .urls import path_of

_ROLES = click.Choice(["owner", "admin", "member"])


def commands(group: click.Group) -> None:
    """Register the commands."""
    group.add_command(members)
    group.add_command(invitations)

    @client_command(group, "whoami")
    def whoami(session: Session) -> None:
        """Show what the key is, what it may do, and what remains of its limits."""
        try:
            found = session.server.get(path_of("me"))
        except ApiError as error:
            if error.status != 404:
                raise
            # A server of before this question: that the key is accepted is all there is to find out.
            found = {"agents": [each["email"] for each in session.server.get(path_of("agents"))["agents"]]}
        if session.out.as_json:
            session.out.document(found)
            return
        session.out.fields(("Server", session.url), *_flat(found))

    @client_command(group, "export")
    @click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; - is stdout.")
    @click.option("--format", "form", type=click.Choice(["json", "zip"]), default="json", show_default=True)
    def export(session: Session, output: Path | None, form: str) -> None:
        """Save everything that the account holds: one JSON document, or a ZIP with the mail as .eml beside it."""
        query = {"format": form} if form != "json" else None
        with session.server.stream(path_of("users", "me", "export"), query) as chunks:
            if output == Path("-"):
                for chunk in chunks:
                    sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
                return
            path = output or Path(f"e2a-export-{session.out.now():%Y-%m-%d}.{form}")
            size = _save(session.out, path, chunks)
        session.out.show({"path": str(path), "size": size}, f"Exported: {path} ({octets(size)})")

    @client_command(group, "audit")
    @click.option("--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N")
    @click.option("--token", metavar="T", help="Go on after the page that printed it.")
    @click.option("--action", metavar="WORD", help="Only events of this action.")
    @click.option("--since", metavar="TIME", help="Only events since this time.")
    @click.option("--until", metavar="TIME", help="Only events before this time.")
    def audit(session: Session, limit: int, token: str | None, **filters: str | None) -> None:
        """Show who did what, newest first; with --json one event per line."""
        shown: list[dict[str, Any]] = []
        while len(shown) < limit:
            query = {**filters, "page_size": min(limit - len(shown), 100), "token": token}
            page = session.server.get(path_of("audit"), query)
            shown += page["events"]
            token = page.get("next_token")
            if not token:
                break
        if session.out.as_json:
            for each in shown:
                session.out.record(each)
            return
        _listing(session.out, shown, "No events.")
        if token:
            session.out.hint(f"More: --token {token}")


@click.group("members")
def members() -> None:
    """Who belongs to the organisation."""


@client_command(members, "list")
def list_members(session: Session) -> None:
    """List the members with their roles."""
    _list(session, "members", "No members.")


@client_command(members, "role")
@click.argument("identifier", metavar="USER")
@click.argument("role", type=_ROLES)
def set_role(session: Session, identifier: str, role: str) -> None:
    """Give a member another role."""
    done = session.server.put(path_of("members", identifier), {"role": role})
    session.out.show(done or {"user_id": identifier, "role": role}, f"{identifier}: {role}")


@client_command(members, "remove")
@click.argument("identifier", metavar="USER")
@click.option("--yes", "-y", is_flag=True, help="Do not ask (asked on a terminal only).")
def remove_member(session: Session, identifier: str, yes: bool) -> None:
    """Take a member out of the organisation."""
    confirmed(session, f"Take {identifier} out of the organisation?", yes)
    session.server.delete(path_of("members", identifier))
    session.out.show({"removed": identifier}, f"Removed: {identifier}")


@click.group("invitations")
def invitations() -> None:
    """Who was asked to join the organisation."""


@client_command(invitations, "list")
def list_invitations(session: Session) -> None:
    """List open invitations."""
    _list(session, "invitations", "No open invitations.")


@client_command(invitations, "create")
@click.argument("email")
@click.option("--role", type=_ROLES, default="member", show_default=True)
def invite(session: Session, email: str, role: str) -> None:
    """Invite a person by mail."""
    made = session.server.post(path_of("invitations"), {"email": email, "role": role})
    session.out.show(made, f"Invited: {one_line(email)}")


@client_command(invitations, "revoke")
@click.argument("identifier", metavar="ID")
def revoke(session: Session, identifier: str) -> None:
    """Withdraw an invitation."""
    session.server.delete(path_of("invitations", identifier))
    session.out.show({"revoked": identifier}, f"Revoked: {identifier}")


def _list(session: Session, what: str, none: str) -> None:
    found = [each for page in session.server.pages(path_of(what)) for each in page[what]]
    if session.out.as_json:
        session.out.document({what: found})
    else:
        _listing(session.out, found, none)


def _listing(out: Output, found: list[dict[str, Any]], none: str) -> None:
    """Objects as a table, with the columns that they have."""
    if not found:
        out.line(none)
        return
    columns = list(dict.fromkeys(key for each in found for key, value in each.items() if not isinstance(value, dict)))
    rows = [[_text(each.get(name)) for name in columns] for each in found]
    out.table([name.upper().replace("_", " ") for name in columns], rows, most={})


def _flat(found: dict[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Every value within an object as a labelled line."""
    pairs: list[tuple[str, str]] = []
    for name, value in found.items():
        label = (above + " " + name.replace("_", " ")).strip()
        if isinstance(value, dict):
            pairs += _flat(value, label)
        else:
            pairs.append((label[:1].upper() + label[1:], _text(value)))
    return pairs


def _text(value: Any) -> str:
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_text(each) for each in value) or "—"
    return str(value)


def _save(out: Output, path: Path, chunks: Any) -> int:
    """Write the octets to a file that only its owner can read; it appears when it is whole."""
    part = path.with_name(path.name + ".part")
    progress = Progress(out, "Exporting")
    size = 0
    try:
        with open(part, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for chunk in chunks:
                size += file.write(chunk)
                progress.add(len(chunk))
        os.replace(part, path)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}", exit_code=USAGE) from error
    finally:
        progress.done()
        part.unlink(missing_ok=True)
    return size
