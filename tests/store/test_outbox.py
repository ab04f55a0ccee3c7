"""What the statements of the way out cost, however much mail there is."""

from __future__ import annotations

from typing import Any

from e2a.store import outbox
from e2a.store.outbound import with_recipients
from tests.support.outgoing import AGENT, queue_message, status
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

ROWS = 3000


class CostTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, AGENT)
        # As on a new deployment: the planner has no figures of what is there.
        await execute(self.db, "ALTER TABLE messages SET (autovacuum_enabled = off)")
        await execute(
            self.db,
            "INSERT INTO messages (id, agent_id, organisation_id, direction, status)"
            " SELECT 'msg_' || md5(n::text), %s, %s, 'outbound', 'sent' FROM generate_series(1, %s) n",
            *(AGENT, ORGANISATION, ROWS),
        )
        await queue_message(self.db)

    async def entries_read(self, work: Any, *args: Any) -> int:
        """How many entries of the indexes on messages were read for it."""

        async def counted(cur: Any) -> int:
            before = await _entries(cur)
            await work(cur, *args)
            return await _entries(cur) - before

        return await self.db.run("counted", counted)

    async def test_outcome(self) -> None:
        """Reading how some messages stand looks at these alone."""
        ids = ["msg_m1", *(f"msg_none{number}" for number in range(5))]
        self.assertLess(await self.entries_read(with_recipients, ids), 20)

    async def test_settling(self) -> None:
        """Recording what came of some messages looks at these alone."""
        (job,) = await self.db.run("claim", _claim)
        settled = tuple(outbox.Settled(target.address, "sent", 250, "ok") for target in job.targets)
        outcome = outbox.Outcome(job.held, settled, None, False, 0, "")

        async def record(cur: Any) -> None:
            await outbox.record(cur, [outcome], usage=True)

        self.assertLess(await self.entries_read(record), 20)
        self.assertEqual(await status(self.db), "sent")
        self.assertEqual(await rows(self.db, "SELECT id FROM raw_messages"), [])


async def _claim(cur: Any) -> list[outbox.Job]:
    return await outbox.claim(cur, limit=10, lease=60.0, room=10, rooms={})


async def _entries(cur: Any) -> int:
    await cur.execute(
        "SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))::integer AS entries"
        " FROM pg_index WHERE indrelid = 'messages'::regclass"
    )
    return int(cur.fetchone().entries)
