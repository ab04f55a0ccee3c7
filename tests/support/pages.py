"""The dashboard's pages on the whole gateway, without a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred

from e2a.core.entities import Principal
from e2a.core.rules.permissions import ROLE_PERMISSIONS
from e2a.service import rest
from e2a.web.dashboard.site import Dashboard
from tests.support.gateway import GatewayTestCase
from tests.support.tenants import rows
from tests.web.test_dashboard import Gate, Request


class PageTestCase(GatewayTestCase):
    """:ivar owner: of one organisation, who is signed in; ``stranger``: of another.
    :ivar key: the owner's API key.
    :ivar gate: lets in whom the test says.
    """

    async def setUp(self) -> None:
        build = rest.dashboard

        def kept(*given: Any) -> Any:
            front = build(*given)
            self.dashboard: Dashboard = front.resource
            return front

        self.patch(rest, "dashboard", kept)
        await super().setUp()
        self.key = await self.bootstrap("ana@people.test")
        await self.bootstrap("eve@people.test")
        found = await rows(
            self.db,
            "SELECT m.organisation_id, m.user_id FROM memberships m JOIN users u ON u.id = m.user_id"
            " WHERE u.email LIKE '%%@people.test' ORDER BY u.email",
        )
        self.owner, self.stranger = (
            Principal(row.organisation_id, row.user_id, ROLE_PERMISSIONS["owner"], role="owner", session_id="ses")
            for row in found
        )
        self.gate = Gate()
        self.gate.who = self.owner
        self.dashboard._gate = self.gate

    async def api_call(self, method: str, path: str, body: Any = None) -> Any:
        """By the REST interface, with the owner's key."""
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return (await self.ask(method, path, headers, body)).json

    async def get(self, path: str) -> Request:
        return await self._page(Request(b"GET", path))

    async def post(self, path: str, **form: Any) -> Request:
        """A form of the session's own."""
        return await self._page(Request(b"POST", path, urlencode({"csrf": "good", **form}, doseq=True).encode()))

    async def _page(self, request: Request) -> Request:
        finished: Deferred[None] = request.notifyFinish()
        self.dashboard.render(request)
        if not request.finished:
            await finished
        return request
