"""A domain's DKIM key, from the claim to the first signature's permission, in the real daemon."""

from __future__ import annotations

from tests.support.dnsstub import DNSStub
from tests.system.case import SystemCase


class DomainKeyTests(SystemCase):
    def test_published(self) -> None:
        """The API names the record, and its key is active once the record stands in DNS."""
        stub = DNSStub({})
        self.addCleanup(stub.stop)
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": stub.address}).start()
        api = self.owner(daemon)
        made = api.post("/api/v1/domains", {"domain": "corp.test"})
        record = made["dns_records"]["dkim"]
        self.assertFalse(record["active"])
        proved = api.post("/api/v1/domains/corp.test/verify", status=200)
        statuses = {each["purpose"]: each["status"] for each in proved["records"]}
        self.assertEqual(statuses["dkim"], "missing")
        # Longer than one string of a TXT record can be.
        self.assertGreater(len(record["value"]), 255)
        stub.load({f"{record['host']}.corp.test": {"TXT": [record["value"]]}})
        proved = api.post("/api/v1/domains/corp.test/verify", status=200)
        (report,) = [each for each in proved["records"] if each["purpose"] == "dkim"]
        self.assertEqual((report["status"], report["expected"]), ("found", record["value"]))
        shown = api.get("/api/v1/domains/corp.test")["dns_records"]["dkim"]
        self.assertEqual(shown, {**record, "active": True})
        self.assertEqual(daemon.stop(), 0)
