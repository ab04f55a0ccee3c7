"""e2a.store.schema on a real server."""

from __future__ import annotations

from typing import Any
from unittest import mock

from psycopg2 import errors
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from e2a.core.errors import SettingsError
from e2a.store import schema
from e2a.store.database import Database
from tests.support.postgres import DatabaseTestCase, ServerTestCase, sql


class ApplyTests(ServerTestCase):
    async def open(self, dsn: str) -> Database:
        db = Database(reactor, dsn, size=1)
        await db.start()
        self.addCleanup(db.stop)
        return db

    async def test_applies_all_in_order_once(self) -> None:
        """An empty database gets every migration in order, and a second start applies none."""
        db = await self.open(self.fresh_database())
        self.assertEqual(await schema.apply(db), [f"{step.version:04d}_{step.name}" for step in schema.migrations()])
        self.assertEqual(await schema.apply(db), [])

    async def test_concurrent_starts(self) -> None:
        """Of three daemons that start at once each migration is applied by one, and none fails."""
        dsn = self.fresh_database()
        databases = [await self.open(dsn) for _ in range(3)]
        results = await gatherResults(
            [Deferred.fromCoroutine(schema.apply(db)) for db in databases], consumeErrors=True
        )
        self.assertEqual(
            sorted(name for result in results for name in result),
            [f"{step.version:04d}_{step.name}" for step in schema.migrations()],
        )

    async def test_refuses_a_newer_schema(self) -> None:
        """A database that a newer version has migrated is refused with both versions named."""
        dsn = self.fresh_database()
        db = await self.open(dsn)
        await schema.apply(db)
        sql("INSERT INTO schema_migrations (version, name) VALUES (9000, 'later')", dsn)
        with self.assertRaises(SettingsError) as caught:
            await schema.apply(db)
        self.assertIn("9000", str(caught.exception))

    async def test_a_failing_migration_leaves_nothing(self) -> None:
        """A migration that fails half way leaves neither its tables nor its record."""
        dsn = self.fresh_database()
        db = await self.open(dsn)
        steps = [
            schema.Migration(1, "good", "CREATE TABLE a ()"),
            schema.Migration(2, "bad", "CREATE TABLE b (); SELECT 1/0"),
        ]
        with mock.patch.object(schema, "migrations", lambda: steps), self.assertRaises(errors.DivisionByZero):
            await schema.apply(db)
        self.assertEqual(sql("SELECT to_regclass('a') IS NULL, to_regclass('b') IS NULL", dsn), [(False, True)])
        self.assertEqual(sql("SELECT version FROM schema_migrations", dsn), [(1,)])


class DurabilityTests(DatabaseTestCase):
    async def test_names_every_setting_that_is_off(self) -> None:
        """A server that does not flush commits is complained about, setting by setting; a durable one is not."""

        async def with_settings(cur: Any) -> list[str]:
            await cur.execute("SET LOCAL synchronous_commit = on")
            return await schema.durability(cur)

        off = await self.db.run("durability", schema.durability)
        some = await self.db.run("durability", with_settings)
        names = {name for name, value in sql("SELECT name, setting FROM pg_settings", self.dsn) if value == "off"}
        expected = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if name in names]
        self.assertEqual([text.split()[0] for text in off], expected)
        self.assertNotIn("synchronous_commit", " ".join(some))
