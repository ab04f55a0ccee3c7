"""What one attempt to send a message means for its recipients and for the job: the next attempt, or the end."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["pending", "sent", "failed", "unknown"]
Attempt = Literal["sent", "refused", "deferred", "unknown"]
#: What follows a lost final answer: one more attempt after ``UNKNOWN_SECONDS``, or none.
UnknownPolicy = Literal["retry", "hold"]

#: Seconds between attempts, counted from the end of the one before; the last one repeats.
SCHEDULE = (60, 300, 900, 1_800, 3_600, 7_200, 14_400)
#: Seconds before a message whose final answer was lost may be transmitted again, at least.
UNKNOWN_SECONDS = 900
#: Share of a wait by which jitter lengthens it, so that an outage's backlog does not return in one wave.
JITTER = 0.2

_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_BARE_ID = re.compile(r"(?:2\.\d+\.\d+ )?Ok:? ([0-9a-f]{16,20}-[0-9a-f-]{20,60})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Target:
    """A recipient that an attempt is for. ``unknown``: a copy may have reached it before."""

    address: str
    state: Literal["pending", "unknown"]


@dataclass(frozen=True, slots=True)
class Settled:
    """A recipient's state after an attempt."""

    address: str
    state: State
    code: int | None
    reply: str


@dataclass(frozen=True, slots=True)
class Decision:
    """:ivar delay: seconds until the next attempt; None: there is none.
    :ivar unknowns: attempts so far whose final answer was lost.
    :ivar error: one phrase about what is not sent yet, "" when all is well.
    """

    recipients: tuple[Settled, ...]
    delay: float | None
    unknowns: int
    error: str


def due(targets: Sequence[Target], unknowns: int, policy: UnknownPolicy) -> tuple[Target, ...]:
    """Who is to be tried now: everybody pending, and once more those whose first answer was lost.

    :param unknowns: attempts of this job so far whose final answer was lost.
    """
    again = policy == "retry" and unknowns <= 1
    return tuple(target for target in targets if target.state == "pending" or again)


def decide(
    targets: Sequence[Target],
    answers: Mapping[str, tuple[Attempt, int | None, str]],
    *,
    attempt: int,
    unknowns: int,
    seconds_left: float,
    policy: UnknownPolicy,
    jitter: float,
) -> Decision:
    """:param targets: who the attempt was for.
    :param attempt: counts from 1.
    :param unknowns: attempts before this one whose final answer was lost.
    :param seconds_left: until the job is given up.
    :param jitter: a uniform random number in [0, 1).
    """
    lost = any(answers[target.address][0] == "unknown" for target in targets)
    total = unknowns + lost
    delay = SCHEDULE[min(max(attempt, 1), len(SCHEDULE)) - 1] * (1 + JITTER * jitter)
    if lost:
        delay = max(delay, UNKNOWN_SECONDS * (1 + JITTER * jitter))
    over = delay > seconds_left
    settled = []
    again = False
    error = ""
    for target in targets:
        outcome, code, text = answers[target.address]
        state: State
        match outcome:
            case "sent":
                state = "sent"
            case "unknown":
                state = "unknown"
                again = again or (policy == "retry" and total <= 1)
            case _ if target.state == "unknown":
                # What became of the earlier copy stays unknown, whatever is said of this one.
                state = "unknown"
                again = again or outcome == "deferred"
            case "refused":
                state = "failed"
            case _:
                state = "failed" if over else "pending"
                again = True
        if state != "sent" and not error:
            error = f"{code} {text}" if code else text
        settled.append(Settled(target.address, state, code, text))
    return Decision(tuple(settled), delay if again and not over else None, total, error[:500])


def provider_id(text: str, recipients: Collection[str] = ()) -> str:
    """The Message-ID that a server says it has given to the message, in angle brackets; "" when it names none.

    A queue id is not a Message-ID, and neither is a recipient's address. Amazon SES answers with the left side of the
    one that it writes.
    """
    for found in _MESSAGE_ID.findall(text):
        if found[1:-1].lower() not in recipients:
            return str(found)
    match = _BARE_ID.fullmatch(text.strip())
    return f"<{match[1]}>" if match is not None else ""
