"""People, their organisations and API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from e2a.core import ids
from e2a.core.entities import ApiKey, Principal, User
from e2a.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthenticated
from e2a.core.rules.agents import label
from e2a.core.rules.permissions import ROLE_PERMISSIONS, grant, may
from e2a.core.trust import apikeys
from e2a.core.trust.sealing import Sealer
from e2a.store import audit, keys, members, organisations, users
from e2a.store.rows import Cursor

from .ports import Changed, Now, Transactions, nobody
from .scope import find_agent
from .secrets import DEFAULT_NAME, make_secret

#: Keys of an organisation, and of a member who manages no keys and gets them by ``e2a login``; expired ones left out.
MOST_KEYS = 1000
MOST_OWN_KEYS = 50


async def make_user(
    cur: Cursor,
    email: str,
    name: str,
    *,
    issuer: str,
    subject: str | None = None,
    organisation_id: str | None = None,
    sealer: Sealer,
    random: ids.RandomBytes,
) -> User:
    """Add a user with an organisation that has its first signing secret.

    :param subject: who that is to the issuer; None for a person whom no provider vouches for.
    :param organisation_id: an organisation without members to be owner of; None makes a personal one.
    :raises Conflict: the address or the subject is taken.
    """
    user_id = ids.bare(random)
    user = await users.add_user(cur, user_id, email, name, issuer, subject or f"{issuer}:{user_id}")
    if user is None:
        raise Conflict("this e-mail address belongs to an account")
    if organisation_id is None:
        organisation_id = ids.prefixed("org", random)
        await organisations.add_organisation(cur, organisation_id, email, personal=True)
        await make_secret(cur, organisation_id, DEFAULT_NAME, sealer, random)
    await organisations.add_owner(cur, organisation_id, user_id)
    return user


async def make_key(
    cur: Cursor,
    organisation_id: str,
    user_id: str,
    *,
    name: str,
    permissions: Sequence[str],
    random: ids.RandomBytes,
    agent_id: str | None = None,
    label_prefix: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key; answers it with its text, which is nowhere else."""
    new = apikeys.mint(random)
    key = await keys.add_key(
        cur,
        ids.prefixed("apk", random),
        organisation_id,
        user_id,
        name=name,
        key_prefix=new.prefix,
        digest=new.digest,
        permissions=permissions,
        agent_id=agent_id,
        label_prefix=label_prefix,
        expires_at=expires_at,
    )
    return key, new.text


