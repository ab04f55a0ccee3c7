"""``e2a whoami``, ``export``, ``audit``, ``members``, ``invitations``: the account itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from .agents import confirmed
from .errors import NOT_FOUND, USAGE, ApiError, CommandError
from .output import Output, Progress, duration, octets, one_line
from .session import Session, client_command
from .urls import path_of

_ROLES = click.Choice(["owner", "admin", "member"])


def commands(group: click.Group) -> None:
    """Register the commands."""
    group.add_command(members)
    group.add_command(invitations)

    @client_command(group, "whoami")
    def whoami(session: Session) -> None:
        """Show what the key is and what it may do.

        What remains of its limits and quotas is shown as well.
        """
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
        _show_me(session, found)

    @client_command(group, "export")
    @click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file; - is stdout.")
    @click.option("--format", "form", type=click.Choice(["json", "zip"]), default="json", help="Else json.")
    def export(session: Session, output: Path | None, form: str) -> None:
        """Save everything that the account holds.

        One JSON document, or a ZIP with the mail as .eml beside it.
        """
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
    @click.option("--action", metavar="WORD", help="Only this action, or with key.* all that begin so.")
    @click.option("--user", metavar="USER", help="Only what this person did, by address or id.")
    @click.option("--result", type=click.Choice(["ok", "refused", "failed"]), help="Only with this result.")
    @click.option("--since", metavar="TIME", help="Only events since this time.")
    @click.option("--until", metavar="TIME", help="Only events before this time.")
    def audit(session: Session, limit: int, token: str | None, user: str | None, **filters: str | None) -> None:
        """Show who did what, newest first.

        With --json one event per line.
        """
        shown: list[dict[str, Any]] = []
        filters["user_id"] = _member(session, user) if user else None
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
        people = _people(session) if shown else {}
        rows = [
            (
                each["at"],
                each["action"],
                people.get(each["resource_id"], each["resource_id"]) or each["resource_type"],
                people.get(each["user_id"] or "", each["user_id"] or "—"),
                each["key_prefix"] or "—",
                each["client_ip"] or "—",
                each["result"],
            )
            for each in shown
        ]
        if rows:
            columns = ("TIME", "ACTION", "WHAT", "WHO", "KEY", "FROM", "RESULT")
            session.out.table(columns, rows, most={"WHAT": 40, "WHO": 40})
        else:
            session.out.line("No events.")
        if token:
            session.out.hint(f"More: --token {token}")

    @client_command(group, "usage")
    @click.option("--from", "first", metavar="DATE", help="The first day; else the last 30 days.")
    @click.option("--to", "last", metavar="DATE", help="The last day; else today (UTC).")
    def usage(session: Session, first: str | None, last: str | None) -> None:
        """Show how much mail came in and went out, day by day."""
        found = session.server.get(path_of("usage"), {"from": first, "to": last})
        if session.out.as_json:
            session.out.document(found)
            return
        rows = [(each["date"], str(each["inbound"]), str(each["outbound"])) for each in found["days"] if each["total"]]
        total = found["total"]
        session.out.table(
            ("DAY", "RECEIVED", "SENT"), [*rows, ("total", str(total["inbound"]), str(total["outbound"]))], most={}
        )
        if not found["tracking"]:
            session.out.hint("This deployment does not count.")


@click.group("members")
def members() -> None:
    """Who belongs to the organisation."""


@client_command(members, "list")
def list_members(session: Session) -> None:
    """List the members with their roles."""
    _list(session, "members", ("user_id", "email", "name", "role", "joined_at"), "No members.")


@client_command(members, "role")
@click.argument("identifier", metavar="USER")
@click.argument("role", type=_ROLES)
def set_role(session: Session, identifier: str, role: str) -> None:
    """Give a member another role.

    USER is the address or the id.
    """
    done = session.server.put(path_of("members", _member(session, identifier)), {"role": role})
    session.out.show(done or {"user_id": identifier, "role": role}, f"{identifier}: {role}")


@client_command(members, "remove")
@click.argument("identifier", metavar="USER")
@click.option("--yes", "-y", is_flag=True, help="Do not ask (asked on a terminal only).")
def remove_member(session: Session, identifier: str, yes: bool) -> None:
    """Take a member out of the organisation.

    USER is the address or the id. Their keys end.
    """
    found = _member(session, identifier)
    confirmed(session, f"Take {identifier} out of the organisation?", yes)
    session.server.delete(path_of("members", found))
    session.out.show({"removed": identifier}, f"Removed: {identifier}")


@click.group("invitations")
def invitations() -> None:
    """Who was asked to join the organisation."""


@client_command(invitations, "list")
def list_invitations(session: Session) -> None:
    """List open invitations."""
    _list(session, "invitations", ("id", "email", "role", "expires_at"), "No open invitations.")


@client_command(invitations, "create")
@click.argument("email")
@click.option("--role", type=_ROLES, default="member", help="Else member.")
def invite(session: Session, email: str, role: str) -> None:
    """Invite a person by mail."""
    made = session.server.post(path_of("invitations"), {"email": email, "role": role})
    session.out.show(made, f"Invited: {one_line(email)}")
    if made.get("link"):
        # A server without a public address knows no more than the path.
        link = made["link"] if "://" in made["link"] else session.url + made["link"]
        session.out.warning(f"This deployment cannot send mail: hand them the link yourself: {link}")


@client_command(invitations, "revoke")
@click.argument("identifier", metavar="ID")
def revoke(session: Session, identifier: str) -> None:
    """Withdraw an invitation."""
    session.server.delete(path_of("invitations", identifier))
    session.out.show({"revoked": identifier}, f"Revoked: {identifier}")


def _people(session: Session) -> dict[str, str]:
    """The members' addresses by their ids; a key that may not list members sees ids."""
    try:
        return {
            each["user_id"]: each["email"]
            for page in session.server.pages(path_of("members"))
            for each in page["members"]
        }
    except ApiError as error:
        if error.status in (403, 404):
            return {}
        raise


