"""A new deployment secret: nothing sealed is lost, and nothing made under the former one stops working."""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred

from e2a.core.trust.sealing import Sealer, UnknownKey
from e2a.flows.bootstrap import ensure_start
from e2a.flows.masterkey import Seal, examine, require_readable, reseal
from e2a.store.dkimkeys import row_id
from e2a.store.sealed import TABLES
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import OWN, SEALER, execute, make_tenant, rows

OLD = "a deployment secret for tests, long enough"
NEW = "another deployment secret, as long as that"


class RotationTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.owner = await make_tenant(self.db, "owner")
        (self.secret,) = await rows(self.db, "SELECT id, sealed FROM signing_secrets")
        self.text = SEALER.open(self.secret.id, self.secret.sealed)
        self.rotated = Sealer(NEW, os.urandom, [OLD])
        self.after = Sealer(NEW, os.urandom)

    async def add_keys(self, count: int) -> None:
        """That many domains with a key each."""
        await execute(
            self.db, "INSERT INTO domains (name) SELECT 'd' || n || '.test' FROM generate_series(1, %s) AS n", count
        )
        for (domain_id,) in await rows(self.db, "SELECT id FROM domains"):
            sealed = SEALER.seal(row_id(domain_id, "s1"), f"key of {domain_id}")
            await execute(self.db, "INSERT INTO dkim_keys VALUES (%s, 's1', %s, 'public')", domain_id, sealed)

    async def test_everything_is_sealed_anew(self) -> None:
        """Whatever the old secret sealed opens afterwards without it, in however many batches, and means the same."""
        await self.add_keys(5)
        done = {each.what: each.resealed for each in await reseal(self.db, self.rotated, batch=2)}
        self.assertEqual(done, {"signing secrets": 1, "DKIM keys": 5})
        (secret,) = await rows(self.db, "SELECT sealed FROM signing_secrets")
        self.assertEqual(self.after.open(self.secret.id, secret.sealed), self.text)
        for key in await rows(self.db, "SELECT domain_id, sealed FROM dkim_keys"):
            self.assertEqual(self.after.open(row_id(key.domain_id, "s1"), key.sealed), f"key of {key.domain_id}")
        self.assertEqual([each.resealed for each in await reseal(self.db, self.rotated)], [0, 0])

    async def test_examine(self) -> None:
        """What is left under which secret is counted, before, between and after."""
        await self.add_keys(3)
        counted = await self.db.run("examine", examine, self.rotated)
        self.assertEqual(counted, [Seal("signing secrets", "old", 1), Seal("DKIM keys", "old", 3)])
        self.assertTrue(await self.db.run("examine", require_readable, self.rotated))
        await reseal(self.db, self.rotated)
        counted = await self.db.run("examine", examine, self.after)
        self.assertEqual(counted, [Seal("signing secrets", "current", 1), Seal("DKIM keys", "current", 3)])
        self.assertFalse(await self.db.run("examine", require_readable, self.after))

    async def test_damaged_values(self) -> None:
        """A value that does not open is named and left as it is, and the others are not held up by it."""
        await self.add_keys(3)
        await execute(
            self.db,
            "UPDATE dkim_keys SET sealed = sealed || 'x' WHERE domain_id = 2 + (SELECT min(id) - 1 FROM domains)",
        )
        (damaged,) = await rows(self.db, "SELECT domain_id FROM dkim_keys ORDER BY 1 OFFSET 1 LIMIT 1")
        keys = (await reseal(self.db, self.rotated, batch=1))[1]
        self.assertEqual((keys.resealed, keys.damaged), (2, (row_id(damaged.domain_id, "s1"),)))

    async def test_unknown_secret(self) -> None:
        """A daemon does not start where a deployment secret is missing that something is sealed under."""
        starting = Deferred.fromCoroutine(ensure_start(self.db, OWN, self.after, os.urandom))
        await self.assertFailure(starting, UnknownKey)
        self.assertEqual(await self.db.run("examine", examine, self.after), [Seal("signing secrets", "unknown", 1)])
        self.assertEqual([each.resealed for each in await reseal(self.db, self.after)], [0, 0])

    async def test_start_leaves_old_seals(self) -> None:
        """A daemon that starts with a new secret seals nothing anew: its neighbours may not know that secret yet."""
        await ensure_start(self.db, OWN, self.rotated, os.urandom)
        (secret,) = await rows(self.db, "SELECT sealed FROM signing_secrets WHERE id = %s", self.secret.id)
        self.assertEqual(SEALER.open(self.secret.id, secret.sealed), self.text)

    async def test_every_sealed_column_is_known(self) -> None:
        """No table holds sealed values that a rotation would leave behind."""
        found = await rows(
            self.db,
            """
            SELECT table_name || '.' || column_name AS place FROM information_schema.columns
            WHERE table_schema = 'public' AND data_type = 'bytea' AND column_name ~ 'seal' ORDER BY 1
            """,
        )
        self.assertEqual([row.place for row in found], sorted(f"{table.table}.{table.column}" for table in TABLES))
