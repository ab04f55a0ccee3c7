"""The page behind an invitation's link: only the person that was invited gets in, by a button."""

from __future__ import annotations

from typing import Any

from e2a.core.entities import Principal
from e2a.core.errors import Forbidden, Gone, NotFound
from e2a.core.rules.signin import SESSION_COOKIE
from e2a.web.farewell import FAREWELLS, FarewellPage
from e2a.web.invitation import InvitationPage
from e2a.web.pages import Page, Visit
from tests.flows import test_people
from tests.support.signin import sessions_of, sign_in
from tests.support.tenants import execute, rows

BASE = "https://api.test"


class InvitationPageTests(test_people.PeopleTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await self.invitations.invite(self.owner, "bo@people.test", "admin")
        self.token = self.writer.token()
        self.sessions = sessions_of(self.db, self.clock.seconds)
        self.page = InvitationPage(self.invitations, self.sessions, base=BASE)

    async def visit(self, session: str = "", method: str = "GET", **values: str) -> Page:
        headers = {"sec-fetch-site": values.pop("site", "same-origin")}
        cookies = {SESSION_COOKIE: session} if session else {}
        visit = Visit("/invitation", {"token": self.token, **values}, "192.0.2.1", method, cookies, headers)
        return await (self.page.act if method == "POST" else self.page.show)(visit)

    async def signed_in(self, who: Principal) -> str:
        return (await sign_in(self.db, who.user_id, self.clock.seconds))[0]

    async def members(self) -> int:
        return len(await rows(self.db, "SELECT 1 FROM memberships WHERE organisation_id = %s", self.team))

    async def test_accepted(self) -> None:
        """The invited person sees what it is about, changes nothing by looking, and is in there afterwards."""
        await execute(self.db, "UPDATE organisations SET name = '<b>Team</b>' WHERE id = %s", self.team)
        session = await self.signed_in(self.bo)
        shown = await self.visit(session)
        self.assertIn("&lt;b&gt;Team", shown.body)
        self.assertEqual(await self.members(), 1)
        joined = await self.visit(session, "POST", csrf=self.sessions.csrf_token(session))
        self.assertEqual(joined.headers["Location"], "/dashboard?notice=joined")
        principal = await self.sessions.find(session, self.owner.origin)
        assert principal is not None
        self.assertEqual((principal.organisation_id, principal.role), (self.team, "admin"))
        for method in ("GET", "POST"):
            with self.assertRaises(Gone):
                await self.visit(session, method, csrf=self.sessions.csrf_token(session))

    async def test_others(self) -> None:
        """Nobody who is not signed in, or signed in as somebody else, gets in; they are told what to do."""
        shown = await self.visit()
        self.assertIn("sign in as bo@people.test", shown.body)
        self.assertIn("next=%2Finvitation%3Ftoken%3D", shown.body)
        session = await self.signed_in(self.ana)
        shown = await self.visit(session)
        self.assertIn("signed in as ana@people.test", shown.body)
        self.assertNotIn("Accept", shown.body)
        for attempt in ({"session": session, "csrf": self.sessions.csrf_token(session)}, {"session": ""}):
            with self.assertRaises(Forbidden):
                await self.visit(method="POST", **attempt)
        self.assertEqual(await self.members(), 1)

    async def test_forged(self) -> None:
        """A page of another site, or a form without the session's token, makes nobody a member."""
        session = await self.signed_in(self.bo)
        good = self.sessions.csrf_token(session)
        for form in ({}, {"csrf": "0" * 64}, {"csrf": good, "site": "cross-site"}):
            with self.assertRaises(Forbidden):
                await self.visit(session, "POST", **form)
        self.assertEqual(await self.members(), 1)

    async def test_unknown(self) -> None:
        """A link that was not made here is about nothing."""
        for token in ("", "x", "e2a_" + "0" * 64):
            with self.assertRaises(NotFound):
                await self.visit(token=token)

    async def test_farewell(self) -> None:
        """Whoever signed out stays signed out until they click."""
        for title, text in FAREWELLS.values():
            page: Any = await FarewellPage(title, text).show(Visit("/signed-out", {}, "192.0.2.1"))
            self.assertEqual((page.status, dict(page.headers)), (200, {}))
            self.assertIn('href="/api/auth/login"', page.body)
