"""Export, deletion and the audit log as clients see them: through Klein, on PostgreSQL."""

from __future__ import annotations

import io
import os
import time
import zipfile
from typing import Any

import orjson
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from e2a.api.account import AccountResource
from e2a.api.app import Api
from e2a.api.audit import AuditResource
from e2a.api.auth import Authorizer
from e2a.core.entities import Origin, Principal
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.accounts import make_key
from e2a.flows.audit import AuditLog
from e2a.flows.dataexport import DataExport, Exporting
from e2a.flows.directory import Directory
from e2a.flows.erasure import Erasure
from e2a.flows.refusals import Refusals
from e2a.store import audit
from tests.api.support import Answer
from tests.support.accounts import fill, holding
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import OPERATOR_MAILBOX, SEALER, execute, make_tenant, rows, start


class RightsApiTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        self.key = await self.mint(self.owner)
        directory = Directory(self.db, time.time, operator=OPERATOR_MAILBOX)
        exporting = Exporting(self.db, QuickCpu(), time.time)
        self.now = time.time()
        self.refusals = Refusals(self.db, lambda: self.now)
        erasure = Erasure(self.db, SEALER, os.urandom, operator=OPERATOR_MAILBOX, changed=directory.changed)
        self.api = Api(
            [
                AccountResource(DataExport(self.db, exporting, time.time), erasure),
                AuditResource(AuditLog(self.db, exporting, PageTokens(b"k" * 32))),
            ],
            Authorizer(directory.principal),
            clock=Clock(),
            random=os.urandom,
            refused=self.refusals.note,
        )
        self.treq = StubTreq(self.api)

    async def mint(self, owner: Principal, *permissions: str) -> str:
        granted = permissions or ("account:read", "account:write", "audit:read")

        async def work(cur: Any) -> str:
            _, text = await make_key(
                cur, owner.organisation_id, owner.user_id, name="", permissions=granted, random=os.urandom
            )
            return text

        return await self.db.run("mint", work)

    async def call(self, method: str, path: str, key: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {key or self.key}", "User-Agent": "curl/8"}

        async def exchange() -> Answer:
            response = await self.treq.request(method, f"http://api.test{path}", headers=headers)
            return Answer(response.code, response.headers, response.length, await response.content())

        waiting = Deferred.fromCoroutine(exchange())
        while not waiting.called:
            await deferLater(reactor, 0.002)
            self.treq.flush()
        return await waiting

    # --- export -------------------------------------------------------------------------------------------------------

    async def test_export(self) -> None:
        """The export is saved under a name with the person's id, as JSON or as an archive."""
        answer = await self.call("GET", "/api/v1/users/me/export")
        self.assertEqual((answer.code, answer.header("content-type")), (200, "application/json"))
        self.assertEqual(
            answer.header("content-disposition"), f'attachment; filename="e2a-export-{self.owner.user_id}.json"'
        )
        self.assertEqual(answer.json["user"]["email"], "alpha@people.test")
        answer = await self.call("GET", "/api/v1/users/me/export?format=zip")
        self.assertEqual((answer.code, answer.header("content-type")), (200, "application/zip"))
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            self.assertIn("export.json", archive.namelist())
        self.assertEqual((await self.call("GET", "/api/v1/users/me/export?format=xml")).code, 400)

    async def test_export_refused(self) -> None:
        """A key that may only look at the account is refused, and so is that of somebody who is no owner any more."""
        weak = await self.mint(self.owner, "account:read", "messages:read")
        self.assertEqual((await self.call("GET", "/api/v1/users/me/export", weak)).code, 403)
        await execute(self.db, "UPDATE memberships SET role = 'admin' WHERE user_id = %s", self.owner.user_id)
        self.assertEqual((await self.call("GET", "/api/v1/users/me/export")).code, 403)

    # --- deletion -----------------------------------------------------------------------------------------------------

    async def test_delete(self) -> None:
        """Deleting needs the word, answers what went, and kills the very key it was asked with."""
        answer = await self.call("DELETE", "/api/v1/users/me")
        self.assertEqual((answer.code, "confirm" in answer.text), (400, True))
        answer = await self.call("DELETE", "/api/v1/users/me?confirm=DELETE")
        self.assertEqual(answer.code, 200)
        self.assertEqual((answer.json["user_deleted"], answer.json["messages_deleted"]), (True, 5))
        self.assertEqual((await self.call("DELETE", "/api/v1/users/me?confirm=DELETE")).code, 401)
        self.assertEqual(await holding(self.db, "alpha", self.owner.user_id), {})

    # --- audit --------------------------------------------------------------------------------------------------------

    async def log(self, *actions: str, principal: Principal | None = None, **values: Any) -> None:
        """One line after the other, in transactions of their own."""
        for action in actions:
            await self.db.run(
                "log",
                audit.record,
                principal or self.owner,
                action,
                action.partition(".")[0],
                values.get("resource", ""),
            )

    async def actions(self, query: str = "") -> list[str]:
        answer = await self.call("GET", f"/api/v1/audit?{query}")
        self.assertEqual(answer.code, 200, answer.text)
        return [event["action"] for event in answer.json["events"]]

    async def test_newest_first(self) -> None:
        """Lines come newest first, page by page, each once, and only the organisation's own."""
        await self.log("key.created", "key.revoked", "agent.deleted")
        await self.log("key.created", principal=await make_tenant(self.db, "omega"))
        found, query = [], "page_size=1"
        while True:
            page = (await self.call("GET", f"/api/v1/audit?{query}")).json
            found += [event["action"] for event in page["events"]]
            if "next_token" not in page:
                break
            query = f"page_size=1&token={page['next_token']}"
        self.assertEqual(sorted(found), ["agent.created", "agent.deleted", "key.created", "key.revoked"])
        self.assertEqual(len(found), 4)

    async def test_line(self) -> None:
        """A line says who, with what, from where, what and with what result."""
        by = Principal(
            self.owner.organisation_id,
            self.owner.user_id,
            frozenset(),
            key_prefix="e2a_12345678",
            origin=Origin("192.0.2.7", "curl/8", "request-1"),
        )
        await self.db.run("log", audit.record, by, "key.created", "key", "apk_1")
        event = (await self.call("GET", "/api/v1/audit?action=key.created")).json["events"][0]
        self.assertRegex(event.pop("id"), "^aud_")
        self.assertRegex(event.pop("at"), r"^\d{4}-.*Z$")
        self.assertEqual(
            event,
            {
                "organisation_id": self.owner.organisation_id,
                "action": "key.created",
                "resource_type": "key",
                "resource_id": "apk_1",
                "user_id": self.owner.user_id,
                "key_prefix": "e2a_12345678",
                "client_ip": "192.0.2.7",
                "user_agent": "curl/8",
                "request_id": "request-1",
                "result": "ok",
                "detail": {},
            },
        )

    async def test_filters(self) -> None:
        """Each filter leaves what it says, and what is no filter is refused by name."""
        await self.log("key.created", "keyring.opened", "domain.verified", resource="x")
        self.assertEqual(await self.actions("action=key.created"), ["key.created"])
        self.assertEqual(await self.actions("action=key."), ["key.created"])
        self.assertEqual(sorted(await self.actions("action=key*")), ["key.created", "keyring.opened"])
        self.assertEqual(await self.actions("action=%25"), [])
        self.assertEqual(await self.actions("action=%25*"), [])
        self.assertEqual(await self.actions("resource_type=domain"), ["domain.verified"])
        self.assertEqual(await self.actions("resource_id=bot@alpha.test"), ["agent.created"])
        self.assertEqual(len(await self.actions("resource_id=x")), 3)
        self.assertEqual(len(await self.actions(f"user_id={self.owner.user_id}")), 4)
        self.assertEqual(await self.actions("user_id=somebody"), [])
        self.assertEqual(await self.actions("key_prefix=e2a_12345678"), [])
        self.assertEqual(await self.actions("result=refused"), [])
        self.assertEqual(len(await self.actions("since=2026-01-01T00:00:00Z&until=2100-01-01T00:00:00Z")), 4)
        self.assertEqual(await self.actions("until=2026-01-01T00:00:00Z"), [])
        for wrong in ("result=maybe", "since=yesterday", "action=", "page_size=0", "token=x"):
            answer = await self.call("GET", f"/api/v1/audit?{wrong}")
            self.assertEqual((answer.code, wrong.partition("=")[0] in answer.text), (400, True), wrong)

    async def test_token_of_other_filters(self) -> None:
        """A page token belongs to the filters that it was made with."""
        await self.log("key.created", "key.revoked")
        token = (await self.call("GET", "/api/v1/audit?page_size=1")).json["next_token"]
        answer = await self.call("GET", f"/api/v1/audit?page_size=1&action=key.*&token={token}")
        self.assertEqual(answer.code, 400)

    async def test_audit_export(self) -> None:
        """The whole log comes as JSON Lines, with the line that says that it was taken."""
        await self.log("key.created")
        answer = await self.call("GET", "/api/v1/audit/export")
        self.assertEqual((answer.code, answer.header("content-type")), (200, "application/x-ndjson"))
        found = [orjson.loads(line)["action"] for line in answer.content.splitlines()]
        self.assertEqual(sorted(found), ["agent.created", "audit.exported", "key.created"])
        answer = await self.call("GET", "/api/v1/audit/export?action=nothing")
        self.assertEqual((answer.code, answer.content), (200, b""))

    async def test_audit_refused(self) -> None:
        """Without the permission nobody reads the log."""
        weak = await self.mint(self.owner, "account:read")
        for path in ("/api/v1/audit", "/api/v1/audit/export"):
            self.assertEqual((await self.call("GET", path, weak)).code, 403)

    # --- refused keys -------------------------------------------------------------------------------------------------

    async def refused(self) -> list[Any]:
        while self.refusals._asking:
            await deferLater(reactor, 0.002)
        return await rows(self.db, "SELECT * FROM audit_events WHERE action = 'key.refused'")

    async def test_dead_key(self) -> None:
        """A revoked key that is still tried is in its organisation's log: once in an hour, whatever the process."""
        dead = await self.mint(self.owner)
        await execute(self.db, "UPDATE api_keys SET revoked_at = now() WHERE id <> 'apk_alpha'")
        self.assertEqual((await self.call("GET", "/api/v1/audit", dead)).code, 401)
        found = await self.refused()
        self.assertEqual(
            [(row.organisation_id, row.result, row.detail, row.user_agent) for row in found],
            [(self.owner.organisation_id, "refused", {"reason": "revoked"}, "curl/8")],
        )
        await self.call("GET", "/api/v1/audit", dead)
        self.now += 3000
        await self.call("GET", "/api/v1/audit", dead)
        self.assertEqual(len(await self.refused()), 1)

    async def test_unknown_key(self) -> None:
        """A key that never was is in nobody's log."""
        await self.call("GET", "/api/v1/audit", "e2a_" + "0" * 64)
        self.assertEqual(await self.refused(), [])
