"""Sessions of people in a browser: opened, found at every request, listed, ended.

Nothing is cached: an ended session ends on every replica at once, and a role counts as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from e2a.core import ids
from e2a.core.entities import Origin, Principal, Role, User
from e2a.core.errors import NotFound
from e2a.core.rules.permissions import ROLE_PERMISSIONS
from e2a.core.trust import apikeys
from e2a.core.trust.browser import CsrfTokens
from e2a.core.trust.sealing import Sealer
from e2a.store import audit, organisations, sessions, users
from e2a.store.rows import Cursor

from .ports import Changed, Now, Transactions, nobody
from .secrets import DEFAULT_NAME, make_secret

SESSION = timedelta(days=30)
#: How far the time of a session's last use may lag behind.
LAZY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Opened:
    """:ivar token: for the cookie; stored as a hash only."""

    token: str
    principal: Principal


async def open_session(
    cur: Cursor, user: User, via: str, *, origin: Origin, now: datetime, sealer: Sealer, random: ids.RandomBytes
) -> Opened:
    """Sign a user in, to the organisation they joined first; who has left all gets a personal one.

    :param via: how they proved who they are, for the audit log.
    """
    organisation = await organisations.organisation_of(cur, user.id)
    if organisation is None:
        organisation_id = ids.prefixed("org", random)
        await organisations.add_organisation(cur, organisation_id, user.email, personal=True)
        await make_secret(cur, organisation_id, DEFAULT_NAME, sealer, random)
        await organisations.add_owner(cur, organisation_id, user.id)
    else:
        organisation_id = organisation.id
    token, session_id = apikeys.mint(random), ids.prefixed("ses", random)
    await sessions.add_session(
        cur, token.digest, session_id, user.id, organisation_id, origin=origin, now=now, expires_at=now + SESSION
    )
    found = await sessions.find_session(cur, token.digest, now)
    assert found is not None
    principal = _principal(found, origin)
    await audit.record(cur, principal, "session.opened", "session", session_id, via=via)
    return Opened(token.text, principal)


class Sessions:
    """:param changed: told of what changed here without waiting for the notification to come round."""

    def __init__(self, database: Transactions, csrf: CsrfTokens, now: Now, changed: Changed = nobody) -> None:
        self._database = database
        self._csrf = csrf
        self._now = now
        self._changed = changed

    async def find(self, token: str, origin: Origin) -> Principal | None:
        """Who is signed in by this token; None when it is unknown, ended or expired.

        :raises Unavailable: the database cannot be asked.
        """
        if not apikeys.well_formed(token):
            return None
        now = self._moment()
        found = await self._database.read("session", sessions.find_session, apikeys.digest(token), now)
        if found is None:
            return None
        if now - found.last_used_at >= LAZY:
            await self._database.run("session use", sessions.record_use, found.id, origin.client_ip, now)
        return _principal(found, origin)

    def csrf_token(self, token: str) -> str:
        """What a page of ours sends beside the cookie when it changes something."""
        return self._csrf.mint(token)

    def csrf_matches(self, token: str, given: str) -> bool:
        return self._csrf.matches(token, given)

    async def user(self, principal: Principal) -> User:
        """The person."""
        return await self._database.read("user", users.get_user, principal.user_id)

    async def close(self, token: str, principal: Principal) -> None:
        """Sign out."""
        await self._database.run("close session", self._close, apikeys.digest(token), principal)
        self._changed(f"session {apikeys.digest(token).hex()}")

    async def _close(self, cur: Cursor, digest: bytes, principal: Principal) -> None:
        await sessions.drop_session(cur, digest)
        await audit.record(cur, principal, "session.closed", "session", principal.session_id or "")

    async def listed(self, principal: Principal) -> list[sessions.Listed]:
        """The person's sessions, the last used first."""
        return await self._database.read("list sessions", sessions.list_sessions, principal.user_id, self._moment())

    async def revoke(self, principal: Principal, session_id: str) -> None:
        """End one of the person's sessions, which may be the one that asks.

        :raises NotFound: unknown, somebody else's, or ended.
        """
        await self._database.run("revoke session", self._revoke, principal, session_id)

    async def _revoke(self, cur: Cursor, principal: Principal, session_id: str) -> None:
        if not await sessions.drop_one(cur, principal.user_id, session_id):
            raise NotFound
        await audit.record(cur, principal, "session.revoked", "session", session_id)

    async def revoke_others(self, principal: Principal) -> int:
        """End all of the person's sessions but the one that asks; answers how many there were."""
        return await self._database.run("revoke sessions", self._revoke_others, principal)

    async def _revoke_others(self, cur: Cursor, principal: Principal) -> int:
        ended = await sessions.drop_others(cur, principal.user_id, principal.session_id or "")
        if ended:
            await audit.record(cur, principal, "session.revoked", "session", count=ended)
        return ended

    async def switch(self, principal: Principal, organisation_id: str) -> None:
        """Go on in another of the person's organisations.

        :raises NotFound: unknown, or not theirs.
        """
        if not await self._database.run("switch", sessions.move_session, principal.session_id or "", organisation_id):
            raise NotFound

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _principal(found: sessions.Session, origin: Origin) -> Principal:
    role: Role = found.role
    return Principal(
        found.organisation_id,
        found.user_id,
        ROLE_PERMISSIONS[role],
        role=role,
        session_id=found.id,
        origin=origin,
    )
