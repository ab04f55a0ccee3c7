"""Limits and quotas of real daemons."""

from __future__ import annotations

import smtplib
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx

from tests.support.daemon import Daemon
from tests.support.postgres import sql
from tests.system.case import SystemCase, mail

SENDER = "ana@sender.test"
POLLS = 40


class ReplicaLimitTests(SystemCase):
    def test_two_daemons_one_limit(self) -> None:
        """Of many requests at two daemons at one time exactly as many succeed as one user may make."""
        environment = {"E2A_LIMITS_POLL_PER_MINUTE": str(POLLS)}
        daemons = [self.daemon(name=name, environment=environment).start() for name in ("one", "two")]
        api = self.owner(daemons[0])
        path = f"/api/v1/agents/{quote(api.agent('bot'))}/messages"
        headers = {"Authorization": f"Bearer {api.key}"}

        def poll(number: int) -> httpx.Response:
            return httpx.get(daemons[number % 2].url + path, headers=headers, timeout=60, trust_env=False, verify=False)

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(poll, range(3 * POLLS)))
        passed = [answer for answer in answers if answer.status_code == 200]
        refused = [answer for answer in answers if answer.status_code == 429]
        self.assertEqual((len(passed), len(refused)), (POLLS, 2 * POLLS))
        left = sorted(int(answer.headers["X-RateLimit-Remaining"]) for answer in passed)
        self.assertEqual(left, list(range(POLLS)))
        for answer in refused:
            self.assertEqual(answer.headers["X-RateLimit-Remaining"], "0")
            self.assertEqual(answer.headers["X-RateLimit-Limit"], str(POLLS))
            self.assertTrue(1 <= int(answer.headers["Retry-After"]) <= 60)
        standing = {one["name"]: one for one in api.get("/api/v1/me")["limits"]}
        self.assertEqual(standing["poll"]["remaining"], 0)
        self.assertEqual(standing["send"]["limit"], 60)

    def test_feedback_by_address(self) -> None:
        """Feedback is counted by client address, what is malformed included, and kept when it is taken."""
        daemon = self.daemon(environment={"E2A_LIMITS_FEEDBACK_PER_HOUR": "3"}).start()
        with httpx.Client(base_url=daemon.url, trust_env=False) as client:
            given: list[Any] = [{"message": "It @works", "category": "bug"}, {"message": " "}, 7, {"message": "more"}]
            answers = [client.post("/api/feedback", json=each) for each in given]
        self.assertEqual([answer.status_code for answer in answers], [200, 400, 400, 429])
        self.assertEqual(answers[0].json(), {"status": "ok"})
        kept = sql("SELECT category, message, email, user_id FROM feedback", self.dsn)
        self.assertEqual(kept, [("bug", "It @works", "", None)])


class QuotaTests(SystemCase):
    def test_full(self) -> None:
        """A full mailbox is 452 at RCPT and has room again when mail went; what can never fit is 552."""
        daemon = self.daemon(environment={"E2A_QUOTAS_STORAGE_BYTES": "20000"}).start()
        agent = self.owner_of_second(daemon).agent("bot")
        with smtplib.SMTP("127.0.0.1", daemon.smtp_port, timeout=60) as client:
            self.assertEqual(self.send(client, agent, "big", 30_000)[:2], (552, b"5.2.2"))
            self.assertEqual(self.send(client, agent, "one", 15_000)[0], 250)
            self.assertEqual(self.send(client, agent, "two", 8_000)[0], 250)
            client.ehlo()
            client.mail(SENDER)
            code, text = client.rcpt(agent)
            self.assertEqual((code, text[:5]), (452, b"4.2.2"))
            client.rset()
            self.assertEqual(client.mail(SENDER)[0], 250)
            self.assertEqual(client.rcpt("postmaster")[0], 250)

    def test_quota_is_not_a_rate(self) -> None:
        """Over a quota the answer is 402 and names the quota; the operator can give an account more."""
        daemon = self.daemon(environment={"E2A_QUOTAS_AGENTS": "1"}).start()
        operator, api = self.owner(daemon), self.owner_of_second(daemon)
        api.agent("first")
        problem = api.request(
            "POST",
            "/api/v1/agents",
            status=402,
            json={"slug": "second", "agent_mode": "local"},
            headers={"Accept": "application/problem+json"},
        ).json()
        self.assertEqual((problem["code"], problem["quota"], problem["limit"]), ("quota_exceeded", "agents", 1))
        organisation = api.get("/api/v1/me")["organisation"]["id"]
        path = f"/api/v1/operator/organisations/{organisation}/quotas"
        api.request("GET", path, status=404)
        api.request("PUT", path, status=404, json={"agents": 0})
        report = operator.request("PUT", path, json={"agents": 2}).json()
        self.assertEqual((report["own"]["agents"], report["in_force"]["agents"], report["used"]["agents"]), (2, 2, 1))
        api.agent("second")
        api.request("POST", "/api/v1/agents", status=402, json={"slug": "third", "agent_mode": "local"})

    def owner_of_second(self, daemon: Daemon) -> Any:
        """The REST interface of somebody who is not the operator."""
        daemon.bootstrap()
        api = daemon.api(daemon.bootstrap("second@example.test"))
        self.addCleanup(api.close)
        return api

    def send(self, client: smtplib.SMTP, agent: str, key: str, size: int) -> tuple[int, bytes]:
        client.ehlo_or_helo_if_needed()
        client.mail(SENDER)
        client.rcpt(agent)
        body = "\r\n".join(["x" * 70] * (size // 72))
        code, text = client.data(mail(f"{key}@sender.test", SENDER, agent, body=body))
        return code, text[:5]
