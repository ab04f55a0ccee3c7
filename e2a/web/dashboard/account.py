"""The account: who one is, where one is signed in, what is left of the limits, and the way out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from e2a.core.errors import BadRequest, Conflict, E2AError, TooManyRequests
from e2a.core.rules.feedback import CATEGORIES
from e2a.core.rules.permissions import SELF
from e2a.core.rules.signin import SESSION_COOKIE, cookie
from e2a.flows.erasure import CONFIRMATION, Erasure
from e2a.flows.feedback import FeedbackBox
from e2a.flows.me import Me
from e2a.flows.people import People
from e2a.flows.sessions import Sessions
from e2a.flows.usage import Usage
from e2a.web.farewell import ACCOUNT_DELETED

from .members import LONGEST_NAME
from .rendering import octets
from .routing import Html, Redirect, View, page

PLACE = "/dashboard/account"

_LIMITS = {
    "register": "Agents registered",
    "send": "Messages of one agent",
    "poll": "Waits for new mail",
    "feedback": "Pieces of feedback",
}
_QUOTAS = {
    "agents": "Agents",
    "domains": "Domains",
    "storage_bytes": "Received mail kept",
    "messages_per_day": "Messages sent today",
}
#: What gives a browser away, and a system, in the order in which to look.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
#: ``(client address) -> ``: counts a piece of feedback, and refuses the one that is too many.
CountFeedback = Callable[[str], Awaitable[object]]


class AccountPages:
    """:param count_feedback: as the REST interface counts it.
    :param secure: whether cookies are for https only.
    """

    def __init__(
        self,
        me: Me,
        people: People,
        sessions: Sessions,
        usage: Usage,
        feedback: FeedbackBox,
        erasure: Erasure,
        count_feedback: CountFeedback,
        *,
        secure: bool,
    ) -> None:
        self._me = me
        self._people = people
        self._sessions = sessions
        self._usage = usage
        self._feedback = feedback
        self._erasure = erasure
        self._count_feedback = count_feedback
        self._secure = secure

    @page("GET", PLACE, action="account:read")
    async def show(self, view: View) -> Any:
        return await self._page(view)

    @page("POST", PLACE + "/organisation", action="account:write")
    async def rename(self, view: View) -> Any:
        try:
            name = view.required("name")
            if len(name) > LONGEST_NAME:
                raise BadRequest(f"name can have at most {LONGEST_NAME} characters", field="name")
            await self._people.rename(view.principal, name)
        except BadRequest as error:
            return await self._page(view, error, "organisation")
        return Redirect(PLACE, "saved")

    @page("POST", PLACE + "/sessions", action=SELF)
    async def end_session(self, view: View) -> Any:
        """One, or with ``others`` all but this one."""
        if view.field("others"):
            await self._sessions.revoke_others(view.principal)
        else:
            await self._sessions.revoke(view.principal, view.required("id"))
        return Redirect(PLACE, "revoked")

    @page("POST", PLACE + "/feedback", action=SELF)
    async def give_feedback(self, view: View) -> Any:
        try:
            await self._count_feedback(view.principal.origin.client_ip)
            await self._feedback.take(view.principal, view.field("message"), "", view.field("category"))
        except (BadRequest, TooManyRequests) as error:
            return await self._page(view, error, "feedback")
        return Redirect(PLACE, "thanks")

    @page("POST", PLACE + "/delete", action="account:write")
    async def delete(self, view: View) -> Any:
        try:
            confirmation = view.field("confirm")
            if confirmation != CONFIRMATION:
                raise BadRequest(f"type {CONFIRMATION} to show that you mean it", field="confirm")
            await self._erasure.delete_account(view.principal, confirmation)
        except (BadRequest, Conflict) as error:
            return await self._page(view, error, "delete")
        return Redirect(ACCOUNT_DELETED, headers={"Set-Cookie": cookie(SESSION_COOKIE, "", 0, secure=self._secure)})

    async def _page(self, view: View, error: E2AError | None = None, place: str = "") -> Html:
        """:param place: the form that the error is about."""
        found = await self._me.look(view.principal, view.principal.origin.client_ip)
        values = {
            "who": found.who,
            "sessions": [(one, browser(one.user_agent)) for one in await self._sessions.listed(view.principal)],
            "this": view.principal.session_id,
            "limits": [
                (_LIMITS.get(limit.name, limit.name), limit.most, _window(limit.seconds), limit.remaining)
                for limit in found.standing.limits
            ],
            "quotas": [
                (
                    _QUOTAS.get(quota.name, quota.name),
                    quota.most,
                    quota.used,
                    _shown(quota.name, quota.used),
                    _shown(quota.name, quota.most),
                )
                for quota in found.standing.quotas
            ],
            "usage": await self._days(view),
            "categories": CATEGORIES,
            "confirmation": CONFIRMATION,
            "typed": {name: view.field(name) for name in ("name", "message", "category")} if error else {},
            "problem": "" if error is None else error.text,
            "place": place,
        }
        return Html("account.html", values, 200 if error is None else error.status)

    async def _days(self, view: View) -> Any:
        """The last thirty days with use, newest first; None when nothing is counted."""
        if not self._usage.tracking:
            return None
        _, _, days = await self._usage.days(view.principal, None, None)
        return [day for day in reversed(days) if day.inbound or day.outbound]


def browser(user_agent: str) -> str:
    """A browser by the names that people know: ``Firefox on Linux``. Every browser claims to be several others."""
    name = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return " on ".join(filter(None, (name, system))) or user_agent[:60] or "An unknown browser"


def _window(seconds: int) -> str:
    return {60: "a minute", 3600: "an hour", 86_400: "a day"}.get(seconds, f"{seconds} seconds")


def _shown(quota: str, number: int) -> str:
    return octets(number) if quota == "storage_bytes" else str(number)
