"""Sending while everything fails: a server that drops, refuses and stalls at every step, and daemons that are killed.

What must hold: nothing that was accepted is lost, nothing goes out twice once its answer was received, nothing stays
half done.
"""

from __future__ import annotations

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from psycopg2.extensions import make_dsn

from tests.support.daemon import Api, Daemon
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpsink import DROP, HANG, Action, Copy, SmtpSink
from tests.system.case import SystemCase

#: Rounds of trouble, and messages in each.
ROUNDS = int(os.environ.get("E2A_TEST_FAULT_ROUNDS", "2"))
SEED = int(os.environ.get("E2A_TEST_SEED", "20260702"))
BATCH = 40
#: Seconds in which a client is answered, and in which all mail goes out, on a machine that is busy.
PATIENCE = 180.0

STEPS = ("connect", "EHLO", "MAIL", "RCPT", "DATA", "body", "end")
#: Steps from which on the message may have arrived whole.
TOO_LATE = ("body", "end")
LATER = "451 4.3.0 not now"
NEVER = "554 5.6.0 never"
CLOSING = "421 4.3.2 closing"


class FaultCase(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)

    def gateway(self, name: str) -> Daemon:
        """A daemon that sends to the sink, not started."""
        values = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        # Under its own name at the database, where its work may outlive it.
        return self.daemon(name=name, environment=values, dsn=make_dsn(self.dsn, application_name=name))

    def hurry(self) -> None:
        """Let every wait be over, and every lease: whoever holds one must be gone."""
        sql("UPDATE outbox SET next_attempt_at = now() - interval '1 second'; NOTIFY e2a_outbox", self.dsn)

    def assert_clean(self) -> None:
        """Nothing is left of what is finished."""
        self.assertEqual(sql("SELECT message_id, phase, last_error FROM outbox", self.dsn), [])
        # The bytes of what nobody took stay: somebody may send it once more.
        left = (
            "SELECT count(*) FROM raw_messages r WHERE NOT EXISTS"
            " (SELECT FROM messages WHERE raw_id = r.id AND status IN ('failed', 'unknown'))"
        )
        self.assertEqual(sql(left, self.dsn), [(0,)])


def person(name: str) -> str:
    return f"{name}@people.test"


class EachFaultTests(FaultCase):
    def setUp(self) -> None:
        super().setUp()
        self.api = self.owner(self.gateway("one").start())
        self.api.agent("bot")
        self.number = 0

    def send(self) -> str:
        """One message to a person of its own, whose name is returned."""
        self.number += 1
        name = f"p{self.number}"
        draft = {"from": "bot@agents.test", "to": [person(name)], "subject": name, "body": "x", "wait": 0}
        self.api.post("/api/v1/send", draft, status=202)
        return name

    def state(self, name: str) -> tuple[str, str]:
        """The message's status, and its job: "" for none, "waits" for one after an attempt that failed."""
        rows = sql(
            "SELECT m.status, CASE WHEN o.message_id IS NULL THEN ''"
            " WHEN o.last_error <> '' AND o.phase = 'ready' THEN 'waits' ELSE 'runs' END"
            f" FROM messages AS m LEFT JOIN outbox AS o ON o.message_id = m.id WHERE m.subject = '{name}'",
            self.dsn,
        )
        return str(rows[0][0]), str(rows[0][1])

    def await_state(self, name: str, status: str, job: str = "") -> None:
        wait_until(lambda: self.state(name) == (status, job), 60, lambda: f"{name}: {self.state(name)}")

    def copies(self, name: str) -> list[Copy]:
        return [copy for copy in self.sink.copies if person(name) in copy.recipients]

    def settle(self, name: str) -> None:
        """The server behaves again: the message goes out."""
        self.hurry()
        self.await_state(name, "sent")

    def test_before_the_message(self) -> None:
        """Whatever the server does before it has the message, it gets one copy in the end; only its own word that it
        will never take it ends the matter."""
        for step in STEPS[:-2]:
            for action in (DROP, LATER, CLOSING):
                self.sink.hang_up()
                self.sink.plan(step, action)
                name = self.send()
                self.await_state(name, "queued", "waits")
                self.settle(name)
                self.assertEqual(len(self.copies(name)), 1, (step, action))
        for step in ("MAIL", "RCPT", "DATA"):
            self.sink.plan(step, NEVER)
            name = self.send()
            self.await_state(name, "failed")
            self.assertEqual(self.copies(name), [], step)
        self.assert_clean()

    def test_after_the_message(self) -> None:
        """The answer to the final dot counts: refused for now, it goes out later; refused for good, not; with no
        answer at all, once more and not at once."""
        for action in (LATER, CLOSING):
            self.sink.plan("end", action)
            name = self.send()
            self.await_state(name, "queued", "waits")
            self.settle(name)
            self.assertEqual([copy.reply[:3] for copy in self.copies(name)], [action[:3], "250"])
        self.sink.plan("end", NEVER)
        name = self.send()
        self.await_state(name, "failed")
        self.assertEqual(len(self.copies(name)), 1)
        self.sink.plan("end", DROP)
        name = self.send()
        self.await_state(name, "unknown", "waits")
        late = sql("SELECT next_attempt_at - now() > interval '14 minutes' FROM outbox", self.dsn)
        self.assertEqual((late, len(self.copies(name))), ([(True,)], 1))
        self.settle(name)
        first, second = self.copies(name)
        self.assertEqual(first.data, second.data)
        # And never a third time.
        self.sink.plan("end", DROP, DROP)
        name = self.send()
        self.await_state(name, "unknown", "waits")
        self.hurry()
        self.await_state(name, "unknown")
        self.assertEqual(len(self.copies(name)), 2)
        self.assert_clean()

    def test_stalling(self) -> None:
        """A server that stalls at any step holds up that one message, which is not forgotten; others pass it by."""
        stalled: dict[str, str] = {}
        for step in STEPS:
            self.sink.plan(step, HANG)
            stalled[step] = self.send()
            wait_until(lambda: not self.sink.planned(step), 60, lambda: f"{step} never came")  # noqa: B023
            # A session that is good for more would spare the next message these steps.
            if step not in ("connect", "EHLO"):
                self.await_state(self.send(), "sent")
        for step, name in stalled.items():
            self.assertEqual(self.state(name), ("queued", "runs"), step)
        self.sink.hang_up()
        for step, name in stalled.items():
            self.await_state(name, "unknown" if step in TOO_LATE else "queued", "waits")
        self.hurry()
        for step, name in stalled.items():
            self.await_state(name, "sent")
            self.assertEqual(len(self.copies(name)), 2 if step == "end" else 1, step)
        self.assert_clean()


