"""Scenarios over a daemon's life: a backlog, growth, sudden death, start."""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks import limits, measure
from benchmarks.inbound import quick_cases, repeated, stored_run
from benchmarks.options import Options
from benchmarks.reading import bare_page_ms, fill, http_run
from benchmarks.report import Outcome, at_least, at_most, times_floor
from benchmarks.traffic import Load, Meter
from benchmarks.world import World
from tests.support.smtpclient import Entry, RetryingSender

_OVERDUE = """
INSERT INTO webhook_deliveries (message_id, agent_id, next_attempt_at)
    SELECT id, agent_id, now() + interval '1 hour' FROM messages WHERE agent_id LIKE 'cloud%'
"""


def drain(options: Options) -> Outcome:
    """A backlog of webhooks after an outage: deliveries a second until none is left."""
    outcome = Outcome("drain", options.params())
    rows = options.rows or 20_000
    agents = 200

    def run() -> dict[str, Any]:
        world.clean()
        world.sink.ask("reset")
        for number in range(agents):
            fill(world, f"cloud{number}@agents.test", rows // agents, tag=f"d{number}x")
        world.query(_OVERDUE)
        meter = Meter(world)
        start = time.monotonic()
        world.query("UPDATE webhook_deliveries SET next_attempt_at = now()")
        end = start + 300
        while (left := _pending(world)) and time.monotonic() < end:
            time.sleep(0.1)
        seconds = time.monotonic() - start
        stats = world.sink.ask("stats")
        if left or stats["messages"] != rows or stats["unsigned"] or stats["wrong_signature"]:
            outcome.faults.append(f"{left} of {rows} deliveries left; the receiver says {stats}")
        return {
            "rate": rows / seconds,
            "repeated": stats["requests"] - stats["messages"],
            **meter.stop(rows),
        }

    with World() as world:
        results = repeated(options, outcome, "backlog", run)
    outcome.add("delivered", "1/s", [each["rate"] for each in results], target=at_least(10_000, must=False))
    outcome.add("posted more than once", "posts", [float(each["repeated"]) for each in results], target=at_most(0))
    for who in ("server", "postgres"):
        outcome.add(f"CPU {who}", "us/msg", [each["cpu_us"][who] for each in results])
    return outcome


def _pending(world: World) -> int:
    return int(world.query("SELECT count(*) FROM webhook_deliveries WHERE status = 'pending'")[0][0])


def growth(options: Options) -> Outcome:
    """What a message costs with few and with many stored."""
    outcome = Outcome("growth", options.params())
    rows = options.rows or 100_000
    with World() as world:
        _growth(world, options, outcome, rows)
    return outcome


def _growth(world: World, options: Options, outcome: Outcome, rows: int) -> None:
    load = Load(seconds=options.secs, warmup=options.warmup)
    costs: list[list[float]] = []
    for stored in (1000, rows):

        def run(stored: int = stored) -> dict[str, Any]:
            return stored_run(world, load, outcome, before=lambda: spread(world, stored))

        results = repeated(options, outcome, f"{stored} stored", run)
        costs.append([each["cpu_us"]["server"] + each["cpu_us"]["postgres"] for each in results])
        floor = measure.summary(costs[0])["median"] if len(costs) > 1 else 0.0
        target = times_floor(1.15) if floor else None
        outcome.add(f"{stored} stored", "msg/s", [each["rate"] for each in results])
        outcome.add(f"{stored} stored: CPU", "us/msg", costs[-1], floor=floor, target=target)
        outcome.add(f"{stored} stored: log", "B/msg", [each["wal_b"] for each in results])


def spread(world: World, rows: int) -> None:
    """That much mail, over a hundred agents."""
    for number in range(100):
        fill(world, f"local{number}@agents.test", rows // 100, tag=f"g{number}x", read=95)


def durability(options: Options) -> Outcome:
    """Kills of the daemon and a crash of PostgreSQL under load: nothing answered 250 is lost or doubled."""
    outcome = Outcome("durability", options.params())
    rounds = max(3, options.runs)
    chance = random.Random(1)
    with World() as world:
        agents = [f"cloud{number}@agents.test" for number in range(20)]
        letters = list(world.corpus.letters(20))
        entries = []
        for number in range(rounds * 600):
            letter, key = letters[number % 20], f"{0xD0:08x}{number:08x}"
            data = letter.data.removesuffix(b".\r\n").replace(b"@" * 16, key.encode("ascii"), 1)
            entries.append(Entry(key, letter.sender, (agents[number % 20], agents[(number + 7) % 20]), data))
        sender = RetryingSender(world.daemon.smtp_port, entries, sessions=8)
        sender.start()
        for number in range(rounds):
            sender.wait_until_accepted(min(sender.accepted + chance.randrange(50, 400), len(entries) - 1), 60)
            if number % 3 == 2:
                world.postgres.stop(measure.CRASH)
                world.postgres.start()
            else:
                world.daemon.kill()
                world.daemon.start()
        if not sender.wait(120):
            outcome.faults.append(f"{len(entries) - sender.accepted} messages were never accepted")
        rows = world.query("SELECT substr(email_message_id, 2, 16), agent_id, count(*) FROM messages GROUP BY 1, 2")
        stored = {(key, agent): count for key, agent, count in rows}
        due = {(entry.key, agent) for entry in entries if entry.accepted for agent in entry.recipients}
        lost, doubled = len(due - stored.keys()), sum(count > 1 for count in stored.values())
        end = time.monotonic() + 180
        while (left := _pending(world)) and time.monotonic() < end:
            time.sleep(0.2)
        stats = world.sink.ask("stats")
        if lost or doubled or left or stats["messages"] < len(due) or not sender.answers() <= {250, 421, 451, None}:
            outcome.faults.append(
                f"{lost} lost, {doubled} doubled, {left} deliveries left, {stats}, {sender.answers()}"
            )
        retried = sum(len(entry.answers) > 1 for entry in entries)
    outcome.add("kills and crashes", "times", [float(rounds)])
    outcome.add("copies due", "rows", [float(len(due))])
    outcome.add("sent more than once by the client", "msgs", [float(retried)])
    outcome.add("lost", "rows", [float(lost)], target=at_most(0))
    outcome.add("doubled", "rows", [float(doubled)], target=at_most(0))
    outcome.add("webhooks posted again", "posts", [float(stats["requests"] - stats["messages"])])
    return outcome


def base(options: Options) -> Outcome:
    """Memory after the start, and how long the start takes."""
    outcome = Outcome("base", options.params())
    with World() as world:
        for _ in range(options.runs):
            world.daemon.stop()
            start = time.monotonic()
            world.daemon.start()
            outcome.runs.append({"start_s": time.monotonic() - start, "rss_mib": measure.rss_mib(world.pid)})
    outcome.add("start until ready", "s", [each["start_s"] for each in outcome.runs], target=at_most(1.5, must=False))
    outcome.add("memory", "MiB", [each["rss_mib"] for each in outcome.runs], target=at_most(90.0, must=False))
    return outcome


def quick(options: Options) -> Outcome:
    """The main figures in under a minute. Compare the CPU of a message: rates depend on what else the machine does."""
    outcome = Outcome("quick", options.params())
    with World() as world:
        outcome.limits = limits.measure(world)
        quick_cases(world, options, outcome)
        api = world.daemon.api(world.owner_key)
        agent = api.agent("listed")
        world.clean()
        fill(world, agent, 10_000, tag="q")
        path = f"/api/v1/agents/{agent}/messages?status=all&page_size=50"
        results = repeated(options, outcome, "list", lambda: http_run(world, options, outcome, [path]))
        outcome.limits["bare_page_ms"] = bare_page_ms(world, agent)
        outcome.add("list, first page", "req/s", [each["rate"] for each in results])
        outcome.add("list: CPU server", "us/req", [each["cpu_us"]["server"] for each in results])
        api.close()
        _growth(world, options, outcome, options.rows or 20_000)
    return outcome
