"""Signing in: the hand-off from the browser, and a key that is brought along."""

from __future__ import annotations

import json
import threading
import webbrowser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from e2a.cli import login
from e2a.flows import handoff
from tests.cli.case import CommandCase, problem

KEY = "e2a_" + "5" * 64


class Login(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.environ = {"HOME": str(self.home), "E2A_URL": "https://mail.test/base"}
        self.server.answers["GET /base/api/v1/info"] = {"shared_domain": "agents.test"}
        self.opened: list[str] = []
        self.answers: list[int] = []
        self.threads: list[threading.Thread] = []
        self.addCleanup(self.answered)

    def browser(self, **form: Any) -> None:
        """A browser that posts this form to the command; ``state=None`` repeats the right one."""

        def browse(url: str) -> bool:
            self.opened.append(url)
            query = parse_qs(urlsplit(url).query)
            fields = {"cli_state": query["cli_state"][0], **form}
            thread = threading.Thread(target=self.post, args=(query["cli_callback"][0], fields))
            thread.start()
            self.threads.append(thread)
            return True

        self.patch(webbrowser, "open", browse)

    def post(self, url: str, fields: dict[str, str]) -> None:
        with httpx.Client(trust_env=False) as client:
            self.answers.append(client.get(url).status_code)
            self.answers.append(client.post(url, data=fields).status_code)

    def answered(self) -> list[int]:
        """The statuses that the browser saw."""
        for thread in self.threads:
            thread.join(10)
        return self.answers

    def test_handed_over(self) -> None:
        """The key, the agent and the shared domain that the browser and the server name are kept."""
        self.browser(api_key=KEY, agent_email="bot@agents.test")
        result = self.run_e2a("login")
        self.assertEqual(result.stdout.splitlines()[0], "Logged in to mail.test.")
        stored = json.loads(self.config.read_text())
        wanted = {"api_key": KEY, "agent_email": "bot@agents.test", "shared_domain": "agents.test"}
        self.assertEqual(stored, wanted)
        (url,) = self.opened
        self.assertTrue(url.startswith("https://mail.test/api/auth/login?cli_callback=http%3A%2F%2F127.0.0.1%3A"), url)
        self.assertEqual(len(parse_qs(urlsplit(url).query)["cli_state"][0]), 32)
        self.assertIn(url, result.stderr)

    def test_other_methods(self) -> None:
        """Anything but a POST is 405 and changes nothing; the right POST is 200."""
        self.browser(api_key=KEY, agent_email="")
        self.run_e2a("login")
        self.assertEqual(self.answered(), [405, 200])
        self.assertNotIn("agent_email", json.loads(self.config.read_text()))

    def test_refused(self) -> None:
        """A wrong state, an error and a key that is none are 400, fail with their reason, and keep nothing."""
        for form, reason in (
            ({"cli_state": "0" * 32, "api_key": KEY}, "its state differs"),
            ({"cli_state": "ä", "api_key": KEY}, "its state differs"),
            ({"error": "no account for you\x1b[2J"}, "no account for you"),
            ({"api_key": "sk_1"}, "no API key"),
        ):
            self.answers.clear()
            self.browser(**form)
            result = self.run_e2a("login", code=3)
            self.assertIn(reason, result.stderr)
            self.assertNotIn("\x1b", result.stderr)
            self.assertEqual(self.answered()[-1], 400)
            self.assertFalse(self.config.exists())

    def test_nobody(self) -> None:
        """Nobody comes: the command ends, and says what else there is."""
        self.patch(login, "PATIENCE", 0.05)
        self.patch(webbrowser, "open", self.fail)
        self.assertIn("--with-key", self.run_e2a("login", "--no-browser", code=3).stderr)

    def test_no_server(self) -> None:
        """Without a server no browser is opened; one that answers with an error is an older one."""
        self.patch(webbrowser, "open", self.fail)
        self.server.answers["GET /base/api/v1/info"] = httpx.ConnectError("refused")
        self.run_e2a("login", code=7)
        self.server.answers["GET /base/api/v1/info"] = httpx.Response(404)
        self.browser(api_key=KEY, agent_email="")
        self.run_e2a("login")
        self.assertEqual(json.loads(self.config.read_text()), {"api_key": KEY})

    def test_with_key(self) -> None:
        """A key from standard input is tried, and kept when the server knows it."""
        self.server.answers["GET /base/api/v1/agents"] = {"agents": [{"email": "bot@agents.test"}]}
        self.assertIn("Active agent: bot@agents.test", self.run_e2a("login", "--with-key", stdin=KEY + "\n").stdout)
        self.assertEqual(self.server.asked[-1].headers["Authorization"], f"Bearer {KEY}")
        self.assertEqual(json.loads(self.config.read_text())["api_key"], KEY)
        self.config.unlink()
        self.server.answers["GET /base/api/v1/agents"] = problem(401, "invalid")
        self.run_e2a("login", "--with-key", stdin=KEY, code=3)
        self.run_e2a("login", "--with-key", stdin="nonsense", code=3)
        self.assertFalse(self.config.exists())

    def test_url_is_kept(self) -> None:
        """The server that was named with --url is the server from then on."""
        self.environ = {"HOME": str(self.home)}
        self.browser(api_key=KEY, agent_email="")
        self.run_e2a("login", "--url", "https://mail.test/base/")
        self.assertEqual(json.loads(self.config.read_text())["api_url"], "https://mail.test/base")

    def log_in(self, name: str = "CLI login") -> None:
        """A configuration with a key of this name."""
        self.config.parent.mkdir(exist_ok=True)
        self.config.write_text(json.dumps({"api_key": KEY, "agent_email": "a@b.test", "api_url": "https://x.test"}))
        self.server.answers["GET /base/api/v1/me"] = {"key": {"id": "apk_1", "name": name}}
        self.server.answers["DELETE /base/api/keys/apk_1"] = httpx.Response(200)

    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.server.asked]

    def test_logout(self) -> None:
        """Signing out ends the key that signing in got, with that key, and forgets it and the agent."""
        self.log_in()
        self.assertIn("revoked", self.run_e2a("logout").stdout)
        self.assertEqual(self.asked(), ["GET /base/api/v1/me", "DELETE /base/api/keys/apk_1"])
        self.assertEqual(self.server.asked[-1].headers["Authorization"], f"Bearer {KEY}")
        self.assertEqual(json.loads(self.config.read_text()), {"api_url": "https://x.test"})
        self.run_e2a("logout")
        self.assertEqual(len(self.asked()), 2)

    def test_whose_key(self) -> None:
        """Both sides mean the same key by the name that tells them apart."""
        self.assertEqual(login.KEY_NAME, handoff.KEY_NAME)

    def test_logout_keeps(self) -> None:
        """A key that was brought along, or is to be kept, stays valid; here it is forgotten."""
        for name, option in (("production", ()), ("CLI login", ("--keep-key",))):
            self.log_in(name)
            self.assertNotIn("revoked", self.run_e2a("logout", *option).stdout)
            self.assertNotIn("DELETE /base/api/keys/apk_1", self.asked())
            self.assertNotIn("api_key", json.loads(self.config.read_text()))

    def test_logout_of_an_ended_key(self) -> None:
        """A key that the server does not accept any more is forgotten."""
        self.log_in()
        self.server.answers["GET /base/api/v1/me"] = problem(401, "invalid")
        self.run_e2a("logout")
        self.assertNotIn("api_key", json.loads(self.config.read_text()))

    def test_logout_fails(self) -> None:
        """While the server cannot be asked, the key is kept so that it can still be revoked."""
        for answer, code in ((httpx.ConnectError("refused"), 7), (problem(403, "no"), 5)):
            self.log_in()
            self.server.answers["DELETE /base/api/keys/apk_1"] = answer
            self.assertIn("--keep-key", self.run_e2a("logout", code=code).stderr)
            self.assertEqual(json.loads(self.config.read_text())["api_key"], KEY)
