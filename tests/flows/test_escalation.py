"""What a credential does not reach by a detour: by way of a person, an invitation, or an agent made anew."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from e2a.core.entities import Principal
from e2a.core.errors import Conflict, Forbidden, Gone, NotFound, TooManyRequests, Unavailable
from e2a.core.rules.limits import Limit
from e2a.core.rules.permissions import ALL_PERMISSIONS, ROLE_PERMISSIONS
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows import invitations as module
from e2a.flows.agents import AgentChange, Agents
from e2a.flows.dataexport import DataExport, Exporting
from e2a.flows.erasure import Erasure
from e2a.store import erasure as store
from e2a.store import holds, signin
from tests.flows.test_people import PeopleTestCase
from tests.support.cpu import QuickCpu
from tests.support.postgres import make_agent
from tests.support.tenants import OPERATOR_MAILBOX, OWN, SEALER, execute, rows


def key_of(person: Principal, *permissions: str) -> Principal:
    """A key of this person's, in the same organisation."""
    return replace(person, session_id=None, role=None, key_id="apk_1", permissions=frozenset(permissions))


class AppointmentTests(PeopleTestCase):
    async def test_key_gives_what_it_holds(self) -> None:
        """A key makes nobody more than it is itself: who holds it would otherwise become an owner."""
        narrow = key_of(self.owner, "members:write")
        for role in ("owner", "admin", "member"):
            await self.refused(Forbidden, self.invitations.invite(narrow, "dee@people.test", role))
        bo = await self.join(self.bo, "member")
        await self.refused(Forbidden, self.people.change_role(narrow, bo.user_id, "admin"))
        wide = key_of(self.owner, *ROLE_PERMISSIONS["admin"])
        await self.refused(Forbidden, self.invitations.invite(wide, "dee@people.test", "owner"))
        await self.refused(Forbidden, self.people.change_role(wide, bo.user_id, "owner"))
        self.assertEqual(self.writer.drafts, [])
        await self.invitations.invite(wide, "dee@people.test", "admin")
        await self.invitations.invite(key_of(self.owner, *ALL_PERMISSIONS), "dee@people.test", "owner")

    async def test_key_takes(self) -> None:
        """A key that manages members can take a role away, and remove people."""
        narrow = key_of(self.owner, "members:write")
        bo = await self.join(self.bo, "owner")
        await self.people.change_role(narrow, bo.user_id, "member")
        await self.people.remove(narrow, bo.user_id)
        self.assertNotIn(bo.user_id, await self.roles())


class UnaskedMailTests(PeopleTestCase):
    async def test_invitations(self) -> None:
        """More organisations do not let one person write to more people who did not ask for it."""
        self.patch(module, "SENT_BY", Limit("by", 2, 86_400))
        for place, name in ((self.team, "dee"), (self.ana.organisation_id, "eve")):
            await self.invitations.invite(replace(self.ana, organisation_id=place), f"{name}@people.test", "member")
        more = (await self.people.create(self.ana, "More")).id
        owner = replace(self.ana, organisation_id=more)
        await self.refused(TooManyRequests, self.invitations.invite(owner, "fay@people.test", "member"))
        self.assertEqual(len(self.writer.drafts), 2)
        await self.invitations.invite(self.bo, "fay@people.test", "member")


class InviterTests(PeopleTestCase):
    """An invitation is worth what the person who made it could give today."""

    async def invite(self, inviter: Principal, name: str, role: str) -> str:
        await self.invitations.invite(inviter, f"{name}@people.test", role)
        return self.writer.token()

    async def test_gone(self) -> None:
        """With an inviter who is removed, leaves, or deletes the account go the open invitations they made."""
        endings = (
            lambda one: self.people.remove(self.owner, one.user_id),
            self.people.leave,
            lambda one: Erasure(self.db, SEALER, os.urandom, operator=OPERATOR_MAILBOX).delete_account(one, "DELETE"),
        )
        dee = await self.person("dee")
        for number, end in enumerate(endings):
            inviter = await self.join(await self.person(f"carl{number}"), "admin")
            token = await self.invite(inviter, "dee", "admin")
            await self.invitations.look(token)
            await end(inviter)
            await self.refused(Gone, self.invitations.accept(dee, token))
            self.assertEqual(await self.invitations.list_open(self.owner), [])
        self.assertNotIn(dee.user_id, await self.roles())

    async def test_no_way_in(self) -> None:
        """Nor does such an invitation let anybody make an account."""
        carl = await self.join(await self.person("carl"), "admin")
        await self.invite(carl, "eve", "member")
        moment = self.invitations._moment()
        self.assertTrue(await self.db.run("invited", signin.invited, "eve@people.test", moment))
        await self.people.remove(self.owner, carl.user_id)
        self.assertFalse(await self.db.run("invited", signin.invited, "eve@people.test", moment))

    async def test_demoted(self) -> None:
        """Who is demoted has invited nobody to more than they could invite to now; other invitations stay."""
        carl = await self.join(await self.person("carl"), "owner")
        tokens = {role: await self.invite(carl, f"to-{role}", role) for role in ("owner", "admin")}
        other = await self.invite(self.owner, "dee", "owner")
        await self.people.change_role(self.owner, carl.user_id, "admin")
        await self.refused(Gone, self.invitations.look(tokens["owner"]))
        await self.invitations.look(tokens["admin"])
        await self.people.change_role(self.owner, carl.user_id, "member")
        await self.refused(Gone, self.invitations.look(tokens["admin"]))
        await self.invitations.look(other)

    async def test_member_already(self) -> None:
        """Who has joined otherwise keeps the role they have, and the log says of no other."""
        await self.invitations.invite(self.owner, "bo@people.test", "admin")
        await self.join(self.bo, "member")
        await self.refused(Conflict, self.invitations.accept(self.bo, self.writer.token()))
        self.assertEqual((await self.roles())[self.bo.user_id], "member")
        self.assertEqual(await rows(self.db, "SELECT 1 FROM audit_events WHERE action = 'member.joined'"), [])

    async def test_organisation_goes(self) -> None:
        """Nobody is let into an organisation whose owner has deleted it, while what it held is still being removed."""
        await self.invitations.invite(self.owner, "bo@people.test", "admin")
        token, moment = self.writer.token(), self.invitations._moment()

        async def broken(*_: Any) -> int:
            raise Unavailable

        self.patch(store, "erase_messages", broken)
        erasure = Erasure(self.db, SEALER, os.urandom, operator=OPERATOR_MAILBOX)
        await self.refused(Unavailable, erasure.delete_account(self.owner, "DELETE"))
        await self.refused(NotFound, self.invitations.accept(self.bo, token))
        await self.refused(NotFound, self.invitations.look(token))
        self.assertFalse(await self.db.run("invited", signin.invited, "bo@people.test", moment))

    async def test_other_log(self) -> None:
        """That somebody made an organisation stands in its own log, not in that of where they came from."""
        bo = await self.join(self.bo, "member")
        made = await self.people.create(bo, "Secret plans")
        lines = await rows(
            self.db,
            "SELECT organisation_id FROM audit_events WHERE action = 'organisation.created' AND resource_id = %s",
            made.id,
        )
        self.assertEqual([line.organisation_id for line in lines], [made.id])


