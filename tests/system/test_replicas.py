"""Several daemons on one database are one gateway."""

from __future__ import annotations

from tests.support.sinks import WebhookSink
from tests.support.smtpclient import RetryingSender
from tests.system.case import SystemCase, entries

SENDER = "ana@sender.test"


class ReplicaTests(SystemCase):
    def test_across(self) -> None:
        """Mail accepted by either daemon reaches a WebSocket on the other, every message once, in mailbox order."""
        one, two = self.daemon(name="one").start(), self.daemon(name="two").start()
        api = self.owner(one)
        agent = api.agent("bot")
        inboxes = [daemon.api(api.key).live(agent) for daemon in (one, two)]
        for inbox in inboxes:
            self.addCleanup(inbox.stop)
        messages = entries(60, SENDER, (agent,))
        senders = [
            RetryingSender(one.smtp_port, messages[:30], sessions=2),
            RetryingSender(two.smtp_port, messages[30:], sessions=2),
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            self.assertTrue(sender.wait(60))
        self.assert_stored_once(messages)
        stored = [row["message_id"] for row in api.messages(agent)]
        for inbox in inboxes:
            self.assertEqual([notice["message_id"] for notice in inbox.wait_for(60)], stored)

    def test_webhooks_once(self) -> None:
        """Two daemons share the webhook deliveries: each message is posted once."""
        sink = WebhookSink()
        self.addCleanup(sink.stop)
        one, two = self.daemon(name="one").start(), self.daemon(name="two").start()
        agent = self.owner(one).agent("bot", webhook_url=sink.url)
        messages = entries(60, SENDER, (agent,))
        sender = RetryingSender(one.smtp_port, messages)
        sender.start()
        self.assertTrue(sender.wait(60))
        sink.wait_for(60)
        self.assertEqual([daemon.stop() for daemon in (one, two)], [0, 0])
        self.assertEqual(len({request.payload["message_id"] for request in sink.requests}), 60)
        self.assertEqual(len(sink.requests), 60)

    def test_revoked_elsewhere(self) -> None:
        """A key revoked through one daemon closes the WebSocket that it opened on the other."""
        one, two = self.daemon(name="one").start(), self.daemon(name="two").start()
        api = self.owner(one)
        agent = api.agent("bot")
        made = api.post("/api/keys", {"name": "short-lived"})
        inbox = two.api(made["key"]).live(agent)
        self.addCleanup(inbox.stop)
        api.request("DELETE", f"/api/keys/{made['id']}")
        self.assertEqual(inbox.wait_closed()[0], 1008)
        two.api(made["key"]).request("GET", "/api/v1/agents", status=401)
