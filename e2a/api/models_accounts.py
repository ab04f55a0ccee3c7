"""The shapes of requests and answers about keys, secrets, domains and agents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, RootModel

from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.rules.signers import LONGEST_OVERLAP, OVERLAP

from .models import Shape

Name = Annotated[str, Field(max_length=200)]
Label = Annotated[
    str,
    Field(max_length=128, description="Groups agents; a key can be limited to labels that begin alike."),
]
PERMISSIONS = ", ".join(ALL_PERMISSIONS)


def seconds(moment: datetime) -> str:
    """``2026-04-20T08:00:00Z``"""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(moment: datetime) -> str:
    """``2026-04-20T08:00:00.123456Z``"""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


# --- keys -----------------------------------------------------------------------------------------------------------


class NewKey(BaseModel):
    name: Name = ""
    permissions: list[str] | None = Field(
        None,
        description=f"Among {PERMISSIONS}; never more than the creator holds. Absent: everything the creator can give.",
    )
    read_only: bool = Field(False, description="Short for every permission that only looks; instead of permissions.")
    agent: str | None = Field(None, description="The only agent that the key can see; absent: all of the account.")
    label_prefix: str | None = Field(
        None,
        description="What the label of every agent that the key can see begins with; absent: as the creator's own.",
    )
    expires_at: AwareDatetime | None = Field(
        None, description="When the key ends; absent: never, or with the key that makes it."
    )


class Key(Shape):
    id: str
    user_id: str = Field(description="Who made it; empty for a key that sees only a part of the agents.")
    name: str
    key_prefix: str = Field(description="The first 12 characters of the key.")
    permissions: list[str]
    read_only: bool = Field(description="Whether every one of its permissions only looks.")
    agent: str | None = Field(description="The only agent that the key can see; null: all of the account.")
    label_prefix: str | None = Field(description="What the label of every agent that the key can see begins with.")
    created_at: str
    expires_at: str | None
    last_used_at: str | None = Field(description="To the minute, more or less.")


class CreatedKey(Key):
    key: str = Field(description="The key itself. It is not shown again.")


class Keys(RootModel[list[Key]]):
    """Newest first, without revoked keys."""


# --- signing secrets --------------------------------------------------------------------------------------------------


class NewSecret(BaseModel):
    name: Name = ""


class Secret(Shape):
    id: str
    name: str
    secret_prefix: str = Field(description="The first 12 characters of the secret.")
    created_at: str
    last_signed_at: str = Field("", description="Absent until it has signed; to the minute, more or less.")
    signs_from: str = Field(
        "", description="When it takes over, for the new secret of a rotation; otherwise absent: since it was made."
    )
    retires_at: str = Field("", description="When it stops counting and is removed; absent while it stays.")


class RotateSecrets(BaseModel):
    name: Name = ""
    overlap_seconds: int = Field(
        OVERLAP,
        ge=0,
        le=LONGEST_OVERLAP,
        description="For how long the earlier secrets still count; 0 retires them at once.",
    )


class CreatedSecret(Shape):
    id: str
    name: str
    secret: str = Field(description="The secret itself. Its ASCII octets are the HMAC key. It is not shown again.")
    secret_prefix: str
    created_at: str
    signs_from: str = Field("", description="When it takes over, after a rotation; absent: now.")


class Secrets(Shape):
    secrets: list[Secret] = Field(description="Newest first; the newest whose time to sign has come signs.")


# --- domains ----------------------------------------------------------------------------------------------------------


class NewDomain(BaseModel):
    domain: str = Field(max_length=1000)


class MxRecord(Shape):
    host: str
    value: str
    priority: int


class TxtRecord(Shape):
    host: str
    value: str


class DkimRecord(TxtRecord):
    active: bool = Field(description="Whether mail is signed with it: it was seen in DNS, and the domain is verified.")


class DkimKey(DkimRecord):
    """A DKIM key of a domain, by the record to publish."""

    state: Literal["pending", "active", "retiring", "removable"] = Field(
        description=(
            "pending: signs once its record is seen in DNS; active: signs; retiring: the former key, whose record is to"
            " stay until removable_at; removable: its record is of no use any more."
        )
    )
    removable_at: str = Field("", description="Absent unless another key took over.")


class DnsRecords(Shape):
    mx: MxRecord
    txt: TxtRecord
    dkim: DkimRecord | None = Field(description="null until its key is made, shortly after the domain was claimed.")


class Domain(Shape):
    domain: str
    verified: bool = Field(description="Whether the claim is proven, and mail for the domain accepted.")
    verification_token: str = Field(description="The text of the TXT record that proves the claim.")
    dns_records: DnsRecords = Field(
        description="What to publish; @ is the domain itself. dkim is the key that signs, or the first one."
    )
    dkim_keys: list[DkimKey] = Field(description="All of them: the one that signs, the next one, former ones.")
    created_at: str
    verified_at: str = Field("", description="Absent until verified.")


class Domains(Shape):
    domains: list[Domain] = Field(description="Newest first.")


class RecordReport(Shape):
    """What DNS says of one record."""

    purpose: Literal["ownership", "mx", "spf", "dkim", "dmarc"]
    type: str
    name: str
    expected: str = Field(description="The value that it should have.")
    found: list[str] = Field(description="The values that DNS has.")
    status: Literal["found", "missing", "mismatch", "deferred"] = Field(
        description="deferred: DNS gave no answer, ask again later."
    )
    hint: str = Field(description="What to do; empty when there is nothing to do.")


class DomainReport(Domain):
    records: list[RecordReport]


class VerifiedDomain(Shape):
    domain: str
    verified: Literal[True]
    verified_at: str
    records: list[RecordReport]


# --- agents -----------------------------------------------------------------------------------------------------------


class NewAgent(BaseModel):
    slug: str = Field("", description="The local part on the shared domain; wins over email.")
    email: str = Field("", description="The whole address, on a verified domain of the account.")
    name: Name = Field("", description="What people see in the From header.")
    webhook_url: str = Field("", description="Where mail is posted; needed in cloud mode.")
    agent_mode: str = Field(
        "cloud", description="`cloud`: mail is posted to the webhook; `local`: the agent fetches it."
    )
    label: Label = ""


class CreatedAgent(Shape):
    id: str
    domain: str
    email: str


class ChangedAgent(BaseModel):
    name: Name | None = Field(None, description="What people see in the From header.")
    agent_mode: Literal["cloud", "local"] | None = Field(
        None, description="cloud needs webhook_url in the same request; local without it drops the webhook."
    )
    webhook_url: str | None = Field(default=None, description="Where mail is posted.")
    hitl_enabled: bool | None = Field(
        default=None, description="Whether what the agent sends is held until a person decides."
    )
    hitl_ttl_seconds: int | None = Field(None, ge=1, le=604_800, description="How long it is held, in seconds.")
    hitl_expiration_action: Literal["approve", "reject"] | None = Field(
        default=None, description="What happens when nobody decides in time."
    )
    label: Label | None = None


class Agent(Shape):
    id: str
    email: str
    domain: str
    name: str = Field(description="What people see in the From header.")
    webhook_url: str = Field(description="Where mail is posted; empty in local mode.")
    agent_mode: Literal["cloud", "local"] = Field(
        description="cloud: mail is posted to the webhook; local: the agent fetches it."
    )
    domain_verified: bool = Field(description="Whether mail for its domain is accepted.")
    created_at: str
    hitl_enabled: bool = Field(description="Whether what the agent sends is held until a person decides.")
    hitl_ttl_seconds: int = Field(description="How long it is held, in seconds.")
    hitl_expiration_action: Literal["approve", "reject"] = Field(
        description="What happens when nobody decides in time."
    )
    label: str = Field(description="Groups agents; a key can be limited to labels that begin alike.")


class Agents(Shape):
    agents: list[Agent] = Field(description="Newest first.")
    next_token: str = Field("", description="Absent on the last page.")


class Deleted(Shape):
    status: Literal["deleted"]
