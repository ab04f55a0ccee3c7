"""Requests whose headers hold what no client of ours writes, sent to a real daemon, with and without a session."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import httpx

from tests.support.daemon import Daemon, e2a
from tests.system.case import NO_SERVER, SystemCase

REQUESTS = (
    *("GET /dashboard", "POST /dashboard", "POST /dashboard/sign-out", "GET /api/auth/login", "GET /api/auth/me"),
    *("GET /api/v1/agents", "POST /api/v1/agents", "GET /api/v1/agents/bot@agents.test/ws"),
    *("POST /api/v1/approve?token=x", "GET /api/nothing"),
)
HEADERS = (
    *(b"User-Agent", b"Accept", b"Content-Type", b"Authorization", b"Origin", b"Sec-Fetch-Site", b"X-CSRF-Token"),
    *(b"Idempotency-Key", b"Cookie", b"Upgrade", b"Connection", b"X-Forwarded-For", b"Host"),
)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class HostileHeaderTests(SystemCase):
    skip = NO_SERVER

    def client(self, daemon: Daemon, **headers: str) -> httpx.Client:
        client = httpx.Client(base_url=daemon.url, headers=headers, timeout=30, trust_env=False, verify=False)
        self.addCleanup(client.close)
        return client

    def session(self, daemon: Daemon) -> str:
        """The cookie of somebody who signed in by a link."""
        made = subprocess.run(
            e2a("bootstrap", "owner@example.test", "--sign-in-link"),
            env=daemon.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        found = re.search(r"token=(\w+)", made.stdout)
        assert found is not None, made.stdout + made.stderr
        answer = self.client(daemon).post("/api/auth/link", data={"token": found[1]})
        return f"e2a_session={answer.cookies['e2a_session']}"

    def test_octets(self) -> None:
        """Octets that are no text, in whichever header, are answered, and never as an error of the server's."""
        daemon = self.daemon().start()
        key = daemon.bootstrap()
        api = daemon.api(key)
        self.addCleanup(api.close)
        api.agent("bot")
        client = self.client(daemon)
        credentials: list[Any] = [
            {},
            {b"Authorization": f"Bearer {key}".encode()},
            {b"Cookie": self.session(daemon).encode()},
        ]
        for request in REQUESTS:
            for name in HEADERS:
                for headers in credentials:
                    answer = client.request(*request.split(), headers=[*{**headers, name: b"\xff\xfe"}.items()])
                    self.assertLess(answer.status_code, 500, (request, name, answer.text))

    def test_sign_out(self) -> None:
        """Signing out without a session, with a wrong form or twice is led elsewhere or refused, and only the form of a
        page ends the session.
        """
        daemon = self.daemon().start()
        daemon.bootstrap()
        cookie = self.session(daemon)

        def sign_out(cookie: str, body: bytes = b"csrf=x", **headers: str) -> httpx.Response:
            values = {"Cookie": cookie.encode("latin-1"), **FORM, **headers}
            return self.client(daemon).post("/dashboard/sign-out", headers=values, content=body)

        for junk in ("", "e2a_session", "e2a_session=", "=", ";;", "e2a_session=\xff", f"e2a_session=e2a_{'0' * 64}"):
            answer = sign_out(junk)
            self.assertEqual(answer.status_code, 303, junk)
            self.assertTrue(answer.headers["location"].startswith("/api/auth/login"), junk)
        csrf = self.client(daemon, Cookie=cookie).get("/api/auth/me").json()["csrf_token"]
        for body in (b"", b"csrf", b"csrf=%ff\xff%zz", b"csrf=" + b"a" * 60_000):
            self.assertEqual(sign_out(cookie, body).status_code, 403, body[:20])
        right = f"csrf={csrf}".encode()
        self.assertEqual(sign_out(cookie, right, **{"Content-Type": "multipart/form-data"}).status_code, 403)
        self.assertEqual(sign_out(cookie, b"&".join(b"a%d=1" % n for n in range(300))).status_code, 400)
        done = sign_out(cookie, right)
        self.assertEqual((done.status_code, done.headers["set-cookie"][:13]), (303, "e2a_session=;"))
        self.assertTrue(sign_out(cookie, right).headers["location"].startswith("/api/auth/login"))
