"""Two at once: whoever comes first, what stands in the end is something that one of them may have wanted."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.errors import E2AError, Forbidden, Gone, NotFound, Unauthenticated
from e2a.flows.accounts import Accounts
from e2a.flows.directory import principal_of
from e2a.store import keys
from tests.flows.test_people import PeopleTestCase
from tests.support.tenants import rows


class RaceTests(PeopleTestCase):
    async def race(self, *works: Any) -> list[type[E2AError] | None]:
        """Run them at once: for each how it was refused, None when it was done. Anything else fails the test."""

        def refused(failure: Any) -> type[E2AError]:
            failure.trap(E2AError)
            return type(failure.value)

        running = [Deferred.fromCoroutine(work).addCallbacks(lambda _: None, refused) for work in works]
        return list(await gatherResults(running))

    async def test_owners_remove_each_other(self) -> None:
        """Of two owners who remove each other one stays, and is the owner."""
        bo = await self.join(self.bo, "owner")
        outcomes = await self.race(
            self.people.remove(self.owner, bo.user_id), self.people.remove(bo, self.owner.user_id)
        )
        self.assertEqual(sorted(outcomes, key=str), [Forbidden, None])
        left = await rows(self.db, "SELECT user_id, role FROM memberships WHERE organisation_id = %s", self.team)
        stays = (self.owner, bo)[outcomes.index(None)]
        self.assertEqual([tuple(row) for row in left], [(stays.user_id, "owner")])

    async def test_owners_demote_each_other(self) -> None:
        """Of two owners who make each other members one stays owner."""
        bo = await self.join(self.bo, "owner")
        outcomes = await self.race(
            self.people.change_role(self.owner, bo.user_id, "member"),
            self.people.change_role(bo, self.owner.user_id, "member"),
        )
        self.assertEqual(sorted(outcomes, key=str), [Forbidden, None])
        self.assertEqual(sorted((await self.roles()).values()), ["member", "owner"])

    async def test_accepted_and_revoked(self) -> None:
        """An invitation that is accepted while it is revoked is one of the two."""
        made, _ = await self.invitations.invite(self.owner, "bo@people.test", "admin")
        accepted, revoked = await self.race(
            self.invitations.accept(self.bo, self.writer.token()), self.invitations.revoke(self.owner, made.id)
        )
        self.assertIn((accepted, revoked), [(None, NotFound), (Gone, None)])
        self.assertEqual(self.bo.user_id in await self.roles(), accepted is None)

    async def test_accepted_while_the_inviter_goes(self) -> None:
        """Who accepts while their inviter is removed is in before that, or not at all."""
        bo = await self.join(self.bo, "admin")
        cy = await self.person("cy")
        await self.invitations.invite(bo, "cy@people.test", "admin")
        accepted, removed = await self.race(
            self.invitations.accept(cy, self.writer.token()), self.people.remove(self.owner, bo.user_id)
        )
        self.assertIn(accepted, (None, Gone))
        self.assertIsNone(removed)
        self.assertEqual(cy.user_id in await self.roles(), accepted is None)

    async def test_made_while_the_maker_goes(self) -> None:
        """A key that a person makes while they are removed is revoked with their others, or never made."""
        bo = await self.join(self.bo, "admin")
        accounts = Accounts(self.db, self.clock.seconds, os.urandom)
        made, removed = await self.race(accounts.create_key(bo), self.people.remove(self.owner, bo.user_id))
        self.assertIn(made, (None, Unauthenticated))
        self.assertIsNone(removed)
        self.assertEqual(await rows(self.db, "SELECT 1 FROM api_keys WHERE revoked_at IS NULL"), [])

    async def test_made_while_the_maker_is_revoked(self) -> None:
        """A key that mints while it is revoked has minted before, or does not."""
        accounts = Accounts(self.db, self.clock.seconds, os.urandom)
        key, _ = await accounts.create_key(self.owner)
        held = await self.db.run("key", keys.get_key, self.team, key.id)
        assert held is not None
        holder = principal_of(held)
        made, revoked = await self.race(accounts.create_key(holder, "heir"), accounts.revoke_key(self.owner, key.id))
        self.assertIn(made, (None, Unauthenticated))
        self.assertIsNone(revoked)
        left = await rows(self.db, "SELECT name FROM api_keys WHERE revoked_at IS NULL")
        self.assertEqual([row.name for row in left], ["heir"] if made is None else [])
