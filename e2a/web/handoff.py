"""The page on which a person gives the command line its key, and the one that carries it over.

The key travels in a form that the browser posts to a port of the person's own computer: it is in no address line, no
history and no log.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlencode, urlsplit

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Conflict, Forbidden
from e2a.core.rules.permissions import MEANINGS
from e2a.core.rules.signin import SESSION_COOKIE, callback_origin, cli_callback, require_same_origin
from e2a.flows.handoff import KEY_DAYS, HandOff, Offer
from e2a.flows.sessions import Sessions

from .pages import Page, Visit, button, paragraph, policy, posting
from .signin import CLI, LOGIN, NAMES_ORIGIN, redirect

_SUBMIT = "document.forms[0].submit()"


class HandOffPage:
    """``/api/auth/cli``"""

    path = CLI

    def __init__(self, handoff: HandOff, sessions: Sessions, *, base: str) -> None:
        self._handoff = handoff
        self._sessions = sessions
        self._base = base

    async def show(self, visit: Visit) -> Page:
        callback, state = _checked(visit)
        token = visit.cookies.get(SESSION_COOKIE, "")
        principal = await self._sessions.find(token, visit.origin)
        if principal is None:
            return redirect(f"{LOGIN}?{urlencode({'cli_callback': callback, 'cli_state': state})}", "Sign in first")
        offer = await self._handoff.offer(principal)
        fields = {
            "cli_callback": callback,
            "cli_state": state,
            "organisation": principal.organisation_id,
            "csrf": self._sessions.csrf_token(token),
        }
        choice = button("choice", "allow", "Give it a key") + button("choice", "cancel", "Cancel")
        body = _explained(offer, callback) + posting(CLI, fields, choice)
        return Page(200, "Sign in the command line?", body, NAMES_ORIGIN)

    async def act(self, visit: Visit) -> Page:
        callback, state = _checked(visit)
        principal = await self._admitted(visit)
        choice = visit.values.get("choice")
        if choice == "cancel":
            refused = {"cli_state": state, "error": "the sign-in was cancelled in the browser"}
            return _carried(callback, refused, "Cancelled", "The command line gets no key.")
        if choice != "allow":
            raise BadRequest("say whether the command line may have a key", field="choice")
        if visit.values.get("organisation") != principal.organisation_id:
            raise Conflict(
                "you are in another organisation now than the one you were asked about; run the command again"
            )
        given = await self._handoff.agree(principal)
        fields = {"cli_state": state, "api_key": given.key, "agent_email": given.agent}
        return _carried(callback, fields, "Signed in", "The command line gets its key. You can go back to it.")

    async def _admitted(self, visit: Visit) -> Principal:
        """:raises Forbidden: nobody is signed in, or the form is not ours."""
        require_same_origin(visit.headers.get, self._base)
        token = visit.cookies.get(SESSION_COOKIE, "")
        principal = await self._sessions.find(token, visit.origin)
        if principal is None or not self._sessions.csrf_matches(token, visit.values.get("csrf", "")):
            raise Forbidden("you are not signed in any more; run the command again")
        return principal


def _checked(visit: Visit) -> tuple[str, str]:
    callback, state = visit.values.get("cli_callback", ""), visit.values.get("cli_state", "")
    cli_callback(callback, state)
    return callback, state


def _explained(offer: Offer, callback: str) -> str:
    facts = (
        ("Account", offer.user.email),
        ("Organisation", offer.organisation.name),
        ("Program", f"listens on port {urlsplit(callback).port or 80} of this computer ({callback_origin(callback)})"),
        ("Until", f"{KEY_DAYS} days from now, or until e2a logout, you or an admin revokes the key"),
    )
    shown = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    allowed = "".join(f"<li>{escape(MEANINGS[name])}</li>" for name in offer.permissions)
    asked = paragraph(
        "Agree only if you have just started e2a login on this computer. It gets an API key, with which it may:"
    )
    return f"<dl>{shown}</dl>{asked}<ul>{allowed}</ul>"


def _carried(callback: str, fields: dict[str, str], title: str, text: str) -> Page:
    """A form that submits itself; without scripts its button does."""
    body = paragraph(text) + posting(callback, fields, '<button type="submit">Go on</button>')
    content_policy = policy(forms=callback_origin(callback), script=_SUBMIT)
    return Page(200, title, f"{body}<script>{_SUBMIT}</script>", {"Content-Security-Policy": content_policy})
