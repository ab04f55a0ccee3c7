"""Mail under an agent's own domain, and delegation by mail, in the real daemon."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from typing import Any

import dkim
import httpx

from tests.support.daemon import Daemon
from tests.support.dnsstub import DNSStub
from tests.support.sinks import wait_until
from tests.support.smtpsink import SmtpSink
from tests.system.case import SystemCase

PERSON = "ann@people.test"


class DomainKeyTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.dns, self.sink = DNSStub({}), SmtpSink()
        self.addCleanup(self.dns.stop)
        self.addCleanup(self.sink.stop)

    def started(self) -> Daemon:
        values = {
            "E2A_DNS_SERVERS": self.dns.address,
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            "E2A_PUBLIC_URL": "https://api.test",
        }
        return self.daemon(environment=values).start()

    def last(self, count: int) -> Any:
        """The newest of that many copies at the sink."""
        wait_until(lambda: len(self.sink.copies) >= count, 60, lambda: f"{len(self.sink.copies)} copies")
        return self.sink.copies[-1]

    def test_published(self) -> None:
        """Once the record that the API names stands in DNS, mail leaves signed and under the agent's own address."""
        daemon = self.started()
        api = self.owner(daemon)
        record = api.post("/api/v1/domains", {"domain": "corp.test"})["dns_records"]["dkim"]
        proved = api.post("/api/v1/domains/corp.test/verify", status=200)
        self.assertEqual({each["purpose"]: each["status"] for each in proved["records"]}["dkim"], "missing")
        api.post("/api/v1/agents", {"email": "bot@corp.test", "agent_mode": "local", "name": "Bot"})
        draft = {"from": "bot@corp.test", "to": [PERSON], "subject": "Hello", "body": "How are you?"}
        api.post("/api/v1/send", draft, status=200)
        before = self.last(1)
        self.assertRegex(before.data, rb'\A(?:\S.*\r\n)*From: "?Bot via e2a"? <agent@send\.gateway\.test>\r\n')
        self.assertIn(b"Reply-To: bot@corp.test\r\n", before.data)
        self.assertTrue(before.sender.endswith("@send.gateway.test"))

        # Longer than one string of a TXT record can be.
        self.assertGreater(len(record["value"]), 255)
        self.dns.load({f"{record['host']}.corp.test": {"TXT": [record["value"]]}})
        api.post("/api/v1/domains/corp.test/verify", status=200)
        shown = api.get("/api/v1/domains/corp.test")["dns_records"]["dkim"]
        self.assertEqual(shown, {**record, "active": True})
        api.post("/api/v1/send", draft, status=200)
        after = self.last(2)
        self.assertRegex(after.data, rb'\r\nFrom: "?Bot"? <bot@corp\.test>\r\n')
        self.assertNotIn(b"\r\nReply-To:", after.data)
        self.assertRegex(after.sender, r"^bounce\+[a-z2-7]+@corp\.test$")
        self.assertTrue(dkim.verify(after.data, dnsfunc=lambda name, timeout=5: record["value"].encode()))

    def test_delegation(self) -> None:
        """The question reaches the person, whose answer by the link makes the binding active."""
        daemon = self.started()
        api = self.owner(daemon)
        path = f"/api/v1/agents/{api.agent('bot')}/delegations"
        api.post(path, {"person": PERSON})
        copy = self.last(1)
        self.assertEqual(copy.recipients, (PERSON,))
        text = message_from_bytes(copy.data, policy=policy.SMTP).get_content()
        link = re.search(r"https://api\.test(/api/v1/delegation\?token=[\w-]+)", text)
        assert link is not None
        page = httpx.get(daemon.url + link[1], trust_env=False)
        self.assertEqual((page.status_code, api.get(path)["delegations"][0]["state"]), (200, "proposed"))
        self.assertIn("default-src 'none'", page.headers["content-security-policy"])
        token = link[1].partition("token=")[2]
        form = {"token": token, "choice": "confirm"}
        answer = httpx.post(f"{daemon.url}/api/v1/delegation", data=form, trust_env=False)
        self.assertEqual((answer.status_code, api.get(path)["delegations"][0]["state"]), (200, "active"))
        self.assertNotIn(token, daemon.log())