class MayhemTests(FaultCase):
    """:ivar begun: jobs that were being transmitted when a daemon was killed, with their fences.
    :ivar in_doubt: messages of which a daemon that was killed knew more than it had written.
    """

    def setUp(self) -> None:
        super().setUp()
        self.choice = random.Random(SEED)
        self.begun: set[tuple[str, int]] = set()
        self.in_doubt: set[str] = set()
        self.ids: dict[str, str] = {}
        self.people: dict[str, list[str]] = {}

    def faults(self) -> None:
        """Most steps go well, some do not."""
        well = threading.Event()
        well.set()
        ways: dict[str, tuple[float, tuple[Action, ...]]] = {
            "connect": (0.03, (DROP, HANG, CLOSING, NEVER)),
            "EHLO": (0.03, (DROP, HANG, CLOSING)),
            "MAIL": (0.10, (DROP, HANG, LATER, CLOSING, LATER)),
            "RCPT": (0.15, (DROP, HANG, LATER, CLOSING, NEVER, LATER)),
            "DATA": (0.10, (DROP, HANG, LATER, CLOSING, NEVER)),
            "end": (0.25, (DROP, HANG, LATER, CLOSING, NEVER, DROP)),
        }
        for step, (share, actions) in ways.items():
            faults = [self.choice.choice(actions) if self.choice.random() < share else well for _ in range(10 * BATCH)]
            self.sink.plan(step, *faults)

    def submit(self, name: str, apis: list[Api]) -> None:
        """A client that asks again, here or there, until it is answered."""
        to = [person(f"{name}-{part}") for part in "abc"[: 1 + len(name) % 3]]
        self.people[name] = to
        body = {"from": "bot@agents.test", "to": to, "subject": name, "body": f"{name}\n.\n", "wait": 0}
        end = time.monotonic() + PATIENCE
        for turn in range(10_000):
            api = apis[turn % len(apis)]
            try:
                answer = httpx.post(
                    f"{api.url}/api/v1/send",
                    headers={
                        "Authorization": f"Bearer {api.key}",
                        "Idempotency-Key": name,
                        "Accept": "application/problem+json",
                    },
                    json=body,
                    timeout=60,
                    trust_env=False,
                    verify=False,
                )
                if answer.status_code in (200, 202):
                    self.ids[name] = answer.json()["message_id"]
                    return
                # The answer before was lost, and meanwhile every recipient was refused for good.
                if answer.status_code == 422 and answer.json()["code"] == "delivery_failed":
                    self.ids[name] = answer.json()["message_id"]
                    return
                self.assertIn(answer.status_code, (409, 429, 503), answer.text)
            except httpx.TransportError:
                pass
            self.assertLess(time.monotonic(), end, "never answered")
            time.sleep(0.05)

    def kill(self, name: str, daemon: Daemon) -> None:
        """Kill a daemon, and let the database finish what it was told."""
        daemon.kill()
        sessions = f"SELECT pid, query FROM pg_stat_activity WHERE application_name = '{name}'"
        wait_until(lambda: not sql(sessions, self.dsn), 60, lambda: str(sql(sessions, self.dsn)))
        self.begun |= set(sql("SELECT message_id, fence FROM outbox WHERE phase = 'data'", self.dsn))

    def look_back(self) -> None:
        """With every daemon gone: what is still where it was when one was killed was in its hands."""
        self.in_doubt |= {
            key for key, fence in sql("SELECT message_id, fence FROM outbox", self.dsn) if (key, fence) in self.begun
        }

    def test_mayhem(self) -> None:
        """With two daemons that are killed again and again and a server that fails at every step, each message that
        was asked for is stored once and ends; whom it reached it reached once, or twice if the first answer was
        lost."""
        key = ""
        for turn in range(ROUNDS):
            called = [f"one{turn}", f"two{turn}"]
            daemons = [self.gateway(name) for name in called]
            for daemon in daemons:
                daemon.launch()
            for daemon in daemons:
                daemon.wait_ready()
            if not key:
                first = self.owner(daemons[0])
                first.agent("bot")
                key = first.key
            apis = [daemon.api(key) for daemon in daemons]
            for api in apis:
                self.addCleanup(api.close)
            sql("DELETE FROM rate_events", self.dsn)
            self.faults()
            names = [f"m{turn}x{number}" for number in range(BATCH)]
            with ThreadPoolExecutor(6) as pool:
                submitted = [pool.submit(self.submit, name, apis) for name in names]
                self._sleep(self.choice.uniform(0.1, 1.0))
                self.kill(called[0], daemons[0])
                for one in submitted:
                    one.result(2 * PATIENCE)
            self._sleep(self.choice.uniform(0.0, 1.0))
            self.kill(called[1], daemons[1])
            self.look_back()
            self.hurry()
        self.finish()
        self.audit()

    def _sleep(self, seconds: float) -> None:
        """Trouble takes its course; nothing is waited for."""
        time.sleep(seconds)

    def finish(self) -> None:
        """The server behaves; what is left goes out, a daemon's life at a time."""
        self.sink.behave()
        # A lease is shorter than what waits for an answer that was lost.
        busy = "SELECT 1 FROM outbox WHERE next_attempt_at < now() + interval '61 seconds' OR phase = 'data'"
        for turn in range(6):
            # Before anybody lives who could hold a lease.
            self.hurry()
            daemon = self.gateway(f"last{turn}").start()
            wait_until(lambda: not sql(busy, self.dsn), PATIENCE, lambda: str(sql("SELECT * FROM outbox", self.dsn)))
            self.assertEqual(daemon.stop(), 0)
            if not sql("SELECT 1 FROM outbox", self.dsn):
                return

    def audit(self) -> None:
        self.assert_clean()
        rows = sql("SELECT subject, id, status FROM messages WHERE direction = 'outbound'", self.dsn)
        self.assertEqual({subject: key for subject, key, _ in rows}, self.ids, "one message for each request")
        self.assertEqual(len(rows), len(self.ids))
        self.assertLessEqual({status for _, _, status in rows}, {"sent", "failed", "unknown"})
        states: dict[str, Any] = dict(sql("SELECT address, state FROM outbound_recipients", self.dsn))
        for name, people in self.people.items():
            copies = [copy for copy in self.sink.copies if f"Subject: {name}\r\n".encode() in copy.data]
            self.assertLessEqual(len({copy.data for copy in copies}), 1, "the same octets each time")
            for address in people:
                reached = [copy for copy in copies if address in copy.recipients]
                self.audit_recipient(address, states[address], reached, in_doubt=self.ids[name] in self.in_doubt)

    def audit_recipient(self, address: str, state: str, copies: list[Copy], *, in_doubt: bool) -> None:
        # What was refused whole does not exist at the server.
        there = [copy for copy in copies if copy.reply[:1] in ("", "2")]
        ledger = f"{address} {state}, {in_doubt=}: {[(copy.at, copy.reply) for copy in copies]}"
        self.assertLessEqual(len(there), 2, ledger)
        answered = [copy for copy in there if copy.reply]
        for copy in there[:-1]:
            self.assertTrue(in_doubt or not copy.reply, f"repeated although it was answered: {ledger}")
        match state:
            case "sent":
                self.assertTrue(answered, f"said to be sent: {ledger}")
            case "failed":
                self.assertEqual(there, [], ledger)
            case _:
                self.assertEqual(state, "unknown", ledger)
