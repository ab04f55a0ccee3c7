"""Organisations and their members: who is there, as what, who comes and who goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from e2a.core import ids
from e2a.core.entities import Membership, Organisation, Principal, Role
from e2a.core.errors import BadRequest, Conflict, Forbidden, NotFound
from e2a.core.rules import members as rules
from e2a.core.rules.permissions import require_whole_account
from e2a.core.trust.sealing import Sealer
from e2a.store import audit, invitations, members, organisations
from e2a.store.rows import Cursor

from .ports import Transactions
from .secrets import DEFAULT_NAME, make_secret

#: Organisations that one person can belong to.
MOST_ORGANISATIONS = 100


@dataclass(frozen=True, slots=True)
class Place:
    """An organisation from the view of one of its members."""

    id: str
    name: str
    personal: bool
    role: Role
    created_at: datetime
    current: bool


class People:
    def __init__(self, database: Transactions, sealer: Sealer, random: ids.RandomBytes) -> None:
        self._database = database
        self._sealer = sealer
        self._random = random

    # --- organisations ------------------------------------------------------------------------------------------------

    async def places(self, principal: Principal) -> list[Place]:
        """The organisations that the person belongs to; for a key only the key's own. A key for a part of the agents is
        not told its name: a personal one is named after its owner.
        """
        found = await self._database.run("list organisations", members.organisations_of, principal.user_id)
        return [
            Place(
                row.id,
                "" if principal.restricted else row.name,
                row.personal,
                row.role,
                row.created_at,
                row.id == principal.organisation_id,
            )
            for row in found
            if principal.key_id is None or row.id == principal.organisation_id
        ]

    async def create(self, principal: Principal, name: str) -> Organisation:
        """A new organisation that the person owns.

        :raises Forbidden: a key asks: what it made would be out of its own reach.
        :raises BadRequest: the name is empty.
        :raises Conflict: the person belongs to too many.
        """
        require_person(principal)
        return await self._database.run("create organisation", self._create, principal, _name(name))

    async def _create(self, cur: Cursor, principal: Principal, name: str) -> Organisation:
        await organisations.lock_organisation(cur, principal.organisation_id)
        if len(await members.organisations_of(cur, principal.user_id)) >= MOST_ORGANISATIONS:
            raise Conflict(f"a person can belong to at most {MOST_ORGANISATIONS} organisations; leave some first")
        made = ids.prefixed("org", self._random)
        await organisations.add_organisation(cur, made, name, personal=False)
        await make_secret(cur, made, DEFAULT_NAME, self._sealer, self._random)
        await members.add_member(cur, made, principal.user_id, "owner")
        # The log of where the person comes from is others' to read.
        await audit.record(cur, replace(principal, organisation_id=made), "organisation.created", "organisation", made)
        return await _organisation(cur, made)

    async def organisation(self, principal: Principal) -> Organisation:
        """The one that the credential belongs to."""
        return await self._database.run("get organisation", _organisation, principal.organisation_id)

    async def rename(self, principal: Principal, name: str) -> Organisation:
        """:raises BadRequest: the name is empty."""
        require_whole_account(principal)
        return await self._database.run("rename organisation", self._rename, principal, _name(name))

    async def _rename(self, cur: Cursor, principal: Principal, name: str) -> Organisation:
        await organisations.rename(cur, principal.organisation_id, name)
        await audit.record(cur, principal, "organisation.renamed", "organisation", principal.organisation_id)
        return await _organisation(cur, principal.organisation_id)

    # --- members ------------------------------------------------------------------------------------------------------

    async def list_members(self, principal: Principal) -> Sequence[Membership]:
        """In the order in which they joined."""
        require_whole_account(principal)
        return await self._database.run("list members", members.list_members, principal.organisation_id)

    async def change_role(self, principal: Principal, user_id: str, role: str) -> Membership:
        """Their keys, sessions and open invitations lose at once what the new role does not give.

        :raises BadRequest: there is no such role.
        :raises NotFound: not a member.
        :raises Forbidden: see ``core.rules.members``.
        :raises Conflict: the organisation would be without an owner.
        """
        require_whole_account(principal)
        return await self._database.run("change role", self._change_role, principal, user_id, rules.role(role))

    async def _change_role(self, cur: Cursor, principal: Principal, user_id: str, role: Role) -> Membership:
        member = await self._checked(cur, principal, user_id, role)
        if member.role != role:
            await members.change_role(cur, member.organisation_id, user_id, role)
            await invitations.revoke_of(cur, member.organisation_id, user_id, rules.appointable(role))
            await audit.record(cur, principal, "member.role_changed", "member", user_id, before=member.role, after=role)
        changed = await members.get_member(cur, member.organisation_id, user_id)
        assert changed is not None
        return changed

    async def remove(self, principal: Principal, user_id: str) -> None:
        """Their keys to the organisation are revoked, and their open invitations.

        :raises NotFound: not a member.
        :raises Forbidden: see ``core.rules.members``.
        :raises Conflict: they are the last owner.
        """
        require_whole_account(principal)
        await self._database.run("remove member", self._remove, principal, user_id)

    async def _remove(self, cur: Cursor, principal: Principal, user_id: str) -> None:
        await self._checked(cur, principal, user_id, None)
        await self._drop(cur, principal, user_id, "member.removed")

    async def leave(self, principal: Principal) -> None:
        """The person leaves the organisation that the session is in.

        :raises Forbidden: a key asks.
        :raises Conflict: they are the last owner.
        """
        require_person(principal)
        await self._database.run("leave organisation", self._leave, principal)

    async def _leave(self, cur: Cursor, principal: Principal) -> None:
        organisation_id = principal.organisation_id
        await organisations.lock_organisation(cur, organisation_id)
        member = await members.get_member(cur, organisation_id, principal.user_id)
        if member is None:
            raise NotFound
        _, owners = await members.count_members(cur, organisation_id)
        rules.check_owners(owners, member.role, None)
        await self._drop(cur, principal, principal.user_id, "member.left")

    async def _drop(self, cur: Cursor, principal: Principal, user_id: str, action: str) -> None:
        await members.remove_member(cur, principal.organisation_id, user_id)
        await invitations.revoke_of(cur, principal.organisation_id, user_id, ())
        await audit.record(cur, principal, action, "member", user_id)

    async def _checked(self, cur: Cursor, principal: Principal, user_id: str, role: Role | None) -> Membership:
        """The member, when the caller may change their role to this; the organisation is locked."""
        organisation_id = principal.organisation_id
        await organisations.lock_organisation(cur, organisation_id)
        member = await members.get_member(cur, organisation_id, user_id)
        if member is None:
            raise NotFound
        rules.check_appointment(await actor_role(cur, principal), member.role, role)
        rules.check_grant(principal.permissions, member.role, role)
        _, owners = await members.count_members(cur, organisation_id)
        rules.check_owners(owners, member.role, role)
        return member


def require_person(principal: Principal) -> None:
    """:raises Forbidden: a key asks for what only a person who is signed in may do."""
    if principal.session_id is None:
        raise Forbidden("this needs a person who is signed in; an API key cannot do it")


async def actor_role(cur: Cursor, principal: Principal) -> Role:
    """The caller's role as it is now; for a key, that of the person who made it.

    :raises Forbidden: they are no member any more.
    """
    found = await members.get_member(cur, principal.organisation_id, principal.user_id)
    if found is None:
        raise Forbidden("this credential's owner is no member of the organisation")
    return found.role


async def _organisation(cur: Cursor, organisation_id: str) -> Organisation:
    found = await organisations.get_organisation(cur, organisation_id)
    if found is None:
        raise NotFound
    return found


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or not name.isprintable():
        raise BadRequest("name must be one line of text", field="name")
    return name
