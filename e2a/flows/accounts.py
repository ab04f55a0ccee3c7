"""People, their organisations, API keys and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from e2a.core import ids
from e2a.core.entities import ApiKey, Principal, User
from e2a.core.errors import BadRequest, Conflict, NotFound, Unauthenticated
from e2a.core.rules.permissions import ALL_PERMISSIONS, grant
from e2a.core.trust import apikeys
from e2a.core.trust.sealing import Sealer
from e2a.store import keys, organisations, sessions, users
from e2a.store.agents import get_agent
from e2a.store.rows import Cursor

from .ports import Changed, Now, Transactions, nobody
from .secrets import DEFAULT_NAME, make_secret

SESSION = timedelta(days=30)
MOST_KEYS = 1000


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
        """Those not revoked, newest first."""
        return await self._database.run("list keys", keys.list_keys, principal.organisation_id, principal.agent_id)

    async def create_key(
        self,
        principal: Principal,
        name: str = "",
        permissions: Sequence[str] | None = None,
        agent: str | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A key that can do no more than its creator, and its text, which is not shown again.

        :param permissions: None for everything that the creator can give.
        :param agent: the address of the only agent that the key can see.
        :raises BadRequest: permissions, agent or expiry make no sense; ``field`` says which.
        :raises Forbidden: a permission that the creator does not hold.
        :raises Conflict: there are too many keys.
        """
        agent_id = agent.strip().lower() if agent else principal.agent_id
        if principal.agent_id is not None and agent_id != principal.agent_id:
            raise _no_such_agent()
        granted = grant(principal.permissions, permissions, bound=agent_id is not None)
        if expires_at is not None and expires_at.timestamp() <= self._now():
            raise BadRequest("expires_at must be in the future", field="expires_at")
        return await self._database.run(
            "create key", self._create_key, principal, name.strip(), granted, agent_id, expires_at
        )

    async def _create_key(
        self,
        cur: Cursor,
        principal: Principal,
        name: str,
        permissions: Sequence[str],
        agent_id: str | None,
        expires_at: datetime | None,
    ) -> tuple[ApiKey, str]:
        organisation_id = principal.organisation_id
        await organisations.lock_organisation(cur, organisation_id)
        if agent_id is not None and await get_agent(cur, organisation_id, agent_id) is None:
            raise _no_such_agent()
        if await keys.count_keys(cur, organisation_id) >= MOST_KEYS:
            raise Conflict(f"an account can have at most {MOST_KEYS} keys; revoke some first")
        return await make_key(
            cur,
            organisation_id,
            principal.user_id,
            name=name,
            permissions=permissions,
            random=self._random,
            agent_id=agent_id,
            expires_at=expires_at,
        )

    async def revoke_key(self, principal: Principal, key_id: str) -> None:
        """:raises NotFound: unknown, another organisation's, or revoked before."""
        done = await self._database.run(
            "revoke key", keys.revoke_key, principal.organisation_id, key_id, principal.agent_id
        )
        if not done:
            raise NotFound
        self._changed(f"key {key_id}")

    # --- sessions -------------------------------------------------------------------------------------------------

    async def open_session(self, user_id: str) -> str:
        """Sign a user in for 30 days; answers the token, which is stored as a hash only."""
        return await self._database.run("open session", self._open_session, user_id)

    async def _open_session(self, cur: Cursor, user_id: str) -> str:
        organisation = await organisations.organisation_of(cur, user_id)
        if organisation is None:
            raise Unauthenticated
        token = apikeys.mint(self._random)
        await sessions.add_session(cur, token.digest, user_id, organisation.id, self._moment() + SESSION)
        return token.text

    async def session(self, token: str) -> Principal | None:
        """Who is signed in by this token; None when it is unknown, ended or expired."""
        if not apikeys.well_formed(token):
            return None
        found = await self._database.run("session", sessions.find_session, apikeys.digest(token), self._moment())
        if found is None:
            return None
        return Principal(found.organisation_id, found.user_id, frozenset(ALL_PERMISSIONS))

    async def close_session(self, token: str) -> None:
        """Sign out; an unknown token is signed out already."""
        await self._database.run("close session", sessions.drop_session, apikeys.digest(token))

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _no_such_agent() -> BadRequest:
    return BadRequest("agent is not an agent of this account", field="agent")
