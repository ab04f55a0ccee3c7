"""The consent page of the command line's sign-in: what was shown is what is agreed to."""

from __future__ import annotations

import os
import re
from html import unescape

from e2a.core.errors import BadRequest, Conflict, Forbidden
from e2a.core.rules.signin import SESSION_COOKIE
from e2a.flows.accounts import Accounts
from e2a.flows.handoff import HandOff
from e2a.web.handoff import HandOffPage
from e2a.web.pages import Page, Visit
from tests.flows.test_people import PeopleTestCase
from tests.support.signin import ORIGIN, sessions_of, sign_in
from tests.support.tenants import rows

ASKED = {"cli_callback": "http://127.0.0.1:4321/callback", "cli_state": "s"}


class HandOffPageTests(PeopleTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.sessions = sessions_of(self.db, self.clock.seconds)
        accounts = Accounts(self.db, self.clock.seconds, os.urandom)
        handoff = HandOff(self.db, accounts, self.clock.seconds)
        self.page = HandOffPage(handoff, self.sessions, base="https://api.test")
        self.session, self.caller = await sign_in(self.db, self.ana.user_id, self.clock.seconds)

    async def visit(self, method: str, values: dict[str, str]) -> Page:
        headers = {"sec-fetch-site": "same-origin"}
        visit = Visit("/api/auth/cli", values, "192.0.2.1", method, {SESSION_COOKIE: self.session}, headers)
        return await (self.page.act if method == "POST" else self.page.show)(visit)

    async def consent(self) -> dict[str, str]:
        """What the page's form sends when the person agrees."""
        body = (await self.visit("GET", ASKED)).body
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', body)
        return {**{name: unescape(value) for name, value in hidden}, "choice": "allow"}

    async def made(self) -> list[str]:
        """The organisations of the keys there are."""
        return [row.organisation_id for row in await rows(self.db, "SELECT organisation_id FROM api_keys")]

    async def test_agreed(self) -> None:
        """Who agrees gets a key of the organisation that was shown; looking makes none."""
        form = await self.consent()
        self.assertEqual(await self.made(), [])
        given = await self.visit("POST", form)
        self.assertRegex(given.body, r'name="api_key" value="e2a_[0-9a-f]{64}"')
        self.assertEqual(await self.made(), [self.ana.organisation_id])

    async def test_elsewhere_meanwhile(self) -> None:
        """Who went to another organisation after the page was shown has agreed to nothing there."""
        form = await self.consent()
        await self.sessions.switch(self.caller, self.team)
        with self.assertRaises(Conflict):
            await self.visit("POST", form)
        self.assertEqual(await self.made(), [])
        await self.visit("POST", await self.consent())
        self.assertEqual(await self.made(), [self.team])

    async def test_refused(self) -> None:
        """Without the form's token, a choice, or a session there is no key; and saying no makes none."""
        form = await self.consent()
        cases = ((Forbidden, {"csrf": "0" * 64}), (Forbidden, {"csrf": ""}), (BadRequest, {"choice": "maybe"}))
        for error, change in cases:
            with self.assertRaises(error):
                await self.visit("POST", form | change)
        self.assertIn("gets no key", (await self.visit("POST", form | {"choice": "cancel"})).body)
        principal = await self.sessions.find(self.session, ORIGIN)
        assert principal is not None
        await self.sessions.close(self.session, principal)
        with self.assertRaises(Forbidden):
            await self.visit("POST", form)
        self.assertEqual(await self.made(), [])
