"""Answers kept in memory, by key, with one question per key under way at a time.

Whoever learns of a change names its subject, and nothing is searched for then, however much is kept: every answer says
what it is about, and is not believed once one of these has changed since its question began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Hashable
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from .ports import Now

#: Seconds for which "there is none" is believed.
NEGATIVE_SECONDS = 1.0
#: Seconds for which a question may be under way, and more: the database's own limits are shorter.
QUESTION_SECONDS = 90.0

V = TypeVar("V")


class Miss(Enum):
    """Nothing is known; ask with ``await``."""

    MISS = "miss"


MISS = Miss.MISS


class _Answer(NamedTuple):
    """:ivar until: not believed from this moment on.
    :ivar began: how many changes there had been when its question began.
    """

    until: float
    began: int
    about: tuple[Hashable, ...]
    value: Any


class _Question(NamedTuple):
    began: int
    about: tuple[Hashable, ...]
    waiting: list[Deferred[Any]]


class Answers(Generic[V]):
    """None stands for "there is none".

    :param seconds: how long an answer is believed without being told of a change.
    :param capacity: how many are kept, and as many times "there is none".
    :param about: the subjects of an answer, from its key and its value; of a question, whose value is not known yet,
        with None.
    """

    _log = Logger()

    def __init__(
        self,
        now: Now,
        seconds: float,
        capacity: int,
        about: Callable[[Any, V | None], tuple[Hashable, ...]] = lambda key, _: (key,),
    ) -> None:
        self._now = now
        self._seconds = seconds
        self._capacity = capacity
        self._about = about
        self._found: dict[Any, _Answer] = {}
        # Apart, so that a flood of questions about what is not there pushes out nothing that is.
        self._absent: dict[Any, _Answer] = {}
        self._asked: dict[Any, _Question] = {}
        self._changes = 0
        #: The number of each subject's latest change, for as long as it can matter.
        self._changed: dict[Hashable, int] = {}
        self._recent: deque[tuple[float, Hashable, int]] = deque()

    def get(self, key: Any) -> V | Miss | None:
        answer = self._found.get(key) or self._absent.get(key)
        if answer is None or self._now() >= answer.until or self._outdated(answer):
            return MISS
        value: V | None = answer.value
        return value

    async def find(self, key: Any, fetch: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        """What is known, else the answer of ``fetch``."""
        known = self.get(key)
        return await self.load(key, fetch) if isinstance(known, Miss) else known

    async def load(self, key: Any, fetch: Callable[[], Coroutine[Any, Any, V | None]]) -> V | None:
        """The answer of ``fetch``, shared with whoever asks for the same key meanwhile."""
        waiter: Deferred[V | None] = Deferred()
        question = self._asked.get(key)
        if question is not None and not self._outdated(question):
            question.waiting.append(waiter)
        else:
            self._asked[key] = question = _Question(self._changes, self._about(key, None), [waiter])
            # On its own: a caller who leaves must not take the answer away from the others.
            Deferred.fromCoroutine(self._ask(key, fetch, question)).addErrback(
                lambda failure: self._log.failure("asking for what is not kept", failure)
            )
        return await waiter

    async def _ask(self, key: Any, fetch: Callable[[], Coroutine[Any, Any, V | None]], question: _Question) -> None:
        try:
            value = await fetch()
        except Exception as error:
            self._settled(key, question)
            for waiter in question.waiting:
                waiter.errback(error)
            return
        # Asked anew meanwhile: those who wait may have the answer, nobody after them.
        if self._settled(key, question):
            self._keep(key, value, question.began)
        for waiter in question.waiting:
            waiter.callback(value)

    def _settled(self, key: Any, question: _Question) -> bool:
        if self._asked.get(key) is not question:
            return False
        del self._asked[key]
        return True

    def _keep(self, key: Any, value: V | None, began: int) -> None:
        self._found.pop(key, None)
        self._absent.pop(key, None)
        entries = self._absent if value is None else self._found
        if len(entries) >= self._capacity:
            del entries[next(iter(entries))]
        seconds = NEGATIVE_SECONDS if value is None else self._seconds
        entries[key] = _Answer(self._now() + seconds, began, self._about(key, value), value)

    def _outdated(self, known: _Answer | _Question) -> bool:
        changed = self._changed
        return bool(changed) and any(changed.get(subject, 0) > known.began for subject in known.about)

    def changed(self, subject: Hashable) -> None:
        """Believe no answer about this any more, those among them that are under way."""
        self._changes += 1
        self._changed[subject] = self._changes
        now = self._now()
        self._recent.append((now, subject, self._changes))
        while self._recent[0][0] < now - self._seconds - QUESTION_SECONDS:
            _, old, number = self._recent.popleft()
            if self._changed[old] == number:
                del self._changed[old]

    def clear(self) -> None:
        """Believe no answer any more."""
        self._found.clear()
        self._absent.clear()
        self._asked.clear()
