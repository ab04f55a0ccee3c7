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
    outcomes = tuple(Outcome() for _ in checks)
    wants: dict[int, tuple[Question, ...]] = {}

    def step(index: int, answers: Answers | None) -> None:
        try:
            check = checks[index]
            wants[index] = next(check) if answers is None else check.send(answers)
        except StopIteration as stop:
            wants.pop(index, None)
            outcomes[index].value = stop.value
        except Exception as error:
            wants.pop(index, None)
            outcomes[index].error = error

    for index in range(len(checks)):
        step(index, None)
    while wants:
        answers = yield tuple({question: None for questions in wants.values() for question in questions})
        for index in list(wants):
            step(index, answers)
    return outcomes
