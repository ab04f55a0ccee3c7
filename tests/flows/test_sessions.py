"""Sessions: opened, found as the person's role is now, listed, moved and ended."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from e2a.core.entities import Origin, Principal
from e2a.core.errors import NotFound
from e2a.core.rules.permissions import ROLE_PERMISSIONS
from e2a.flows.accounts import Accounts
from e2a.flows.live import LiveRights
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.signin import ORIGIN, sessions_of, sign_in
from tests.support.tenants import execute, make_tenant, rows

MOMENT = 1_800_000_000.0


class SessionTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.sessions = sessions_of(self.db, self.clock.seconds)
        self.owner = await make_tenant(self.db, "owner")

    async def sign_in(self, user_id: str | None = None) -> tuple[str, Principal]:
        return await sign_in(self.db, user_id or self.owner.user_id, self.clock.seconds)

    async def not_found(self, coroutine: Any) -> None:
        await self.assertFailure(Deferred.fromCoroutine(coroutine), NotFound)

    async def test_open_and_close(self) -> None:
        """A session stands for its person with their role until it is closed; only a hash of the token is stored."""
        token, principal = await self.sign_in()
        self.assertEqual(await self.sessions.find(token, ORIGIN), principal)
        self.assertEqual((principal.role, principal.permissions), ("owner", ROLE_PERMISSIONS["owner"]))
        self.assertEqual(principal.organisation_id, self.owner.organisation_id)
        (row,) = await rows(self.db, "SELECT row_to_json(s)::text AS text FROM user_sessions s")
        self.assertNotIn(token[4:], row.text)
        await self.sessions.close(token, principal)
        self.assertIsNone(await self.sessions.find(token, ORIGIN))
        found = await rows(self.db, "SELECT action, client_ip FROM audit_events ORDER BY at")
        self.assertEqual(
            [tuple(row) for row in found], [(f"session.{word}", "192.0.2.7") for word in ("opened", "closed")]
        )

    async def test_thirty_days(self) -> None:
        """A session ends after thirty days, used or not."""
        token, _ = await self.sign_in()
        self.clock.advance(30 * 86_400 - 1)
        self.assertIsNotNone(await self.sessions.find(token, ORIGIN))
        self.clock.advance(1)
        self.assertIsNone(await self.sessions.find(token, ORIGIN))

    async def test_junk(self) -> None:
        """What is no token is no session, and a key is none either."""
        _, key = await Accounts(self.db, self.clock.seconds, os.urandom).create_key(self.owner)
        for token in ("", "\0", "e2a_", key):
            self.assertIsNone(await self.sessions.find(token, ORIGIN), token)

    async def test_role_now(self) -> None:
        """A changed role counts at the next request."""
        token, _ = await self.sign_in()
        await execute(self.db, "UPDATE memberships SET role = 'member'")
        found = await self.sessions.find(token, ORIGIN)
        assert found is not None
        self.assertEqual((found.role, found.permissions), ("member", ROLE_PERMISSIONS["member"]))

    async def test_left_behind(self) -> None:
        """Who leaves the organisation goes on in another of theirs; who has left all is signed out, and gets a personal
        one when they sign in again.
        """
        token, first = await self.sign_in()
        other = await make_tenant(self.db, "other")
        await self.join(other.organisation_id)
        await execute(self.db, "DELETE FROM memberships WHERE organisation_id = %s", first.organisation_id)
        found = await self.sessions.find(token, ORIGIN)
        assert found is not None
        self.assertEqual((found.organisation_id, found.role), (other.organisation_id, "member"))
        await execute(self.db, "DELETE FROM memberships WHERE user_id = %s", self.owner.user_id)
        self.assertIsNone(await self.sessions.find(token, ORIGIN))
        _, again = await self.sign_in()
        self.assertNotIn(again.organisation_id, (first.organisation_id, other.organisation_id))
        self.assertEqual(again.role, "owner")

    async def join(self, organisation_id: str) -> None:
        await execute(
            self.db,
            "INSERT INTO memberships (organisation_id, user_id, role) VALUES (%s, %s, 'member')",
            organisation_id,
            self.owner.user_id,
        )

    async def test_switch(self) -> None:
        """A session moves among its person's organisations and into no other."""
        token, principal = await self.sign_in()
        other, foreign = await make_tenant(self.db, "other"), await make_tenant(self.db, "foreign")
        await self.join(other.organisation_id)
        await self.sessions.switch(principal, other.organisation_id)
        found = await self.sessions.find(token, ORIGIN)
        assert found is not None
        self.assertEqual((found.organisation_id, found.role), (other.organisation_id, "member"))
        for unknown in (foreign.organisation_id, "org_unknown"):
            await self.not_found(self.sessions.switch(principal, unknown))
        self.assertEqual(await self.sessions.find(token, ORIGIN), found)

    async def test_deleted_organisation(self) -> None:
        """A session outlives the organisation it was in, as long as its person has another."""
        token, principal = await self.sign_in()
        other = await make_tenant(self.db, "other")
        await self.join(other.organisation_id)
        await self.sessions.switch(principal, other.organisation_id)
        await execute(self.db, "DELETE FROM organisations WHERE id = %s", other.organisation_id)
        found = await self.sessions.find(token, ORIGIN)
        assert found is not None
        self.assertEqual(found.organisation_id, principal.organisation_id)

    async def test_list(self) -> None:
        """A person sees their own sessions that last, with where each was used last."""
        await self.sign_in()
        self.clock.advance(timedelta(days=30).total_seconds() - 10)
        token, first = await self.sign_in()
        self.clock.advance(10)
        _, second = await self.sign_in()
        await self.sign_in((await make_tenant(self.db, "other")).user_id)
        self.assertEqual([each.id for each in await self.sessions.listed(first)], [second.session_id, first.session_id])
        self.clock.advance(400)
        await self.sessions.find(token, Origin("198.51.100.9"))
        listed = await self.sessions.listed(first)
        self.assertEqual([each.id for each in listed], [first.session_id, second.session_id])
        self.assertEqual((listed[0].client_ip, listed[0].user_agent), ("198.51.100.9", "Browser/1.0"))
        self.assertEqual(listed[0].last_used_at.timestamp(), self.clock.seconds())

    async def test_use_is_written_lazily(self) -> None:
        """Requests within five minutes of the last noted use write nothing."""
        token, principal = await self.sign_in()
        self.clock.advance(299)
        await self.sessions.find(token, Origin("198.51.100.9"))
        (listed,) = await self.sessions.listed(principal)
        self.assertEqual((listed.last_used_at.timestamp(), listed.client_ip), (MOMENT, "192.0.2.7"))

    async def test_live_connections(self) -> None:
        """A live connection ends with its session, and with what lets its person read."""
        token, principal = await self.sign_in()
        await make_agent(self.db, organisation=principal.organisation_id)
        rights = LiveRights(self.db)
        connections = [("bot@agents.test", principal), ("bot@agents.test", self.owner)]
        self.assertEqual(await rights.lost(connections), [])
        await execute(self.db, "UPDATE memberships SET role = 'member'")
        self.assertEqual(await rights.lost(connections), [])
        await self.sessions.close(token, principal)
        self.assertEqual(await rights.lost(connections), [(0, "signed out")])
        _, principal = await self.sign_in()
        await execute(self.db, "DELETE FROM memberships WHERE user_id = %s", self.owner.user_id)
        self.assertEqual(await rights.lost([("bot@agents.test", principal)]), [(0, "signed out")])

    async def test_revoke(self) -> None:
        """A person ends one session or all others, never somebody else's."""
        tokens = [await self.sign_in() for _ in range(4)]
        (token, principal), (first, gone), *rest = tokens
        stranger, foreign = await self.sign_in((await make_tenant(self.db, "other")).user_id)
        assert gone.session_id and foreign.session_id
        await self.sessions.revoke(principal, gone.session_id)
        self.assertIsNone(await self.sessions.find(first, ORIGIN))
        for unknown in (gone.session_id, foreign.session_id, "ses_unknown"):
            await self.not_found(self.sessions.revoke(principal, unknown))
        self.assertEqual(await self.sessions.revoke_others(principal), 2)
        self.assertEqual(await self.sessions.revoke_others(principal), 0)
        self.assertEqual([await self.sessions.find(each, ORIGIN) for each, _ in rest], [None, None])
        self.assertIsNotNone(await self.sessions.find(token, ORIGIN))
        self.assertIsNotNone(await self.sessions.find(stranger, ORIGIN))
        found = await rows(self.db, "SELECT detail FROM audit_events WHERE action = 'session.revoked' ORDER BY at")
        self.assertEqual([row.detail for row in found], [{}, {"count": 2}])
