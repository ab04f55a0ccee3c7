"""``/api/keys``: API keys."""

from __future__ import annotations

from typing import Any

from e2a.core.entities import ApiKey
from e2a.core.rules.permissions import SELF, is_read_only
from e2a.flows.accounts import Accounts

from .models_accounts import CreatedKey, Keys, NewKey, exact
from .routing import Call, Reply, route


class KeysResource:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    @route(
        "GET",
        "/api/keys",
        action=SELF,
        summary="List the account's API keys; without keys:write a person's own, and a key alone",
        answers={200: Keys},
    )
    async def list_keys(self, call: Call) -> Any:
        restricted = call.principal.restricted
        return [_shown(key, restricted=restricted) for key in await self._accounts.list_keys(call.principal)]

    @route(
        "POST",
        "/api/keys",
        action="keys:write",
        summary="Make an API key that can do no more than its creator",
        body=NewKey,
        answers={201: CreatedKey},
        errors=(400, 409),
    )
    async def create_key(self, call: Call) -> Any:
        wanted: NewKey = call.body
        key, text = await self._accounts.create_key(
            call.principal,
            wanted.name,
            wanted.permissions,
            wanted.agent,
            wanted.expires_at,
            label_prefix=wanted.label_prefix,
            read_only=wanted.read_only,
        )
        return Reply({**_shown(key, restricted=call.principal.restricted), "key": text}, 201)

    @route(
        "DELETE",
        "/api/keys/{id}",
        action=SELF,
        summary="Revoke an API key at once; without keys:write a person's own, and a key itself",
        answers={200: None},
        errors=(404,),
    )
    async def revoke_key(self, call: Call) -> Any:
        await self._accounts.revoke_key(call.principal, call.path["id"])
        return Reply()


def _shown(key: ApiKey, *, restricted: bool) -> dict[str, Any]:
    """:param restricted: whether a key for a part of the agents asks, which is not told who made keys."""
    return {
        "id": key.id,
        "user_id": "" if restricted else key.user_id,
        "name": key.name,
        "key_prefix": key.key_prefix,
        "permissions": list(key.permissions),
        "read_only": is_read_only(key.permissions),
        "agent": key.agent_id,
        "label_prefix": key.label_prefix,
        "created_at": exact(key.created_at),
        "expires_at": exact(key.expires_at) if key.expires_at is not None else None,
        "last_used_at": exact(key.last_used_at) if key.last_used_at is not None else None,
    }
