"""``e2a domains``: domains of one's own, and what their DNS must say."""

from __future__ import annotations

from typing import Any

import click

from .agents import confirmed
from .output import one_line
from .session import Session, client_command
from .urls import path_of


@click.group("domains")
def domains() -> None:
    """Domains of your own, for agents with addresses on them."""


@client_command(domains, "list")
def list_domains(session: Session) -> None:
    """List the account's domains."""
    found = session.server.get(path_of("domains"))
    if session.out.as_json:
        session.out.document(found)
        return
    if not found["domains"]:
        session.out.hint("No domains yet. Claim one: e2a domains register DOMAIN")
    for each in found["domains"]:
        session.out.line(f"{each['domain']}  {_state(session, each['verified'])}")


@client_command(domains, "register")
@click.argument("domain")
def register(session: Session, domain: str) -> None:
    """Claim a domain, and see the DNS records that prove and use it."""
    made = session.server.post(path_of("domains"), {"domain": domain})
    if session.out.as_json:
        session.out.document(made)
        return
    session.out.line(f"{made['domain']}  {_state(session, made['verified'])}")
    records = made["dns_records"]
    session.out.line(f"MX  {records['mx']['host']}  {records['mx']['value']}  (priority {records['mx']['priority']})")
    session.out.line(f"TXT  {records['txt']['host']}  {records['txt']['value']}")
    if records.get("dkim"):
        session.out.line(f"TXT  {records['dkim']['host']}  {records['dkim']['value']}")
    if not made["verified"]:
        session.out.hint(f"Publish these records, then: e2a domains verify {made['domain']}")


@client_command(domains, "verify")
@click.argument("domain")
def verify(session: Session, domain: str) -> None:
    """Prove a claim by its TXT record."""
    done = session.server.post(path_of("domains", domain, "verify"))
    if session.out.as_json:
        session.out.document(done)
        return
    if done["verified"]:
        session.out.line(f"Verified: {done['domain']}")
        if any(each["status"] != "found" for each in done.get("records", [])):
            session.out.hint(f"Some other records are not as they should be yet: e2a domains check {done['domain']}")
    else:
        session.out.hint("Not verified yet. DNS changes take a while to be seen; try again later.")


@client_command(domains, "check")
@click.argument("domain")
def check(session: Session, domain: str) -> None:
    """Show what DNS says of each of a domain's records now."""
    found = session.server.get(path_of("domains", domain))
    out = session.out
    if out.as_json:
        out.document(found)
        return
    out.line(f"{found['domain']}  {_state(session, found['verified'])}")
    for each in found["records"]:
        word = out.good(each["status"]) if each["status"] == "found" else out.warn(each["status"])
        out.line(f"{each['purpose']}: {word}")
        out.line(f"  {each['type']}  {one_line(each['name'])}  {one_line(each['expected'])}")
        if each["status"] == "mismatch":
            for value in each["found"]:
                out.line(f"  DNS has: {one_line(value)}")
        if each["hint"]:
            out.line(f"  {one_line(each['hint'])}")


@client_command(domains, "rotate-key")
@click.argument("domain")
def rotate_key(session: Session, domain: str) -> None:
    """Make another DKIM key. The present one signs until the new record is seen in DNS."""
    done = session.server.post(path_of("domains", domain, "dkim", "rotate"))
    out = session.out
    if out.as_json:
        out.document(done)
        return
    for each in done["dkim_keys"]:
        word = out.good(each["state"]) if each["state"] == "active" else out.warn(each["state"])
        out.line(f"{word}: TXT  {one_line(each['host'])}  {one_line(each['value'])}")
        if each.get("removable_at"):
            out.line(f"  Leave it in DNS until {one_line(each['removable_at'])}")
    if any(each["state"] == "pending" for each in done["dkim_keys"]):
        out.hint(f"Publish the pending record beside the other, then: e2a domains verify {done['domain']}")


@client_command(domains, "delete")
@click.argument("domain")
@click.option("--yes", "-y", is_flag=True, help="Do not ask (asked on a terminal only).")
def delete(session: Session, domain: str, yes: bool) -> None:
    """Give a domain up; not while agents are on it."""
    confirmed(session, f"Give {domain} up?", yes)
    session.server.delete(path_of("domains", domain))
    session.out.show({"deleted": domain}, f"Deleted: {domain}")


def _state(session: Session, verified: Any) -> str:
    return session.out.good("verified") if verified else session.out.warn("unverified")
