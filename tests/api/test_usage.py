"""Usage, quotas and feedback over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from e2a.api.feedback import FeedbackResource
from e2a.api.usage import QuotasResource, UsageResource
from e2a.core.entities import Principal
from e2a.core.errors import Forbidden
from e2a.core.rules.limits import QUOTAS, Quotas
from e2a.flows.usage import Day

from .support import WHOLE, Client, make_app


class Flows:
    """Every flow behind these resources: remembers what it is asked."""

    tracking = True

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def days(self, principal: Principal, first: date | None, last: date | None) -> Any:
        self.asked.append((first, last))
        day = date(2026, 1, 31)
        return day, day, [Day(day, 2, 3)]

    async def set(self, principal: Principal, organisation_id: str, own: Any) -> Any:
        self.asked.append((organisation_id, own))
        return own, Quotas(agents=9), Quotas(agents=1)

    async def take(self, principal: Principal | None, message: str, email: str, category: str) -> None:
        self.asked.append((principal, message, email, category))


class UsageApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.flows: Any = Flows()
        self.session: Any = None

        async def session(request: Any) -> Principal | None:
            if isinstance(self.session, Exception):
                raise self.session
            found: Principal | None = self.session
            return found

        resources = UsageResource(self.flows), QuotasResource(self.flows), FeedbackResource(self.flows, session)
        self.client = Client(make_app(*resources))

    def test_usage(self) -> None:
        """Days are asked for by date and answered with their sum."""
        found = self.client.get(self, "/api/v1/usage?from=2026-01-01&to=2026-01-31").json
        self.assertEqual(self.flows.asked, [(date(2026, 1, 1), date(2026, 1, 31))])
        counts = {"inbound": 2, "outbound": 3, "total": 5}
        shown = {"from": "2026-01-31", "to": "2026-01-31", "total": counts, "tracking": True}
        self.assertEqual(found, shown | {"days": [{"date": "2026-01-31", **counts}]})
        self.client.get(self, "/api/v1/usage")
        self.assertEqual(self.flows.asked[1], (None, None))

    def test_no_days(self) -> None:
        """What is no day is refused by name."""
        for text in ("yesterday", "2026-02-30", "20260101", "2026-W01-1", ""):
            answer = self.client.get(self, f"/api/v1/usage?to={text}")
            self.assertEqual((answer.code, answer.text[:12]), (400, "to must be a"))

    def test_quotas(self) -> None:
        """What is not given is as the deployment has it; nothing negative and nothing else is taken."""
        path = "/api/v1/operator/organisations/org_x/quotas"
        answer = self.client.request(self, "PUT", path, json={"agents": 9, "domains": 0})
        own = dict.fromkeys(QUOTAS) | {"agents": 9, "domains": 0}
        self.assertEqual(self.flows.asked, [("org_x", own)])
        self.assertEqual((answer.json["own"], answer.json["in_force"]["agents"]), (own, 9))
        for wrong in (-1, "many", 1.5, 2**60):
            self.assertEqual(self.client.request(self, "PUT", path, json={"agents": wrong}).code, 400)

    def test_feedback(self) -> None:
        """Anybody may write; who is signed in is known, unless another site may be behind it."""
        for self.session in (None, WHOLE, Forbidden()):
            answer = self.client.request(self, "POST", "/api/feedback", key=None, json={"message": "Hello"})
            self.assertEqual((answer.code, answer.json), (200, {"status": "ok"}))
        self.assertEqual([asked[0] for asked in self.flows.asked], [None, WHOLE, None])
        self.assertEqual(self.flows.asked[0][1:], ("Hello", "", "general"))
        for body in ({"message": 7}, [], {"message": "a\0b"}):
            self.assertEqual(self.client.request(self, "POST", "/api/feedback", key=None, json=body).code, 400)