def _member(session: Session, name: str) -> str:
    """The user id of a member.

    :raises CommandError: nobody in the organisation has the address.
    """
    if "@" not in name:
        return name
    for page in session.server.pages(path_of("members")):
        for each in page["members"]:
            if each["email"].lower() == name.lower():
                return str(each["user_id"])
    raise CommandError(f"{one_line(name)} is no member", hint="Who is: e2a members list", exit_code=NOT_FOUND)


def _list(session: Session, what: str, columns: tuple[str, ...], none: str) -> None:
    found = [each for page in session.server.pages(path_of(what)) for each in page[what]]
    if session.out.as_json:
        session.out.document({what: found})
    elif not found:
        session.out.line(none)
    else:
        headers = [name.upper().replace("_", " ") for name in columns]
        session.out.table(headers, [[str(each[name]) for name in columns] for each in found], most={})


def _show_me(session: Session, found: dict[str, Any]) -> None:
    """What a credential is; a server of before the question says no more than which agents there are."""
    pairs = [("Server", session.url)]
    if "agents" in found:
        pairs.append(("Agents", ", ".join(found["agents"]) or "none"))
    user, organisation, key = (found.get(name) or {} for name in ("user", "organisation", "key"))
    if user:
        pairs.append(("User", user["email"]))
    if organisation:
        pairs.append(("Organisation", f"{organisation['name'] or organisation['id']} ({organisation['role']})"))
    if key:
        pairs.append(("Key", f"{key['key_prefix']}… {key['name']}"))
        for label, name in (("Agent", "agent"), ("Labels", "label_prefix"), ("Expires", "expires_at")):
            if key.get(name):
                pairs.append((label, key[name]))
    if "agents" not in found:
        pairs.append(("May", ", ".join(found["permissions"])))
    for each in found.get("limits", []):
        left = "" if each["remaining"] is None else f", {each['remaining']} left"
        pairs.append(("Limit", f"{each['name']}: {each['limit']} in {duration(each['window_seconds'])}{left}"))
    for each in found.get("quotas", []):
        most = "no limit" if each["limit"] is None else f"{each['limit']}, {each['remaining']} left"
        pairs.append(("Quota", f"{each['name']}: {each['used']} used, {most}"))
    session.out.fields(*pairs)


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
