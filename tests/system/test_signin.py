"""People signing in to a real daemon, in a real browser, with a real OpenID provider."""

from __future__ import annotations

import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from tests.support.browser import BrowserCase
from tests.support.daemon import Daemon, e2a
from tests.support.oidc import OidcProvider
from tests.support.postgres import sql
from tests.system.case import NO_SERVER

ANA = "ana@people.test"
PEOPLE = {
    "subject-ana": {"email": ANA, "email_verified": True, "name": "Ana <b>Bold</b>"},
    "subject-eve": {"email": ANA, "email_verified": False, "name": "Eve"},
}


class Listener:
    """What ``e2a login`` is to the browser: a port of this computer that takes one form.

    :ivar forms: what was posted.
    """

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.forms.append({name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()})
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>Taken</title>")

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class SignInTests(BrowserCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        # The dashboard's own look is not what is tested here, nor is the provider's, which comes from elsewhere.
        self.expect_complaint(r"/dashboard|favicon")
        self.context.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body="", content_type="text/css"))

    def with_provider(self) -> Daemon:
        provider = OidcProvider(PEOPLE)
        self.addCleanup(provider.stop)
        return self.daemon(environment=provider.settings).start()

    def sign_in(self, daemon: Daemon, subject: str = "subject-ana", path: str = "/api/auth/login") -> None:
        self.page.goto(daemon.url + path)
        self.page.get_by_placeholder("sub").fill(subject)
        self.page.get_by_role("button", name="Authorize", exact=True).click()

    def call(self, daemon: Daemon, method: str, path: str, **headers: str) -> httpx.Response:
        """A request with the browser's session, without the browser."""
        token = str(self.cookies()["e2a_session"]["value"])
        return httpx.request(
            method, daemon.url + path, headers={"Cookie": f"e2a_session={token}", **headers}, trust_env=False
        )

    def test_provider(self) -> None:
        """A person comes back from the provider as themselves, to the page that they wanted, and signs out again."""
        daemon = self.with_provider()
        self.sign_in(daemon, path=f"/api/auth/login?next={quote('/dashboard?tab=1')}")
        self.page.wait_for_url(f"{daemon.url}/dashboard?tab=1")
        cookies = self.cookies()
        self.assertNotIn("e2a_oauth_state", cookies)
        session = cookies["e2a_session"]
        self.assertRegex(str(session["value"]), r"\Ae2a_[0-9a-f]{64}\Z")
        self.assertEqual((session["path"], session["httpOnly"], session["sameSite"]), ("/", True, "Lax"))
        me = self.call(daemon, "GET", "/api/auth/me").json()
        self.assertEqual((me["email"], me["name"], me["role"]), (ANA, "Ana <b>Bold</b>", "owner"))
        self.assertEqual(self.call(daemon, "POST", "/api/auth/logout").status_code, 403)
        answer = self.page.evaluate(
            "csrf => fetch('/api/auth/logout', {method: 'POST', headers: {'X-CSRF-Token': csrf}}).then(r => r.status)",
            me["csrf_token"],
        )
        self.assertEqual(answer, 200)
        self.assertNotIn("e2a_session", self.cookies())
        log = daemon.log()
        self.assertNotIn(str(session["value"])[12:], log)
        self.assertNotIn("code=", log)

    def test_refused(self) -> None:
        """Nobody is signed in who says no at the provider, or whose address it does not confirm; the person with that
        verified address is whom e2a bootstrap made.
        """
        daemon = self.with_provider()
        daemon.bootstrap(ANA)
        self.expect_complaint("40[03]")
        self.page.goto(f"{daemon.url}/api/auth/login")
        self.page.get_by_role("button", name="Deny").click()
        self.page.get_by_text("nobody is signed in").wait_for()
        self.sign_in(daemon, "subject-eve")
        self.page.get_by_text("does not confirm that this e-mail address is yours").wait_for()
        self.assertNotIn("e2a_session", self.cookies())
        self.sign_in(daemon, "subject-ana")
        self.page.wait_for_url(f"{daemon.url}/dashboard")
        me = self.call(daemon, "GET", "/api/auth/me").json()
        self.assertEqual((me["email"], me["organisation_id"]), (ANA, "org_operator"))

    def test_command_line(self) -> None:
        """The command line gets its key after sign-in and consent, posted to its port, and cancelling gives it none."""
        daemon = self.with_provider()
        listener = Listener()
        self.addCleanup(listener.stop)
        wanted = f"cli_callback={quote(listener.url, safe='')}&cli_state=st%26te"
        self.sign_in(daemon, path=f"/api/auth/login?{wanted}")
        self.page.get_by_role("heading", name="Sign in the command line?").wait_for()
        self.screenshot("consent")
        self.assertIn(ANA, self.page.content())
        self.assertIn("approve and reject held mail", self.page.content())
        self.assertEqual(sql("SELECT count(*) FROM api_keys", self.dsn), [(0,)])
        self.page.get_by_role("button", name="Give it a key").click()
        self.page.wait_for_url(listener.url)
        (form,) = listener.forms
        self.assertEqual((form["cli_state"], form["agent_email"]), ("st&te", ""))
        api = daemon.api(form["api_key"])
        self.addCleanup(api.close)
        self.assertEqual(api.agent("bot"), "bot@agents.test")
        # Signed in already: no way round by the provider, and the newest agent is named.
        self.page.goto(f"{daemon.url}/api/auth/login?{wanted}")
        self.page.get_by_role("button", name="Cancel").click()
        self.page.wait_for_url(listener.url)
        self.assertEqual(set(listener.forms[1]), {"cli_state", "error"})
        self.page.goto(f"{daemon.url}/api/auth/login?{wanted}")
        self.page.get_by_role("button", name="Give it a key").click()
        self.page.wait_for_url(listener.url)
        self.assertEqual(listener.forms[2]["agent_email"], "bot@agents.test")
        audit = sql("SELECT action FROM audit_events WHERE action = 'key.created'", self.dsn)
        self.assertEqual(len(audit), 2)

    def test_hostile_pages(self) -> None:
        """A page of another site can neither use a session nor show or send the consent form."""
        daemon = self.with_provider()
        self.sign_in(daemon)
        self.page.wait_for_url(f"{daemon.url}/dashboard")
        me = self.call(daemon, "GET", "/api/auth/me").json()
        token = me["csrf_token"]
        revoke = ("DELETE", "/api/v1/sessions")
        self.assertEqual(self.call(daemon, *revoke).status_code, 403)
        self.assertEqual(self.call(daemon, *revoke, **{"X-CSRF-Token": "0" * 64}).status_code, 403)
        for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
            self.assertEqual(self.call(daemon, *revoke, **{"X-CSRF-Token": token, **foreign}).status_code, 403, foreign)
        self.assertEqual(self.call(daemon, *revoke, **{"X-CSRF-Token": token}).json(), {"revoked": 0})
        callback = "http://127.0.0.1:9/callback"
        consent = self.call(daemon, "GET", f"/api/auth/cli?cli_callback={quote(callback)}&cli_state=s")
        self.assertIn("frame-ancestors 'none'", consent.headers["Content-Security-Policy"])
        self.assertEqual(consent.headers["Cache-Control"], "no-store")
        evil = Listener()
        self.addCleanup(evil.stop)
        self.page.goto(evil.url.replace("127.0.0.1", "localhost"))
        self.expect_complaint("403")
        fields = {"cli_callback": callback, "cli_state": "s", "choice": "allow", "csrf": token}
        self.page.evaluate(
            """([url, fields]) => {
                const form = Object.assign(document.createElement('form'), {method: 'post', action: url});
                for (const [name, value] of Object.entries(fields))
                    form.append(Object.assign(document.createElement('input'), {name, value}));
                document.documentElement.append(form);
                form.submit();
            }""",
            [f"{daemon.url}/api/auth/cli", fields],
        )
        self.page.get_by_text("comes from another site").wait_for()
        self.assertEqual(sql("SELECT count(*) FROM api_keys", self.dsn), [(0,)])

    def test_link(self) -> None:
        """Without a provider the link that e2a bootstrap prints, alone when asked for, signs in once, by its button."""
        daemon = self.daemon().start()
        done = subprocess.run(
            e2a("bootstrap", ANA), env=daemon.environment, capture_output=True, text=True, timeout=60, check=True
        )
        found = re.search(r"^Sign in: (\S+)$", done.stderr, re.MULTILINE)
        assert found, done.stderr
        self.assertEqual(len(done.stdout.splitlines()), 2)
        command = e2a("bootstrap", "--sign-in-link", ANA)
        once_more = subprocess.check_output(
            command, env=daemon.environment, stderr=subprocess.DEVNULL, text=True, timeout=60
        )
        self.assertEqual([line.partition(":")[0] for line in once_more.splitlines()], ["User", "Sign in"])
        url = found[1]
        self.assertEqual(urlsplit(url)._replace(query="").geturl(), f"{daemon.url}/api/auth/link")
        self.page.goto(f"{daemon.url}/api/auth/login")
        self.page.get_by_text("e2a bootstrap --sign-in-link").wait_for()
        for _ in range(2):
            self.page.goto(url)
            self.page.get_by_text(ANA).wait_for()
        self.assertNotIn("e2a_session", self.cookies())
        foreign = httpx.post(url, headers={"Sec-Fetch-Site": "cross-site"}, trust_env=False)
        self.assertEqual(foreign.status_code, 403)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{daemon.url}/dashboard")
        self.assertEqual(self.call(daemon, "GET", "/api/auth/me").json()["email"], ANA)
        self.assertEqual(httpx.get(url, trust_env=False).status_code, 410)
        self.assertEqual(httpx.post(url, trust_env=False).status_code, 410)