class OneOrganisationTests(PeopleTestCase):
    """A key belongs to one organisation, however many its owner has."""

    async def test_delete(self) -> None:
        """A key does not delete what its owner has elsewhere; the person, signed in, does."""
        erasure = Erasure(self.db, SEALER, os.urandom, operator=OPERATOR_MAILBOX)
        key = key_of(self.owner, *ALL_PERMISSIONS)
        await self.refused(Forbidden, erasure.delete_account(key, "DELETE"))
        left = await rows(self.db, "SELECT 1 FROM memberships WHERE user_id = %s", self.ana.user_id)
        self.assertEqual(len(left), 2)
        await erasure.delete_account(key_of(self.bo, *ALL_PERMISSIONS), "DELETE")
        await erasure.delete_account(self.owner, "DELETE")
        self.assertEqual(await rows(self.db, "SELECT 1 FROM users WHERE id = %s", self.ana.user_id), [])

    async def test_export(self) -> None:
        """An export by a key does not name the other organisations of its owner; one by the person does."""
        export = DataExport(self.db, Exporting(self.db, QuickCpu(), time.time), time.time)
        for caller, seen in ((key_of(self.owner, *ALL_PERMISSIONS), [self.team]), (self.owner, None)):
            spool = await export.start(caller, "json")
            try:
                document = json.loads(b"".join([chunk async for chunk in spool]))
            finally:
                spool.close()
            shown = [one["id"] for one in document["memberships"]]
            self.assertEqual(shown, seen or [self.ana.organisation_id, self.team])
            if seen:
                self.assertNotIn(self.ana.organisation_id, json.dumps(document))


async def nowhere(host: str) -> Sequence[str]:
    return ()


class ReviewedAgentTests(PeopleTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.agents = Agents(self.db, nowhere, PageTokens(b"k" * 32), own=OWN, production=True)

    async def test_delete(self) -> None:
        """Who may not decide reviews does not delete a reviewed agent: made anew, it would send without review."""
        bot = (await self.agents.register(self.ana, slug="bot", agent_mode="local")).id
        program = key_of(self.ana, "agents:read", "agents:write", "messages:send")
        await self.agents.update(self.ana, bot, AgentChange(hitl_enabled=True))
        await self.refused(Forbidden, self.agents.delete(program, bot))
        self.assertTrue((await self.agents.get(self.ana, bot)).hitl_enabled)
        await self.agents.update(self.ana, bot, AgentChange(hitl_enabled=False))
        await self.agents.delete(program, bot)
        bot = (await self.agents.register(self.ana, slug="bot", agent_mode="local")).id
        await self.agents.update(self.ana, bot, AgentChange(hitl_enabled=True))
        await self.agents.delete(self.ana, bot)

    async def test_reviewers(self) -> None:
        """No link to approve goes to an address that an agent reads, with a tag or without."""
        tagged = "ana+e2a@people.test"
        await execute(self.db, "UPDATE users SET email = %s WHERE id = %s", tagged, self.ana.user_id)
        for address, told in (("ana@people.test", False), (tagged, False), ("else@people.test", True)):
            await make_agent(self.db, address, organisation=self.team)
            found = await self.db.run("reviewers", holds.reviewers, self.team)
            self.assertEqual((self.ana.user_id, tagged) in found, told)
            await execute(self.db, "DELETE FROM agents WHERE id = %s", address)
