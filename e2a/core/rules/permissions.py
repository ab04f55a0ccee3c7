"""Who may do what: the permissions a credential can hold, and the few rules about handing them on."""

from __future__ import annotations

from collections.abc import Iterable

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden

#: Every permission, in the order in which answers list them.
ALL_PERMISSIONS: tuple[str, ...] = (
    "agents:read",
    "agents:write",
    "domains:read",
    "domains:write",
    "messages:read",
    "messages:send",
    "reviews:decide",
    "keys:write",
    "secrets:write",
    "account:read",
    "account:write",
    "members:write",
    "audit:read",
)

#: What looks and never changes anything.
READ_ONLY = frozenset(name for name in ALL_PERMISSIONS if name.endswith(":read"))

#: The most that a key bound to one agent can hold. It is the agent's own credential: with any other permission it
#: could undo what restrains it, by deciding reviews, switching them off, or minting itself a stronger key.
AGENT_PERMISSIONS = frozenset({"agents:read", "messages:read", "messages:send"})

#: The action of a route that anybody may call.
PUBLIC = "public"


def require(principal: Principal | None, action: str) -> None:
    """Refuse what the credential does not allow.

    :raises Forbidden: the permission is missing, or there is nobody to hold it.
    :raises ValueError: there is no such permission.
    """
    if action == PUBLIC:
        return
    if action not in ALL_PERMISSIONS:
        raise ValueError(action)
    if principal is None or action not in principal.permissions:
        raise Forbidden(f"this credential lacks the permission {action}")


def require_whole_account(principal: Principal) -> None:
    """Refuse a key that is bound to one agent: everything beside its agent is invisible to it.

    :raises Forbidden: it is such a key.
    """
    if principal.agent_id is not None:
        raise Forbidden("this key is bound to one agent")


def grant(holder: Iterable[str], wanted: Iterable[str] | None, *, bound: bool) -> tuple[str, ...]:
    """The permissions of a new key, each once, in the order of ``ALL_PERMISSIONS``.

    :param holder: what its creator holds.
    :param wanted: what is asked for; None for everything that the creator can give.
    :param bound: whether the key will be bound to one agent.
    :raises BadRequest: an unknown permission, one that a bound key cannot hold, or none at all; ``field`` is
        ``permissions``.
    :raises Forbidden: one that the creator does not hold.
    """
    held = frozenset(holder)
    possible = AGENT_PERMISSIONS if bound else frozenset(ALL_PERMISSIONS)
    if wanted is None:
        granted = held & possible
    else:
        granted = frozenset(wanted)
        if not granted <= frozenset(ALL_PERMISSIONS):
            raise BadRequest(f"permissions must be among {', '.join(ALL_PERMISSIONS)}", field="permissions")
        if not granted <= possible:
            raise BadRequest(
                f"a key bound to an agent can hold only {', '.join(in_order(possible))}", field="permissions"
            )
        if not granted <= held:
            raise Forbidden("a key can only give permissions that it holds itself")
    if not granted:
        raise BadRequest("a key needs at least one permission", field="permissions")
    return in_order(granted)


def in_order(permissions: Iterable[str]) -> tuple[str, ...]:
    held = frozenset(permissions)
    return tuple(name for name in ALL_PERMISSIONS if name in held)
