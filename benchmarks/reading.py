"""Scenarios around what is there already: lists, single messages, big mail, idle WebSockets."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from typing import Any
from urllib.parse import quote

import psycopg2

from benchmarks import limits, measure, traffic
from benchmarks.inbound import repeated
from benchmarks.options import Options
from benchmarks.report import Outcome, at_most, times_floor
from benchmarks.traffic import Load, Meter
from benchmarks.world import World
from tests.support.daemon import CHECKOUT, Api
from tests.support.smtpclient import Session

_FILL = """
WITH raw AS (
    INSERT INTO raw_messages (id, size, data) SELECT 'raw_%(tag)s' || n, 2048, convert_to(repeat('x', 2048), 'UTF8')
    FROM generate_series(1, %(rows)s) n
)
INSERT INTO messages (id, agent_id, direction, uid, raw_id, sender, recipient, to_recipients, subject, email_message_id,
        verified, auth_sender, domain_check, body_hash, authentication, size, inbox_status)
    SELECT 'msg_' || md5('%(tag)s' || n), '%(agent)s', 'inbound', %(uid)s + n, 'raw_%(tag)s' || n, 'ana@sender0.test',
        '%(agent)s', '{%(agent)s}', 'The figures of week ' || n, '<%(tag)s' || n || '@fill.test>', true,
        'ana@sender0.test', 'spf=pass; dkim=pass', encode(sha256(convert_to(repeat('x', 2048), 'UTF8')), 'hex'), '{}',
        2048, CASE WHEN n %% 100 < %(read)s THEN 'read' ELSE 'unread' END
    FROM generate_series(1, %(rows)s) n
"""


def fill(world: World, agent: str, rows: int, *, tag: str, read: int = 0) -> None:
    """Store mail for an agent without sending it.

    :param read: how many of each hundred are read.
    """
    found = world.query(f"SELECT uid_next FROM mailboxes WHERE agent_id = '{agent}'")
    values = {"tag": tag, "rows": rows, "agent": agent, "uid": found[0][0], "read": read}
    world.query(_FILL % values)
    world.query(f"UPDATE mailboxes SET uid_next = uid_next + {rows + 1} WHERE agent_id = '{agent}'")
    world.query("VACUUM ANALYZE messages")


def http_run(world: World, options: Options, outcome: Outcome, paths: list[str]) -> dict[str, Any]:
    """GET load on some request targets, used in turn."""
    listing = world.file("paths", "\n".join(paths))
    arguments = [world.daemon.http_port, options.clients, options.secs, world.owner_key, listing]
    meter = Meter(world)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.httpload", *map(str, arguments)],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
        timeout=options.secs + 60,
    )
    result = json.loads(done.stdout)
    result |= meter.stop(result["requests"], result["cpu"])
    if set(result["codes"]) != {"200"}:
        outcome.faults.append(f"answers {result['codes']} for {paths[0]}")
    return result | {"rate": result["requests"] / result["seconds"]}


def _add_http(outcome: Outcome, label: str, results: list[dict[str, Any]], bare_ms: float = 0.0) -> None:
    outcome.add(label, "req/s", [each["rate"] for each in results])
    target = times_floor(2, must=False) if bare_ms else None
    outcome.add(
        f"{label}: CPU server",
        "us/req",
        [each["cpu_us"]["server"] for each in results],
        floor=bare_ms * 1000,
        target=target,
    )
    outcome.add(label, "p99 ms", [each["p99_ms"] for each in results])


def listing(options: Options) -> Outcome:
    """Pages of a big mailbox: first, deep, unread with nothing read and with 95 % read."""
    outcome = Outcome("list", options.params())
    rows = options.rows or 100_000
    with World() as world:
        api = world.daemon.api(world.owner_key)
        fresh, worn = api.agent("fresh"), api.agent("worn")
        fill(world, fresh, rows, tag="f")
        fill(world, worn, rows, tag="w", read=95)
        deep = _deep_path(api, fresh, min(50, rows // 200))
        cases = {
            "first page": f"/api/v1/agents/{fresh}/messages?status=all&page_size=50",
            "deep page": deep,
            "unread, none read": f"/api/v1/agents/{fresh}/messages?status=unread&page_size=50",
            "unread, 95 % read": f"/api/v1/agents/{worn}/messages?status=unread&page_size=50",
        }
        bare = bare_page_ms(world, fresh)
        outcome.limits = {"bare_page_ms": bare}
        for label, path in cases.items():
            results = repeated(options, outcome, label, lambda path=path: http_run(world, options, outcome, [path]))
            _add_http(outcome, label, results, bare)
        api.close()
    return outcome


def _deep_path(api: Api, agent: str, pages: int) -> str:
    path = f"/api/v1/agents/{agent}/messages?status=all&page_size=100"
    page = api.get(path)
    for _ in range(pages):
        page = api.get(f"{path}&token={quote(page['next_token'])}")
    return f"/api/v1/agents/{agent}/messages?status=all&page_size=50&token={quote(page['next_token'])}"


def bare_page_ms(world: World, agent: str) -> float:
    """The time of a page's query on an open connection."""
    connection = psycopg2.connect(world.dsn)
    times = []
    with connection.cursor() as cursor:
        for _ in range(200):
            start = time.perf_counter()
            cursor.execute(
                "SELECT * FROM messages WHERE agent_id = %s AND direction = 'inbound' ORDER BY uid LIMIT 50",
                (agent,),
            )
            cursor.fetchall()
            times.append(time.perf_counter() - start)
    connection.close()
    return measure.percentile(times, 0.5) * 1000


