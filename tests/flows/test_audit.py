"""What is done is in the audit log, in the transaction in which it is done; and work that collides is run again."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.errors import NotFound
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.suppressions import Suppressions
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import execute, make_tenant, rows, start


class AuditTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.owner = await make_tenant(self.db, "alpha")

    async def test_only_what_happened(self) -> None:
        """A change has one line; what changed nothing, or failed, has none."""
        suppressions = Suppressions(self.db, PageTokens(b"k" * 32))
        for _ in range(2):
            await suppressions.add(self.owner, "No@corp.test", "")
        await suppressions.remove(self.owner, "NO@corp.test")
        with self.assertRaises(NotFound):
            await suppressions.remove(self.owner, "no@corp.test")
        found = await rows(self.db, "SELECT action, resource_id, user_id FROM audit_events ORDER BY at")
        self.assertEqual(
            [tuple(row) for row in found],
            [
                ("suppression.created", "no@corp.test", self.owner.user_id),
                ("suppression.deleted", "no@corp.test", self.owner.user_id),
            ],
        )

    async def test_insist(self) -> None:
        """Of two transactions that wait for each other the loser is run again, and both have their effect once."""
        other = await make_tenant(self.db, "omega")
        ids = [self.owner.organisation_id, other.organisation_id]
        held: list[Deferred[None]] = [Deferred(), Deferred()]

        async def work(cur: Any, first: int) -> None:
            add = "UPDATE organisations SET name = name || '+' WHERE id = %s"
            await cur.execute(add, (ids[first],))
            if not held[first].called:
                held[first].callback(None)
            await held[1 - first]
            await cur.execute(add, (ids[1 - first],))

        await execute(self.db, "UPDATE organisations SET name = ''")
        await gatherResults([Deferred.fromCoroutine(self.db.insist("cross", work, n)) for n in (0, 1)])
        found = await rows(self.db, "SELECT name FROM organisations WHERE id = ANY (%s)", ids)
        self.assertEqual([row.name for row in found], ["++", "++"])
