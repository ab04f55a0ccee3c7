"""What states are called in front of people, and the lines of mail lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from e2a.core.entities import ConversationMessage, Delivery, InboundMessage, OutboundMessage, OutboundRecipient
from e2a.core.errors import E2AError, SendingNotConfigured
from e2a.core.trust.plainly import plainly


@dataclass(frozen=True, slots=True)
class Wording:
    """:ivar level: ``good``, ``warn``, ``bad`` or "", as the style sheet has it.
    :ivar word: for a badge.
    :ivar text: a sentence that says what it means, and what to do.
    """

    level: str
    word: str
    text: str = ""


SENT = Wording("good", "Sent", "Every recipient's server has accepted it, or the recipient is an agent here.")
#: By the status of an outbound message.
STATUSES = {
    "pending_approval": Wording("warn", "Waits for review", "It is sent once somebody has approved it."),
    "queued": Wording("", "Queued", "It is being sent. A server that cannot be reached is tried again for five days."),
    "sent": SENT,
    "failed": Wording("bad", "Failed", "No recipient accepted it. The reply of each server is below."),
    "unknown": Wording(
        "warn",
        "Not confirmed",
        "It was transmitted whole, and the server's answer never came. It probably arrived. It is not sent again, "
        "because then it could arrive twice; ask the recipient before you do.",
    ),
    "rejected": Wording("bad", "Rejected", "A reviewer rejected it. It was not sent."),
    "expired_approved": replace(SENT, text="Nobody reviewed it in time, and so it was sent, as the agent is set up."),
    "expired_rejected": Wording("bad", "Expired", "Nobody reviewed it in time. It was not sent."),
}
#: By the state of one recipient.
STATES = {
    "pending": Wording("", "On its way"),
    "sent": Wording("good", "Accepted"),
    "failed": Wording("bad", "Refused"),
    "unknown": Wording("warn", "Not confirmed"),
    "bounced": Wording("bad", "Came back"),
}
#: By the status of a webhook delivery.
DELIVERIES = {
    "pending": Wording("", "On its way"),
    "delivered": Wording("good", "Delivered"),
    "failed": Wording("bad", "Failed"),
}
RETRYING = Wording("warn", "Retrying")
#: By the state of a delegation.
DELEGATIONS = {
    "proposed": Wording("warn", "Not answered yet"),
    "expired": Wording("", "Never answered"),
    "active": Wording("good", "Agreed"),
}
_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"))


@dataclass(frozen=True, slots=True)
class Line:
    """One message in a list. :ivar who: its sender, or its recipients when the agent sent it."""

    id: str
    outgoing: bool
    who: str
    subject: str
    at: datetime
    unread: bool
    badges: tuple[Wording, ...]


def line(message: InboundMessage | OutboundMessage) -> Line:
    """A message of an agent as its mail tab shows it."""
    if isinstance(message, OutboundMessage):
        who = recipients(message)
        badges: tuple[Wording, ...] = (STATUSES[message.status],)
        return Line(message.id, True, who, message.subject, message.created_at, False, badges)
    plain = plainly(message)
    badges = (Wording(plain.level, plain.badge),)
    if message.thread_hijack_suspected:
        badges += (Wording("bad", "Foreign reply"),)
    if message.automation.is_auto:
        badges += (Wording("", "Automatic"),)
    unread = message.inbox_status == "unread"
    return Line(message.id, False, message.sender, message.subject, message.created_at, unread, badges)


def thread_line(message: ConversationMessage) -> Line:
    """A message as its thread shows it, when no more is known of it."""
    if message.direction == "outbound":
        who, badge = people((*message.to, *message.cc)), STATUSES[message.status]
    else:
        who = message.sender
        badge = Wording("good", "Proven") if message.verified else Wording("warn", "Not proven")
    outgoing, unread = message.direction == "outbound", message.status == "unread"
    return Line(message.id, outgoing, who, message.subject, message.created_at, unread, (badge,))


def people(addresses: Iterable[str]) -> str:
    """Addresses in one line; of many only how many."""
    found = list(addresses)
    shown = ", ".join(found[:3])
    return f"{shown} and {len(found) - 3} more" if len(found) > 3 else shown


def standing(delivery: Delivery) -> Wording:
    """How a webhook delivery stands."""
    return RETRYING if delivery.status == "pending" and delivery.last_error else DELIVERIES[delivery.status]


def recipients(message: OutboundMessage) -> str:
    """Everybody who gets it, in one line."""
    return people((*message.to, *message.cc, *message.bcc))


def recipient_rows(recipients: Iterable[OutboundRecipient]) -> list[tuple[OutboundRecipient, Wording]]:
    return [(one, STATES[one.state]) for one in recipients]


def units(seconds: int) -> tuple[int, str]:
    """A time in the largest unit that gives a whole number."""
    return next((seconds // size, name) for size, name in _UNITS if seconds % size == 0)


def in_seconds(number: int, unit: str) -> int | None:
    """A time of so many of a unit; None when there is no such unit."""
    size = {name: size for size, name in _UNITS}.get(unit)
    return None if size is None else number * size


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a form was not taken. :ivar field: beside which input it is said; "": above the form."""

    text: str
    field: str = ""
    status: int = 400


def problem(error: E2AError, fields: Iterable[str], other: str = "") -> Problem:
    """A failed request as something to say in its form.

    :param fields: the inputs of the form.
    :param other: the input that everything else is said beside.
    :raises E2AError: the very error, when it is no fault of the form.
    """
    if error.status in (401, 404) or (error.status >= 500 and not isinstance(error, SendingNotConfigured)):
        raise error
    field = (error.field or "").partition("[")[0]
    text = error.text[:1].upper() + error.text[1:].rstrip(".") + "."
    return Problem(text, field if field in fields else other, error.status)


def cut(text: str, longest: int) -> tuple[str, bool]:
    """As much of a text as a page shows, and whether that is all of it."""
    return text[:longest], len(text) <= longest
