"""``e2a agents``: the account's agents; ``e2a delegations``: for whom they act."""

from __future__ import annotations

import sys
from typing import Any

import click

from .errors import USAGE, CommandError
from .output import duration, one_line
from .session import AGENT, Session, client_command
from .urls import path_of


@click.group("agents")
def agents() -> None:
    """Agents: the addresses that receive and send mail."""


@client_command(agents, "list")
@AGENT
def list_agents(session: Session, agent: str | None) -> None:
    """List the account's agents, newest first."""
    found = [each for page in session.server.pages(path_of("agents")) for each in page["agents"]]
    active = agent or session.config.agent
    if session.out.as_json:
        session.out.document({"agents": found})
        return
    if not found:
        session.out.hint("No agents yet. Make one: e2a agents register NAME@DOMAIN")
    for each in found:
        mark = " " + session.out.good("(active)") if each["email"] == active else ""
        session.out.line(f"{each['email']}  {each['agent_mode']}{mark}")


@client_command(agents, "register")
@click.argument("name_or_address", metavar="SLUG|EMAIL")
@click.option("--name", help="What people see in the From header.")
@click.option("--label", help="Groups agents; a key can be limited to labels that begin alike.")
@click.option("--webhook-url", metavar="URL", help="Deliver by webhook (cloud mode) instead of WebSocket and polling.")
def register(
    session: Session, name_or_address: str, name: str | None, label: str | None, webhook_url: str | None
) -> None:
    """Register an agent.

    A slug on the shared domain, or an address on a domain of yours. It becomes the agent that is meant when no
    --agent is given.
    """
    wanted = {"email" if "@" in name_or_address else "slug": name_or_address}
    if name:
        wanted["name"] = name
    if label:
        wanted["label"] = label
    wanted["agent_mode"] = "cloud" if webhook_url else "local"
    if webhook_url:
        wanted["webhook_url"] = webhook_url
    made = session.server.post(path_of("agents"), wanted, once=True)
    session.config.set("agent_email", made["email"])
    session.config.save()
    session.out.show(made, f"Registered: {made['email']}")
    session.out.hint("Its mail: e2a inbox, or as it comes: e2a listen")


@client_command(agents, "show")
@click.argument("email", required=False)
def show(session: Session, email: str | None) -> None:
    """Show one agent."""
    found = session.server.get(path_of("agents", session.agent(email)))
    if session.out.as_json:
        session.out.document(found)
    else:
        session.out.line(one_line(found["email"]))
        _settings(session, found)


@client_command(agents, "update")
@click.argument("email", metavar="EMAIL|SLUG")
@click.option("--hitl/--no-hitl", default=None, help="Whether a human approves what it sends.")
@click.option("--hitl-ttl", type=click.IntRange(1, 604_800), metavar="SECONDS", help="How long a message is held.")
@click.option(
    "--hitl-expiration-action", type=click.Choice(["approve", "reject"]), help="What happens when nobody decides."
)
@click.option("--webhook-url", metavar="URL", help="Where its mail is posted.")
@click.option("--mode", type=click.Choice(["cloud", "local"]), help="cloud: by webhook; local: WebSocket, polling.")
@click.option("--name", help="What people see in the From header.")
@click.option("--label", help="Groups agents; a key can be limited to labels that begin alike.")
def update(session: Session, email: str, **given: Any) -> None:
    """Change what is given, all of it or nothing."""
    names = {
        "hitl": "hitl_enabled",
        "hitl_ttl": "hitl_ttl_seconds",
        "hitl_expiration_action": "hitl_expiration_action",
        "webhook_url": "webhook_url",
        "mode": "agent_mode",
        "name": "name",
        "label": "label",
    }
    wanted = {names[name]: value for name, value in given.items() if value is not None}
    if not wanted:
        raise CommandError(
            "nothing to change", exit_code=USAGE, hint="Say what, for example --hitl. See: e2a agents update --help"
        )
    changed = session.server.put(path_of("agents", session.address(email)), wanted)
    if session.out.as_json:
        session.out.document(changed)
        return
    session.out.line(f"Updated: {changed['email']}")
    _settings(session, changed)


@client_command(agents, "delete")
@click.argument("email", metavar="EMAIL|SLUG")
@click.option("--yes", "-y", is_flag=True, help="Do not ask (asked on a terminal only).")
def delete(session: Session, email: str, yes: bool) -> None:
    """Delete an agent with all its mail."""
    address = session.address(email)
    confirmed(session, f"Delete {address} with all its mail?", yes)
    session.server.delete(path_of("agents", address))
    if session.config.stored.get("agent_email") == address:
        session.config.set("agent_email", "")
        session.config.save()
    session.out.show({"deleted": address}, f"Deleted: {address}")


@client_command(agents, "test")
@click.argument("email", required=False, metavar="[EMAIL|SLUG]")
def test(session: Session, email: str | None) -> None:
    """Send a test message to an agent.

    It goes through review and delivery as real mail does.
    """
    sent = session.server.post(path_of("agents", session.agent(email), "test"), once=True)
    session.out.show(sent, f"Sent: {sent['message_id']}")


@click.group("delegations")
def delegations() -> None:
    """For whom an agent acts.

    People agree by the link in a mail.
    """


@client_command(delegations, "list")
@AGENT
def list_delegations(session: Session, agent: str | None) -> None:
    """List for whom the agent acts, or has asked to."""
    found = session.server.get(path_of("agents", session.agent(agent), "delegations"))
    if session.out.as_json:
        session.out.document(found)
    elif not found["delegations"]:
        session.out.line("No delegations.")
    else:
        rows = [(each["id"], each["person"], each["state"], each["created_at"]) for each in found["delegations"]]
        session.out.table(("ID", "PERSON", "STATE", "CREATED"), rows, most={})


@client_command(delegations, "propose")
@click.argument("person", metavar="ADDRESS")
@AGENT
def propose(session: Session, person: str, agent: str | None) -> None:
    """Ask a person, by mail, whether the agent may act for them."""
    made = session.server.post(path_of("agents", session.agent(agent), "delegations"), {"person": person})
    session.out.show(made, f"Proposed: {made['id']}")
    session.out.hint(f"{one_line(made['person'])} has seven days to follow the link in the mail.")


@client_command(delegations, "end")
@click.argument("identifier", metavar="ID")
@AGENT
def end(session: Session, identifier: str, agent: str | None) -> None:
    """End a delegation, or withdraw a proposal."""
    session.server.delete(path_of("agents", session.agent(agent), "delegations", identifier))
    session.out.show({"ended": identifier}, f"Ended: {identifier}")


def confirmed(session: Session, question: str, yes: bool) -> None:
    """Ask on a terminal; programs and scripts are not asked.

    :raises CommandError: the answer is no.
    """
    if yes or session.out.as_json or not sys.stdin.isatty():
        return
    if not click.confirm(question, err=True):
        raise CommandError("nothing was done")


def _settings(session: Session, agent: dict[str, Any]) -> None:
    hitl = "disabled"
    if agent["hitl_enabled"]:
        hitl = f"enabled · {agent['hitl_ttl_seconds']}s · auto-{agent['hitl_expiration_action']}"
    pairs = [("HITL", hitl), ("Webhook", agent["webhook_url"] or "—"), ("Mode", agent["agent_mode"])]
    if agent.get("name"):
        pairs.append(("Name", agent["name"]))
    if agent.get("label"):
        pairs.append(("Label", agent["label"]))
    session.out.fields(*pairs)
    if agent["hitl_enabled"]:
        session.out.hint(f"Held messages wait {duration(agent['hitl_ttl_seconds'])}; list them: e2a pending list")
