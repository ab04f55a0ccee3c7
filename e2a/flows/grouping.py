"""One transaction for many askers: what is asked while a group is under way shares the next one.

No timer: at rest a question is asked at once, under load one commit serves all who came meanwhile. One bad item never
fails its neighbours: a group that fails is split in halves until the culprit stands alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from e2a.core.errors import Unavailable

K = TypeVar("K")
V = TypeVar("V")

#: Items of one group at the most, and octets from which on it takes no further one.
MOST = 100
OCTETS = 2 * 2**20


#: Makes a call at the reactor's next turn: what arrives in this one belongs together.
Soon = Callable[[Callable[[], None]], object]


def at_once(call: Callable[[], None]) -> None:
    """A ``Soon`` that does not wait."""
    call()


def _unmarked(item: Any) -> Iterable[Hashable]:
    return ()


def _weightless(item: Any) -> int:
    return 0


def _one() -> int:
    return 1


class Grouped(Generic[K, V]):
    """:param work: answers a group in one transaction: for each item, in order, its value or the error that is its own.
        What it raises is everybody's, and then nothing was done.
    :param soon: starts a group.
    :param apart: no two items of a group have one of these in common.
    :param size: an item's octets; a group that has ``OCTETS`` takes no further one.
    :param most: items of one group at the most.
    :param lanes: how many groups may be under way at a time, as things are.
    """

    _log = Logger()

    def __init__(
        self,
        work: Callable[[Sequence[K]], Awaitable[Sequence[V | Exception]]],
        soon: Soon = at_once,
        *,
        apart: Callable[[K], Iterable[Hashable]] = _unmarked,
        size: Callable[[K], int] = _weightless,
        most: int = MOST,
        lanes: Callable[[], int] = _one,
    ) -> None:
        self._work, self._soon, self._apart, self._size = work, soon, apart, size
        self._most, self._lanes = most, lanes
        self._waiting: deque[tuple[K, Deferred[V]]] = deque()
        self._under_way = 0

    async def ask(self, item: K) -> V:
        """The item's answer. Who leaves before a group with the item starts has asked nothing; who leaves later takes
        nothing away from the others.

        :raises Exception: the item's own error.
        :raises Unavailable: the group's, and what came of it is not known.
        """
        answer: Deferred[V] = Deferred(self._drop)
        self._waiting.append((item, answer))
        self._pump()
        return await answer

    def _drop(self, answer: Deferred[V]) -> None:
        # What nobody waits for is not kept: how much may be under way is counted by those who wait.
        self._waiting = deque(entry for entry in self._waiting if entry[1] is not answer)

    def _pump(self) -> None:
        if self._waiting and self._under_way < self._lanes():
            self._under_way += 1
            self._soon(self._start)

    def _start(self) -> None:
        Deferred.fromCoroutine(self._run(self._take())).addErrback(
            lambda failure: self._log.failure("grouping", failure)
        )

    def _take(self) -> list[tuple[K, Deferred[V]]]:
        group: list[tuple[K, Deferred[V]]] = []
        later: list[tuple[K, Deferred[V]]] = []
        taken: set[Hashable] = set()
        octets = 0
        while self._waiting and len(group) < self._most and octets < OCTETS:
            entry = self._waiting.popleft()
            marks = set(self._apart(entry[0]))
            if taken.isdisjoint(marks):
                group.append(entry)
                octets += self._size(entry[0])
            else:
                later.append(entry)
            # Also of those who wait: what is alike stays in order.
            taken |= marks
        self._waiting.extendleft(reversed(later))
        return group

    async def _run(self, group: list[tuple[K, Deferred[V]]]) -> None:
        try:
            if group:
                await self._settle(group)
        finally:
            self._under_way -= 1
            self._pump()

    async def _settle(self, group: list[tuple[K, Deferred[V]]]) -> None:
        try:
            values = await self._work([item for item, _ in group])
        except Exception as error:
            if len(group) == 1 or isinstance(error, Unavailable):
                for _, answer in group:
                    _tell(answer, error)
                return
            half = len(group) // 2
            await self._settle(group[:half])
            await self._settle(group[half:])
            return
        for (_, answer), value in zip(group, values, strict=True):
            _tell(answer, value)


def _tell(answer: Deferred[V], value: V | Exception) -> None:
    if answer.called:
        # Whoever asked has left.
        return
    if isinstance(value, Exception):
        answer.errback(value)
    else:
        answer.callback(value)
