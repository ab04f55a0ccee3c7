"""What goes over the wire about the deployment and the account: keys, secrets, suppressions, members, the audit log."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from .models import Model


class DeploymentInfo(Model):
    """What a deployment says of itself without a key."""

    shared_domain: str | None = None
    slug_registration_enabled: bool | None = None
    public_url: str | None = None
    version: str | None = None
    max_message_bytes: int | None = None


class CreateSigningSecretRequest(Model):
    """A new signing secret."""

    name: str | None = None


class CreateSigningSecretResponse(Model):
    """A new signing secret. ``secret`` is shown this once. ``signs_from`` says when it takes over from the others."""

    id: str | None = None
    name: str | None = None
    secret: str | None = Field(default=None, repr=False)
    secret_prefix: str | None = None
    created_at: str | None = None
    signs_from: str | None = None


class SigningSecretSummary(Model):
    """A signing secret, without the secret. After a rotation ``retires_at`` says when it stops counting."""

    id: str | None = None
    name: str | None = None
    secret_prefix: str | None = None
    created_at: str | None = None
    last_signed_at: str | None = None
    signs_from: str | None = None
    retires_at: str | None = None


class ListSigningSecretsResponse(Model):
    """The account's signing secrets, newest first; the newest signs."""

    secrets: list[SigningSecretSummary] | None = None


class CreateKeyRequest(Model):
    """A new API key. It can do no more than the key that makes it.

    :ivar permissions: such as ``messages:read``; all that the maker can give when not set.
    :ivar read_only: every permission that only looks, instead of ``permissions``.
    :ivar agent: the only agent that the key can see; all of the account when not set.
    :ivar label_prefix: what the label of every agent that the key can see begins with.
    :ivar expires_at: when it ends, as RFC 3339 with an offset; never when not set.
    """

    name: str | None = None
    permissions: list[str] | None = None
    read_only: bool | None = None
    agent: str | None = None
    label_prefix: str | None = None
    expires_at: str | None = None


class ApiKey(Model):
    """An API key, without the key."""

    id: str | None = None
    user_id: str | None = None
    name: str | None = None
    key_prefix: str | None = None
    permissions: list[str] | None = None
    read_only: bool | None = None
    agent: str | None = None
    label_prefix: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    last_used_at: str | None = None


class CreatedApiKey(ApiKey):
    """A new API key. ``key`` is shown this once."""

    key: str | None = Field(default=None, repr=False)


class Suppression(Model):
    """An address that the account's agents do not write to."""

    address: str | None = None
    reason: str | None = None
    message_id: str | None = None
    created_at: str | None = None


class ListSuppressionsResponse(Model):
    """A page of suppressed addresses."""

    suppressions: list[Suppression] | None = None
    next_token: str | None = None


class Delegation(Model):
    """That an agent acts for a person: ``proposed``, ``expired`` or ``active``."""

    id: str | None = None
    agent: str | None = None
    person: str | None = None
    state: str | None = None
    created_at: str | None = None
    confirmed_at: str | None = None


class ListDelegationsResponse(Model):
    """For whom an agent acts, newest first."""

    delegations: list[Delegation] | None = None


class Open(Model):
    """What deployments add to: members that are not named here are kept as attributes."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)


class MyOrganisation(Model):
    """The organisation of a credential, and the role in it of the person who holds or made it."""

    id: str | None = None
    name: str | None = None
    role: str | None = None


class MyUser(Model):
    """The person who holds or made a credential."""

    id: str | None = None
    email: str | None = None
    name: str | None = None


class MyLimit(Model):
    """How often something may be done; ``remaining`` is None where that depends on the agent."""

    name: str | None = None
    limit: int | None = None
    window_seconds: int | None = None
    remaining: int | None = None


class MyQuota(Model):
    """How much the organisation may have; ``limit`` is None without one."""

    name: str | None = None
    limit: int | None = None
    used: int | None = None
    remaining: int | None = None


class Me(Model):
    """What a credential is, what it may do, and what is left of its limits."""

    credential: str | None = None
    organisation: MyOrganisation | None = None
    user: MyUser | None = None
    key: ApiKey | None = None
    permissions: list[str] | None = None
    read_only: bool | None = None
    limits: list[MyLimit] | None = None
    quotas: list[MyQuota] | None = None


class AuditEvent(Model):
    """One line of the audit log: who did what, to what, from where, and with which ``result``."""

    id: str | None = None
    organisation_id: str | None = None
    at: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    user_id: str | None = None
    key_prefix: str | None = None
    client_ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    result: str | None = None
    detail: dict[str, Any] | None = None


class ListAuditEventsResponse(Model):
    """A page of the audit log."""

    events: list[AuditEvent] | None = None
    next_token: str | None = None


class UsedDay(Model):
    """One day (UTC): copies received, messages sent."""

    date: str | None = None
    inbound: int | None = None
    outbound: int | None = None
    total: int | None = None


class UsageReport(Model):
    """How much mail there was, day by day, oldest first. All of it is 0 where the deployment does not count
    (``tracking``).
    """

    tracking: bool | None = None
    from_: str | None = Field(default=None, validation_alias="from", serialization_alias="from")
    to: str | None = None
    days: list[UsedDay] | None = None
    total: UsedDay | None = None


class Organisation(Model):
    """An organisation, which owns agents, domains, keys and secrets. Lists say the caller's ``role`` in it too."""

    id: str | None = None
    name: str | None = None
    personal: bool | None = None
    created_at: str | None = None
    role: str | None = None
    current: bool | None = None


class Member(Model):
    """A person of the organisation: ``owner``, ``admin`` or ``member``."""

    user_id: str | None = None
    email: str | None = None
    name: str | None = None
    role: str | None = None
    joined_at: str | None = None


class Invitation(Model):
    """An invitation to the organisation. ``link`` is there when the deployment cannot send mail."""

    id: str | None = None
    email: str | None = None
    role: str | None = None
    invited_by: str | None = None
    created_at: str | None = None
    expires_at: str | None = None
    link: str | None = Field(default=None, repr=False)


class ListOrganisationsResponse(Model):
    """The organisations that the caller belongs to."""

    organisations: list[Organisation] | None = None


class ListMembersResponse(Model):
    """The members, in the order in which they joined."""

    members: list[Member] | None = None


class ListInvitationsResponse(Model):
    """The invitations that can still be accepted, newest first."""

    invitations: list[Invitation] | None = None


class DeleteUserDataResult(Open):
    """What was deleted with an account, in rows."""


class UserExport(Open):
    """An account's data as exported. Its members are those of the document, unchanged."""
