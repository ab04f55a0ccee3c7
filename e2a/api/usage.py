"""``/api/v1/usage``: how much mail was received and sent, day by day; and quotas, which the operator sets."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, Field

from e2a.core.errors import BadRequest
from e2a.core.rules.limits import QUOTAS, Quotas
from e2a.flows.quotas import OperatorQuotas, Own
from e2a.flows.usage import Usage

from .models import Shape
from .routing import Call, Query, route

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class UsedDay(Shape):
    """One day (UTC). Tests count for neither, nor messages that could not be sent."""

    date: str
    inbound: int = Field(description="copies received")
    outbound: int = Field(description="messages sent")
    total: int


class UsedTotal(Shape):
    inbound: int
    outbound: int
    total: int


class UsageReport(Shape):
    tracking: bool = Field(description="whether this deployment counts; if not, all of this is 0")
    first: str = Field(alias="from")
    last: str = Field(alias="to")
    days: list[UsedDay] = Field(description="every day asked for, oldest first")
    total: UsedTotal


class UsageResource:
    def __init__(self, usage: Usage) -> None:
        self._usage = usage

    @route(
        "GET",
        "/api/v1/usage",
        action="account:read",
        summary="How much mail the account received and sent, day by day",
        answers={200: UsageReport},
        query=[
            Query("from", "first day; absent: 30 days are shown", {"type": "string", "format": "date"}),
            Query("to", "last day, at most a year later; absent: today (UTC)", {"type": "string", "format": "date"}),
        ],
    )
    async def usage(self, call: Call) -> Any:
        first, last, days = await self._usage.days(call.principal, _day(call, "from"), _day(call, "to"))
        return {
            "tracking": self._usage.tracking,
            "from": first.isoformat(),
            "to": last.isoformat(),
            "days": [{"date": one.day.isoformat(), **_counts(one.inbound, one.outbound)} for one in days],
            "total": _counts(sum(one.inbound for one in days), sum(one.outbound for one in days)),
        }


def _counts(inbound: int, outbound: int) -> dict[str, int]:
    return {"inbound": inbound, "outbound": outbound, "total": inbound + outbound}


def _day(call: Call, name: str) -> date | None:
    text = call.query.get(name)
    if text is None:
        return None
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"{name} must be a day such as 2026-01-31", field=name) from error


Quota = Annotated[int, Field(ge=0, le=2**53 - 1)]


class QuotaNumbers(Shape):
    """0: no limit."""

    agents: int
    domains: int
    storage_bytes: int
    messages_per_day: int


class OwnQuotas(Shape):
    """0: no limit; null: as the deployment has it."""

    agents: int | None
    domains: int | None
    storage_bytes: int | None
    messages_per_day: int | None


class QuotaReport(Shape):
    """An organisation's quotas."""

    own: OwnQuotas
    in_force: QuotaNumbers
    used: QuotaNumbers = Field(description="messages_per_day: today's, counted only while there is a quota")


class NewQuotas(BaseModel):
    """What an organisation may have. 0: no limit; absent or null: as the deployment has it."""

    agents: Quota | None = None
    domains: Quota | None = None
    storage_bytes: Quota | None = None
    messages_per_day: Quota | None = None


class QuotasResource:
    def __init__(self, quotas: OperatorQuotas) -> None:
        self._quotas = quotas

    @route(
        "GET",
        "/api/v1/operator/organisations/{id}/quotas",
        action="account:read",
        summary="An organisation's quotas, and how much it has of each; for the operator",
        answers={200: QuotaReport},
        errors=(404,),
    )
    async def get(self, call: Call) -> Any:
        return _report(*await self._quotas.get(call.principal, call.path["id"]))

    @route(
        "PUT",
        "/api/v1/operator/organisations/{id}/quotas",
        action="account:write",
        summary="Give an organisation quotas of its own; for the operator",
        body=NewQuotas,
        answers={200: QuotaReport},
        errors=(404,),
    )
    async def set(self, call: Call) -> Any:
        wanted: NewQuotas = call.body
        own: Own = {name: getattr(wanted, name) for name in QUOTAS}
        return _report(*await self._quotas.set(call.principal, call.path["id"], own))


def _report(own: Own, in_force: Quotas, used: Quotas) -> dict[str, Any]:
    return {
        "own": dict(own),
        "in_force": {name: in_force.of(name) for name in QUOTAS},
        "used": {name: used.of(name) for name in QUOTAS},
    }
