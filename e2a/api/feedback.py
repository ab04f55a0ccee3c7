"""``POST /api/feedback``: a word to the operator, from anybody."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from e2a.core.errors import Forbidden, Unauthenticated
from e2a.core.rules.feedback import CATEGORIES, LONGEST_EMAIL, LONGEST_MESSAGE
from e2a.core.rules.permissions import PUBLIC
from e2a.flows.feedback import FeedbackBox

from .auth import FindSession
from .models import Shape
from .routing import Call, route


class NewFeedback(BaseModel):
    email: str = Field("", description=f"where an answer may go, at most {LONGEST_EMAIL} octets; absent: the account's")
    category: str = Field("general", description=", ".join(CATEGORIES))
    message: str = Field("", description=f"at most {LONGEST_MESSAGE} characters")


class Kept(Shape):
    status: Literal["ok"]


class FeedbackResource:
    """:param session: from a request's cookies to the signed-in person."""

    def __init__(self, box: FeedbackBox, session: FindSession | None = None) -> None:
        self._box = box
        self._session = session

    @route(
        "POST",
        "/api/feedback",
        action=PUBLIC,
        summary="Write to the operator",
        body=NewFeedback,
        answers={200: Kept},
        errors=(503,),
        limit="feedback",
    )
    async def feedback(self, call: Call) -> Any:
        wanted: NewFeedback = call.body
        principal = None
        if self._session is not None:
            try:
                principal = await self._session(call.request)
            except (Unauthenticated, Forbidden):
                # Neither a session that has ended nor another site's form says who writes.
                principal = None
        await self._box.take(principal, wanted.message, wanted.email, wanted.category)
        return {"status": "ok"}
