"""What a session's cookie may do in the REST interface, and what it takes beside the cookie."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import orjson
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from e2a.api.app import Api, socket_address
from e2a.api.auth import Authorizer
from e2a.api.routing import Call, route
from e2a.api.sessiongate import SessionGate
from e2a.api.signin import SignInResource
from tests.api.support import authenticate, counting_random
from tests.support.postgres import DatabaseTestCase
from tests.support.signin import sessions_of, sign_in
from tests.support.tenants import execute, make_tenant

BASE = "https://e2a.example"


class Reply(NamedTuple):
    code: int
    content: bytes
    cookies: tuple[str, ...]


class Things:
    """A route that changes something, and one that a WebSocket opens."""

    @route("POST", "/things", action="agents:write", summary="Make", answers={200: None})
    async def make(self, call: Call) -> Any:
        return {"role": call.principal.role, "ip": call.principal.origin.client_ip}

    @route("GET", "/ws", action="messages:read", summary="Open", answers={200: None}, query_token=True)
    async def open(self, call: Call) -> Any:
        return {}


class GateTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.owner = await make_tenant(self.db, "owner")
        self.token, self.principal = await sign_in(self.db, self.owner.user_id)
        self.sessions = sessions_of(self.db, time.time)
        gate = SessionGate(self.sessions, BASE, socket_address)
        api = Api(
            [SignInResource(self.sessions, gate, secure=True), Things()],
            Authorizer(authenticate, gate.find),
            clock=Clock(),
            random=counting_random(),
        )
        self.treq: Any = StubTreq(api)
        self.csrf = self.sessions.csrf_token(self.token)

    async def ask(self, method: str, path: str, *, cookie: bool = True, **values: Any) -> Reply:
        headers = {name.replace("_", "-"): value for name, value in values.pop("headers", {}).items()}
        if cookie:
            headers["Cookie"] = f"e2a_session={self.token}"

        async def work() -> Reply:
            answer = await self.treq.request(method, f"http://api.test{path}", headers=headers, **values)
            cookies = tuple(answer.headers.getRawHeaders("set-cookie") or ())
            return Reply(answer.code, await answer.content(), cookies)

        waiting = Deferred.fromCoroutine(work())
        while not waiting.called:
            await deferLater(reactor, 0.001)  # type: ignore[arg-type]
            self.treq.flush()
        return await waiting

    async def status(self, method: str, path: str, **values: Any) -> int:
        return (await self.ask(method, path, **values)).code

    async def test_writing(self) -> None:
        """A change needs the session's token and a page of ours; a reader needs neither."""
        sent = {"X_CSRF_Token": self.csrf}
        self.assertEqual(await self.status("POST", "/things", headers=sent), 200)
        for headers in (
            {},
            {"X_CSRF_Token": ""},
            {"X_CSRF_Token": "0" * 64},
            sent | {"Origin": "https://evil.example"},
            sent | {"Origin": "null"},
            sent | {"Sec_Fetch_Site": "cross-site"},
            sent | {"Sec_Fetch_Site": "same-site", "Origin": BASE},
        ):
            self.assertEqual(await self.status("POST", "/things", headers=headers), 403, headers)
        for ours in ({"Origin": BASE}, {"Origin": "http://api.test"}, {"Sec_Fetch_Site": "same-origin"}):
            self.assertEqual(await self.status("POST", "/things", headers=sent | ours), 200, ours)
        self.assertEqual(await self.status("GET", "/api/auth/me"), 200)

    async def test_keys_need_no_token(self) -> None:
        """A key is no cookie: nobody else makes a program send it. Beside a good cookie it alone counts."""
        key = {"Authorization": "Bearer whole", "Origin": "https://evil.example"}
        self.assertEqual(await self.status("POST", "/things", headers=key), 200)
        self.assertEqual(await self.status("POST", "/things", headers={"Authorization": "Bearer bad"}), 401)

    async def test_websocket(self) -> None:
        """Browsers open WebSockets for any page, so one by cookie must come from a page of ours."""
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
        self.assertEqual(await self.status("GET", "/ws", headers=upgrade | {"Origin": BASE}), 200)
        for foreign in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            self.assertEqual(await self.status("GET", "/ws", headers=upgrade | foreign), 403, foreign)
        self.assertEqual(await self.status("GET", "/ws?token=whole", headers=upgrade, cookie=False), 200)

    async def test_role(self) -> None:
        """A session may do what its person's role gives now, after the token is checked."""
        sent = {"X_CSRF_Token": self.csrf}
        await execute(self.db, "UPDATE memberships SET role = 'member'")
        self.assertEqual(await self.status("POST", "/things", headers=sent), 403)

    async def test_me(self) -> None:
        """A signed-in person reads who they are and gets the token; a key and nobody get 401."""
        me = orjson.loads((await self.ask("GET", "/api/auth/me")).content)
        self.assertEqual((me["email"], me["csrf_token"], me["role"]), ("owner@people.test", self.csrf, "owner"))
        self.assertEqual(await self.status("GET", "/api/auth/me", cookie=False), 401)
        key = {"Authorization": "Bearer whole"}
        for method, path in (("GET", "/api/auth/me"), ("GET", "/api/v1/sessions"), ("DELETE", "/api/v1/sessions")):
            self.assertEqual(await self.status(method, path, headers=key), 401)

    async def test_logout(self) -> None:
        """Signing out ends the session and takes the cookie away; without a session it does nothing."""
        self.assertEqual(await self.status("POST", "/api/auth/logout"), 403)
        for _ in range(2):
            answer = await self.ask("POST", "/api/auth/logout", headers={"X_CSRF_Token": self.csrf})
            self.assertEqual((answer.code, answer.content), (200, b""))
            (taken,) = answer.cookies
            self.assertEqual(taken, "e2a_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure")
        self.assertEqual(await self.status("GET", "/api/auth/me"), 401)
        self.assertEqual(await self.status("POST", "/api/auth/logout", cookie=False), 200)

    async def test_sessions(self) -> None:
        """A person lists their sessions, ends one and all others, and moves to another organisation."""
        sent = {"X_CSRF_Token": self.csrf}
        for _ in range(3):
            _, other = await sign_in(self.db, self.owner.user_id)
        listed = orjson.loads((await self.ask("GET", "/api/v1/sessions")).content)["sessions"]
        self.assertEqual(len(listed), 4)
        self.assertEqual([each["id"] for each in listed if each["current"]], [self.principal.session_id])
        path = f"/api/v1/sessions/{other.session_id}"
        self.assertEqual([await self.status("DELETE", path, headers=sent) for _ in range(2)], [204, 404])
        answer = await self.ask("DELETE", "/api/v1/sessions", headers=sent)
        self.assertEqual(orjson.loads(answer.content), {"revoked": 2})
        foreign = await make_tenant(self.db, "foreign")
        for organisation, status in ((foreign.organisation_id, 404), (self.owner.organisation_id, 204)):
            body = {"organisation_id": organisation}
            found = await self.status("PUT", "/api/v1/session/organisation", headers=sent, json=body)
            self.assertEqual(found, status)
