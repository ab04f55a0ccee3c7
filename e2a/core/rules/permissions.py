"""Who may do what: the permissions a credential can hold, and the few rules about handing them on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from e2a.core.entities import Agent, Principal, Role
from e2a.core.errors import BadRequest, Forbidden

#: What each permission allows, in words for people, in the order in which answers list them.
MEANINGS = {
    "agents:read": "see agents",
    "agents:write": "register, change and delete agents",
    "domains:read": "see domains",
    "domains:write": "claim and release domains",
    "messages:read": "read mail",
    "messages:send": "send mail",
    "reviews:decide": "approve and reject held mail",
    "keys:write": "make and revoke API keys",
    "secrets:write": "make and delete signing secrets",
    "account:read": "see the account",
    "account:write": "export and delete the account",
    "members:write": "invite and remove people",
    "audit:read": "read the audit log",
}
ALL_PERMISSIONS: tuple[str, ...] = tuple(MEANINGS)

#: What looks and never changes anything.
READ_ONLY = frozenset(name for name in ALL_PERMISSIONS if name.endswith(":read"))

#: The most that a key bound to one agent can hold. It is the agent's own credential: with any other permission it
#: could undo what restrains it, by deciding reviews, switching them off, or minting itself a stronger key.
AGENT_PERMISSIONS = frozenset({"agents:read", "messages:read", "messages:send"})

#: The most that a key limited to agents with certain labels can hold: nothing about the organisation as a whole. It may
#: be the credential of a program as well, so it does not both write mail and decide reviews, see ``REVIEWER``.
LABEL_PERMISSIONS = frozenset(
    {"agents:read", "agents:write", "messages:read", "messages:send", "reviews:decide", "keys:write"}
)

#: What a key for a part of the agents cannot hold together: with both it could approve its own mail.
WRITER, REVIEWER = "messages:send", "reviews:decide"

#: What each role in an organisation may do. An owner may do everything. An admin runs everything but the account itself
#: (deleting it, exporting it, its settings). A member works with agents and their mail, and reviews it.
ROLE_PERMISSIONS: dict[Role, frozenset[str]] = {
    "owner": frozenset(ALL_PERMISSIONS),
    "admin": frozenset(ALL_PERMISSIONS) - {"account:write"},
    "member": frozenset(
        {"agents:read", "domains:read", "messages:read", "messages:send", "reviews:decide", "account:read"}
    ),
}

#: The action of a route that anybody may call.
PUBLIC = "public"
#: The action of a route that is about the caller: whoever has a good credential may call it, whatever it allows.
SELF = "self"

#: ``yes``; ``no``: the caller sees it and lacks the permission (403); ``hidden``: it does not exist for them (404).
Answer = Literal["yes", "no", "hidden"]


@dataclass(frozen=True, slots=True)
class Thing:
    """What an action is about.

    :ivar agent_id: the agent that it is or belongs to; None for what belongs to the organisation as a whole.
    :ivar label: that agent's label.
    """

    organisation_id: str
    agent_id: str | None = None
    label: str = ""


def may(principal: Principal | None, action: str, thing: Thing | None = None) -> Answer:
    """Whether this caller may do this, to that: the one place that decides.

    Whether something can be seen comes first: a foreign thing is ``hidden`` whatever the permissions say.

    :param action: a permission, ``public`` or ``self``.
    :param thing: None when only the permission is in question.
    :raises ValueError: there is no such permission.
    """
    if action == PUBLIC:
        return "yes"
    if action != SELF and action not in ALL_PERMISSIONS:
        raise ValueError(action)
    if principal is None:
        return "no"
    if thing is not None and not _sees(principal, thing):
        return "hidden"
    return "yes" if action == SELF or action in principal.permissions else "no"


def sees(principal: Principal, agent: Agent) -> bool:
    """Whether the agent exists for this caller."""
    return _sees(principal, Thing(agent.organisation_id, agent.id, agent.label))


def _sees(principal: Principal, thing: Thing) -> bool:
    if thing.organisation_id != principal.organisation_id:
        return False
    if principal.agent_id is not None and thing.agent_id != principal.agent_id:
        return False
    prefix = principal.label_prefix
    return prefix is None or (thing.agent_id is not None and thing.label.startswith(prefix))


def require(principal: Principal | None, action: str) -> None:
    """Refuse what the credential does not allow.

    :raises Forbidden: the permission is missing, or there is nobody to hold it.
    :raises ValueError: there is no such permission.
    """
    if may(principal, action) != "yes":
        raise Forbidden(f"this credential lacks the permission {action}")


def require_whole_account(principal: Principal) -> None:
    """Refuse a key that sees only some agents: what belongs to the organisation as a whole is not its business.

    :raises Forbidden: it is such a key.
    """
    require_unbound(principal)
    if principal.label_prefix is not None:
        raise Forbidden("this key is limited to agents with certain labels")


def require_unbound(principal: Principal) -> None:
    """Refuse an agent's own credential: what restrains an agent is not for the agent to change.

    :raises Forbidden: the key is bound to one agent.
    """
    if principal.agent_id is not None:
        raise Forbidden("this key is bound to one agent")


def effective(
    permissions: Iterable[str], role: Role, *, agent_id: str | None = None, label_prefix: str | None = None
) -> frozenset[str]:
    """What a key allows now: what it was given, as far as its creator's role goes today and such a key can go at all.

    :param role: the creator's, in the key's organisation.
    """
    return frozenset(permissions) & ROLE_PERMISSIONS[role] & possible(agent_id is not None, label_prefix is not None)


def possible(bound: bool, labelled: bool) -> frozenset[str]:
    """The most that a key of this kind can hold.

    :param bound: to one agent.
    :param labelled: to agents with certain labels.
    """
    if bound:
        return AGENT_PERMISSIONS
    return LABEL_PERMISSIONS if labelled else frozenset(ALL_PERMISSIONS)


def grant(
    holder: Iterable[str],
    wanted: Iterable[str] | None,
    *,
    bound: bool,
    labelled: bool = False,
    read_only: bool = False,
) -> tuple[str, ...]:
    """The permissions of a new key, each once, in the order of ``ALL_PERMISSIONS``.

    :param holder: what its creator holds.
    :param wanted: what is asked for; None for everything that the creator can give. To a key limited by labels that
        writes mail, reviewing is given only if it is asked for, and then not together with writing.
    :param bound: whether the key will be bound to one agent.
    :param labelled: whether it will see only agents with certain labels.
    :param read_only: short for every permission that only looks; instead of ``wanted``.
    :raises BadRequest: an unknown permission, one that such a key cannot hold, or none at all; ``field`` is
        ``permissions``, or ``read_only``.
    :raises Forbidden: one that the creator does not hold.
    """
    if read_only and wanted is not None:
        raise BadRequest("give permissions or read_only, not both", field="read_only")
    held, most = frozenset(holder), possible(bound, labelled)
    if wanted is None:
        granted = held & most
        if read_only:
            granted &= READ_ONLY
        elif labelled and WRITER in granted:
            granted -= {REVIEWER}
    else:
        granted = frozenset(wanted)
        if not granted <= frozenset(ALL_PERMISSIONS):
            raise BadRequest(f"permissions must be among {', '.join(ALL_PERMISSIONS)}", field="permissions")
        if not granted <= most:
            kind = "bound to an agent" if bound else "with a label_prefix"
            raise BadRequest(f"a key {kind} can hold only {', '.join(in_order(most))}", field="permissions")
        if labelled and granted >= {WRITER, REVIEWER}:
            raise BadRequest(
                f"a key with a label_prefix cannot hold both {WRITER} and {REVIEWER}: it could approve its own mail",
                field="permissions",
            )
        if not granted <= held:
            raise Forbidden("a key can only give permissions that it holds itself")
    if not granted:
        raise BadRequest("a key needs at least one permission", field="permissions")
    return in_order(granted)


def is_read_only(permissions: Iterable[str]) -> bool:
    """Whether a credential that holds these can look only."""
    return frozenset(permissions) <= READ_ONLY


def in_order(permissions: Iterable[str]) -> tuple[str, ...]:
    held = frozenset(permissions)
    return tuple(name for name in ALL_PERMISSIONS if name in held)
