"""Forgetting what has expired."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from twisted.trial.unittest import TestCase

from e2a.core.entities import Principal
from e2a.core.errors import Unavailable
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.flows.retention import Retention
from e2a.flows.usage import Usage
from e2a.store import retention
from tests.support.postgres import ORGANISATION, USER, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

HOLDER = Principal(ORGANISATION, USER, ALL_PERMISSIONS)


class Counts:
    """A ``Metrics`` that remembers."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        key = f"{name} {labels['what']}"
        self.counted[key] = self.counted.get(key, 0) + amount

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...


class Scripted:
    """A database whose batches are given."""

    def __init__(self, answers: dict[Any, list[Any]]) -> None:
        self._answers = answers
        self.asked: list[Any] = []

    async def run(self, name: str, work: Any, *args: Any) -> Any:
        self.asked.append((work, *args))
        answer = self._answers.get(work, [0]).pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Batches(TestCase):
    def answers(self) -> dict[Any, list[Any]]:
        return {
            retention.forget_expired_messages: [500, 20, 0],
            retention.forget_fingerprints: [0],
            retention.forget_sessions: [1, 0],
            retention.sweep_raws: [("b", 2), ("", 1)],
        }

    def test_until_nothing_is_left(self) -> None:
        """Each kind is removed batch by batch until none is left, and counted."""
        database, metrics = Scripted(self.answers()), Counts()
        self.successResultOf(_deferred(Retention(database, metrics).forget()))
        self.assertEqual(
            metrics.counted, {"forgotten messages": 520, "forgotten sessions": 1, "forgotten raw_messages": 3}
        )
        self.assertIn((retention.sweep_raws, "b"), database.asked)

    def test_stop(self) -> None:
        """Told to stop, it begins no further batch."""
        database = Scripted(self.answers())
        flow = Retention(database, Counts())
        flow.stop()
        self.successResultOf(_deferred(flow.forget()))
        self.assertEqual(database.asked, [])

    def test_database_away(self) -> None:
        """A database that goes away ends the round with its error."""
        answers = self.answers()
        answers[retention.forget_expired_messages][1] = Unavailable()
        self.failureResultOf(_deferred(Retention(Scripted(answers), Counts()).forget()), Unavailable)


def _deferred(coroutine: Any) -> Any:
    from twisted.internet.defer import Deferred

    return Deferred.fromCoroutine(coroutine)


