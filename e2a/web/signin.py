"""The pages of signing in: to a provider and back, or with a one-time link.

A browser is sent on by a page with a Location header; whoever has no browser reads the same page.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote, urlencode

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest
from e2a.core.rules.signin import (
    HOME,
    SESSION_COOKIE,
    STATE_COOKIE,
    cli_callback,
    cookie,
    require_same_origin,
    safe_next,
)
from e2a.flows.sessions import SESSION, Sessions
from e2a.flows.signin import CALLBACK, LINK, STATE_SECONDS, SignedIn, SignIn

from .pages import Page, Visit, button, link, paragraph, posting

LOGIN = "/api/auth/login"
CLI = "/api/auth/cli"

#: Browsers name the origin of a form only if the page lets them.
NAMES_ORIGIN = {"Referrer-Policy": "same-origin"}


class _Pages:
    """:param secure: whether cookies are for https only."""

    def __init__(self, signin: SignIn, sessions: Sessions, *, secure: bool) -> None:
        self._signin = signin
        self._sessions = sessions
        self._secure = secure

    async def _caller(self, visit: Visit) -> Principal | None:
        return await self._sessions.find(visit.cookies.get(SESSION_COOKIE, ""), visit.origin)

    def _welcome(self, signed_in: SignedIn, *cookies: str) -> Page:
        session = cookie(SESSION_COOKIE, signed_in.token, int(SESSION.total_seconds()), secure=self._secure)
        return redirect(self._signin.base + signed_in.next, "You are signed in", session, *cookies)


class LoginPage(_Pages):
    """``/api/auth/login``: to the only provider, or to a choice. The command line's parameters lead to its own page."""

    async def show(self, visit: Visit) -> Page:
        next_path = self._next(visit)
        providers = self._signin.providers
        chosen = visit.values.get("provider")
        if chosen is None:
            if await self._caller(visit) is not None:
                return redirect(next_path, "You are signed in")
            if len(providers) != 1:
                return self._choice(next_path)
            chosen = providers[0][0]
        begun = await self._signin.begin(chosen, next_path, visit.cookies.get(STATE_COOKIE, ""), visit.origin)
        state = cookie(STATE_COOKIE, begun.browser, STATE_SECONDS, secure=self._secure)
        return redirect(begun.url, "Sign in", state)

    async def act(self, visit: Visit) -> Page:
        return not_posted()

    def _next(self, visit: Visit) -> str:
        callback, state = visit.values.get("cli_callback", ""), visit.values.get("cli_state", "")
        if "cli_callback" in visit.values or "cli_state" in visit.values:
            cli_callback(callback, state)
            return f"{CLI}?{urlencode({'cli_callback': callback, 'cli_state': state})}"
        return safe_next(visit.values.get("next", HOME))

    def _choice(self, next_path: str) -> Page:
        providers = self._signin.providers
        if not providers:
            text = paragraph("No sign-in provider is configured. On the server, this command prints a one-time link:")
            text += "<pre>e2a bootstrap --sign-in-link you@example.com</pre>"
            return Page(
                200, "Sign in", text + link(f"{LOGIN}?next={quote(next_path, safe='')}", "I have used it, go on")
            )
        links = (
            link(f"{LOGIN}?{urlencode({'provider': key, 'next': next_path})}", f"Sign in with {name}")
            for key, name in providers
        )
        return Page(200, "Sign in", "".join(links))


class CallbackPage(_Pages):
    """``/api/auth/callback``: back from a provider."""

    async def show(self, visit: Visit) -> Page:
        if visit.method == "HEAD":
            # A look must not use up the answer.
            return Page(405, "Not possible", paragraph("This page is read with GET."), {"Allow": "GET"})
        state, code = visit.values.get("state", ""), visit.values.get("code", "")
        if visit.values.get("error"):
            return self._refused(visit.values["error"])
        if not state or not code:
            raise BadRequest("code or state is missing; please begin the sign-in again", field="code")
        browser = visit.cookies.get(STATE_COOKIE, "")
        signed_in = await self._signin.finish(state, code, visit.values.get("iss"), browser, visit.origin)
        return self._welcome(signed_in, cookie(STATE_COOKIE, "", 0, secure=self._secure))

    async def act(self, visit: Visit) -> Page:
        return not_posted()

    def _refused(self, error: str) -> Page:
        if error == "access_denied":
            text = "You did not agree at the provider, so nobody is signed in."
        else:
            text = "The provider did not sign you in."
        return Page(400, "Not signed in", paragraph(text) + link(LOGIN, "Try again"))


class LinkPage(_Pages):
    """``/api/auth/link``: a one-time link. Opening it changes nothing, the button signs in."""

    async def show(self, visit: Visit) -> Page:
        email = await self._signin.look(visit.token, visit.origin)
        body = f"<p>You will be signed in as <strong>{escape(email)}</strong>.</p>"
        return Page(
            200, "Sign in", body + posting(LINK, {"token": visit.token}, button("go", "on", "Sign in")), NAMES_ORIGIN
        )

    async def act(self, visit: Visit) -> Page:
        # Otherwise another site could sign its visitors in to an account of its own.
        require_same_origin(visit.headers.get, self._signin.base)
        return self._welcome(await self._signin.use(visit.token, visit.origin))


def redirect(url: str, title: str, *cookies: str) -> Page:
    """Send a browser on. A form's POST becomes a GET."""
    return Page(302, title, link(url, "Go on"), {"Location": url}, cookies)


def not_posted() -> Page:
    return Page(405, "Not possible", paragraph("This page is read with GET."), {"Allow": "GET, HEAD"})


#: The pages by path, to be made all alike.
PAGES: dict[str, type[LoginPage] | type[CallbackPage] | type[LinkPage]] = {
    LOGIN: LoginPage,
    CALLBACK: CallbackPage,
    LINK: LinkPage,
}
