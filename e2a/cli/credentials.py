"""``e2a keys`` and ``e2a secrets``: who may call the API, and what signs the mail that agents get."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from .output import Output
from .session import Session, client_command
from .urls import path_of

_KEYS = "/api/keys"
_DURATION = re.compile(r"([1-9][0-9]{0,5})([hdwy])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}


@click.group("keys")
def keys() -> None:
    """API keys."""


@client_command(keys, "list")
def list_keys(session: Session) -> None:
    """List the account's keys, newest first."""
    found = session.server.array(_KEYS)
    if session.out.as_json:
        session.out.document({"keys": found})
        return
    rows = [
        (
            each["id"],
            each["name"],
            each["key_prefix"] + "…",
            each.get("agent") or "all",
            each.get("last_used_at") or "never",
            each.get("expires_at") or "never",
        )
        for each in found
    ]
    session.out.table(("ID", "NAME", "KEY", "AGENT", "LAST USED", "EXPIRES"), rows, most={"NAME": 30, "AGENT": 320})


@client_command(keys, "create")
@click.argument("name", default="")
@click.option(
    "--permission", "permissions", multiple=True, help="Such as messages:read; repeatable. Else: all of yours."
)
@click.option("--read-only", is_flag=True, help="Every permission that only looks, instead of --permission.")
@click.option("--agent", metavar="EMAIL", help="The only agent that the key can see.")
@click.option("--label-prefix", metavar="TEXT", help="The key sees only agents whose label begins so.")
@click.option("--expires", metavar="TIME", help="30d, 12h, 4w, 1y, or a time such as 2030-01-31T12:00:00Z.")
def create_key(
    session: Session,
    name: str,
    permissions: tuple[str, ...],
    read_only: bool,
    agent: str | None,
    label_prefix: str | None,
    expires: str | None,
) -> None:
    """Make a key that can do no more than yours. It is shown this once."""
    wanted = {
        "name": name,
        "permissions": list(permissions) or None,
        "read_only": read_only or None,
        "agent": session.address(agent) if agent else None,
        "label_prefix": label_prefix,
        "expires_at": _expiry(session.out, expires) if expires else None,
    }
    made = session.server.post(_KEYS, {key: value for key, value in wanted.items() if value is not None})
    session.out.show(made, f"API key: {made['key']}")
    session.out.hint(f"Keep it now: it cannot be shown again. To revoke it: e2a keys revoke {made['id']}")


@client_command(keys, "revoke")
@click.argument("identifier", metavar="ID")
def revoke(session: Session, identifier: str) -> None:
    """Revoke a key at once."""
    path = path_of("keys", identifier).replace("/api/v1/", "/api/", 1)
    session.server.delete(path)
    session.out.show({"revoked": identifier}, f"Revoked: {identifier}")


@click.group("secrets")
def secrets() -> None:
    """Signing secrets.

    Agents check the signature of their mail with them.
    """


@client_command(secrets, "list")
def list_secrets(session: Session) -> None:
    """List the signing secrets, newest first; the newest signs."""
    found = session.server.get(path_of("users", "me", "signing-secrets"))
    if session.out.as_json:
        session.out.document(found)
        return
    rows = [
        (
            each["id"],
            each["name"],
            each["secret_prefix"] + "…",
            each["created_at"],
            each.get("last_signed_at") or "never",
            each.get("retires_at") or "—",
        )
        for each in found["secrets"]
    ]
    session.out.table(("ID", "NAME", "SECRET", "CREATED", "LAST SIGNED", "RETIRES"), rows, most={"NAME": 30})


@client_command(secrets, "create")
@click.argument("name", default="")
def create_secret(session: Session, name: str) -> None:
    """Make a signing secret, which signs from now on. It is shown this once."""
    made = session.server.post(path_of("users", "me", "signing-secrets"), {"name": name})
    session.out.show(made, f"Secret: {made['secret']}")
    session.out.hint("Keep it now: it cannot be shown again. Programs find it in E2A_WEBHOOK_SECRET.")


@client_command(secrets, "rotate")
@click.argument("name", default="")
@click.option("--overlap", type=click.IntRange(0), metavar="SECONDS", help="How long the earlier ones still count.")
def rotate(session: Session, name: str, overlap: int | None) -> None:
    """Replace the signing secrets by a new one.

    Until the overlap ends all of them sign. The new one is shown this once.
    """
    wanted: dict[str, str | int] = {"name": name} | ({} if overlap is None else {"overlap_seconds": overlap})
    made = session.server.post(path_of("users", "me", "signing-secrets", "rotate"), wanted)
    session.out.show(made, f"Secret: {made['secret']}")
    session.out.hint("Give it to the receivers beside the earlier ones. When those end: e2a secrets list")


@client_command(secrets, "delete")
@click.argument("identifier", metavar="ID")
def delete_secret(session: Session, identifier: str) -> None:
    """Delete a signing secret; the last one stays."""
    session.server.delete(path_of("users", "me", "signing-secrets", identifier))
    session.out.show({"deleted": identifier}, f"Deleted: {identifier}")


def _expiry(out: Output, text: str) -> str:
    """A time; the server judges what is not one of the short forms."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return text
    return (out.now() + int(match[1]) * _UNITS[match[2]]).isoformat(timespec="seconds")
