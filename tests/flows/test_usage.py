"""Usage by day on a real database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.flows.usage import Usage
from tests.support.postgres import ORGANISATION, USER, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

BOT = "bot@agents.test"
OWNER = Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS))


class UsageTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, BOT)
        # As the database counts, which says what today is.
        ((now,),) = await rows(self.db, "SELECT now()")
        self.today: date = now.astimezone(UTC).date()
        noon = datetime(self.today.year, self.today.month, self.today.day, 12, tzinfo=UTC).timestamp()
        self.usage = Usage(self.db, lambda: noon, tracking=True)
        self._made = 0

    async def event(self, days_ago: int, direction: str = "inbound", clock: str = "12:00", number: int = 1) -> None:
        moment = f"{self.today - timedelta(days=days_ago)}T{clock}:00Z"
        for _ in range(number):
            self._made += 1
            await execute(
                self.db,
                "INSERT INTO usage_events (id, organisation_id, agent_id, domain, direction, created_at)"
                " VALUES (%s, %s, %s, 'agents.test', %s, %s)",
                f"ue_{self._made}",
                ORGANISATION,
                BOT,
                direction,
                moment,
            )

    async def days(self, first: int, last: int = 0) -> list[tuple[int, int]]:
        """Counts from ``first`` days ago to ``last`` days ago."""
        day = timedelta(days=1)
        _, _, found = await self.usage.days(OWNER, self.today - first * day, self.today - last * day)
        return [(one.inbound, one.outbound) for one in found]

    async def summaries(self) -> list[Any]:
        found = await rows(
            self.db, "SELECT bucket_date, inbound_count, outbound_count, total_count FROM usage_summaries"
        )
        return sorted(((self.today - row[0]).days, *row[1:]) for row in found)

    async def test_days(self) -> None:
        """Each day has its own count (UTC), summed up or not, and days without use are there too."""
        await self.event(3, clock="00:00")
        await self.event(3, "outbound", clock="23:59")
        await self.event(1, number=2)
        await self.event(0, clock="00:00")
        wanted = [(0, 0), (1, 1), (0, 0), (2, 0), (1, 0)]
        self.assertEqual(await self.days(4), wanted)
        await self.usage.sum_up()
        self.assertEqual(await self.summaries(), [(0, 1, 0, 1), (1, 2, 0, 2), (3, 1, 1, 2)])
        self.assertEqual(await self.days(4), wanted)
        self.assertEqual(await self.days(3, 2), [(1, 1), (0, 0)])
        await self.event(0, "outbound")
        self.assertEqual((await self.days(4))[-1], (1, 1))

    async def test_summed_up_again(self) -> None:
        """A day that went on after it was summed up is summed up anew; one that is long over stays as it is."""
        await self.event(9)
        await self.event(1)
        await self.event(0)
        await self.usage.sum_up()
        await self.event(1, "outbound")
        await execute(self.db, "DELETE FROM usage_events WHERE created_at < now() - interval '5 days'")
        both = [Deferred.fromCoroutine(self.usage.sum_up()) for _ in range(2)]
        await gatherResults(both, consumeErrors=True)
        self.assertEqual(await self.summaries(), [(0, 1, 0, 1), (1, 1, 1, 2), (9, 1, 0, 1)])
        self.assertEqual((await self.days(9))[0], (1, 0))

    async def test_default(self) -> None:
        """Without days the last thirty are shown; wrong and endless ranges are refused."""
        first, last, found = await self.usage.days(OWNER, None, None)
        self.assertEqual((last, (last - first).days, len(found)), (self.today, 29, 30))
        day = timedelta(days=1)
        for start in (self.today + day, self.today - 366 * day):
            with self.assertRaises(BadRequest) as caught:
                await self.usage.days(OWNER, start, self.today)
            self.assertEqual(caught.exception.field, "from")
        await self.usage.days(OWNER, self.today - 365 * day, self.today)
        await self.usage.days(OWNER, None, date(1, 1, 3))

    async def test_whole_account(self) -> None:
        """A key for one agent is told nothing, another organisation sees its own."""
        await self.event(0)
        with self.assertRaises(Forbidden):
            await self.usage.days(Principal(ORGANISATION, USER, OWNER.permissions, agent_id=BOT), None, None)
        stranger = Principal("org_other", "user_other", OWNER.permissions)
        self.assertEqual(sum(one.inbound for one in (await self.usage.days(stranger, None, None))[2]), 0)