def get(options: Options) -> Outcome:
    """One message's detail: 2 KB and 1 MB."""
    outcome = Outcome("get", options.params())
    with World() as world:
        api = world.daemon.api(world.owner_key)
        agent = api.agent("reader")
        for label, size in (("2 KB", 2048), ("1 MB", 1 << 20)):
            before = {row["message_id"] for row in api.messages(agent)}
            with Session(world.daemon.smtp_port) as session:
                session.greet()
                for letter in world.corpus.letters(2, size=size, signed=False):
                    text = letter.data.removesuffix(b".\r\n")
                    if session.send(letter.sender, [agent], text).code != 250:
                        outcome.faults.append(f"a message of {size} octets was refused")
            paths = [
                f"/api/v1/agents/{agent}/messages/{row['message_id']}"
                for row in api.messages(agent)
                if row["message_id"] not in before
            ]
            results = repeated(options, outcome, label, lambda paths=paths: http_run(world, options, outcome, paths))
            _add_http(outcome, label, results)
        api.close()
    return outcome


def big(options: Options) -> Outcome:
    """10 MB messages, one and eight at once, with small mail beside them: memory, speed, and the small mail's wait."""
    outcome = Outcome("big", options.params())
    with World() as world:
        letter = next(world.corpus.letters(1, size=10 << 20))
        text = letter.data.removesuffix(b".\r\n")
        for at_once in (1, 8):

            def run(at_once: int = at_once) -> dict[str, Any]:
                return _big_run(world, options, outcome, letter.sender, text, at_once)

            results = repeated(options, outcome, f"{at_once} at once", run)
            label = f"10 MB x {at_once}"
            growth = [each["peak_mib"] - each["base_mib"] for each in results]
            target = at_most(4.0 * 10 * at_once)
            outcome.add(f"{label}: peak over base", "MiB", growth, target=target)
            outcome.add(label, "MB/s", [each["mb_s"] for each in results])
            outcome.add(f"{label}: small mail beside it", "msg/s", [each["rate"] for each in results])
            small = [each["p99_ms"] for each in results]
            outcome.add(f"{label}: small mail beside it", "p99 ms", small, target=at_most(50.0))
    return outcome


