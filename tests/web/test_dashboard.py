"""The dashboard's shell: who gets a page, what every answer carries, what is refused."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.test.requesthelper import DummyChannel, DummyRequest

from e2a.core.entities import Principal
from e2a.core.errors import Forbidden, TooManyRequests
from e2a.core.rules.permissions import ROLE_PERMISSIONS
from e2a.web.dashboard.rendering import static_files
from e2a.web.dashboard.routing import Html, Redirect, View, page
from e2a.web.dashboard.site import Dashboard

#: 21 Nov 2026, 12:00 UTC
NOW = 1_795_262_400.0
OWNER = Principal("org_1", "user", ROLE_PERMISSIONS["owner"], role="owner", session_id="ses_1")
FRAME = {
    "email": "ana@people.test",
    "name": "Ana",
    "organisation": "<b>Team</b>",
    "places": [],
    "current": "org_1",
    "role": "owner",
    "pending": 3,
}


class Gate:
    """Lets in whom the test says."""

    def __init__(self) -> None:
        self.who: Principal | None = OWNER

    async def principal(self, request: Any) -> Principal | None:
        return self.who

    def csrf_token(self, request: Any) -> str:
        return "good" if self.who else ""

    def check_csrf(self, request: Any, given: str) -> None:
        if given != "good":
            raise Forbidden("this form is not of this session")


class Around:
    async def frame(self, principal: Principal) -> Any:
        return FRAME


class Section:
    """Two pages."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    @page("GET", "/dashboard/things/{name}", action="agents:read")
    async def show(self, view: View) -> Any:
        return Html("error.html", {"status": 200, "text": view.path["name"], "written": [], "again": ""})

    @page("POST", "/dashboard/things/{name}", action="agents:write")
    async def change(self, view: View) -> Any:
        self.done.append((view.path["name"], view.field("value"), view.principal.origin.client_ip))
        return Redirect("/dashboard", "saved")

    @page("POST", "/dashboard/things/{name}/close", action="agents:write")
    async def close(self, view: View) -> Any:
        values = {"status": 409, "text": "closed already", "written": [], "again": ""}
        return Html("error.html", values, 409, at=view.field("at"))


class Request(DummyRequest):
    """What ``twisted.web.http.Request`` has and the dummy has not."""

    def __init__(self, method: bytes, uri: str, body: bytes = b"") -> None:
        super().__init__([])
        self.method = method
        self.uri = uri.encode()
        self.path = self.uri.partition(b"?")[0]
        self.channel = DummyChannel()
        if body:
            self.requestHeaders = Headers({b"content-type": [b"application/x-www-form-urlencoded"]})
        self.content = io.BytesIO(body)

    @property
    def text(self) -> str:
        return b"".join(self.written).decode()

    def header(self, name: str) -> str:
        return str((self.responseHeaders.getRawHeaders(name) or [""])[0])


