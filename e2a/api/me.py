"""``/api/v1/me``: what the caller's credential is and may do."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from e2a.core.entities import ApiKey
from e2a.core.rules.permissions import SELF, is_read_only
from e2a.flows.me import Me, Self

from .models import Shape
from .models_accounts import exact
from .routing import Call, route


class MyOrganisation(Shape):
    id: str
    name: str
    role: Literal["owner", "admin", "member"] = Field(description="Of the person who holds or made the credential.")


class MyUser(Shape):
    id: str
    email: str
    name: str


class MyKey(Shape):
    id: str
    name: str
    key_prefix: str = Field(description="The first 12 characters of the key.")
    agent: str | None = Field(description="The only agent that the key can see; null: all of the account.")
    label_prefix: str | None = Field(description="What the label of every agent that the key can see begins with.")
    created_at: str
    expires_at: str | None


class MyLimit(Shape):
    name: str
    limit: int
    window_seconds: int
    remaining: int | None = Field(description="How many are left in the window; null: each agent has its own.")


class MyQuota(Shape):
    name: str
    limit: int | None = Field(description="null: no limit.")
    used: int
    remaining: int | None = Field(description="null: no limit.")


class WhoAmI(Shape):
    """The caller's credential."""

    credential: Literal["key", "session"]
    organisation: MyOrganisation
    user: MyUser | None = Field(description="Null for a key that sees only a part of the agents.")
    key: MyKey | None = Field(description="Null for a session.")
    permissions: list[str] = Field(description="What it may do now; for a key, what its creator's role allows of it.")
    read_only: bool = Field(description="Whether every one of the permissions only looks.")
    limits: list[MyLimit]
    quotas: list[MyQuota] = Field(description="The organisation's.")


class MeResource:
    def __init__(self, me: Me) -> None:
        self._me = me

    @route(
        "GET",
        "/api/v1/me",
        action=SELF,
        summary="What this credential is, what it may do, and what is left of its limits",
        answers={200: WhoAmI},
    )
    async def me(self, call: Call) -> Any:
        found = await self._me.look(call.principal, call.client_ip)
        return _shown(found, restricted=call.principal.restricted)


def _shown(found: Self, *, restricted: bool) -> dict[str, Any]:
    user, organisation = found.who.user, found.who.organisation
    # A personal organisation is named after its owner.
    name = "" if restricted else organisation.name
    return {
        "credential": "session" if found.key is None else "key",
        "organisation": {"id": organisation.id, "name": name, "role": found.who.role},
        "user": None if restricted else {"id": user.id, "email": user.email, "name": user.name},
        "key": None if found.key is None else _key(found.key),
        "permissions": list(found.permissions),
        "read_only": is_read_only(found.permissions),
        "limits": [
            {"name": one.name, "limit": one.most, "window_seconds": one.seconds, "remaining": one.remaining}
            for one in found.standing.limits
        ],
        "quotas": [
            {
                "name": one.name,
                "limit": one.most or None,
                "used": one.used,
                "remaining": max(one.most - one.used, 0) if one.most else None,
            }
            for one in found.standing.quotas
        ],
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "key_prefix": key.key_prefix,
        "agent": key.agent_id,
        "label_prefix": key.label_prefix,
        "created_at": exact(key.created_at),
        "expires_at": key.expires_at and exact(key.expires_at),
    }
