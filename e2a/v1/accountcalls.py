"""Every endpoint about the account, as a function from its arguments to a :class:`~.transport.Call`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from . import account
from .transport import Call, content, nothing, octets, path, shaped, shaped_list

ExportFormat = Literal["json", "zip"]
Role = Literal["owner", "admin", "member"]


def me() -> Call[account.Me]:
    """Who the API key is, what it may do, and what remains of its limits."""
    return Call("GET", path("me"), shaped(account.Me), safe=True)


# --- signing secrets --------------------------------------------------------------------------------------------------


def list_signing_secrets() -> Call[account.ListSigningSecretsResponse]:
    """List the signing secrets, newest first; the newest signs."""
    return Call("GET", _SECRETS, shaped(account.ListSigningSecretsResponse), safe=True)


def create_signing_secret(name: str = "") -> Call[account.CreateSigningSecretResponse]:
    """Make a signing secret, which signs from now on. It is shown this once.

    ``rotate_signing_secrets`` is for replacing the present ones.
    """
    return Call("POST", _SECRETS, shaped(account.CreateSigningSecretResponse), content({"name": name}))


def rotate_signing_secrets(
    name: str = "", overlap_seconds: int | None = None
) -> Call[account.CreateSigningSecretResponse]:
    """Replace the signing secrets by a new one, which is shown this once.

    :param overlap_seconds: for how long the earlier ones still count, so that receivers can be given the new one
        meanwhile; 0 retires them at once, and the server decides when not given.
    """
    wanted = {"name": name} | ({} if overlap_seconds is None else {"overlap_seconds": overlap_seconds})
    where = path("users", "me", "signing-secrets", "rotate")
    return Call("POST", where, shaped(account.CreateSigningSecretResponse), content(wanted))


def delete_signing_secret(secret_id: str) -> Call[None]:
    """Delete a signing secret. The last one stays."""
    return Call("DELETE", path("users", "me", "signing-secrets", secret_id), nothing)


# --- API keys ---------------------------------------------------------------------------------------------------------


def list_keys() -> Call[list[account.ApiKey]]:
    """List the account's API keys, newest first, without revoked ones."""
    return Call("GET", _KEYS, shaped_list(account.ApiKey), safe=True)


def create_key(
    name: str = "",
    *,
    permissions: Sequence[str] | None = None,
    read_only: bool | None = None,
    agent: str | None = None,
    label_prefix: str | None = None,
    expires_at: datetime | str | None = None,
) -> Call[account.CreatedApiKey]:
    """Make an API key that can do no more than the one in use. It is shown this once.

    :param permissions: such as ``messages:read``; all that the maker can give when not given.
    :param read_only: every permission that only looks, instead of ``permissions``.
    :param agent: the only agent that the key can see.
    :param label_prefix: what the label of every agent that the key can see begins with.
    :param expires_at: when it ends, with an offset from UTC; never when not given.
    """
    until = expires_at.isoformat() if isinstance(expires_at, datetime) else expires_at
    wanted = account.CreateKeyRequest(
        name=name,
        permissions=None if permissions is None else list(permissions),
        read_only=read_only,
        agent=agent,
        label_prefix=label_prefix,
        expires_at=until,
    )
    return Call("POST", _KEYS, shaped(account.CreatedApiKey), content(wanted))


def revoke_key(key_id: str) -> Call[None]:
    """Revoke an API key at once."""
    return Call("DELETE", path("keys", key_id).replace("/api/v1/", "/api/", 1), nothing)


# --- suppressed addresses ---------------------------------------------------------------------------------------------


def list_suppressions(page_size: int = 100, token: str | None = None) -> Call[account.ListSuppressionsResponse]:
    """A page of the addresses that the account's agents do not write to."""
    where = path("suppressions", page_size=page_size, token=token or None)
    return Call("GET", where, shaped(account.ListSuppressionsResponse), safe=True)


def get_suppression(address: str) -> Call[account.Suppression]:
    """One suppressed address."""
    return Call("GET", path("suppressions", address), shaped(account.Suppression), safe=True)


def add_suppression(address: str, reason: str = "") -> Call[account.Suppression]:
    """Suppress an address. One that is suppressed already stays as it is."""
    wanted = {"address": address, "reason": reason}
    return Call("POST", path("suppressions"), shaped(account.Suppression), content(wanted), safe=True)


def remove_suppression(address: str) -> Call[None]:
    """Let the account's agents write to an address again."""
    return Call("DELETE", path("suppressions", address), nothing)


# --- delegations ------------------------------------------------------------------------------------------------------


def list_delegations(agent_email: str) -> Call[account.ListDelegationsResponse]:
    """For whom an agent acts, or has asked to act."""
    where = path("agents", agent_email, "delegations")
    return Call("GET", where, shaped(account.ListDelegationsResponse), safe=True)