class DashboardTests(TestCase):
    def setUp(self) -> None:
        self.gate = Gate()
        self.section = Section()
        self.static = static_files()
        self.dashboard = Dashboard(
            [self.section],
            Resource(),
            self.gate,
            Around(),
            self.static,
            client_address=lambda _: "192.0.2.1",
            random=os.urandom,
            now=lambda: NOW,
            production=True,
        )

    async def ask(self, method: bytes, uri: str, *, fetched: str = "", **form: str) -> Request:
        """:param fetched: from where the browser says that the request was made."""
        request = Request(method, uri, urlencode(form).encode())
        if fetched:
            request.requestHeaders.setRawHeaders(b"sec-fetch-site", [fetched.encode()])
        finished: Deferred[None] = request.notifyFinish()
        self.dashboard.render(request)
        if request.finished == 0:
            await finished
        return request

    async def test_page(self) -> None:
        """A page says who is signed in and what waits, with nothing unescaped and nothing loaded from elsewhere."""
        answer = await self.ask(b"GET", "/dashboard/things/%3Cscript%3E")
        self.assertEqual(answer.responseCode, 200)
        self.assertIn("(3) ", answer.text.partition("</title>")[0])
        self.assertIn("&lt;b&gt;Team", answer.text)
        self.assertNotIn("<script>", answer.text)
        policy = answer.header("content-security-policy")
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(answer.header("cache-control"), "no-store")
        self.assertEqual(answer.header("x-frame-options"), "DENY")
        self.assertNotIn(" onclick", answer.text)

    async def test_not_signed_in(self) -> None:
        """Whoever is not signed in is led to sign in, and back to the page they wanted."""
        self.gate.who = None
        answer = await self.ask(b"GET", "/dashboard/things/one?a=b")
        self.assertEqual(answer.responseCode, 303)
        self.assertEqual(answer.header("location"), "/api/auth/login?next=%2Fdashboard%2Fthings%2Fone%3Fa%3Db")
        answer = await self.ask(b"POST", "/dashboard/things/one", csrf="good", value="x")
        self.assertEqual(answer.header("location"), "/api/auth/login?next=%2Fdashboard")
        self.assertEqual(self.section.done, [])

    async def test_follows(self) -> None:
        """A page follows what happens where it can be fetched again: an answer to a form only if it says where, or the
        form's address shows it too; what is not there not at all.
        """
        for answer, live in (
            (await self.ask(b"GET", "/dashboard/things/one"), "outbound"),
            (await self.ask(b"POST", "/dashboard/things/one", csrf="bad"), "outbound"),
            (await self.ask(b"POST", "/dashboard/things/one/close", csrf="good"), ""),
            (await self.ask(b"GET", "/dashboard/nothing"), ""),
        ):
            self.assertIn(f'<body data-live="{live}" data-at="">', answer.text)
        answer = await self.ask(b"POST", "/dashboard/things/one/close", csrf="good", at="/dashboard/things/one")
        self.assertIn('<body data-live="outbound" data-at="/dashboard/things/one">', answer.text)

    async def test_written(self) -> None:
        """What somebody wrote into a form is given back when it is not acted on: signed out, or refused. Only to a page
        of this site, since another could make this one say what it likes.
        """
        letter = "Dear Ana,\n<b>\u202ehello</b>"
        for who, csrf, status in ((None, "good", 401), (OWNER, "bad", 403)):
            self.gate.who = who
            answer = await self.ask(b"POST", "/dashboard/things/one", fetched="same-origin", csrf=csrf, body=letter)
            self.assertEqual(answer.responseCode, status)
            self.assertIn("Dear Ana,\n&lt;b&gt;\u202ehello", answer.text)
            self.assertNotIn(csrf, answer.text)
            for fetched in ("cross-site", "same-site", "none", ""):
                answer = await self.ask(b"POST", "/dashboard/things/one", fetched=fetched, csrf=csrf, body=letter)
                self.assertNotIn("Dear Ana", answer.text, fetched)
        self.assertEqual(self.section.done, [])

    async def test_change(self) -> None:
        """A form of this session acts, in the name of who sent it, and leads on."""
        answer = await self.ask(b"POST", "/dashboard/things/one", csrf="good", value=" x ")
        self.assertEqual((answer.responseCode, answer.header("location")), (303, "/dashboard?notice=saved"))
        self.assertEqual(self.section.done, [("one", "x", "192.0.2.1")])

    async def test_forged(self) -> None:
        """A form without the session's token does nothing, and neither does one whose token is in the query."""
        for uri, form in (
            ("/dashboard/things/one", {"value": "x"}),
            ("/dashboard/things/one", {"value": "x", "csrf": "bad"}),
            ("/dashboard/things/one?csrf=good", {"value": "x"}),
        ):
            self.assertEqual((await self.ask(b"POST", uri, **form)).responseCode, 403)
        self.assertEqual(self.section.done, [])

    async def test_room(self) -> None:
        """An organisation that has too many pages under way is told to come later; each page gives its place back."""
        taken: list[str] = []

        @contextmanager
        def room(organisation_id: str) -> Iterator[None]:
            if taken:
                raise TooManyRequests(retry_after=3)
            taken.append(organisation_id)
            yield
            taken.clear()

        self.patch(self.dashboard, "_room", room)
        for _ in range(2):
            self.assertEqual((await self.ask(b"GET", "/dashboard/things/one")).responseCode, 200)
        taken.append("another page")
        refused = await self.ask(b"POST", "/dashboard/things/one", csrf="good", value="x")
        self.assertEqual((refused.responseCode, refused.header("retry-after")), (429, "3"))
        self.assertEqual(self.section.done, [])

    async def test_other_organisation(self) -> None:
        """A form counts in the organisation whose page it stood on; once the session is elsewhere it does nothing."""
        answer = await self.ask(b"GET", "/dashboard/things/one")
        (token,) = set(re.findall(r'name="csrf" value="([^"]*)"', answer.text))
        self.gate.who = replace(OWNER, organisation_id="org_2")
        refused = await self.ask(b"POST", "/dashboard/things/one", csrf=token, value="x")
        self.assertEqual((refused.responseCode, self.section.done), (409, []))
        self.gate.who = OWNER
        self.assertEqual((await self.ask(b"POST", "/dashboard/things/one", csrf=token, value="x")).responseCode, 303)
        self.assertEqual(len(self.section.done), 1)

    async def test_permission(self) -> None:
        """A page is for those whose role allows it."""
        self.gate.who = replace(OWNER, permissions=ROLE_PERMISSIONS["member"], role="member")
        self.assertEqual((await self.ask(b"GET", "/dashboard/things/one")).responseCode, 200)
        self.assertEqual((await self.ask(b"POST", "/dashboard/things/one", csrf="good")).responseCode, 403)
        self.assertEqual(self.section.done, [])

    async def test_nothing_there(self) -> None:
        """An unknown path, a method that is not served and a path that is no text are one answer."""
        for method, uri in (
            (b"GET", "/dashboard/nowhere"),
            (b"DELETE", "/dashboard/things/one"),
            (b"GET", "/dashboard/things/%FF"),
        ):
            self.assertEqual((await self.ask(method, uri)).responseCode, 404, uri)

    async def test_failure(self) -> None:
        """What goes wrong inside stays inside."""

        async def broken(_: Any) -> Any:
            raise ZeroDivisionError("a secret")

        self.patch(self.dashboard, "_handlers", [broken] * len(self.dashboard.routes))
        answer = await self.ask(b"GET", "/dashboard/things/one")
        self.assertEqual(answer.responseCode, 500)
        self.assertNotIn("a secret", answer.text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_static(self) -> None:
        """Style and script are kept by browsers, under names that change with their content."""
        for name, file in self.static.items():
            answer = await self.ask(b"GET", f"/static/{name}")
            self.assertEqual(b"".join(answer.written), file.content)
            self.assertIn("immutable", answer.header("cache-control"))
        self.assertEqual((await self.ask(b"GET", "/static/nothing.css")).responseCode, 404)
        self.assertLess(sum(len(file.content) for file in self.static.values()), 40_000)

    def test_action_needed(self) -> None:
        """A page without a known action cannot be declared."""
        with self.assertRaises(TypeError):
            page("GET", "/dashboard/x", action="everything")
