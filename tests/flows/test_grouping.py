"""Grouping: who shares a transaction, and that nobody pays for another's fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import NotFound, Unavailable
from e2a.flows import grouping
from e2a.flows.grouping import Grouped


def upper(group: Sequence[str]) -> list[str | Exception]:
    return [word.upper() for word in group]


class GroupedTests(SynchronousTestCase):
    """``Grouped``, with words for items and transactions that end when the test says so."""

    def setUp(self) -> None:
        self.groups: list[list[str]] = []
        self._open: list[Deferred[None]] = []
        self.answer: Callable[[Sequence[str]], list[str | Exception]] = upper
        # Words that begin alike stay apart.
        self.grouped: Grouped[str, str] = Grouped(self.work, apart=lambda word: word[:1], size=len)

    async def work(self, group: Sequence[str]) -> list[str | Exception]:
        self.groups.append(list(group))
        done: Deferred[None] = Deferred()
        self._open.append(done)
        await done
        return self.answer(group)

    def ask(self, *words: str) -> list[Deferred[str]]:
        return [Deferred.fromCoroutine(self.grouped.ask(word)) for word in words]

    def end(self, error: Exception | None = None) -> None:
        done = self._open.pop(0)
        done.errback(error) if error else done.callback(None)

    def test_arrivals_share_the_next(self) -> None:
        """At rest nothing waits; what arrives while a group is under way shares the next one, each with its answer."""
        first, second, third = self.ask("a", "b", "c")
        self.assertEqual(self.groups, [["a"]])
        self.end()
        self.assertEqual(self.successResultOf(first), "A")
        self.assertEqual(self.groups, [["a"], ["b", "c"]])
        self.end()
        self.assertEqual([self.successResultOf(one) for one in (second, third)], ["B", "C"])

    def test_soon(self) -> None:
        """What is asked before a group starts is in it, the very first one too."""
        calls: list[Callable[[], None]] = []
        self.grouped = Grouped(self.work, calls.append)
        self.ask("a", "b")
        self.assertEqual((self.groups, len(calls)), ([], 1))
        self.ask("c")
        calls.pop()()
        self.assertEqual(self.groups, [["a", "b", "c"]])
        self.ask("d")
        self.end()
        calls.pop()()
        self.assertEqual(self.groups[1:], [["d"]])

    def test_apart(self) -> None:
        """What must stay apart goes into the next groups, in order."""
        self.ask("-", "a1", "b1", "a2", "c1", "a3", "b2")
        for _ in range(4):
            self.end()
        self.assertEqual(self.groups, [["-"], ["a1", "b1", "c1"], ["a2", "b2"], ["a3"]])

    def test_bounded(self) -> None:
        """A group takes no more than so many items, and none once it has so many octets."""
        self.grouped = Grouped(self.work, size=len, most=3)
        self.patch(grouping, "OCTETS", 5)
        self.ask("-", "a", "b", "c", "dddd", "eeeeeee", "f")
        for _ in range(4):
            self.end()
        self.assertEqual(self.groups, [["-"], ["a", "b", "c"], ["dddd", "eeeeeee"], ["f"]])

    def test_own_errors(self) -> None:
        """An item's own error is its own."""
        self.answer = lambda group: [NotFound() if word == "b" else word for word in group]
        _, first, second = self.ask("-", "a", "b")
        self.end()
        self.end()
        self.assertEqual(self.successResultOf(first), "a")
        self.failureResultOf(second, NotFound)

    def test_the_culprit_stands_alone(self) -> None:
        """A group that fails is split until the one that cannot be done stands alone; the others are done."""

        def answer(group: Sequence[str]) -> list[str | Exception]:
            if "c" in group:
                raise ValueError("c")
            return upper(group)

        self.answer = answer
        wanted = self.ask("-", "a", "b", "c", "d")[1:]
        while self._open:
            self.end()
        self.assertEqual(self.groups, [["-"], ["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]])
        culprit = wanted.pop(2)
        self.assertEqual([self.successResultOf(one) for one in wanted], ["A", "B", "D"])
        self.failureResultOf(culprit, ValueError)

    def test_unavailable(self) -> None:
        """When it is not known what came of a group nothing is tried again, and all are told."""
        _, first, second = self.ask("-", "a", "b")
        self.end()
        self.end(Unavailable())
        for one in (first, second):
            self.failureResultOf(one, Unavailable)
        self.assertEqual(self.groups, [["-"], ["a", "b"]])
        self.ask("c")
        self.assertEqual(self.groups[2:], [["c"]])

    def test_left(self) -> None:
        """Who leaves takes nothing away from the others, and a group under way goes on."""
        left, other = self.ask("a", "b")
        left.addErrback(mock.Mock())
        left.cancel()
        self.end()
        self.assertEqual(self.groups, [["a"], ["b"]])
        self.end()
        self.assertEqual(self.successResultOf(other), "B")

    def test_left_before(self) -> None:
        """Who leaves before their group starts is not kept and not asked for, and no group is made of nobody."""
        first, left, other, last = self.ask("a", "b", "b", "c")
        for one in (left, last):
            one.addErrback(mock.Mock())
            one.cancel()
        self.end()
        self.assertEqual(self.groups, [["a"], ["b"]])
        for one in self.ask("d"):
            one.addErrback(mock.Mock())
            one.cancel()
        self.end()
        self.assertEqual([self.successResultOf(one) for one in (first, other)], ["A", "B"])
        self.assertEqual(self.groups, [["a"], ["b"]])
        self.ask("e")
        self.assertEqual(self.groups[2:], [["e"]])

    def test_all_left_soon(self) -> None:
        """A group whose askers have all left before its turn is none, and the next one starts as ever."""
        calls: list[Callable[[], None]] = []
        self.grouped = Grouped(self.work, calls.append)
        (left,) = self.ask("a")
        left.addErrback(mock.Mock())
        left.cancel()
        calls.pop()()
        self.assertEqual(self.groups, [])
        self.ask("b")
        calls.pop()()
        self.assertEqual(self.groups, [["b"]])
