"""A stop loses nothing, and what could not be delivered is delivered later."""

from __future__ import annotations

import signal

from tests.support.sinks import WebhookSink, wait_until
from tests.support.smtpclient import Disconnected, Session, dot_stuff, send
from tests.system.case import SystemCase, mail

SENDER = "ana@sender.test"


class ShutdownTests(SystemCase):
    def test_drain(self) -> None:
        """On SIGTERM the message being received is stored and answered 250, others get 421, the exit status is 0."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        inbox = api.live(agent)
        self.addCleanup(inbox.stop)
        idle = Session(daemon.smtp_port)
        self.addCleanup(idle.close)
        idle.greet()
        wire = dot_stuff(mail("a@sender.test", SENDER, agent))
        with Session(daemon.smtp_port, timeout=60) as busy:
            busy.greet()
            self.assertEqual(busy.envelope(SENDER, [agent]).code, 354)
            busy.write(wire[:100])
            daemon.signal(signal.SIGTERM)
            self.assertEqual(idle.reply().code, 421)
            self.assertIsNone(daemon.process and daemon.process.poll())
            busy.write(wire[100:])
            self.assertEqual(busy.reply().code, 250)
        self.assertEqual(daemon.wait(), 0, daemon.log()[-3000:])
        self.assertEqual(inbox.wait_closed(), (1001, "server shutting down"))
        daemon.start()
        self.assertEqual(len(api.messages(agent)), 1)

    def test_prompt(self) -> None:
        """An idle daemon with open connections of every kind stops at once and logs no traceback."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        inbox = api.live(api.agent("bot"))
        self.addCleanup(inbox.stop)
        session = Session(daemon.smtp_port)
        self.addCleanup(session.close)
        session.greet()
        self.assertEqual(daemon.stop(timeout=15), 0)
        self.assertNotIn("Traceback", daemon.log())
        self.assertRaises(Disconnected, Session, daemon.smtp_port)


class RecoveryTests(SystemCase):
    def test_sink_returns(self) -> None:
        """A webhook that was down gets its mail when it is back, under the same id, signed anew."""
        sink = WebhookSink()
        sink.stop()
        daemon = self.daemon().start()
        api = self.owner(daemon)
        secret = api.secret()
        agent = api.agent("bot", webhook_url=sink.url)
        self.assertEqual(send(daemon.smtp_port, SENDER, [agent], mail("a@sender.test", SENDER, agent)).code, 250)
        identifier = api.messages(agent)[0]["message_id"]
        path = f"/api/v1/agents/{agent}/messages/{identifier}/delivery"
        wait_until(lambda: api.get(path)["attempts"] >= 1, 60, lambda: "no attempt was made")
        self.assertEqual(api.get(path)["status"], "pending")
        again = WebhookSink(port=sink.port)
        self.addCleanup(again.stop)
        (request,) = again.wait_for(1)
        self.assertEqual(request.payload["message_id"], identifier)
        self.assertEqual(request.faults(secret), [])
        wait_until(lambda: api.get(path)["status"] == "delivered", 60, lambda: str(api.get(path)))

    def test_dead_neighbour(self) -> None:
        """An endpoint that never answers delays nobody else's webhook."""
        dead, good = WebhookSink(silent=True), WebhookSink()
        self.addCleanup(dead.stop)
        self.addCleanup(good.stop)
        stub = self.stub()
        stub.load({"dead.test": {"A": ["127.0.0.1"]}})
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": stub.address}).start()
        api = self.owner(daemon)
        stuck = api.agent("stuck", webhook_url=f"http://dead.test:{dead.port}/hook")
        quick = api.agent("quick", webhook_url=good.url)
        for number in range(40):
            data = mail(f"{number}@sender.test", SENDER, stuck)
            self.assertEqual(send(daemon.smtp_port, SENDER, [stuck], data).code, 250)
        dead.wait_for(1)
        self.assertEqual(send(daemon.smtp_port, SENDER, [quick], mail("q@sender.test", SENDER, quick)).code, 250)
        # Shorter than the time-out of one attempt at the silent endpoint.
        good.wait_for(1, timeout=12)
        daemon.kill()

    def test_drain_of_unread(self) -> None:
        """A WebSocket client that connects late gets everything unread first, oldest first, then what arrives."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        with Session(daemon.smtp_port) as session:
            session.greet()
            for number in range(150):
                data = mail(f"{number}@sender.test", SENDER, agent)
                self.assertEqual(session.send(SENDER, [agent], data).code, 250)
            inbox = api.live(agent)
            self.addCleanup(inbox.stop)
            inbox.wait_for(150)
            session.send(SENDER, [agent], mail("last@sender.test", SENDER, agent))
        seen = [notice["message_id"] for notice in inbox.wait_for(151)]
        self.assertEqual(seen, [row["message_id"] for row in api.messages(agent)])
