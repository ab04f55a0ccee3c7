"""Answers kept in memory, and what a change costs."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.flows.answers import MISS, QUESTION_SECONDS, Answers


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.looked = 0
        self.answers: Answers[str] = Answers(self.clock.seconds, 10.0, 1000, self.about)

    def about(self, key: str, value: str | None) -> tuple[Hashable, ...]:
        self.looked += 1
        return key, value

    def load(self, key: str, value: str | None) -> str | None:
        async def fetch() -> str | None:
            return value

        return self.successResultOf(Deferred.fromCoroutine(self.answers.load(key, fetch)))

    def test_a_change_looks_at_nothing(self) -> None:
        """However much is kept, a change looks at none of it, and only what it is about is not believed any more."""
        for number in range(500):
            self.load(f"key {number}", f"value {number}")
            self.load(f"nothing {number}", None)
        looked = self.looked
        for subject in ("key 1", "value 2", "nothing 3"):
            self.answers.changed(subject)
        self.assertEqual(self.looked, looked)
        for key in ("key 1", "key 2", "nothing 3"):
            self.assertIs(self.answers.get(key), MISS)
        self.assertEqual((self.answers.get("key 3"), self.answers.get("nothing 4")), ("value 3", None))

    def test_asked_again_after_a_change(self) -> None:
        """What is learnt after a change is believed, until the next one."""
        self.load("key", "old")
        self.answers.changed("key")
        self.load("key", "new")
        self.assertEqual(self.answers.get("key"), "new")
        self.answers.changed("key")
        self.assertIs(self.answers.get("key"), MISS)

    def test_a_change_in_a_long_question(self) -> None:
        """A change is remembered for as long as a question from before it may be under way."""
        answer: Deferred[str] = Deferred()

        async def fetch() -> str | None:
            return await answer

        asking = Deferred.fromCoroutine(self.answers.load("key", fetch))
        self.answers.changed("key")
        self.clock.advance(QUESTION_SECONDS)
        self.answers.changed("another")
        answer.callback("old")
        self.assertEqual(self.successResultOf(asking), "old")
        self.assertIs(self.answers.get("key"), MISS)

    def test_the_latest_change_counts(self) -> None:
        """That an earlier change of the same is forgotten takes nothing from a later one."""
        answer: Deferred[str] = Deferred()

        async def fetch() -> str | None:
            return await answer

        self.answers.changed("key")
        self.clock.advance(QUESTION_SECONDS)
        asking = Deferred.fromCoroutine(self.answers.load("key", fetch))
        self.answers.changed("key")
        self.clock.advance(11.0)
        self.answers.changed("another")
        answer.callback("old")
        self.assertEqual(self.successResultOf(asking), "old")
        self.assertIs(self.answers.get("key"), MISS)

    def test_gone_and_come_back(self) -> None:
        """An answer takes the place of the one before, whichever of the two says that there is nothing."""
        for value in ("old", None, "new", None):
            self.answers.changed("key")
            self.load("key", value)
            self.assertEqual(self.answers.get("key"), value)

    def test_clear(self) -> None:
        """After a loss of notifications nothing is believed, known or absent."""
        self.load("key", "value")
        self.load("nothing", None)
        self.answers.clear()
        self.assertEqual([self.answers.get(key) for key in ("key", "nothing")], [MISS, MISS])