def propose_delegation(agent_email: str, person: str) -> Call[account.Delegation]:
    """Ask a person, by mail, whether an agent may act for them."""
    where = path("agents", agent_email, "delegations")
    return Call("POST", where, shaped(account.Delegation), content({"person": person}))


def end_delegation(agent_email: str, delegation_id: str) -> Call[None]:
    """End a delegation, or withdraw a proposal."""
    return Call("DELETE", path("agents", agent_email, "delegations", delegation_id), nothing)


# --- the organisation -------------------------------------------------------------------------------------------------


def list_organisations() -> Call[list[account.Organisation]]:
    """The organisations that the caller belongs to; for a key, the key's own."""
    call = Call("GET", path("organisations"), shaped(account.ListOrganisationsResponse), safe=True)
    return call.then(lambda found: found.organisations or [])


def get_organisation() -> Call[account.Organisation]:
    """The organisation that the key is for."""
    return Call("GET", path("organisation"), shaped(account.Organisation), safe=True)


def rename_organisation(name: str) -> Call[account.Organisation]:
    """Rename the organisation."""
    return Call("PUT", path("organisation"), shaped(account.Organisation), content({"name": name}), safe=True)


def list_members() -> Call[list[account.Member]]:
    """The organisation's members, in the order in which they joined."""
    call = Call("GET", path("members"), shaped(account.ListMembersResponse), safe=True)
    return call.then(lambda found: found.members or [])


def change_role(user_id: str, role: Role) -> Call[account.Member]:
    """Change a member's role. Only an owner makes or changes an owner."""
    return Call("PUT", path("members", user_id), shaped(account.Member), content({"role": role}), safe=True)


def remove_member(user_id: str) -> Call[None]:
    """Remove a member, and revoke their keys."""
    return Call("DELETE", path("members", user_id), nothing)


def list_invitations() -> Call[list[account.Invitation]]:
    """The invitations that can still be accepted, newest first."""
    call = Call("GET", path("invitations"), shaped(account.ListInvitationsResponse), safe=True)
    return call.then(lambda found: found.invitations or [])


def invite(email: str, role: Role = "member") -> Call[account.Invitation]:
    """Invite a person by mail, for seven days. Replaces an open invitation to the same address."""
    return Call("POST", path("invitations"), shaped(account.Invitation), content({"email": email, "role": role}))


def revoke_invitation(invitation_id: str) -> Call[None]:
    """Revoke an invitation."""
    return Call("DELETE", path("invitations", invitation_id), nothing)


# --- data rights and the audit log ------------------------------------------------------------------------------------


def export(format: ExportFormat = "json") -> Call[bytes]:
    """The account's data: one JSON document, or with ``zip`` an archive that holds the mail as ``.eml`` too."""
    where = path("users", "me", "export", format=None if format == "json" else format)
    return Call("GET", where, octets, safe=True)


def delete_account(confirm: Literal["DELETE"]) -> Call[account.DeleteUserDataResult]:
    """Delete the key's owner, and every organisation that has no other member, with all they hold. Nothing brings it
    back.

    :param confirm: the word ``DELETE``.
    """
    return Call("DELETE", path("users", "me", confirm=confirm), shaped(account.DeleteUserDataResult))


def get_usage(first: str | None = None, last: str | None = None) -> Call[account.UsageReport]:
    """How much mail was received and sent, day by day.

    :param first: the first day, as YYYY-MM-DD; thirty days are answered without it.
    :param last: the last day; today (UTC) when not given.
    """
    return Call("GET", path("usage", from_=first, to=last), shaped(account.UsageReport), safe=True)


def list_audit_events(
    page_size: int | None = None,
    token: str | None = None,
    *,
    action: str | None = None,
    user_id: str | None = None,
    key_prefix: str | None = None,
    resource_type: str | None = None,
    resource_id: str | None = None,
    result: str | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Call[account.ListAuditEventsResponse]:
    """A page of the audit log, newest first.

    :param action: what was done, such as ``key.created``, or ``key.*`` for all that begins so.
    :param user_id: by whom; ``key_prefix`` likewise, for what a key did.
    :param resource_type: on what kind of thing; ``resource_id`` on which.
    :param result: ``ok``, ``refused`` or ``failed``.
    :param since: only what happened at or after this time (RFC 3339 with an offset); ``until`` before it.
    """
    where = path(
        "audit",
        page_size=page_size,
        token=token or None,
        action=action,
        user_id=user_id,
        key_prefix=key_prefix,
        resource_type=resource_type,
        resource_id=resource_id,
        result=result,
        since=since,
        until=until,
    )
    return Call("GET", where, shaped(account.ListAuditEventsResponse), safe=True)


_SECRETS = path("users", "me", "signing-secrets")
_KEYS = path("keys").replace("/api/v1/", "/api/", 1)
