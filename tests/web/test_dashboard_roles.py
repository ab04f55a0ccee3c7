"""Every page of the dashboard, asked by every role, by nobody, and without the session's token. A new page is walked by
itself.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from e2a.core.rules.permissions import ROLE_PERMISSIONS, may
from e2a.web.dashboard.routing import Route
from tests.support.pages import PageTestCase
from tests.support.tenants import rows
from tests.web.test_dashboard import Request

BOT = "bot@agents.test"


class RoleTests(PageTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await self.api_call("POST", "/api/v1/agents", {"slug": "bot", "agent_mode": "local"})
        await self.api_call("POST", "/api/v1/domains", {"domain": "corp.test"})
        ((key,),) = await rows(
            self.db, "SELECT id FROM api_keys WHERE organisation_id = %s", self.owner.organisation_id
        )
        #: What every form carries: enough for most of them to mean something.
        self.form = {
            "id": key,
            "user_id": self.owner.user_id,
            "role": "member",
            "organisation": self.stranger.organisation_id,
            "confirm": "DELETE",
            "email": "new@people.test",
            "domain": "new.test",
            "name": "new",
            "preset": "full",
            "overlap": "beside",
            "local": "new",
            "mode": "local",
        }

    def path(self, route: Route) -> str:
        path = route.path.replace("{email}", BOT).replace("{domain}", "corp.test").replace("{index}", "0")
        return re.sub(r"\{\w+\}", "msg_0", path)

    async def open(self, route: Route, **form: str) -> Any:
        if route.method == "GET":
            return await self.get(self.path(route))
        return await self.post(self.path(route), **{**self.form, **form})

    async def state(self) -> list[str]:
        """Every row that a page could change."""
        tables = ("organisations", "memberships", "invitations", "api_keys", "signing_secrets", "user_sessions")
        found = []
        for table in (*tables, "agents", "domains", "users", "messages", "delegations", "suppressions", "feedback"):
            found += [row.line for row in await rows(self.db, f"SELECT row_to_json(t)::text AS line FROM {table} t")]
        return sorted(found)

    async def test_roles(self) -> None:
        """What a role does not give is refused on every page, and changes nothing."""
        before = await self.state()
        refused = 0
        for role, permissions in ROLE_PERMISSIONS.items():
            who = self.gate.who = replace(self.owner, role=role, permissions=permissions)
            for route in self.dashboard.routes:
                if may(who, route.action) == "no":
                    refused += 1
                    answer = await self.open(route)
                    self.assertEqual(answer.responseCode, 403, (role, route))
        self.assertGreater(refused, 20)
        self.assertEqual(await self.state(), before)

    async def test_nobody(self) -> None:
        """Who is not signed in is led to sign in, from every page, and changes nothing."""
        before = await self.state()
        self.gate.who = None
        for route in self.dashboard.routes:
            answer = await self.open(route)
            self.assertEqual(answer.responseCode, 303, route)
            self.assertTrue(answer.header("location").startswith("/api/auth/login?next="), route)
        self.assertEqual(await self.state(), before)

    async def test_forged(self) -> None:
        """A form without the session's token, or of a page of another organisation, does nothing, whichever it is."""
        before = await self.state()
        for route in self.dashboard.routes:
            if route.method == "POST":
                for csrf, statuses in (("bad", {403}), (f"good.{self.stranger.organisation_id}", {409})):
                    if route.path in ("/dashboard/organisation", "/dashboard/sign-out") and csrf != "bad":
                        continue
                    answer = await self.open(route, csrf=csrf)
                    self.assertIn(answer.responseCode, statuses, (route, csrf))
                body = urlencode(self.form).encode()
                answer = await self._page(Request(b"POST", f"{self.path(route)}?csrf=good", body))
                self.assertEqual(answer.responseCode, 403, route)
        self.assertEqual(await self.state(), before)
