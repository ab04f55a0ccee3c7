"""Mail to people, from a committed row to the upstream server, through kills, stops and several daemons."""

from __future__ import annotations

import signal
import threading
from typing import Any

from tests.support.daemon import Daemon
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpsink import HANG, SmtpSink
from tests.system.case import SystemCase

_QUEUE = """
    INSERT INTO raw_messages (id, size, data) VALUES ('raw{n}', {size}, '\\x{data}');
    INSERT INTO messages (id, agent_id, organisation_id, direction, status, raw_id, size, sender, email_message_id)
    SELECT '{id}', id, organisation_id, 'outbound', 'queued', 'raw{n}', {size}, id, '<{n}@agents.test>'
    FROM agents WHERE id = 'bot@agents.test';
    INSERT INTO outbound_recipients (message_id, address, kind, route)
    VALUES ('{id}', 'p{n}@people.test', 'to', 'smtp');
    INSERT INTO outbox (message_id) VALUES ('{id}');
    NOTIFY e2a_outbox
"""


class MailOutTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)

    def sender(self, name: str = "one", **environment: str) -> Daemon:
        """A daemon that sends to the sink, with the agent that the mail is from."""
        values = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            "E2A_USAGE_TRACKING": "true",
            **environment,
        }
        daemon = self.daemon(name=name, environment=values).start()
        if not sql("SELECT id FROM agents WHERE id = 'bot@agents.test'", self.dsn):
            self.owner(daemon).agent("bot")
        return daemon

    def queue(self, first: int, count: int = 1) -> None:
        for number in range(first, first + count):
            data = f"Subject: m{number}\r\nMessage-ID: <{number}@agents.test>\r\n\r\n.\r\nHow are you?\r\n".encode()
            statement = _QUEUE.format(n=number, id=f"msg_{number:032x}", size=len(data), data=data.hex())
            sql(statement, self.dsn)

    def statuses(self) -> list[str]:
        rows = sql("SELECT status FROM messages WHERE direction = 'outbound' ORDER BY id", self.dsn)
        return [row[0] for row in rows]

    def await_statuses(self, *expected: str) -> None:
        wait_until(lambda: self.statuses() == list(expected), 60, lambda: str(self.statuses()))

    def hurry(self) -> None:
        """Let all waits and leases be over."""
        sql("UPDATE outbox SET next_attempt_at = now() - interval '1 second'; NOTIFY e2a_outbox", self.dsn)

    def copies(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for copy in self.sink.copies:
            found.setdefault(copy.recipients[0], []).append(copy)
        return found

    def test_two_daemons(self) -> None:
        """Two daemons on one database send each message once, byte for byte, and count each once."""
        self.sender("one")
        self.sender("two")
        self.queue(0, 60)
        self.await_statuses(*["sent"] * 60)
        copies = self.copies()
        self.assertEqual([len(copies[f"p{number}@people.test"]) for number in range(60)], [1] * 60)
        self.assertTrue(
            copies["p7@people.test"][0].data.endswith(
                b"Subject: m7\r\nMessage-ID: <7@agents.test>\r\n\r\n.\r\nHow are you?\r\n"
            )
        )
        self.assertTrue(copies["p7@people.test"][0].sender.startswith("bounce+"))
        self.assertEqual(sql("SELECT count(*) FROM usage_events WHERE direction = 'outbound'", self.dsn), [(60,)])
        self.assertEqual(sql("SELECT count(*) FROM raw_messages", self.dsn), [(0,)])

    def test_killed(self) -> None:
        """Killed at any step before the message, a daemon leaves it to be sent once; killed in it, the outcome is
        unknown until the one late repetition, with the same bytes."""
        daemon = self.sender("first")
        for number, step in enumerate(("connect", "EHLO", "MAIL", "RCPT", "DATA", "end")):
            # Else an open session would be used again.
            self.sink.hang_up()
            seen = len(self.sink.lines)
            self.sink.plan(step, HANG)
            sessions = self.sink.sessions
            self.queue(number)
            if step == "end":
                wait_until(lambda: f"p{number}@people.test" in self.copies(), 60, lambda: "no copy")  # noqa: B023
            elif step == "connect":
                wait_until(lambda: self.sink.sessions > sessions, 60, lambda: "no session")  # noqa: B023
            else:
                wait_until(
                    lambda: any(line.startswith(step) for _, line in self.sink.lines[seen:]),  # noqa: B023
                    60,
                    lambda: step,  # noqa: B023
                )
            daemon.kill()
            daemon = self.sender(f"after-{step}")
            before = ["sent"] * number
            self.await_statuses(*before, "queued")
            self.hurry()
            if step in ("DATA", "end"):
                self.await_statuses(*before, "unknown")
                self.assertEqual(len(self.copies().get(f"p{number}@people.test", [])), int(step == "end"))
                self.hurry()
            self.await_statuses(*before, "sent")
        counts = [len(self.copies()[f"p{number}@people.test"]) for number in range(6)]
        self.assertEqual(counts, [1, 1, 1, 1, 1, 2])
        first, second = self.copies()["p5@people.test"]
        self.assertEqual(first.data, second.data)

    def test_stopped_process(self) -> None:
        """A daemon that sleeps past its lease and wakes up cannot send what another has sent."""
        one = self.sender("one")
        answer = threading.Event()
        self.sink.plan("MAIL", answer)
        self.queue(0)
        wait_until(lambda: any(line.startswith("MAIL") for _, line in self.sink.lines), 60, lambda: "no MAIL")
        one.signal(signal.SIGSTOP)
        self.sender("two")
        self.hurry()
        self.await_statuses("sent")
        answer.set()
        one.signal(signal.SIGCONT)
        wait_until(lambda: "RCPT" in self.sink.verbs(1), 60, lambda: str(self.sink.verbs(1)))
        self.assertEqual(one.stop(), 0)
        self.assertNotIn("DATA", self.sink.verbs(1))
        self.assertEqual(len(self.sink.copies), 1)

    def test_graceful_stop(self) -> None:
        """A daemon told to stop lets a transmitted message be answered and records it; what had not begun is free at
        once."""
        daemon = self.sender()
        answer = threading.Event()
        self.sink.plan("end", answer)
        self.queue(0)
        wait_until(lambda: "DATA" in self.sink.verbs(1), 60, lambda: str(self.sink.verbs(1)))
        self.sink.always("MAIL", HANG)
        self.queue(1)
        wait_until(lambda: "MAIL" in self.sink.verbs(2), 60, lambda: str(self.sink.lines))
        daemon.signal(signal.SIGTERM)
        wait_until(lambda: self.sink.open == 1, 60, lambda: f"{self.sink.open} sessions")
        answer.set()
        self.assertEqual(daemon.wait(), 0)
        self.assertEqual(self.statuses(), ["sent", "queued"])
        rows = sql("SELECT phase, attempts, next_attempt_at <= now() FROM outbox", self.dsn)
        self.assertEqual(rows, [("ready", 0, True)])

    def test_upstream_away(self) -> None:
        """While the upstream server is away mail waits; what was not tried then leaves as soon as it is back."""
        port = self.sink.port
        self.sender()
        self.sink.stop()
        self.queue(0)
        self._await_failures(1)
        # The destination rests now: at most a few of these are tried before it is back.
        self.queue(1, 29)
        self.sink = SmtpSink(port=port)
        self.addCleanup(self.sink.stop)
        wait_until(lambda: self.statuses().count("sent") >= 25, 60, lambda: str(self.statuses()))
        self._await_failures(30 - self.statuses().count("sent"))
        self.hurry()
        self.await_statuses(*["sent"] * 30)
        self.assertEqual([len(copies) for copies in self.copies().values()], [1] * 30)

    def _await_failures(self, count: int) -> None:
        """Until so many jobs have been tried in vain, and nothing else is left."""

        def jobs() -> list[Any]:
            return sql("SELECT last_error FROM outbox", self.dsn)

        wait_until(lambda: len(jobs()) <= count and all(row[0] for row in jobs()), 60, lambda: str(jobs()))
