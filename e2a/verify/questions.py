"""What a check asks the DNS, and what it hears back.

A check is a generator: it yields the questions it needs answered next, all at once, is sent a mapping with an answer
to each, and returns its result. It touches no network and no clock, so tests feed it from a dictionary;
``resolver.py`` is the one driver.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

T = TypeVar("T")

Type = Literal["A", "AAAA", "MX", "TXT", "PTR"]

_NAME = re.compile(r"(?:[ -\-/-~]{1,63}\.)*[ -\-/-~]{1,63}\Z")


class Question(NamedTuple):
    """A lookup. ``name`` is lower-case without a trailing dot: build it with ``ask``."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Answer:
    """What the DNS said.

    :ivar records: ``bytes`` for TXT (strings joined), ``(preference, host)`` for MX, address texts for A and AAAA,
        names for PTR. Empty when the name or the type does not exist.
    :ivar failure: not ``""`` when there is no answer now (SERVFAIL, time-out): a few words for the log. The result is
        ``temperror``.
    """

    records: tuple[Any, ...] = ()
    failure: str = ""


#: ``Check[T]``: yields sets of questions, is sent their answers, returns T.
Answers = Mapping[Question, Answer]
Check = Generator[tuple[Question, ...], Answers, T]

NOTHING = Answer()


def ask(name: str, type: Type) -> Question:
    return Question(name.rstrip(".").lower(), type)


def askable(name: str) -> bool:
    """Whether a name fits into a DNS message (RFC 1035 section 2.3.4). One that does not exists nowhere."""
    return len(name) <= 253 and _NAME.match(name) is not None


@dataclass(slots=True)
class Outcome:
    """How one of several checks ended: ``value``, or the exception that a defect in it raised."""

    value: Any = None
    error: Exception | None = field(default=None)


def together(*checks: Check[Any]) -> Check[tuple[Outcome, ...]]:
    """Run checks side by side: every round asks what all of them want next. One that raises ends alone."""
    outcomes = tuple([Outcome() for _ in checks])
    running = list(zip(checks, outcomes, strict=True))
    # A generator is started by sending it None.
    answers: Any = None
    while running:
        going_on = []
        wanted: dict[Question, None] = {}
        for pair in running:
            check, outcome = pair
            try:
                for question in check.send(answers):
                    wanted[question] = None
            except StopIteration as stop:
                outcome.value = stop.value
            except Exception as error:
                outcome.error = error
            else:
                going_on.append(pair)
        running = going_on
        if running:
            answers = yield tuple(wanted)
    return outcomes
