"""Scenarios around mail out: the API to the upstream server, a backlog, the hand-over, held messages."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.inbound import repeated
from benchmarks.options import Options
from benchmarks.reading import http_run
from benchmarks.report import Outcome, at_least, at_most
from benchmarks.traffic import Meter
from benchmarks.world import Helper, World
from tests.support.daemon import CHECKOUT, SHARED_DOMAIN

#: As many that 60 messages a minute for each of them are never reached.
WRITERS = 5000
_BODY = "How are you? These are the figures that you asked for.\n" * 30
_WRITERS = f"""
    INSERT INTO agents (id, organisation_id, domain_id, agent_mode)
        SELECT 'writer' || n || '@{SHARED_DOMAIN}', organisation_id, domain_id, 'local'
        FROM agents, generate_series(1, {WRITERS}) n WHERE id = 'first@{SHARED_DOMAIN}';
    INSERT INTO mailboxes (agent_id) SELECT id FROM agents ON CONFLICT DO NOTHING;
"""
_OUTBOUND = """
    INSERT INTO raw_messages (id, size, data)
        SELECT 'raw_q' || n, 2048, convert_to('Message-ID: <q' || n || E'@fill.test>\\r\\nSubject: x\\r\\n\\r\\n'
            || repeat(repeat('x', 70) || E'\\r\\n', 28), 'UTF8')
        FROM generate_series(1, {rows}) n;
    INSERT INTO messages (id, agent_id, organisation_id, direction, status, raw_id, size, sender, recipient,
            to_recipients, subject, email_message_id, approval_expires_at, expiration_action)
        SELECT 'msg_' || md5('q' || n), a.id, a.organisation_id, 'outbound', '{status}', 'raw_q' || n, 2048, a.id,
            'p' || n || '@people.test', ARRAY['p' || n || '@people.test'], 'The figures', '<q' || n || '@fill.test>',
            now() + interval '1 day' + n * interval '1 second', 'reject'
        FROM generate_series(1, {rows}) n JOIN agents a ON a.id = 'writer' || (n % {writers} + 1) || '@{domain}';
"""
_JOBS = """
    INSERT INTO outbound_recipients (message_id, address, kind, route)
        SELECT id, recipient, 'to', 'smtp' FROM messages WHERE direction = 'outbound';
    INSERT INTO outbox (message_id, next_attempt_at)
        SELECT id, now() + interval '1 hour' FROM messages WHERE direction = 'outbound';
    ANALYZE;
