"""A verdict in plain words: who sent a message and what of that was proven, for people who know nothing of DKIM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from e2a.core.entities import InboundMessage

from .verdict import domain_of

#: ``good``: proven; ``warn``: not proven; ``bad``: there are signs that somebody pretends.
Level = Literal["good", "warn", "bad"]

_AUTOMATION = {
    "auto_submitted": "it says so itself",
    "precedence": "it is marked as bulk mail",
    "list_id": "it comes from a mailing list",
    "auto_response_suppress": "it asks for no automatic answer",
    "auto_responder": "an automatic responder wrote it",
    "null_return_path": "nobody wants to hear if it cannot be delivered",
    "delivery_report": "it is a report about a delivery",
    "no_reply_sender": "nobody reads answers to its sender",
}
_DEFECTS = {
    "bare_newline": "Its header has line ends that mail programs read differently.",
    "nul": "Its header has characters that no header may have.",
    "bad_field": "Its header has a line that is no header field.",
    "no_header": "It has no header at all.",
}
_HARSH = ("reject", "quarantine")


@dataclass(frozen=True, slots=True)
class Plain:
    """:ivar badge: two or three words for a list.
    :ivar title: the whole of it in a few words.
    :ivar text: a sentence or two for somebody who does not know how mail is checked.
    """

    level: Level
    badge: str
    title: str
    text: str


def plainly(message: InboundMessage) -> Plain:
    """What to tell people about a received message's sender."""
    facts = message.facts
    if message.authentication.get("internal"):
        return _internal(message)
    sender = facts.sender or "its sender"
    domain = domain_of(facts.sender)
    if facts.verified:
        means = _means(message.authentication, domain)
        text = f"{domain} vouches for {sender}: {means}. Which person at {domain} wrote it is not proven."
        return Plain("good", "Proven", f"Proven: this mail was sent by {domain}", text)
    return _unproven(message, sender, domain)


def _internal(message: InboundMessage) -> Plain:
    facts = message.facts
    if facts.entity_type != "agent":
        return Plain("good", "Test", "Proven: a test message of this deployment", "It never left this deployment.")
    text = f"Proven: {facts.sender} sent it, and it never left this deployment."
    person = _person(facts.delegation)
    if person:
        text += f" The agent acts for {person}, who has agreed to that."
    return Plain("good", "Agent", "From an agent of this deployment", text)


def _person(delegation: str) -> str:
    return dict(part.partition("=")[::2] for part in delegation.split(";")).get("human", "")


def _means(found: Mapping[str, Any], domain: str) -> str:
    """By what the domain vouches."""
    means = []
    if any(one["result"] == "pass" and one["aligned"] for one in found.get("dkim", ())):
        means.append("its DKIM signature fits")
    spf = found.get("spf", {})
    if spf.get("result") == "pass" and (not means or _related(str(spf.get("domain", "")), domain)):
        means.append("it came from a server that the domain sends from (SPF)")
    return " and ".join(means) or "the checks passed"


def _related(one: str, other: str) -> bool:
    one, other = f".{one.lower()}", f".{other}"
    return one.endswith(other) or other.endswith(one)


def _unproven(message: InboundMessage, sender: str, domain: str) -> Plain:
    found = message.authentication
    spf, dmarc = found.get("spf", {}), found.get("dmarc", {})
    signatures = [one["result"] for one in found.get("dkim", ())]
    anybody = "Anybody can have written this."
    if message.defects:
        text = f"{anybody} Its header is damaged, and different programs may read a different sender from it."
        return Plain("bad", "Damaged", "Not proven: this mail is malformed", text)
    if dmarc.get("result") == "fail" and dmarc.get("policy") in _HARSH:
        text = f"{anybody} It claims to be from {sender}, and {domain or 'that domain'} asks to trust no such mail."
        return Plain(
            "bad", "Likely forged", "Not proven: this mail is probably forged", f"{text} {_why(found, domain)}"
        )
    if "temperror" in (spf.get("result"), dmarc.get("result"), *signatures):
        text = f"{anybody} The check of {domain or 'the sender'} could not be finished, because DNS gave no answer."
        return Plain("warn", "Not checked", "Not proven: the check could not be finished", text)
    return Plain("warn", "Not proven", f"Not proven: this may not be from {sender}", f"{anybody} {_why(found, domain)}")


def _why(found: Mapping[str, Any], domain: str) -> str:
    spf = str(found.get("spf", {}).get("result", "none"))
    signatures = found.get("dkim", ())
    aligned = any(one["result"] == "pass" and one["aligned"] for one in signatures)
    if aligned and found.get("dmarc", {}).get("result") != "fail":
        # The domain was proven, so it is the field itself.
        return "Its From field can be misread: it names several senders, or shows an address that is not the sender's."
    if spf in ("fail", "softfail"):
        server = "It came from a server that its sender's domain does not send from (SPF failed)"
    elif spf == "pass":
        server = "It came from a server of another domain than it names"
    else:
        server = "Its sender's domain does not say where its mail comes from (no SPF)"
    if any(one["result"] == "pass" for one in signatures):
        return f"{server}, and it is signed by another domain."
    if signatures:
        return f"{server}, and its DKIM signature does not fit."
    return (
        f"{server}, and {domain or 'nobody'} has not signed it." if domain else f"{server}, and nobody has signed it."
    )


def automation_reasons(message: InboundMessage) -> list[str]:
    """Why the message seems to come from a program, in words."""
    return [_AUTOMATION.get(reason, reason) for reason in message.automation.reasons]


def defect_sentences(message: InboundMessage) -> list[str]:
    """What is wrong with the message's form, in words."""
    return [_DEFECTS.get(defect, f"Defect: {defect}.") for defect in message.defects]