class OnPostgres(DatabaseTestCase):
    async def test_expired_only(self) -> None:
        """An expired message goes with its bytes; one whose time has not come stays with its own."""
        await make_agent(self.db, "bot@agents.test")

        async def prepare(cur: Any) -> None:
            for uid, age in ((1, "-1 minute"), (2, "1 day")):
                await cur.execute("INSERT INTO raw_messages (id, size, data) VALUES (%s, 1, 'x')", (f"raw{uid}",))
                await cur.execute(
                    "INSERT INTO messages (id, agent_id, direction, uid, raw_id, inbox_status, expires_at)"
                    " VALUES (%s, 'bot@agents.test', 'inbound', %s, %s, 'unread', now() + %s::interval)",
                    (f"msg_{uid}", uid, f"raw{uid}", age),
                )
            await cur.execute("INSERT INTO raw_messages (id, size, data) VALUES ('nobodys', 1, 'x')")

        await self.db.run("prepare", prepare)
        await Retention(self.db, Counts()).forget()

        async def left(cur: Any) -> Any:
            await cur.execute("SELECT array_agg(id) AS ids FROM messages")
            messages = cur.fetchone().ids
            await cur.execute("SELECT array_agg(id) AS ids FROM raw_messages")
            return messages, cur.fetchone().ids

        self.assertEqual(await self.db.run("left", left), (["msg_2"], ["raw2"]))

    async def test_old_lines(self) -> None:
        """Lines of the audit log go when they are older than is configured, and never when that is 0."""
        await make_agent(self.db, "bot@agents.test")

        async def prepare(cur: Any) -> None:
            for name, days in (("old", 31), ("young", 29)):
                await cur.execute(
                    "INSERT INTO audit_events (id, organisation_id, at, action, resource_type)"
                    " VALUES (%s, 'org_test', now() - make_interval(days => %s), 'x.y', 'x')",
                    (name, days),
                )

        async def left(cur: Any) -> Any:
            await cur.execute("SELECT array_agg(id ORDER BY id) AS ids FROM audit_events")
            return cur.fetchone().ids

        await self.db.run("prepare", prepare)
        await Retention(self.db, Counts(), audit_days=0).forget()
        self.assertEqual(await self.db.run("left", left), ["old", "young"])
        await Retention(self.db, Counts(), audit_days=30).forget()
        self.assertEqual(await self.db.run("left", left), ["young"])

    async def test_old_invitations(self) -> None:
        """An invitation goes 30 days after it ended, however it ended."""
        await make_agent(self.db, "bot@agents.test")

        async def prepare(cur: Any) -> None:
            for name, expires, accepted, revoked in (
                ("open", 5, None, None),
                ("lately", -29, None, None),
                ("expired", -31, None, None),
                ("accepted", 5, -31, None),
                ("revoked", 5, None, -31),
            ):
                await cur.execute(
                    "INSERT INTO invitations"
                    " (id, organisation_id, email, role, token_hash, expires_at, accepted_at, revoked_at)"
                    " VALUES (%(id)s, 'org_test', 'a@b.test', 'member', %(id)s::bytea,"
                    " now() + make_interval(days => %(expires)s), now() + make_interval(days => %(accepted)s),"
                    " now() + make_interval(days => %(revoked)s))",
                    {"id": name, "expires": expires, "accepted": accepted, "revoked": revoked},
                )

        async def left(cur: Any) -> Any:
            await cur.execute("SELECT array_agg(id ORDER BY id) AS ids FROM invitations")
            return cur.fetchone().ids

        await self.db.run("prepare", prepare)
        await Retention(self.db, Counts()).forget()
        self.assertEqual(await self.db.run("left", left), ["lately", "open"])

    async def test_old_signins(self) -> None:
        """Sign-ins that nobody finished, and links that nobody followed, go when they have run out."""
        await make_agent(self.db, "bot@agents.test")
        for name, minutes in (("over", -1), ("open", 5)):
            await execute(
                self.db,
                "INSERT INTO signin_states (state_hash, provider, next, expires_at)"
                " VALUES (%s::bytea, 'google', '/', now() + make_interval(mins => %s))",
                name,
                minutes,
            )
            await execute(
                self.db,
                "INSERT INTO signin_links (token_hash, user_id, expires_at)"
                " VALUES (%s::bytea, %s, now() + make_interval(mins => %s))",
                name,
                USER,
                minutes,
            )
        metrics = Counts()
        await Retention(self.db, metrics).forget()
        self.assertEqual(
            [bytes(row.token) for row in await rows(self.db, "SELECT state_hash AS token FROM signin_states")],
            [b"open"],
        )
        self.assertEqual(
            [bytes(row.token) for row in await rows(self.db, "SELECT token_hash AS token FROM signin_links")],
            [b"open"],
        )
        self.assertEqual(metrics.counted, {"forgotten sign-ins": 1, "forgotten sign-in_links": 1})

    async def test_old_feedback(self) -> None:
        """Feedback goes 90 days after it was written, if the operator has it elsewhere and nothing is left to do."""
        for name, age, mailed, issue, due in (
            ("mailed", 91, True, "", False),
            ("filed", 91, False, "https://issues.test/1", False),
            ("young", 89, True, "", False),
            ("here-alone", 400, False, "", False),
            ("under-way", 91, True, "", True),
        ):
            await execute(
                self.db,
                "INSERT INTO feedback (id, category, message, created_at, mailed_at, issue_url, next_attempt_at)"
                " VALUES (%s, 'bug', 'x', now() - make_interval(days => %s), CASE WHEN %s THEN now() END, %s,"
                " CASE WHEN %s THEN now() END)",
                name,
                age,
                mailed,
                issue,
                due,
            )
        await Retention(self.db, Counts()).forget()
        left = await rows(self.db, "SELECT id FROM feedback ORDER BY id")
        self.assertEqual([row.id for row in left], ["here-alone", "under-way", "young"])

    async def used(self, days_ago: int, name: str, organisation_id: str | None = ORGANISATION) -> None:
        await execute(
            self.db,
            "INSERT INTO usage_events (id, organisation_id, agent_id, domain, direction, created_at)"
            " VALUES (%s, %s, 'bot@agents.test', 'agents.test', 'inbound', now() - make_interval(days => %s))",
            name,
            organisation_id,
            days_ago,
        )

    async def test_old_usage(self) -> None:
        """Usage events go after the days that are configured, never when that is 0, and not before they are summed up;
        the sums of these days stay and are shown."""
        await make_agent(self.db, "bot@agents.test")
        for days_ago in (62, 61, 59):
            await self.used(days_ago, f"ue_{days_ago}")
        await self.used(61, "ue_nobody", None)
        flow = Usage(self.db, time.time, tracking=True)
        today = datetime.now(UTC).date()

        async def shown() -> list[int]:
            _, _, days = await flow.days(HOLDER, today - timedelta(days=62), today - timedelta(days=59))
            return [day.inbound for day in days]

        async def left() -> list[str]:
            return [row.id for row in await rows(self.db, "SELECT id FROM usage_events ORDER BY id")]

        await Retention(self.db, Counts(), usage_days=60).forget()
        self.assertEqual(await left(), ["ue_59", "ue_61", "ue_62"])
        await flow.sum_up()
        await Retention(self.db, Counts(), usage_days=0).forget()
        self.assertEqual(await left(), ["ue_59", "ue_61", "ue_62"])
        await Retention(self.db, Counts(), usage_days=60).forget()
        self.assertEqual(await left(), ["ue_59"])
        # Nothing newer was ever summed up than what is gone.
        await execute(self.db, "DELETE FROM usage_events")
        await flow.sum_up()
        self.assertEqual(await shown(), [1, 1, 0, 1])