def _big_run(
    world: World, options: Options, outcome: Outcome, sender: str, text: bytes, at_once: int
) -> dict[str, Any]:
    world.clean()
    base = measure.rss_mib(world.pid)
    measure.reset_peak(world.pid)
    load = Load(sessions=10, seconds=options.secs, warmup=options.warmup, rate=500.0)
    small = traffic.start(world, load)
    end = time.monotonic() + load.warmup + load.seconds
    counts = [0] * at_once

    def send(place: int) -> None:
        with Session(world.daemon.smtp_port, timeout=60) as session:
            session.greet()
            while time.monotonic() < end:
                unique = text.replace(b"@" * 16, b"%08x%08x" % (0xB16 + place, counts[place]), 1)
                if session.send(sender, [f"local{place}@agents.test"], unique).code != 250:
                    outcome.faults.append("a message of 10 MB was refused")
                    return
                counts[place] += 1

    threads = [threading.Thread(target=send, args=(place,)) for place in range(at_once)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - start
    sent = small.finish()
    books = traffic.audit(world, [sent])
    stored = world.query("SELECT count(*) FROM messages WHERE size > 5000000")[0][0]
    if books.wrong or stored != sum(counts):
        outcome.faults.append(f"{books.lost} small messages lost; {stored} of {sum(counts)} big ones stored")
    return {
        "base_mib": base,
        "peak_mib": measure.rss_mib(world.pid, peak=True),
        "mb_s": sum(counts) * len(text) / 1e6 / seconds,
        "rate": sent.rate,
        "p99_ms": sent.latency_ms(0.99),
    }


def ws_idle(options: Options) -> Outcome:
    """Many WebSockets with nothing to say: memory for each, CPU for their pings, time to connect them all."""
    outcome = Outcome("ws-idle", options.params())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(options.sockets, (hard if hard > 0 else soft) - 500)
    with World(environment={"E2A_HTTP_MAX_CONNECTIONS": str(count + 200)}) as world:
        api = world.daemon.api(world.owner_key)
        domain = api.agent("first").partition("@")[2]
        world.query(
            "INSERT INTO agents (id, organisation_id, domain_id, agent_mode)"
            f" SELECT 'idle' || n || '@{domain}', organisation_id, domain_id, 'local'"
            f" FROM agents, generate_series(1, {count}) n WHERE id = 'first@{domain}'"
        )
        world.query("INSERT INTO mailboxes (agent_id) SELECT id FROM agents ON CONFLICT DO NOTHING")
        base = measure.rss_mib(world.pid)
        lines = [f"/api/v1/agents/idle{n}@{domain}/ws?token={world.owner_key}\n" for n in range(1, count + 1)]
        client = world.helper(
            "benchmarks.wsload", str(world.daemon.http_port), str(world.file("targets", "".join(lines)))
        )
        if client.ready["failed"]:
            outcome.faults.append(f"{client.ready['failed']} of {count} WebSockets were not opened")
        each = (measure.rss_mib(world.pid) - base) * 1024 / max(1, client.ready["open"])
        # One full period of pings, whatever --secs says.
        meter = Meter(world)
        time.sleep(max(options.secs, 31.0))
        cost = meter.stop(1)
        stats = client.ask("stats")
        if stats["open"] != client.ready["open"]:
            outcome.faults.append(f"{client.ready['open'] - stats['open']} WebSockets were closed while idle")
        outcome.runs.append({**client.ready, **stats, **cost})
        outcome.add("open", "sockets", [float(stats["open"])])
        outcome.add("memory", "KiB/conn", [each], target=at_most(15.0))
        outcome.add("CPU while idle", "cores", [cost["server_cores"]], target=at_most(0.05))
        outcome.add("connecting", "conn/s", [client.ready["open"] / max(0.001, client.ready["seconds"])])
        api.close()
    return outcome


def machine_limits(options: Options) -> Outcome:
    """What this machine and PostgreSQL can do at most."""
    outcome = Outcome("limits", options.params())
    with World(flush_ms=options.flush_ms) as world:
        for _ in range(options.runs):
            outcome.runs.append(limits.measure_all(world, min(options.secs, 2.0)))
        for name in outcome.runs[0]:
            unit = "us" if name.endswith("_us") else "1/s"
            outcome.add(name, unit, [run[name] for run in outcome.runs])
    return outcome
