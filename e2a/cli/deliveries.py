"""``e2a deliveries``, ``redeliver``, ``suppressions``: what did not arrive, and what is not sent."""

from __future__ import annotations

import click

from .output import one_line
from .session import AGENT, Session, client_command
from .urls import path_of


@click.group("deliveries")
def deliveries() -> None:
    """Webhook deliveries."""


@client_command(deliveries, "list")
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, metavar="N")
@click.option("--token", metavar="T", help="Go on after the page that printed it.")
@AGENT
def list_deliveries(session: Session, limit: int, token: str | None, agent: str | None) -> None:
    """List deliveries that ran out of attempts, newest first."""
    path = path_of("agents", session.agent(agent), "deliveries")
    page = session.server.get(path, {"status": "failed", "page_size": limit, "token": token})
    if session.out.as_json:
        session.out.document(page)
        return
    if not page["deliveries"]:
        session.out.line("No failed deliveries.")
        return
    rows = [
        (each["message_id"], each["status"], str(each["attempts"]), each["last_error"], each["created_at"])
        for each in page["deliveries"]
    ]
    session.out.table(("MESSAGE", "STATUS", "ATTEMPTS", "LAST ERROR", "CREATED"), rows, most={"LAST ERROR": 40})
    session.out.hint("Send one again: e2a redeliver MESSAGE")
    if page.get("next_token"):
        session.out.hint(f"More: --token {page['next_token']}")


@client_command(deliveries, "show")
@click.argument("identifier", metavar="MESSAGE")
@AGENT
def show(session: Session, identifier: str, agent: str | None) -> None:
    """Show the delivery of one message, attempt by attempt."""
    found = session.server.get(path_of("agents", session.agent(agent), "messages", identifier, "delivery"))
    out = session.out
    if out.as_json:
        out.document(found)
        return
    out.fields(
        ("Message", found["message_id"]),
        ("Status", found["status"]),
        ("Attempts", str(found["attempts"])),
        ("Next", found["next_attempt_at"] or "—"),
        ("Delivered", found["delivered_at"] or "—"),
    )
    for each in found["log"]:
        outcome = str(each["status_code"] or "no answer")
        error = f"  {one_line(each['error'])}" if each["error"] else ""
        out.line(f"{each['number']:>3}  {each['started_at']}  {outcome}  {each['duration_ms']} ms{error}")


def commands(group: click.Group) -> None:
    """Register the commands."""
    group.add_command(deliveries)
    group.add_command(suppressions)

    @client_command(group, "redeliver")
    @click.argument("identifier", metavar="MESSAGE")
    @AGENT
    def redeliver(session: Session, identifier: str, agent: str | None) -> None:
        """Deliver a message to the agent's webhook again, now."""
        path = path_of("agents", session.agent(agent), "messages", identifier, "redeliver")
        session.out.show(session.server.post(path), f"Redelivering: {identifier}")
        session.out.hint(f"How it goes: e2a deliveries show {identifier}")


@click.group("suppressions")
def suppressions() -> None:
    """Addresses that the account's agents do not write to."""


@client_command(suppressions, "list")
def list_suppressions(session: Session) -> None:
    """List suppressed addresses, and why they are."""
    found = [each for page in session.server.pages(path_of("suppressions")) for each in page["suppressions"]]
    if session.out.as_json:
        session.out.document({"suppressions": found})
    elif not found:
        session.out.line("No suppressed addresses.")
    else:
        rows = [(each["address"], each["reason"], each["created_at"]) for each in found]
        session.out.table(("ADDRESS", "REASON", "SINCE"), rows, most={"REASON": 40})


@client_command(suppressions, "add")
@click.argument("address")
@click.option("--reason", default="", metavar="TEXT", help="For the list.")
def add(session: Session, address: str, reason: str) -> None:
    """Stop writing to an address."""
    made = session.server.post(path_of("suppressions"), {"address": address, "reason": reason})
    session.out.show(made, f"Suppressed: {one_line(made['address'])}")


@client_command(suppressions, "remove")
@click.argument("address")
def remove(session: Session, address: str) -> None:
    """Write to an address again."""
    session.server.delete(path_of("suppressions", address))
    session.out.show({"removed": address}, f"Removed: {one_line(address)}")
