"""Everything an account has, taken away by its owner."""

from __future__ import annotations

import base64
import io
import json
import os
import time
import zipfile
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from e2a.core.entities import Principal
from e2a.core.errors import Forbidden, TooManyRequests, Unavailable
from e2a.flows.dataexport import DataExport, Exporting
from e2a.store import dataexport as store
from tests.support.accounts import FIRST, SECOND, columns, fill, tables
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import execute, make_tenant, rows, start


class ExportTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        self.foreign = await fill(self.db, self.dsn, "omega", "raw-shared")
        self.exporting = Exporting(self.db, QuickCpu(), time.time)
        self.export = DataExport(self.db, self.exporting, time.time)

    async def taken(self, form: Any = "json", principal: Principal | None = None) -> bytes:
        spool = await self.export.start(principal or self.owner, form)
        try:
            return b"".join([chunk async for chunk in spool])
        finally:
            spool.close()

    async def document(self) -> dict[str, Any]:
        return json.loads(await self.taken())

    async def test_every_table(self) -> None:
        """Every table of the schema is exported or withheld for a reason, and of each exported one every column."""
        found = await self.document()
        shown: dict[str, set[str]] = {
            table: {*found[section.name][0], *section.optional}
            for section in store.SECTIONS
            for table in section.tables
        }
        message = {name for one in found["messages"] for name in one} | store._OPTIONAL_OF_MESSAGES
        shown["messages"] = message | {"message_type", "inbox_status", "raw_id"}
        shown["organisations"], shown["users"] = set(found["organisation"]), set(found["user"])
        shown["raw_messages"] = shown["raw_parts"] = {"id", "size", "data"}
        shown["dkim_keys"] = set(found["domains"][0]["dkim_keys"][0])
        shown["domains"].add("name")
        for table in await tables(self.db):
            if table in store.WITHHELD:
                self.assertNotIn(table, shown, f"{table} is exported and withheld")
                continue
            self.assertIn(table, shown, f"is {table} exported, and where? If it is not: why?")
            withheld = store.WITHHELD_COLUMNS.get(table, frozenset())
            missing = set(await columns(self.db, table)) - shown[table] - withheld
            self.assertEqual(missing, set(), f"are these columns of {table} exported? If they are not: why?")

    async def test_rows(self) -> None:
        """Of each exported table it has as many rows as the account has, and none of another account's."""
        found = await self.document()
        for section in store.SECTIONS:
            for table in section.tables:
                names = await columns(self.db, table)
                if ("user_id" in names and "organisation_id" not in names) or table == "user_sessions":
                    condition, value = "user_id = %s", self.owner.user_id
                elif "organisation_id" in names:
                    condition, value = "organisation_id = %s", self.owner.organisation_id
                else:
                    condition, value = f"{'agent_id' if 'agent_id' in names else 'message_id'} LIKE %s", "%alpha%"
                counted = await rows(self.db, f"SELECT count(*) AS n FROM {table} WHERE {condition}", value)
                self.assertEqual(len(found[section.name]), counted[0].n, table)
                self.assertGreater(counted[0].n, 0, f"nothing in {table} to compare")
        self.assertEqual(len(found["messages"]), 5)
        self.assertNotIn("omega", json.dumps(found))

    async def test_contract(self) -> None:
        """It has the fields that clients know, and no credential."""
        text = (await self.taken()).decode()
        found = json.loads(text)
        self.assertEqual(found["schema_version"], "1")
        self.assertRegex(found["generated_at"], r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertEqual(
            {name: found["user"][name] for name in ("id", "email", "name")},
            {"id": self.owner.user_id, "email": "alpha@people.test", "name": "alpha"},
        )
        self.assertEqual(found["organisation"]["role"], "owner")
        self.assertEqual([one["id"] for one in found["memberships"]], [self.owner.organisation_id])
        domain = found["domains"][0]
        self.assertEqual((domain["domain"], domain["verified"]), ("alpha.test", True))
        self.assertEqual(domain["user_id"], self.owner.user_id)
        self.assertIs(found["agents"][0]["domain_verified"], True)
        self.assertEqual(found["agents"][0]["webhook_url"], "https://hook.alpha.test/")
        self.assertNotIn("revoked_at", found["api_keys"][0])
        self.assertEqual(found["conversations"][0]["id"], "c-alpha")
        for secret in ("hash-alpha", "session-alpha", "link-alpha", "subject-alpha", "sealed"):
            self.assertNotIn(secret, text)
        self.assertIn("account.exported", [one["action"] for one in found["audit_events"]])

    async def test_mail(self) -> None:
        """Each message carries its bytes, long ones as well."""
        found = {one["id"]: one for one in (await self.document())["messages"]}
        self.assertEqual(list(found), sorted(found))
        raw = {name: base64.b64decode(one["raw_message"]) for name, one in found.items() if "raw_message" in one}
        self.assertEqual(raw["msg_alpha1"], FIRST + SECOND)
        self.assertEqual(raw["msg_alpha2"], b"small-alpha")
        self.assertEqual(raw["msg_alpha3"], b"shared")
        self.assertNotIn("msg_alpha4", raw)
        self.assertEqual(found["msg_alpha1"]["delivery_status"], "failed")

    async def test_archive(self) -> None:
        """The archive has the document, and each message as a file that it names."""
        with zipfile.ZipFile(io.BytesIO(await self.taken("zip"))) as archive:
            self.assertIsNone(archive.testzip())
            found = json.loads(archive.read("export.json"))
            files = {one["id"]: one["raw_file"] for one in found["messages"] if "raw_file" in one}
            self.assertEqual(sorted(archive.namelist()), sorted(["export.json", *files.values()]))
            self.assertEqual(archive.read(files["msg_alpha1"]), FIRST + SECOND)
            self.assertEqual(archive.read(files["msg_alpha2"]), b"small-alpha")
            self.assertTrue(files["msg_alpha1"].endswith(".eml"))
            self.assertFalse(any("raw_message" in one for one in found["messages"]))

    async def test_empty(self) -> None:
        """An account with nothing in it has empty lists."""
        found = json.loads(await self.taken(principal=await make_tenant(self.db, "newcomer")))
        self.assertEqual([found[name] for name in ("messages", "agents", "domains", "usage_events")], [[]] * 4)

    async def test_snapshot(self) -> None:
        """What is deleted while it is made is in it all the same: it is of one moment."""
        await self.fill_up(300)
        spool = await self.export.start(self.owner, "json")
        first = await spool.__anext__()
        await execute(self.db, "DELETE FROM messages")
        rest = b"".join([chunk async for chunk in spool])
        spool.close()
        self.assertEqual(len(json.loads(first + rest)["messages"]), 305)

    async def test_flat(self) -> None:
        """However slowly it is read, it is made to the end and lets go of the database."""
        await self.fill_up(300)
        spool = await self.export.start(self.owner, "json")
        while not spool._finished:
            await execute(self.db, "SELECT 1")
        busy = await rows(
            self.db,
            "SELECT count(*) AS n FROM pg_stat_activity"
            " WHERE state LIKE 'idle in transaction%%' AND datname = current_database()",
        )
        self.assertEqual(busy[0].n, 0)
        self.assertEqual(len(json.loads(b"".join([chunk async for chunk in spool]))["messages"]), 305)
        spool.close()

    async def fill_up(self, count: int) -> None:
        await execute(
            self.db,
            "INSERT INTO messages (id, agent_id, direction, uid, raw_id, inbox_status)"
            " SELECT 'msg_m' || n, 'bot@alpha.test', 'inbound', 100 + n, 'raw-small-alpha', 'read'"
            " FROM generate_series(1, %s) AS n",
            count,
        )

    # --- who may, and how often ---------------------------------------------------------------------------------------

    async def test_whole_account(self) -> None:
        """A key for a part of the agents is refused."""
        for bound in (replace(self.owner, label_prefix="label-"), replace(self.owner, agent_id="bot@alpha.test")):
            with self.assertRaises(Forbidden):
                await self.export.start(bound, "json")

    async def test_one_at_a_time(self) -> None:
        """An organisation takes one at a time; a second is told to come later, and works once the first is closed."""
        spool = await self.export.start(self.owner, "json")
        with self.assertRaises(TooManyRequests):
            await self.export.start(self.owner, "json")
        spool.close()
        while self.exporting._reading:
            await execute(self.db, "SELECT 1")
        (await self.export.start(self.owner, "json")).close()
        while self.exporting._reading:
            await execute(self.db, "SELECT 1")

    async def test_few_snapshots(self) -> None:
        """No more are read from the database at a time than is allowed."""
        waiting: Deferred[None] = Deferred()

        async def make(cur: Any, spool: Any) -> None:
            await spool.put(lambda file: file.write(b"x"))
            await waiting

        spools = [await self.exporting.start(f"org_{n}", "test", make) for n in range(2)]
        with self.assertRaises(TooManyRequests):
            await self.export.start(self.owner, "json")
        waiting.callback(None)
        for spool in spools:
            self.assertEqual([chunk async for chunk in spool], [b"x"])
            spool.close()
        self.assertTrue(await self.taken())

    async def test_leaving(self) -> None:
        """Who leaves lets the snapshot end early, and nothing stays behind."""
        await self.fill_up(300)
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        spool = await self.export.start(self.owner, "json")
        spool.close()
        while self.exporting._reading:
            await execute(self.db, "SELECT 1")
        self.assertEqual(self.exporting._open, {})
        if before:
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    async def test_too_long(self) -> None:
        """One that takes too long fails where it stands, for its reader as well."""
        now = [0.0]
        slow = Exporting(self.db, QuickCpu(), lambda: now[0])

        async def make(cur: Any, spool: Any) -> None:
            await spool.put(lambda file: file.write(b"x"))
            now[0] = 10_000.0
            await spool.put(lambda file: file.write(b"y"))

        spool = await slow.start("org_slow", "test", make)
        with self.assertRaises(Unavailable):
            [chunk async for chunk in spool]
        spool.close()
