"""``/api/v1/suppressions``: addresses that the account's agents do not write to.

The permissions are the account's: a key that can only send must not be able to lift what protects its recipients.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from e2a.core import payloads
from e2a.flows.suppressions import Suppressions

from .models import Shape
from .routing import Call, Query, Reply, paged, route


class NewSuppression(BaseModel):
    address: str = Field(description="A bare e-mail address, in any case.")
    reason: str = Field("", description="For the list; manual when empty.")


class SuppressionEntry(Shape):
    """An address that is not written to."""

    address: str
    reason: str = Field(description="hard_bounce, manual, or what was given when it was added")
    message_id: str | None = Field(description="the message whose bounce suppressed it; null when it was done by hand")
    created_at: str


class SuppressionList(Shape):
    """A page of suppressed addresses, in their order."""

    suppressions: list[SuppressionEntry]
    next_token: str | None = Field(default=None, description="give it as token to go on; absent on the last page")


class SuppressionsResource:
    def __init__(self, suppressions: Suppressions) -> None:
        self._suppressions = suppressions

    @route(
        "GET",
        "/api/v1/suppressions",
        action="account:read",
        summary="List addresses that the account's agents do not write to",
        answers={200: SuppressionList},
        query=(
            Query(
                "page_size",
                "entries a page has at most",
                {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
            ),
            Query("token", "`next_token` of the previous page"),
        ),
    )
    async def list(self, call: Call) -> Any:
        size = call.whole("page_size", 1, 1000, 100)
        page = await self._suppressions.page(call.principal, size, call.query.get("token"))
        return paged({"suppressions": [payloads.suppression(entry) for entry in page.entries]}, page.next_token)

    @route(
        "POST",
        "/api/v1/suppressions",
        action="account:write",
        summary="Suppress an address; one that is suppressed already stays as it is",
        body=NewSuppression,
        answers={201: SuppressionEntry},
        errors=(400,),
    )
    async def add(self, call: Call) -> Any:
        wanted: NewSuppression = call.body
        entry = await self._suppressions.add(call.principal, wanted.address, wanted.reason)
        return Reply(payloads.suppression(entry), 201)

    @route(
        "GET",
        "/api/v1/suppressions/{address}",
        action="account:read",
        summary="One suppressed address",
        answers={200: SuppressionEntry},
        errors=(404,),
    )
    async def get(self, call: Call) -> Any:
        return payloads.suppression(await self._suppressions.get(call.principal, call.path["address"]))

    @route(
        "DELETE",
        "/api/v1/suppressions/{address}",
        action="account:write",
        summary="Let the account's agents write to an address again",
        answers={204: None},
        errors=(404,),
    )
    async def remove(self, call: Call) -> Any:
        await self._suppressions.remove(call.principal, call.path["address"])
        return Reply(status=204)
