"""``/invitation``: what somebody is invited to, and a button that accepts, for the person that was invited."""

from __future__ import annotations

from html import escape
from urllib.parse import quote, urlencode

from e2a.core.entities import Invitation
from e2a.core.errors import Forbidden
from e2a.core.rules.signin import SESSION_COOKIE, require_same_origin
from e2a.flows.invitations import PATH, Invitations
from e2a.flows.sessions import Sessions

from .farewell import SIGNED_OUT
from .pages import Page, Visit, button, link, paragraph, posting
from .signin import LOGIN, NAMES_ORIGIN, redirect

_ROLES = {
    "owner": "Owner: may do everything, the account itself included",
    "admin": "Admin: runs everything but the account itself",
    "member": "Member: works with agents and their mail, and reviews it",
}


class InvitationPage:
    path = PATH

    def __init__(self, invitations: Invitations, sessions: Sessions, *, base: str) -> None:
        self._invitations = invitations
        self._sessions = sessions
        self._base = base

    async def show(self, visit: Visit) -> Page:
        found = await self._invitations.look(visit.token)
        session = visit.cookies.get(SESSION_COOKIE, "")
        principal = await self._sessions.find(session, visit.origin)
        if principal is None:
            there = f"{PATH}?{urlencode({'token': visit.token})}"
            asked = paragraph(f"To accept, sign in as {found.email}.")
            return _page(found, asked + link(f"{LOGIN}?next={quote(there, safe='')}", "Sign in"))
        user = await self._sessions.user(principal)
        csrf = self._sessions.csrf_token(session)
        if user.email.lower() != found.email.lower():
            text = f"This invitation is for {found.email}, and you are signed in as {user.email}. "
            text += "Sign out, open the link again and sign in with the other address."
            out = posting("/dashboard/sign-out", {"csrf": csrf}, button("go", SIGNED_OUT, "Sign out"))
            return _page(found, paragraph(text) + out)
        fields = {"token": visit.token, "csrf": csrf}
        return _page(found, posting(PATH, fields, button("choice", "accept", "Accept")))

    async def act(self, visit: Visit) -> Page:
        require_same_origin(visit.headers.get, self._base)
        session = visit.cookies.get(SESSION_COOKIE, "")
        principal = await self._sessions.find(session, visit.origin)
        if principal is None or not self._sessions.csrf_matches(session, visit.values.get("csrf", "")):
            raise Forbidden("you are not signed in any more; open the link of the invitation again")
        found = await self._invitations.accept(principal, visit.token)
        await self._sessions.switch(principal, found.organisation_id)
        return redirect("/dashboard?notice=joined", "You have joined")


def _page(found: Invitation, content: str) -> Page:
    facts = (("Organisation", found.organisation), ("For", found.email), ("As", _ROLES[found.role]))
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    asked = paragraph("You are invited to work with the e-mail agents of an organisation here.")
    return Page(200, "Join an organisation?", f"{asked}<dl>{shown}</dl>{content}", NAMES_ORIGIN)
