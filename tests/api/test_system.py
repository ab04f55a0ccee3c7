"""Health, readiness and info."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.api.models import Health, Info, Readiness
from e2a.api.system import System

from .support import Client, make_app

INFO = Info(
    shared_domain="", slug_registration_enabled=False, public_url="", version="1.2.3", max_message_bytes=26_214_400
)


class SystemTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.complaints: dict[str, str] = {}
        self.client = Client(make_app(System(INFO, self.failing, list)))

    async def failing(self) -> dict[str, str]:
        return self.complaints

    def test_health(self) -> None:
        """Health answers GET and HEAD without a credential, whatever else is wrong."""
        self.complaints["database"] = "away"
        answer = self.client.get(self, "/api/health", key=None)
        self.assertEqual((answer.code, answer.content), (200, b'{"status":"ok"}\n'))
        Health.model_validate(answer.json)
        head = self.client.request(self, "HEAD", "/api/health", key=None)
        self.assertEqual((head.code, head.content), (200, b""))

    def test_ready(self) -> None:
        """Readiness is 200 when every check passes."""
        answer = self.client.get(self, "/api/ready", key=None)
        self.assertEqual((answer.code, answer.json), (200, {"status": "ready", "failing": {}}))

    def test_not_ready(self) -> None:
        """Readiness is 503 with the name of each failing check and with Retry-After."""
        self.complaints.update(database="failing", listener="not connected")
        answer = self.client.get(self, "/api/ready", key=None)
        self.assertEqual(answer.code, 503)
        self.assertEqual(answer.header("Retry-After"), "5")
        self.assertEqual(answer.json["failing"], {"database": "failing", "listener": "not connected"})
        Readiness.model_validate(answer.json)

    def test_info(self) -> None:
        """Info has the contract's keys, the version and the size limit."""
        answer = self.client.get(self, "/api/v1/info", key=None)
        self.assertEqual(
            answer.json,
            {
                "shared_domain": "",
                "slug_registration_enabled": False,
                "public_url": "",
                "version": "1.2.3",
                "max_message_bytes": 26_214_400,
            },
        )
