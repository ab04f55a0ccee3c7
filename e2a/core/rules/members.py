"""Who may make whom what in an organisation."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from e2a.core.entities import Role
from e2a.core.errors import BadRequest, Conflict, Forbidden

from .permissions import ROLE_PERMISSIONS

ROLES: tuple[Role, ...] = ("owner", "admin", "member")

#: How long an invitation can be accepted.
INVITATION = timedelta(days=7)
#: Open invitations, and members, of one organisation.
MOST_INVITATIONS = 100
MOST_MEMBERS = 1000


def role(text: str) -> Role:
    """:raises BadRequest: not a role; ``field`` is ``role``."""
    for known in ROLES:
        if text == known:
            return known
    raise BadRequest(f"role must be one of {', '.join(ROLES)}", field="role")


def check_appointment(actor: Role, before: Role | None, after: Role | None) -> None:
    """Refuse what the actor may not do to somebody's role.

    :param before: None: they come.
    :param after: None: they go.
    :raises Forbidden: members appoint nobody; only an owner makes an owner or touches one.
    """
    given = appointable(actor)
    if not given:
        raise Forbidden("only owners and admins manage members")
    if "owner" not in given and "owner" in (before, after):
        raise Forbidden("only an owner can appoint, change or remove an owner")


def check_grant(permissions: Iterable[str], before: Role | None, after: Role | None) -> None:
    """Refuse a role that may do more than the credential which gives it: a key would otherwise reach what it was not
    given by way of a person.

    :param permissions: what the credential allows.
    :param before: the role that somebody has already; None: they come.
    :param after: None: they go.
    :raises Forbidden: it does.
    """
    if after is None:
        return
    had = ROLE_PERMISSIONS[before] if before is not None else frozenset[str]()
    if not ROLE_PERMISSIONS[after] <= had.union(permissions):
        raise Forbidden(f"this credential cannot make somebody {after}: it may do less itself")


def appointable(actor: Role) -> tuple[Role, ...]:
    """The roles that somebody with this one can give."""
    if actor == "member":
        return ()
    return ROLES if actor == "owner" else tuple(role for role in ROLES if role != "owner")


def check_owners(owners: int, before: Role, after: Role | None) -> None:
    """Keep the last owner.

    :param owners: how many there are now.
    :raises Conflict: there would be none.
    """
    if before == "owner" and after != "owner" and owners <= 1:
        raise Conflict("an organisation needs an owner; make somebody else one first")
