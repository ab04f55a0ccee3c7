"""Organisations, members and invitations."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from e2a.core.entities import Principal, Role
from e2a.core.errors import BadRequest, Conflict, E2AError, Forbidden, Gone, NotFound, TooManyRequests
from e2a.core.rules.drafts import Draft
from e2a.core.rules.permissions import ALL_PERMISSIONS, ROLE_PERMISSIONS
from e2a.flows.accounts import make_key
from e2a.flows.invitations import Invitations
from e2a.flows.people import People
from e2a.store import members
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import SEALER, make_tenant, rows, start


class Writer:
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.sends_system_mail = True
        self.drafts: list[Draft] = []

    async def system_mail(self, cur: Any, draft: Draft) -> None:
        self.drafts.append(draft)

    def token(self) -> str:
        """That of the last mail."""
        match = re.search(r"https://api\.test/invitation\?token=(e2a_[0-9a-f]{64})\n", self.drafts[-1].text)
        assert match is not None
        return match[1]


class PeopleTestCase(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.writer = Writer()
        self.people = People(self.db, SEALER, os.urandom)
        self.invitations = Invitations(
            self.db, self.writer, public_url="https://api.test", now=self.clock.seconds, random=os.urandom
        )
        self.ana = await self.person("ana")
        self.bo = await self.person("bo")
        self.team = (await self.people.create(self.ana, "The team")).id
        self.owner = replace(self.ana, organisation_id=self.team)

    async def person(self, name: str) -> Principal:
        """Somebody with a personal organisation, signed in."""
        return replace(await make_tenant(self.db, name), session_id=f"ses_{name}", role="owner")

    async def join(self, person: Principal, role: Role) -> Principal:
        """The same person in the team."""
        await self.db.run("join", members.add_member, self.team, person.user_id, role)
        return replace(person, organisation_id=self.team, role=role, permissions=ROLE_PERMISSIONS[role])

    async def refused(self, error: type[E2AError], work: Any) -> Any:
        return await self.assertFailure(Deferred.fromCoroutine(work), error)

    async def roles(self) -> dict[str, str]:
        """Role by user in the team."""
        return {member.user_id: member.role for member in await self.people.list_members(self.owner)}


class MemberTests(PeopleTestCase):
    async def test_places(self) -> None:
        """A person sees each organisation they belong to; a key only its own, and makes none."""
        found = await self.people.places(self.owner)
        self.assertEqual([(place.name, place.role, place.current) for place in found][1], ("The team", "owner", True))
        self.assertEqual([place.personal for place in found], [True, False])
        key = replace(self.owner, session_id=None, key_id="apk_1")
        self.assertEqual([place.id for place in await self.people.places(key)], [self.team])
        for part in ({"agent_id": "bot@agents.test"}, {"label_prefix": "eu/"}):
            # A personal organisation bears its owner's address.
            self.assertEqual([place.name for place in await self.people.places(replace(key, **part))], [""])
        await self.refused(Forbidden, self.people.create(key, "More"))
        await self.refused(BadRequest, self.people.create(self.ana, " \n "))

    async def test_who_appoints(self) -> None:
        """Members appoint nobody, admins everybody but owners, owners everybody."""
        bo = await self.join(self.bo, "member")
        carl = await self.join(await self.person("carl"), "admin")
        await self.refused(Forbidden, self.people.change_role(bo, carl.user_id, "member"))
        await self.refused(Forbidden, self.people.change_role(carl, bo.user_id, "owner"))
        await self.refused(Forbidden, self.people.change_role(carl, self.ana.user_id, "member"))
        await self.refused(Forbidden, self.people.remove(carl, self.ana.user_id))
        await self.refused(BadRequest, self.people.change_role(carl, bo.user_id, "king"))
        await self.people.change_role(carl, bo.user_id, "admin")
        await self.people.change_role(self.owner, bo.user_id, "owner")
        self.assertEqual(
            await self.roles(), {self.ana.user_id: "owner", self.bo.user_id: "owner", carl.user_id: "admin"}
        )

    async def test_last_owner(self) -> None:
        """An organisation always has an owner, also when two leave at once."""
        await self.refused(Conflict, self.people.change_role(self.owner, self.ana.user_id, "admin"))
        await self.refused(Conflict, self.people.leave(self.owner))
        bo = await self.join(self.bo, "owner")
        leaving = [Deferred.fromCoroutine(self.people.leave(one)) for one in (self.owner, bo)]
        answers = await gatherResults([one.addErrback(lambda failure: failure.trap(Conflict)) for one in leaving])
        self.assertEqual(sorted(answer is None for answer in answers), [False, True])
        left = await rows(self.db, "SELECT role FROM memberships WHERE organisation_id = %s", self.team)
        self.assertEqual([row.role for row in left], ["owner"])

    async def test_foreign(self) -> None:
        """Somebody of another organisation is as unknown as nobody."""
        for user_id in (self.bo.user_id, "nobody"):
            await self.refused(NotFound, self.people.change_role(self.owner, user_id, "member"))
            await self.refused(NotFound, self.people.remove(self.owner, user_id))

    async def test_removal(self) -> None:
        """Who is removed loses the keys they made there; a session goes on in another organisation of theirs."""
        bo = await self.join(self.bo, "admin")
        for organisation_id in (self.team, self.bo.organisation_id):
            await self.db.run(
                "key",
                lambda cur, organisation_id=organisation_id: make_key(
                    cur, organisation_id, bo.user_id, name="k", permissions=ALL_PERMISSIONS, random=os.urandom
                ),
            )
        await self.people.remove(self.owner, bo.user_id)
        left = await rows(self.db, "SELECT organisation_id FROM api_keys WHERE revoked_at IS NULL")
        self.assertEqual([row.organisation_id for row in left], [self.bo.organisation_id])
        self.assertNotIn(bo.user_id, await self.roles())

    async def test_audited(self) -> None:
        """Every change leaves a line."""
        bo = await self.join(self.bo, "member")
        await self.people.rename(self.owner, "Other")
        await self.people.change_role(self.owner, bo.user_id, "admin")
        await self.people.remove(self.owner, bo.user_id)
        found = await rows(self.db, "SELECT action FROM audit_events WHERE organisation_id = %s ORDER BY id", self.team)
        self.assertEqual(
            [row.action for row in found if row.action != "organisation.created"],
            ["organisation.renamed", "member.role_changed", "member.removed"],
        )


class InvitationTests(PeopleTestCase):
    async def test_accepted(self) -> None:
        """The invited person joins with the role that was meant, once."""
        made, link = await self.invitations.invite(self.owner, "Bo@people.test", "admin")
        self.assertIsNone(link)
        token = self.writer.token()
        self.assertEqual((await self.invitations.look(token)).organisation, "The team")
        await self.invitations.accept(self.bo, token)
        self.assertEqual((await self.roles())[self.bo.user_id], "admin")
        await self.refused(Gone, self.invitations.accept(self.bo, token))
        self.assertEqual(await self.invitations.list_open(self.owner), [])
        await self.refused(Conflict, self.invitations.invite(self.owner, "bo@people.test", "member"))
        await self.refused(NotFound, self.invitations.revoke(self.owner, made.id))

    async def test_somebody_else(self) -> None:
        """A link alone lets nobody in: not another person, not a key, not a guess."""
        await self.invitations.invite(self.owner, "bo@people.test", "member")
        token = self.writer.token()
        carl = await self.person("carl")
        await self.refused(Forbidden, self.invitations.accept(carl, token))
        key = replace(self.bo, session_id=None, key_id="apk_1")
        await self.refused(Forbidden, self.invitations.accept(key, token))
        for wrong in ("", "x", "e2a_" + "0" * 64):
            await self.refused(NotFound, self.invitations.accept(self.bo, wrong))
        self.assertNotIn(carl.user_id, await self.roles())

    async def test_token_hashed(self) -> None:
        """The token is stored nowhere."""
        await self.invitations.invite(self.owner, "bo@people.test", "member")
        stored = await rows(self.db, "SELECT to_jsonb(i)::text AS whole FROM invitations i")
        self.assertNotIn(self.writer.token()[4:], stored[0].whole)

    async def test_over(self) -> None:
        """After seven days, after being revoked, and after a new one, a link is worth nothing."""
        made, _ = await self.invitations.invite(self.owner, "bo@people.test", "member")
        first = self.writer.token()
        await self.invitations.invite(self.owner, "bo@people.test", "member")
        second = self.writer.token()
        await self.refused(Gone, self.invitations.accept(self.bo, first))
        self.clock.advance(7 * 86_400)
        await self.refused(Gone, self.invitations.accept(self.bo, second))
        made, _ = await self.invitations.invite(self.owner, "bo@people.test", "member")
        await self.refused(NotFound, self.invitations.revoke(self.bo, made.id))
        await self.invitations.revoke(self.owner, made.id)
        await self.refused(Gone, self.invitations.accept(self.bo, self.writer.token()))

    async def test_who_invites(self) -> None:
        """Only an owner invites an owner; a member nobody."""
        bo = await self.join(self.bo, "admin")
        carl = await self.join(await self.person("carl"), "member")
        await self.refused(Forbidden, self.invitations.invite(bo, "dee@people.test", "owner"))
        await self.refused(Forbidden, self.invitations.invite(carl, "dee@people.test", "member"))
        await self.invitations.invite(bo, "dee@people.test", "admin")
        for field, email, role in (("email", "nonsense", "member"), ("role", "dee@people.test", "king")):
            error = await self.refused(BadRequest, self.invitations.invite(bo, email, role))
            self.assertEqual(error.field, field)

    async def test_nobody_pestered(self) -> None:
        """One address is written to five times a day at the most, whoever asks."""
        for _ in range(5):
            await self.invitations.invite(self.owner, "bo@people.test", "member")
        await self.refused(TooManyRequests, self.invitations.invite(self.owner, "BO@people.test", "member"))
        self.assertEqual(len(self.writer.drafts), 5)

    async def test_without_mail(self) -> None:
        """A deployment that cannot send mail gives the link to the one who invites."""
        self.writer.sends_system_mail = False
        _, link = await self.invitations.invite(self.owner, "bo@people.test", "member")
        assert link is not None
        await self.invitations.accept(self.bo, link.partition("token=")[2])
        self.assertIn(self.bo.user_id, await self.roles())
