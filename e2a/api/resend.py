"""Mail that nobody is known to have taken, sent once more because somebody says so."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from e2a.flows.resending import Resending

from .routing import Call, route
from .submitting import WAIT, Outcome, answered, once_of, seconds_of


class Repetition(BaseModel):
    wait: int | None = Field(default=None, description="seconds to wait for the outcome; 0 to 60, 20 when absent")


class Resend:
    def __init__(self, resending: Resending) -> None:
        self._resending = resending

    @route(
        "POST",
        "/api/v1/messages/{id}/resend",
        action="messages:send",
        summary="Send an unknown or failed message once more, the same bytes: who has it already gets a second copy",
        body=Repetition,
        answers={200: Outcome, 202: Outcome},
        errors=(400, 402, 403, 404, 409, 422, 429, 503),
        query=[WAIT],
        limit="send",
        load="work",
    )
    async def resend(self, call: Call) -> Any:
        once, wait = once_of(call, "resend"), seconds_of(call)
        return answered(await self._resending.resend(call.principal, call.path["id"], once=once, wait=wait))
