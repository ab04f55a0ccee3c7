"""``/api/auth/me``, ``/api/auth/logout``, ``/api/v1/sessions`` and ``/api/v1/session``: for people, not for keys."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from e2a.core.entities import Principal
from e2a.core.errors import Unauthenticated
from e2a.core.rules.permissions import PUBLIC, SELF
from e2a.core.rules.signin import SESSION_COOKIE, cookie
from e2a.flows.sessions import Sessions

from .models import Shape
from .models_accounts import exact
from .routing import Call, Reply, route
from .sessiongate import SessionGate


class SignedInPerson(Shape):
    id: str
    email: str
    name: str
    created_at: str
    organisation_id: str = Field(description="The organisation that the session is in.")
    role: str = Field(description="The person's role there.")
    csrf_token: str = Field(description="For the header X-CSRF-Token of every request that changes something.")


class ListedSession(Shape):
    id: str
    created_at: str
    last_used_at: str = Field(description="Exact to five minutes.")
    expires_at: str
    client_ip: str = Field(description="Where it was last used from.")
    user_agent: str = Field(description="The browser that signed in.")
    current: bool = Field(description="Whether it is the one that asks.")


class SessionList(Shape):
    sessions: list[ListedSession] = Field(description="The last used first.")


class EndedSessions(Shape):
    revoked: int


class OtherOrganisation(BaseModel):
    organisation_id: str = Field(max_length=200)


class SignInResource:
    """:param secure: whether cookies are for https only."""

    def __init__(self, sessions: Sessions, gate: SessionGate, *, secure: bool) -> None:
        self._sessions = sessions
        self._gate = gate
        self._secure = secure

    @route(
        "GET",
        "/api/auth/me",
        action=SELF,
        session_only=True,
        summary="Who is signed in, in which organisation, and the token that changes need",
        answers={200: SignedInPerson},
    )
    async def me(self, call: Call) -> Any:
        principal = _person(call)
        user = await self._sessions.user(principal)
        return {
            "id": user.id,
            "email": user.email,
            "name": user.name,
            "created_at": exact(user.created_at),
            "organisation_id": principal.organisation_id,
            "role": principal.role,
            "csrf_token": self._gate.csrf_token(call.request),
        }

    @route(
        "POST",
        "/api/auth/logout",
        action=PUBLIC,
        summary="Sign out; without a session there is nothing to do",
        answers={200: None},
        errors=(403,),
    )
    async def logout(self, call: Call) -> Any:
        principal = await self._gate.find(call.request)
        if principal is not None:
            await self._sessions.close(self._gate.token(call.request), principal)
        return Reply(headers={"Set-Cookie": cookie(SESSION_COOKIE, "", 0, secure=self._secure)})

    @route(
        "GET",
        "/api/v1/sessions",
        action=SELF,
        session_only=True,
        summary="List the browsers in which the person is signed in",
        answers={200: SessionList},
    )
    async def sessions(self, call: Call) -> Any:
        principal = _person(call)
        return {
            "sessions": [
                {
                    "id": each.id,
                    "created_at": exact(each.created_at),
                    "last_used_at": exact(each.last_used_at),
                    "expires_at": exact(each.expires_at),
                    "client_ip": each.client_ip,
                    "user_agent": each.user_agent,
                    "current": each.id == principal.session_id,
                }
                for each in await self._sessions.listed(principal)
            ]
        }

    @route(
        "DELETE",
        "/api/v1/sessions/{id}",
        action=SELF,
        session_only=True,
        summary="Sign one browser out at once",
        answers={204: None},
        errors=(404,),
    )
    async def revoke(self, call: Call) -> Any:
        await self._sessions.revoke(_person(call), call.path["id"])
        return Reply(status=204)

    @route(
        "DELETE",
        "/api/v1/sessions",
        action=SELF,
        session_only=True,
        summary="Sign every other browser out at once",
        answers={200: EndedSessions},
    )
    async def revoke_others(self, call: Call) -> Any:
        return {"revoked": await self._sessions.revoke_others(_person(call))}

    @route(
        "PUT",
        "/api/v1/session/organisation",
        action=SELF,
        session_only=True,
        summary="Go on in another of the person's organisations",
        body=OtherOrganisation,
        answers={204: None},
        errors=(404,),
    )
    async def switch(self, call: Call) -> Any:
        await self._sessions.switch(_person(call), call.body.organisation_id)
        return Reply(status=204)


def _person(call: Call) -> Principal:
    """:raises Unauthenticated: a key asks."""
    if call.principal.session_id is None:
        raise Unauthenticated("this is for people who are signed in; an API key does not do")
    return call.principal
