"""What lets somebody in is shown once: no log, no audit line, no number and no table has it afterwards."""

from __future__ import annotations

import re
import subprocess

import httpx

from tests.support.daemon import SECRET, Daemon, e2a
from tests.support.postgres import sql
from tests.system.case import SystemCase

CALLBACK = "http://127.0.0.1:9/callback"


class CredentialSecrecyTests(SystemCase):
    def test_shown_once(self) -> None:
        """Keys, secrets, links and sessions are in answers alone, and what people write is in no log."""
        daemon = self.daemon(environment={"E2A_LOG_LEVEL": "debug"}).start()
        link = self._link(daemon)
        given = {"link": link.partition("token=")[2]}
        with httpx.Client(base_url=daemon.url, trust_env=False, timeout=60) as browser:
            browser.get(link).raise_for_status()
            self.assertEqual(browser.post("/api/auth/link", data={"token": given["link"]}).status_code, 302)
            given["session"] = browser.cookies["e2a_session"]
            given["csrf"] = browser.get("/api/auth/me").json()["csrf_token"]
            headers = {"X-CSRF-Token": given["csrf"]}

            def post(path: str, **body: object) -> dict[str, str]:
                answer = browser.post(path, json=body, headers=headers)
                self.assertIn(answer.status_code, (200, 201), answer.text)
                return dict(answer.json())

            made = post("/api/keys", name="one")
            given["key"] = made["key"]
            given["secret"] = post("/api/v1/users/me/signing-secrets", name="one")["secret"]
            invitation = post("/api/v1/invitations", email="bo@people.test", role="member")
            given["invitation"] = invitation["link"].partition("token=")[2]
            post("/api/v1/agents", slug="bot", agent_mode="cloud", webhook_url="http://127.0.0.1:9/?k=canary-in-url")
            post("/api/feedback", message="canary-in-feedback")
            given["handed over"] = self._handed_over(browser)
            browser.get("/invitation", params={"token": given["invitation"]}).raise_for_status()
            browser.get("/dashboard/keys").raise_for_status()
            browser.get("/api/v1/users/me/export").raise_for_status()
            self.assertEqual(browser.delete(f"/api/keys/{made['id']}", headers=headers).status_code, 200)
            refused = httpx.get(
                f"{daemon.url}/api/v1/me", headers={"Authorization": f"Bearer {given['key']}"}, trust_env=False
            )
            self.assertEqual(refused.status_code, 401)
            audit = browser.get("/api/v1/audit", params={"page_size": 200}).text
        metrics = httpx.get(f"http://127.0.0.1:{daemon.metrics_port}/metrics", trust_env=False).text
        self.assertEqual(daemon.stop(), 0)
        for place, text in (("log", daemon.log()), ("audit", audit), ("metrics", metrics)):
            for name, value in {**given, "deployment secret": SECRET}.items():
                self.assertNotIn(value.removeprefix("e2a_")[8:], text, f"{name} in the {place}")
            for word in ("canary-in-url", "canary-in-feedback"):
                self.assertNotIn(word, text, place)
        stored = self._stored()
        for name, value in given.items():
            self.assertNotIn(value.removeprefix("e2a_")[8:], stored, f"{name} in the database")

    def _link(self, daemon: Daemon) -> str:
        done = subprocess.run(
            e2a("bootstrap", "ana@people.test"),
            env=daemon.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        found = re.search(r"http://\S+/api/auth/link\?token=[0-9a-f]{64}", done.stderr)
        assert found is not None
        return found[0]

    def _handed_over(self, browser: httpx.Client) -> str:
        """The key that the command line gets."""
        page = browser.get("/api/auth/cli", params={"cli_callback": CALLBACK, "cli_state": "s"}).text
        form = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page))
        carried = browser.post("/api/auth/cli", data={**form, "choice": "allow"}).text
        found = re.search(r'name="api_key" value="(e2a_[0-9a-f]{64})"', carried)
        assert found is not None
        return found[1]

    def _stored(self) -> str:
        """Every row of every table, as text."""
        tables = sql("SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'", self.dsn)
        rows = (sql(f"SELECT t::text FROM {table} AS t", self.dsn) for (table,) in tables)
        return "\n".join(text for found in rows for (text,) in found)
