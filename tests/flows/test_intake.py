"""Group intake: who shares a commit, and that nobody pays for another's fault."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Facts
from e2a.core.errors import Unavailable
from e2a.flows import grouping, intake
from e2a.flows.intake import GroupIntake
from e2a.store.intake import IntakeMail, IntakeRow, Outcome
from tests.support.metrics import NoMetrics

FACTS = Facts(True, "ana@corp.test", "human", "spf=pass; dkim=none", "00")
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def mail(name: str, size: int = 10) -> IntakeMail:
    row = IntakeRow(
        id=f"msg_{name}",
        agent_id="bot@agents.test",
        sender="ana@corp.test",
        recipient="bot@agents.test",
        tag="",
        to=(),
        cc=(),
        reply_to=(),
        subject=name,
        email_message_id="",
        conversation_id=None,
        facts=FACTS,
        authentication={},
        size=size,
        created_at=NOW,
        expires_at=NOW,
    )
    return IntakeMail(f"raw_{name}", b"x" * size, (row,))


class ScriptedDatabase:
    """Transactions that end when the test says so."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self._open: list[Deferred[None]] = []

    async def run(self, name: str, work: Any, mails: Any, usage: bool) -> dict[str, Outcome]:
        self.groups.append([one.raw_id for one in mails])
        done: Deferred[None] = Deferred()
        self._open.append(done)
        await done
        return {row.id: Outcome.STORED for one in mails for row in one.rows}

    statement = run

    def end(self, error: Exception | None = None) -> None:
        done = self._open.pop(0)
        done.errback(error) if error else done.callback(None)


class GroupIntakeTests(SynchronousTestCase):
    """``GroupIntake``"""

    def setUp(self) -> None:
        self.database = ScriptedDatabase()
        self.clock = Clock()
        self.intake = GroupIntake(self.database, self.clock.seconds, NoMetrics())

    def store(self, *args: Any) -> Deferred[Any]:
        coroutine: Coroutine[Any, Any, Any] = self.intake.store(mail(*args))
        return Deferred.fromCoroutine(coroutine)

    def test_no_waiting_at_rest(self) -> None:
        """A lone message is committed at once, without a timer."""
        done = self.store("a")
        self.assertEqual(self.database.groups, [["raw_a"]])
        self.assertNoResult(done)
        self.database.end()
        self.assertEqual(self.successResultOf(done), {"msg_a": Outcome.STORED})

    def test_arrivals_share_the_next_commit(self) -> None:
        """What arrives while a commit runs goes into the next one together, in order."""
        first, *rest = [self.store(name) for name in "abcd"]
        self.database.end()
        self.successResultOf(first)
        self.assertEqual(self.database.groups, [["raw_a"], ["raw_b", "raw_c", "raw_d"]])
        for done in rest:
            self.assertNoResult(done)
        self.database.end()
        for done in rest:
            self.successResultOf(done)

    def test_groups_are_bounded(self) -> None:
        """A group ends at its limit of mails, rows or bytes; the rest makes the next."""
        self.patch(intake, "GROUP_MAILS", 2)
        self.intake = GroupIntake(self.database, self.clock.seconds, NoMetrics())
        for name in "abcd":
            self.store(name)
        self.database.end()
        self.database.end()
        self.assertEqual(self.database.groups, [["raw_a"], ["raw_b", "raw_c"], ["raw_d"]])
        self.database.end()
        self.patch(grouping, "OCTETS", 15)
        self.patch(intake, "ROW_BYTES", 1)
        for name in "efgh":
            self.store(name)
        self.database.end()
        self.assertEqual(self.database.groups[-1], ["raw_f", "raw_g"])
        self.patch(intake, "ROW_BYTES", 15)
        for name in "ij":
            self.store(name)
        self.database.end()
        self.database.end()
        self.assertEqual(self.database.groups[-2:], [["raw_h"], ["raw_i"]])

    def test_the_culprit_stands_alone(self) -> None:
        """A row that the database refuses fails its own message only; it is a temporary failure, never a 250."""
        self.store("a")
        good, bad, fine = [self.store(name) for name in "bcd"]
        self.database.end()
        self.database.end(ValueError("refused"))
        self.database.end()
        self.successResultOf(good)
        self.database.end(ValueError("refused"))
        self.database.end(ValueError("refused"))
        self.failureResultOf(bad, Unavailable)
        self.database.end()
        self.successResultOf(fine)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_database_gone(self) -> None:
        """When the database is gone everybody in the group is told so at once, without splitting."""
        self.store("a")
        waiting = [self.store(name) for name in "bc"]
        self.database.end()
        self.database.end(Unavailable())
        for done in waiting:
            self.failureResultOf(done, Unavailable)
        self.assertEqual(len(self.database.groups), 2)

    def test_big_mail_goes_alone(self) -> None:
        """A big message takes its own transaction and holds up nobody."""
        self.store("big", intake.ALONE_BYTES + 1)
        small = self.store("small")
        self.assertEqual(self.database.groups, [["raw_big"], ["raw_small"]])
        self.database.end()
        self.database.end()
        self.successResultOf(small)

    def test_queue_is_bounded(self) -> None:
        """Beyond the bound in bytes a sender is asked to come again, and room is made when others are done."""
        self.patch(intake, "QUEUE_BYTES", 25)
        first, second = self.store("a"), self.store("b")
        self.failureResultOf(self.store("c"), Unavailable)
        self.database.end()
        self.database.end()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertNoResult(self.store("d"))

    def test_slow_commits_overlap(self) -> None:
        """When commits are slow a second group may be on its way; on a fast disk one at a time is quicker."""
        for name in "abcdefgh":
            self.store(name)
            self.clock.advance(0.1)
            self.database.end()
        self.store("i")
        self.store("j")
        self.store("k")
        self.assertEqual(self.database.groups[-2:], [["raw_i"], ["raw_j"]])
