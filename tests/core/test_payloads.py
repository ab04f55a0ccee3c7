"""The JSON shapes that agents see."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

from twisted.trial.unittest import SynchronousTestCase

from e2a.core import payloads
from e2a.core.entities import AttachmentInfo, Delivery, DeliveryAttempt, Facts, InboundMessage
from e2a.core.mail.parts import Content

MOMENT = datetime(2026, 5, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
MESSAGE = InboundMessage(
    id="msg_1",
    uid=7,
    agent_id="bot@agents.test",
    raw_id="raw_1",
    sender="ana@corp.test",
    recipient="Bot+x@agents.test",
    tag="x",
    to=("bot@agents.test",),
    cc=(),
    reply_to=("desk@corp.test",),
    subject="Quote",
    email_message_id="<a@corp.test>",
    conversation_id=None,
    facts=Facts(True, "ana@corp.test", "human", "spf=pass; dkim=none", "00"),
    authentication={"spf": {"result": "pass"}},
    size=3,
    inbox_status="unread",
    created_at=MOMENT,
    expires_at=MOMENT + timedelta(days=30),
)
CONTENT = Content("hi", "", (AttachmentInfo(0, "a.pdf", "application/pdf", 5),))


class ShapeTests(SynchronousTestCase):
    def test_webhook(self) -> None:
        """The contract's keys and types, and the additions; no conversation is null, no cc is an empty list."""
        shape = payloads.webhook(MESSAGE, CONTENT, payloads.base64_text(b"raw"), {"X-E2A-Auth-Verified": "true"})
        self.assertEqual(
            shape,
            {
                "message_id": "msg_1",
                "conversation_id": None,
                "from": "ana@corp.test",
                "to": ["bot@agents.test"],
                "cc": [],
                "reply_to": ["desk@corp.test"],
                "recipient": "Bot+x@agents.test",
                "tag": "x",
                "subject": "Quote",
                "text": "hi",
                "html": "",
                "attachments": [
                    {"index": 0, "filename": "a.pdf", "content_type": "application/pdf", "size": 5, "content_id": ""}
                ],
                "authentication": {"spf": {"result": "pass"}},
                "auth_headers": {"X-E2A-Auth-Verified": "true"},
                "automation": {"is_auto": False, "reasons": []},
                "thread_hijack_suspected": False,
                "defects": [],
                "raw_message": base64.b64encode(b"raw").decode(),
                "received_at": "2026-05-01T12:00:00.123456Z",
            },
        )
        json.dumps(shape)

    def test_notice(self) -> None:
        """The WebSocket frame has exactly the decided keys, "to" being the same text as "recipient"."""
        self.assertEqual(
            payloads.notice(MESSAGE),
            {
                "message_id": "msg_1",
                "conversation_id": None,
                "from": "ana@corp.test",
                "to": "Bot+x@agents.test",
                "recipient": "Bot+x@agents.test",
                "subject": "Quote",
                "received_at": "2026-05-01T12:00:00.123456Z",
            },
        )

    def test_list_and_detail(self) -> None:
        """A detail says all that its list entry says, and the message; times are whole seconds in UTC."""
        entry = payloads.summary(MESSAGE)
        detail = payloads.detail(MESSAGE, CONTENT, "cmF3", {})
        self.assertEqual({key: detail[key] for key in entry}, entry)
        self.assertEqual((entry["created_at"], entry["status"]), ("2026-05-01T12:00:00Z", "unread"))
        self.assertEqual((detail["raw_message"], detail["text"], detail["auth_headers"]), ("cmF3", "hi", {}))
        json.dumps(detail)

    def test_delivery(self) -> None:
        """A delivery shows its attempts; times that are not are null."""
        at = datetime(2026, 5, 1, 12, tzinfo=UTC)
        attempt = DeliveryAttempt(3, at, 15, None, "timed out")
        record = Delivery("msg_1", "bot@agents.test", "failed", 1, "timed out", None, at, None, (attempt,))
        shape = payloads.delivery(record)
        self.assertEqual((shape["status"], shape["next_attempt_at"], shape["delivered_at"]), ("failed", None, None))
        self.assertEqual(
            shape["log"],
            [
                {
                    "number": 3,
                    "started_at": "2026-05-01T12:00:00.000000Z",
                    "duration_ms": 15,
                    "status_code": None,
                    "error": "timed out",
                }
            ],
        )
