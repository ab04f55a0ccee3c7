"""From the request to the server that takes the mail, and back: real daemon, real database, real sockets."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from e2a.core.mail.headers import scan
from e2a.core.mail.message import parse
from tests.support.daemon import Api, Daemon
from tests.support.postgres import sql
from tests.support.smtpsink import SmtpSink
from tests.system.case import SystemCase

GOOD = {"from": "bot@agents.test", "to": ["ana@corp.test"], "subject": "Grüße", "body": "Hallo\n.\nEnde"}


class SendTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)

    def sender(self, name: str = "one", **environment: str) -> tuple[Daemon, Api]:
        values = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            **environment,
        }
        daemon = self.daemon(name=name, environment=values).start()
        api = self.owner(daemon)
        api.agent("bot")
        return daemon, api

    def test_to_a_person(self) -> None:
        """A message to a person is answered as sent when the server took it, with the bytes that were composed."""
        _, api = self.sender()
        answer = api.post("/api/v1/send", GOOD, status=200)
        self.assertEqual((answer["status"], answer["method"]), ("sent", "smtp"))
        self.assertEqual([one["state"] for one in answer["recipients"]], ["sent"])
        (copy,) = self.sink.copies
        self.assertEqual(copy.recipients, ("ana@corp.test",))
        parsed = parse(scan(copy.data))
        self.assertEqual((parsed.subject, parsed.reply_to), ("Grüße", ("bot@agents.test",)))
        self.assertTrue(copy.data.endswith(b"\r\n\r\nHallo\r\n.\r\nEnde\r\n"))

    def test_to_an_agent_and_back(self) -> None:
        """Two agents of one deployment write to each other in one conversation, without any way out."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        bot, pal = api.agent("bot"), api.agent("pal")
        sent = api.post("/api/v1/send", {**GOOD, "to": [pal]}, status=200)
        self.assertEqual((sent["status"], sent["method"]), ("sent", "loopback"))
        (first,) = api.messages(pal)
        self.assertEqual((first["from"], first["verified"]), (bot, True))
        detail = api.message(pal, first["message_id"])
        self.assertEqual(detail["auth_headers"]["X-E2A-Auth-Entity-Type"], "agent")
        answer = api.post(f"/api/v1/agents/{pal}/messages/{first['message_id']}/reply", {"body": "ok"}, status=200)
        (second,) = api.messages(bot)
        conversations = {sent["conversation_id"], first["conversation_id"], answer["conversation_id"]}
        self.assertEqual(conversations, {second["conversation_id"]})
        self.assertEqual(api.request("POST", "/api/v1/send", status=503, json=GOOD).text, "sending is not configured\n")
        self.assertEqual(api.post(f"/api/v1/agents/{bot}/test", status=200)["status"], "sent")
        self.assertEqual(len(api.messages(bot)), 2)

    def test_key_on_two_replicas(self) -> None:
        """Fifty equal requests at one time on two replicas are one message at the server, and one id for all."""
        _, one = self.sender("one")
        other = self.daemon(
            name="two",
            environment={
                "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
                "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
                "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            },
        ).start()
        two = other.api(one.key)
        self.addCleanup(two.close)
        headers = {"Idempotency-Key": "order-1"}

        def post(number: int) -> Any:
            api = (one, two)[number % 2]
            return api.request("POST", "/api/v1/send", json=GOOD, headers=headers)

        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(post, range(50)))
        self.assertEqual(len({answer.json()["message_id"] for answer in answers}), 1)
        self.assertEqual(sum("idempotent-replayed" not in answer.headers for answer in answers), 1)
        self.assertEqual(len(self.sink.copies), 1)
        one.request("POST", "/api/v1/send", status=422, json={**GOOD, "subject": "x"}, headers=headers)

    def test_stop_while_waiting(self) -> None:
        """A daemon that is told to stop answers who waits, and the message stays queued."""
        self.sink.stop()
        daemon, api = self.sender()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(api.request, "POST", "/api/v1/send", status=202, json=GOOD)
            while not sql("SELECT 1 FROM outbox", self.dsn):
                time.sleep(0.01)
            started = time.monotonic()
            daemon.stop()
            self.assertEqual(waiting.result(5).json()["status"], "queued")
        self.assertLess(time.monotonic() - started, 15)
        self.assertEqual(sql("SELECT count(*) FROM outbox", self.dsn)[0][0], 1)
