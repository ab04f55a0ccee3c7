"""e2a.store.suppressions"""

from __future__ import annotations

from e2a.store import suppressions
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent


class SuppressionTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db)
        await make_agent(self.db, "far@agents.test", organisation="org_other")

    async def among(self, *addresses: str, organisation: str = ORGANISATION) -> list[str]:
        return await self.db.run("among", suppressions.suppressed_among, organisation, addresses)

    async def test_suppressed(self) -> None:
        """An address is suppressed in any spelling, for its organisation only."""
        await self.db.run("add", suppressions.add_suppressions, ORGANISATION, ["Ana@Corp.test"], "bounced 5.1.1", "m")
        self.assertEqual(await self.among("ANA@corp.test", "bob@corp.test"), ["ana@corp.test"])
        self.assertEqual(await self.among("ana@corp.test", organisation="org_other"), [])

    async def test_first_reason_stays(self) -> None:
        """Suppressing again changes nothing."""
        await self.db.run("add", suppressions.add_suppressions, ORGANISATION, ["a@x.test", "A@x.test"], "bounced", "m")
        entry = await self.db.run("suppress", suppressions.suppress, ORGANISATION, "A@X.test", "manual")
        self.assertEqual((entry.address, entry.reason, entry.message_id), ("a@x.test", "bounced", "m"))

    async def test_list(self) -> None:
        """The list goes by address, page by page."""
        await self.db.run("add", suppressions.add_suppressions, ORGANISATION, ["c@x", "a@x", "b@x"], "manual")
        first = await self.db.run("list", suppressions.list_suppressions, ORGANISATION, "", 2)
        rest = await self.db.run("list", suppressions.list_suppressions, ORGANISATION, first[-1].address, 2)
        self.assertEqual([entry.address for entry in [*first, *rest]], ["a@x", "b@x", "c@x"])
        self.assertIsNone(await self.db.run("get", suppressions.get_suppression, "org_other", "a@x"))

    async def test_drop(self) -> None:
        """What is dropped may be written to again; dropping what is not there says so."""
        await self.db.run("add", suppressions.add_suppressions, ORGANISATION, ["a@x.test"], "manual")
        self.assertFalse(await self.db.run("drop", suppressions.drop_suppression, "org_other", "a@x.test"))
        self.assertTrue(await self.db.run("drop", suppressions.drop_suppression, ORGANISATION, "A@x.test"))
        self.assertFalse(await self.db.run("drop", suppressions.drop_suppression, ORGANISATION, "a@x.test"))
        self.assertEqual(await self.among("a@x.test"), [])