class Accounts:
    """:param changed: told of what changed here without waiting for the notification to come round."""

    def __init__(self, database: Transactions, now: Now, random: ids.RandomBytes, changed: Changed = nobody) -> None:
        self._database = database
        self._now = now
        self._random = random
        self._changed = changed

    # --- keys -----------------------------------------------------------------------------------------------------

    async def list_keys(self, principal: Principal) -> list[ApiKey]:
        """Those not revoked that the caller may revoke, newest first."""
        return await self._database.run("list keys", keys.list_keys, _reach(principal))

    async def create_key(
        self,
        principal: Principal,
        name: str = "",
        permissions: Sequence[str] | None = None,
        agent: str | None = None,
        expires_at: datetime | None = None,
        *,
        label_prefix: str | None = None,
        read_only: bool = False,
    ) -> tuple[ApiKey, str]:
        """A key that can do no more than its creator, and its text, which is not shown again.

        :param permissions: None for everything that the creator can give.
        :param agent: the address of the only agent that the key can see.
        :param label_prefix: what the label of every agent that the key can see begins with; None for what the creator's
            own is.
        :param read_only: short for every permission that only looks.
        :raises BadRequest: permissions, agent, labels or expiry make no sense; ``field`` says which.
        :raises Forbidden: a permission that the creator does not hold, or labels beyond the creator's own.
        :raises Conflict: there are too many keys.
        """
        agent_id = agent.strip().lower() if agent else principal.agent_id
        if principal.agent_id is not None and agent_id != principal.agent_id:
            raise _no_such_agent()
        prefix = _inherited(principal.label_prefix, label_prefix)
        granted = grant(
            principal.permissions,
            permissions,
            bound=agent_id is not None,
            labelled=prefix is not None,
            read_only=read_only,
        )
        expires_at = None if expires_at is None else _in_utc(expires_at)
        if expires_at is not None and expires_at.timestamp() <= self._now():
            raise BadRequest("expires_at must be in the future", field="expires_at")
        return await self._database.run(
            "create key", self._create_key, principal, name.strip(), granted, agent_id, prefix, expires_at
        )

    async def _create_key(
        self,
        cur: Cursor,
        principal: Principal,
        name: str,
        permissions: Sequence[str],
        agent_id: str | None,
        label_prefix: str | None,
        expires_at: datetime | None,
    ) -> tuple[ApiKey, str]:
        organisation_id = principal.organisation_id
        await organisations.lock_organisation(cur, organisation_id)
        expires_at = await self._lifetime(cur, principal, permissions, expires_at)
        if agent_id is not None:
            found = await find_agent(cur, principal, agent_id)
            if found is None:
                raise _no_such_agent()
            if not found.label.startswith(label_prefix or ""):
                raise BadRequest("the agent's label does not begin with label_prefix", field="label_prefix")
        live, own = await keys.count_keys(cur, organisation_id, principal.user_id)
        if live >= MOST_KEYS:
            raise Conflict(f"an account can have at most {MOST_KEYS} keys; revoke some first")
        if own >= MOST_OWN_KEYS and may(principal, "keys:write") == "no":
            raise Conflict(f"you can have at most {MOST_OWN_KEYS} keys; revoke some first")
        key, text = await make_key(
            cur,
            organisation_id,
            principal.user_id,
            name=name,
            permissions=permissions,
            random=self._random,
            agent_id=agent_id,
            label_prefix=label_prefix,
            expires_at=expires_at,
        )
        await audit.record(cur, principal, "key.created", "key", key.id, **described(key))
        return key, text

    async def _lifetime(
        self, cur: Cursor, principal: Principal, granted: Sequence[str], wanted: datetime | None
    ) -> datetime | None:
        """When a new key ends: as asked, and no later than the key that makes it.

        :raises Unauthenticated: that key was revoked, or the person removed, meanwhile; what is gone leaves no heirs.
        :raises Forbidden: the maker has lost one of the permissions meanwhile.
        :raises BadRequest: it is asked to live longer.
        """
        if principal.key_id is None:
            member = await members.get_member(cur, principal.organisation_id, principal.user_id)
            held, end = None if member is None else ROLE_PERMISSIONS[member.role], None
        else:
            maker = await keys.get_key(cur, principal.organisation_id, principal.key_id)
            held, end = (None, None) if maker is None else (maker.allows, maker.key.expires_at)
        if held is None:
            raise Unauthenticated
        if not held.issuperset(granted):
            raise Forbidden("a key can only give permissions that it holds itself")
        if end is not None and wanted is not None and wanted > end:
            raise BadRequest("expires_at must not be later than this key's own", field="expires_at")
        return wanted or end

    async def revoke_key(self, principal: Principal, key_id: str) -> None:
        """End a key. Whoever may not manage keys ends what is their own: a person the keys they made, a key itself.

        :raises NotFound: unknown, another organisation's, beyond the caller's reach, or revoked before.
        """
        await self._database.run("revoke key", self._revoke_key, principal, key_id)
        self._changed(f"key {key_id}")

    async def _revoke_key(self, cur: Cursor, principal: Principal, key_id: str) -> None:
        revoked = await keys.revoke_key(cur, _reach(principal), key_id)
        if revoked is None:
            raise NotFound
        await audit.record(cur, principal, "key.revoked", "key", key_id, **described(revoked))


def _reach(principal: Principal) -> keys.Reach:
    """The keys that exist for this caller: with ``keys:write`` all that reach no further than the caller, otherwise
    those a signed-in person made, or the very key that asks.
    """
    if may(principal, "keys:write") == "yes":
        return keys.Reach(principal.organisation_id, principal.agent_id, principal.label_prefix)
    if principal.key_id is not None:
        return keys.Reach(principal.organisation_id, only=principal.key_id)
    return keys.Reach(principal.organisation_id, maker=principal.user_id)


def _in_utc(moment: datetime) -> datetime:
    """The same moment; PostgreSQL takes fewer offsets from UTC than there are.

    :raises BadRequest: there it is after the year 9999, or before the year 1.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise BadRequest(
            "expires_at is too far away; leave it out for a key without end", field="expires_at"
        ) from error


def _no_such_agent() -> BadRequest:
    return BadRequest("agent is not an agent of this account", field="agent")


def _inherited(own: str | None, wanted: str | None) -> str | None:
    """The label prefix of a new key: as asked, within the creator's own.

    :raises BadRequest: it is empty or too long.
    :raises Forbidden: it reaches beyond the creator's own.
    """
    if wanted is None:
        return own
    if not wanted:
        raise BadRequest("label_prefix must not be empty; leave it out for a key to every agent", field="label_prefix")
    prefix = label(wanted, "label_prefix")
    if own is not None and not prefix.startswith(own):
        raise Forbidden(f"this key can only give label prefixes that begin with {own!r}")
    return prefix


def described(key: ApiKey) -> dict[str, Any]:
    """A key in the words of the audit log."""
    return {
        "prefix": key.key_prefix,
        "name": key.name,
        "permissions": list(key.permissions),
        "agent": key.agent_id,
        "label_prefix": key.label_prefix,
        "expires_at": key.expires_at and key.expires_at.isoformat(),
    }