"""


class _Way:
    """A world whose daemon sends to a counting sink, with writers that belong to the owner."""

    def __enter__(self) -> _Way:
        self.sink = Helper("benchmarks.mailsink")
        environment = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.ready),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        self.world = World(environment=environment)
        try:
            self.world.__enter__()
            api = self.world.daemon.api(self.world.owner_key)
            api.agent("first")
            api.close()
            self.world.query(_WRITERS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.world.__exit__()
        self.sink.stop()

    def fill(self, rows: int, status: str) -> None:
        values = {"rows": rows, "status": status, "writers": WRITERS, "domain": SHARED_DOMAIN}
        self.world.query(_OUTBOUND.format(**values))


def _post_run(
    way: _Way, options: Options, outcome: Outcome, to: Callable[[int], str], good: tuple[str, ...]
) -> dict[str, Any]:
    """POST /api/v1/send by every writer in turn.

    :param to: the recipient's address by the writer's number.
    """
    world = way.world
    world.clean()
    way.sink.ask("reset")
    bodies = (
        {
            "from": f"writer{n}@{SHARED_DOMAIN}",
            "to": [to(n)],
            "subject": f"The figures of week {n}",
            "body": _BODY,
        }
        for n in range(1, WRITERS + 1)
    )
    listing = world.file("bodies", "\n".join(json.dumps(body) for body in bodies))
    arguments = [world.daemon.http_port, options.clients, options.secs, world.owner_key, "/api/v1/send", listing]
    meter = Meter(world)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.postload", *map(str, arguments)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
        timeout=options.secs + 90,
    )
    result = json.loads(done.stdout)
    result |= meter.stop(result["requests"], result["cpu"])
    strange = {answer: count for answer, count in result["answers"].items() if answer not in good}
    if strange:
        outcome.faults.append(f"answers {strange}")
    return result | {"rate": result["requests"] / result["seconds"]}


def send(options: Options) -> Outcome:
    """API to the upstream server: the answer says that the server took the message."""
    outcome = Outcome("send", options.params())
    with _Way() as way:

        def run() -> dict[str, Any]:
            result = _post_run(way, options, outcome, lambda n: f"p{n}@people.test", ("200 sent",))
            stats = way.sink.ask("stats")
            if stats["repeated"] or stats["messages"] != result["requests"]:
                outcome.faults.append(f"{result['requests']} answers, and the server says {stats}")
            return result

        results = repeated(options, outcome, "send", run)
    _add(outcome, results, at_least(500, must=False), at_most(1000, must=False))
    return outcome


def handover(options: Options) -> Outcome:
    """API to another agent of the deployment."""
    outcome = Outcome("handover", options.params())
    with _Way() as way:

        def run() -> dict[str, Any]:
            result = _post_run(
                way, options, outcome, lambda n: f"writer{n % WRITERS + 1}@{SHARED_DOMAIN}", ("200 sent",)
            )
            stored = way.world.query("SELECT count(*) FROM messages WHERE direction = 'inbound'")[0][0]
            if stored != result["requests"] or way.sink.ask("stats")["messages"]:
                outcome.faults.append(f"{result['requests']} answers, {stored} messages arrived")
            return result

        results = repeated(options, outcome, "handover", run)
    _add(outcome, results, at_least(500, must=False), at_most(200, must=False))
    return outcome


def outbox(options: Options) -> Outcome:
    """A backlog of mail to people: messages a second until none is left, each one once."""
    outcome = Outcome("outbox", options.params())
    rows = options.rows or 10_000
    with _Way() as way:
        world = way.world

        def run() -> dict[str, Any]:
            world.clean()
            way.sink.ask("reset")
            way.fill(rows, "queued")
            world.query(_JOBS)
            meter = Meter(world)
            start = time.monotonic()
            world.query("UPDATE outbox SET next_attempt_at = now(); NOTIFY e2a_outbox")
            while (left := world.query("SELECT count(*) FROM outbox")[0][0]) and time.monotonic() < start + 300:
                time.sleep(0.1)
            seconds = time.monotonic() - start
            stats = way.sink.ask("stats")
            if left or stats["messages"] != rows or stats["repeated"]:
                outcome.faults.append(f"{left} of {rows} messages left; the server says {stats}")
            return {"rate": rows / seconds, "sessions": stats["sessions"], **meter.stop(rows)}

        results = repeated(options, outcome, "outbox", run)
    outcome.add("sent", "msg/s", [each["rate"] for each in results], target=at_least(500, must=False))
    outcome.add("sessions", "", [float(each["sessions"]) for each in results])
    for who in ("server", "postgres"):
        outcome.add(f"CPU {who}", "us/msg", [each["cpu_us"][who] for each in results])
    return outcome


def held(options: Options) -> Outcome:
    """The list of held messages among very many of them."""
    outcome = Outcome("held", options.params())
    rows = options.rows or 100_000
    with _Way() as way:
        way.fill(rows, "pending_approval")
        way.world.query("VACUUM ANALYZE messages")
        for label, query in (("first page", "page_size=50"), ("sent, none there", "status=sent&page_size=50")):
            path = f"/api/v1/messages?{query}"
            results = repeated(options, outcome, label, lambda path=path: http_run(way.world, options, outcome, [path]))
            outcome.add(label, "req/s", [each["rate"] for each in results])
            outcome.add(label, "p99 ms", [each["p99_ms"] for each in results], target=at_most(200, must=False))
    return outcome


def _add(outcome: Outcome, results: list[dict[str, Any]], rate: Any, p99: Any) -> None:
    outcome.add("answered", "msg/s", [each["rate"] for each in results], target=rate)
    outcome.add("answered", "p50 ms", [each["p50_ms"] for each in results])
    outcome.add("answered", "p99 ms", [each["p99_ms"] for each in results], target=p99)
    for who in ("server", "postgres"):
        outcome.add(f"CPU {who}", "us/msg", [each["cpu_us"][who] for each in results])
