"""People of an organisation, who is invited, other organisations, and the session that is in one of them."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.web.http import Request

from e2a.core.errors import BadRequest, Conflict, E2AError, Forbidden, RecipientSuppressed, TooManyRequests
from e2a.core.rules.members import ROLES
from e2a.core.rules.permissions import SELF
from e2a.core.rules.signin import SESSION_COOKIE, cookie
from e2a.flows.invitations import Invitations
from e2a.flows.people import People
from e2a.flows.sessions import Sessions
from e2a.web.farewell import SIGNED_OUT

from .routing import Html, Redirect, View, page, page_of

PLACE = "/dashboard/members"
PAGE = 50
#: Characters of an organisation's name.
LONGEST_NAME = 200

_REFUSED = (BadRequest, Conflict, Forbidden, RecipientSuppressed, TooManyRequests)


class MemberPages:
    def __init__(self, people: People, invitations: Invitations, sessions: Sessions) -> None:
        self._people = people
        self._invitations = invitations
        self._sessions = sessions

    @page("GET", PLACE, action="account:read")
    async def show(self, view: View) -> Any:
        return await self._page(view)

    @page("POST", PLACE + "/role", action="members:write")
    async def change_role(self, view: View) -> Any:
        try:
            await self._people.change_role(view.principal, view.required("user_id"), view.required("role"))
        except _REFUSED as error:
            return await self._page(view, error, "members")
        return Redirect(PLACE, "saved")

    @page("POST", PLACE + "/remove", action="members:write")
    async def remove(self, view: View) -> Any:
        try:
            await self._people.remove(view.principal, view.required("user_id"))
        except _REFUSED as error:
            return await self._page(view, error, "members")
        return Redirect(PLACE, "removed")

    @page("POST", PLACE + "/leave", action=SELF)
    async def leave(self, view: View) -> Any:
        try:
            await self._people.leave(view.principal)
        except _REFUSED as error:
            return await self._page(view, error, "leave")
        return Redirect("/dashboard", "left")

    @page("POST", PLACE + "/invitations", action="members:write")
    async def invite(self, view: View) -> Any:
        try:
            made, link = await self._invitations.invite(
                view.principal, view.required("email"), view.field("role") or "member"
            )
        except _REFUSED as error:
            return await self._page(view, error, "invite")
        if link is None:
            return Redirect(PLACE, "invited")
        return await self._page(view, made=(made, link))

    @page("POST", PLACE + "/invitations/revoke", action="members:write")
    async def revoke(self, view: View) -> Any:
        await self._invitations.revoke(view.principal, view.required("id"))
        return Redirect(PLACE, "revoked")

    @page("POST", "/dashboard/organisations", action=SELF)
    async def create(self, view: View) -> Any:
        try:
            name = view.required("name")
            if len(name) > LONGEST_NAME:
                raise BadRequest(f"name can have at most {LONGEST_NAME} characters", field="name")
            made = await self._people.create(view.principal, name)
        except _REFUSED as error:
            return await self._page(view, error, "create")
        await self._sessions.switch(view.principal, made.id)
        return Redirect("/dashboard", "switched")

    async def _page(self, view: View, error: E2AError | None = None, place: str = "", *, made: Any = None) -> Html:
        """:param place: the form that the error is about."""
        members = await self._people.list_members(view.principal)
        shown, after = page_of(members, lambda member: member.user_id, view.query.get("after", ""), PAGE)
        invitations = await self._invitations.list_open(view.principal) if view.may("members:write") else []
        roles = ROLES if view.principal.role == "owner" else tuple(role for role in ROLES if role != "owner")
        values = {
            "members": shown,
            "after": after,
            "me": view.principal.user_id,
            "my_role": view.principal.role,
            "owners": sum(member.role == "owner" for member in members),
            "invitations": invitations,
            "names": {member.user_id: member.email for member in members},
            "roles": roles,
            "made": made,
            "typed": {name: view.field(name) for name in ("email", "role", "name")},
            "problem": "" if error is None else error.text,
            "place": place,
        }
        return Html("members.html", values, 200 if error is None else error.status)


class Tokens(Protocol):
    """Where a request's session token is."""

    def token(self, request: Request) -> str: ...


class SessionPages:
    """Switching the organisation and signing out, which stand on every page.

    :param secure: whether cookies are for https only.
    """

    def __init__(self, sessions: Sessions, tokens: Tokens, *, secure: bool) -> None:
        self._sessions = sessions
        self._tokens = tokens
        self._secure = secure

    @page("POST", "/dashboard/organisation", action=SELF)
    async def switch(self, view: View) -> Any:
        await self._sessions.switch(view.principal, view.required("organisation"))
        return Redirect("/dashboard")

    @page("POST", "/dashboard/sign-out", action=SELF)
    async def sign_out(self, view: View) -> Any:
        await self._sessions.close(self._tokens.token(view.request), view.principal)
        return Redirect(SIGNED_OUT, headers={"Set-Cookie": cookie(SESSION_COOKIE, "", 0, secure=self._secure)})
