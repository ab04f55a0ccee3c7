"""What a credential is, what it may do, and what is left of its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from e2a.core.entities import ApiKey, Principal
from e2a.core.errors import Unauthenticated
from e2a.core.rules.permissions import in_order
from e2a.store import keys
from e2a.store.rows import Cursor
from e2a.store.whoami import Who, who

from .ports import Transactions


@dataclass(frozen=True, slots=True)
class LimitStanding:
    """How a caller stands with a rate limit.

    :ivar seconds: the length of the window that slides over what happened.
    :ivar remaining: how often it may be done now; None when that depends on which agent it is done for.
    """

    name: str
    most: int
    seconds: int
    remaining: int | None


@dataclass(frozen=True, slots=True)
class QuotaStanding:
    """How an organisation stands with a quota. :ivar most: 0: there is none."""

    name: str
    most: int
    used: int


@dataclass(frozen=True, slots=True)
class Standing:
    limits: Sequence[LimitStanding] = ()
    quotas: Sequence[QuotaStanding] = ()


class Standings(Protocol):
    """What is left, without counting anything."""

    async def standing(self, principal: Principal, client_ip: str) -> Standing: ...


@dataclass(frozen=True, slots=True)
class Self:
    """:ivar who: the person, their organisation and role; of a key for a part of the agents, whoever made it.
    :ivar key: None for a session.
    :ivar permissions: what it may do now, which can be less than the key was given.
    """

    who: Who
    key: ApiKey | None
    permissions: tuple[str, ...]
    standing: Standing


class Me:
    def __init__(self, database: Transactions, standings: Standings) -> None:
        self._database = database
        self._standings = standings

    async def look(self, principal: Principal, client_ip: str) -> Self:
        """:raises Unauthenticated: the credential ended a moment ago."""
        person, key = await self._database.run("who am I", _look, principal)
        standing = await self._standings.standing(principal, client_ip)
        return Self(person, key, in_order(principal.permissions), standing)


async def _look(cur: Cursor, principal: Principal) -> tuple[Who, ApiKey | None]:
    found = await who(cur, principal.organisation_id, principal.user_id)
    if found is None:
        raise Unauthenticated
    if principal.key_id is None:
        return found, None
    held = await keys.get_key(cur, principal.organisation_id, principal.key_id)
    if held is None:
        raise Unauthenticated
    return found, held.key
