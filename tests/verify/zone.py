"""A DNS made of a dictionary, and a driver that answers checks from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from e2a.verify.questions import Answer, Check, Question, ask

T = TypeVar("T")


class Zone:
    """Answers by name and type; what is not in it does not exist.

    :ivar asked: every question, in order, one list per round.
    """

    def __init__(self, records: Mapping[tuple[str, str], Any] | None = None) -> None:
        self.answers: dict[Question, Answer] = {}
        self.asked: list[tuple[Question, ...]] = []
        for (name, type), value in (records or {}).items():
            self.put(name, type, *(value if isinstance(value, (list, tuple)) else [value]))

    def put(self, name: str, type: Any, *records: Any) -> None:
        self.answers[ask(name, type)] = Answer(tuple(records))

    def fail(self, name: str, type: Any, why: str = "time-out") -> None:
        self.answers[ask(name, type)] = Answer(failure=why)

    def run(self, check: Check[T]) -> T:
        """Drive a check to its end."""
        try:
            questions = next(check)
            while True:
                self.asked.append(questions)
                questions = check.send({question: self.answers.get(question, Answer()) for question in questions})
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
