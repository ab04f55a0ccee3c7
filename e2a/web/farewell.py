"""Where a browser is led that is signed in no more. Signing in again takes a click: a provider that still knows the
person would otherwise sign them in at once.
"""

from __future__ import annotations

from .pages import Page, Visit, link, paragraph
from .signin import LOGIN, not_posted

SIGNED_OUT = "/signed-out"
ACCOUNT_DELETED = "/account-deleted"

#: Title and text by path.
FAREWELLS = {
    SIGNED_OUT: ("You are signed out", "This browser is not signed in any more."),
    ACCOUNT_DELETED: (
        "Your account is deleted",
        "Nothing that belonged to it works any more, and its data is removed.",
    ),
}


class FarewellPage:
    def __init__(self, title: str, text: str) -> None:
        self._title = title
        self._text = text

    async def show(self, visit: Visit) -> Page:
        return Page(200, self._title, paragraph(self._text) + link(LOGIN, "Sign in"))

    async def act(self, visit: Visit) -> Page:
        return not_posted()
