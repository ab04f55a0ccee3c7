"""Scenarios in which mail comes in: stored, posted to webhooks, announced on WebSockets."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import limits, measure, traffic
from benchmarks.measure import percentile
from benchmarks.options import Options
from benchmarks.peer import Peer
from benchmarks.report import Outcome, at_most, share_of_floor, times_floor
from benchmarks.traffic import Books, Load, Meter, Sent
from benchmarks.world import World, python_generator

_PATIENCE = 60.0


def stored_run(world: World, load: Load, outcome: Outcome, before: Callable[[], None] | None = None) -> dict[str, Any]:
    """One run against an empty database; what it gave.

    :param before: fills the emptied database.
    """
    world.clean()
    if before is not None:
        before()
    meter = Meter(world)
    generator = python_generator() if "t" in load.modes else None
    sent = traffic.start(world, load, generator).finish()
    return _result(world, [sent], meter, outcome)


def _result(world: World, sents: Sequence[Sent], meter: Meter, outcome: Outcome) -> dict[str, Any]:
    cost = meter.stop(sum(len(sent.entries) for sent in sents), sum(sent.outcome["cpu"] for sent in sents))
    books = traffic.audit(world, sents)
    _note_faults(outcome, sents, books)
    sent = sents[0]
    return {
        "rate": sent.rate,
        "n": len(sent.counted()),
        "p50_ms": sent.latency_ms(0.50),
        "p99_ms": sent.latency_ms(0.99),
        "max_ms": sent.latency_ms(1.0),
        "rss_mib": measure.rss_mib(world.pid),
        "errors": {**sent.outcome["errors"], "lost_connections": sent.outcome["lost_connections"]},
        "lost": books.lost,
        "dup": books.doubled,
        "unsigned": books.unsigned,
        "unverified": books.unverified,
        **cost,
    }


def _note_faults(outcome: Outcome, sents: Sequence[Sent], books: Books) -> None:
    if books.wrong:
        outcome.faults.append(
            f"{books.lost} lost, {books.doubled} doubled, {books.unsigned} unsigned, {books.unverified} not verified"
        )
    for sent in sents:
        refused = sent.outcome["errors"]
        if refused or sent.outcome["lost_connections"] or sent.outcome["unfinished"] or not sent.entries:
            outcome.faults.append(
                f"of {sent.outcome['sent']} messages {len(sent.entries)} answered 250, refusals {refused},"
                f" {sent.outcome['lost_connections']} connections lost, {sent.outcome['unfinished']} unfinished"
            )


def repeated(options: Options, outcome: Outcome, label: str, run: Any) -> list[dict[str, Any]]:
    """``options.runs`` results; a run disturbed by other work is repeated up to ``options.patience`` times."""
    results = []
    for _ in range(options.runs):
        result = run()
        for _ in range(options.patience):
            if not result.get("noisy"):
                break
            result = run()
        results.append(result)
        outcome.runs.append({"case": label, **result})
    return results


def _load(options: Options, **changes: Any) -> Load:
    load = Load(
        seconds=options.secs,
        warmup=options.warmup,
        domains=options.domains,
        accounts=1 if options.one_account else 2000,
    )
    return dataclasses.replace(load, **changes)


def _column(results: Sequence[dict[str, Any]], *path: str) -> list[float]:
    values: list[Any] = list(results)
    for name in path:
        values = [value[name] for value in values]
    return values


def inbound_stored(options: Options) -> Outcome:
    """SMTP to committed rows."""
    outcome = Outcome("inbound-stored", options.params())
    with World(flush_ms=options.flush_ms, dns_ms=options.dns_ms) as world:
        outcome.limits = limits.measure(world)
        peer = Peer.attach(options)
        cases = [(f"{count} sessions", _load(options, sessions=count)) for count in options.sessions]
        if options.variants:
            cases += [
                ("50 sessions, unsigned", _load(options, signed=False)),
                ("50 sessions, one connection each", _load(options, modes="r")),
                ("50 sessions, pipelining", _load(options, modes="p")),
                ("10 sessions, STARTTLS each", _load(options, sessions=10, modes="rt")),
            ]
        for label, load in cases:
            results = repeated(options, outcome, label, lambda load=load: stored_run(world, load, outcome))
            rates = peer.stored(world, load, options.runs) if peer else []
            target = None
            if load.modes == "-" and load.sessions == 50:
                target = share_of_floor(0.15 if load.signed else 0.30)
            floor = outcome.limits["insert_batch50" if load.sessions > 1 else "insert_1c"]
            outcome.add(label, "msg/s", _column(results, "rate"), floor=floor, target=target, peer=rates)
            outcome.add(label, "p50 ms", _column(results, "p50_ms"))
            outcome.add(label, "p99 ms", _column(results, "p99_ms"))
            for who in ("server", "postgres", "load"):
                outcome.add(f"{label}: CPU {who}", "us/msg", _column(results, "cpu_us", who))
    return outcome


def webhook_run(world: World, load: Load, outcome: Outcome) -> dict[str, Any]:
    """One run to webhook agents, until every delivery is marked."""
    world.clean()
    world.sink.ask("reset")
    meter = Meter(world)
    sent = traffic.start(world, load).finish()
    pending = _await_marks(world)
    result = _result(world, [sent], meter, outcome)
    begin = sent.started + load.warmup
    marked = world.query(
        f"SELECT count(*) FROM webhook_deliveries WHERE delivered_at >= to_timestamp({begin})"
        f" AND delivered_at < to_timestamp({begin + load.seconds})"
    )[0][0]
    stats = world.sink.ask("stats")
    if pending or stats["messages"] < len(sent.entries) or stats["unsigned"] or stats["wrong_signature"]:
        outcome.faults.append(f"{pending} deliveries not marked; the receiver says {stats} of {len(sent.entries)}")
    delays = _delays(world, sent, world.sink)
    return result | {
        "marked_rate": marked / load.seconds,
        "repeated_posts": stats["requests"] - stats["messages"],
        "arrival_p50_ms": percentile(delays, 0.50) * 1000,
        "arrival_p99_ms": percentile(delays, 0.99) * 1000,
    }


def _await_marks(world: World, kind: str = "cloud") -> int:
    """How many deliveries to agents of that kind are still pending when no more can be expected."""
    end = time.monotonic() + _PATIENCE
    while True:
        pending = world.query(
            f"SELECT count(*) FROM webhook_deliveries WHERE status <> 'delivered' AND agent_id LIKE '{kind}%'"
        )[0][0]
        if not pending or time.monotonic() > end:
            return pending
        time.sleep(0.2)


def _delays(world: World, sent: Sent, receiver: Any) -> list[float]:
    """Seconds from the 250 to the arrival at a receiver. Arrivals before the client saw its 250 count as 0."""
    path = world.directory / "arrivals"
    receiver.ask(f"ledger {path}")
    arrivals = measure.read_arrivals(path)
    identifiers = traffic.audit(world, [sent]).identifiers
    found = []
    for entry in sent.counted():
        at = arrivals.get(identifiers.get(sent.key(entry), ""))
        if at is not None:
            found.append(max(0.0, at - entry.answered_at))
    return found


def inbound_webhook(options: Options) -> Outcome:
    """SMTP to webhook, marked delivered; ``--hook-ms`` and ``--hook dead`` add an endpoint that is slow or silent."""
    outcome = Outcome("inbound-webhook", options.params())
    with World(flush_ms=options.flush_ms) as world:
        outcome.limits = limits.measure(world)
        load = _load(options, kind="cloud")
        stored = repeated(options, outcome, "stored only", lambda: stored_run(world, _load(options), outcome))
        fast = repeated(options, outcome, "fast endpoints", lambda: webhook_run(world, load, outcome))
        base = measure.summary(_column(stored, "rate"))["median"]
        outcome.add("stored only", "msg/s", _column(stored, "rate"))
        outcome.add(
            "fast: marked delivered", "msg/s", _column(fast, "marked_rate"), floor=base, target=share_of_floor(0.7)
        )
        outcome.add("fast: accepted", "msg/s", _column(fast, "rate"))
        outcome.add("fast: 250 to arrival", "p50 ms", _column(fast, "arrival_p50_ms"))
        outcome.add("fast: 250 to arrival", "p99 ms", _column(fast, "arrival_p99_ms"))
        for who in ("server", "postgres"):
            outcome.add(f"fast: CPU {who}", "us/msg", _column(fast, "cpu_us", who))
        if options.hook_ms or options.hook == "dead":
            _with_trouble(world, options, outcome, measure.summary(_column(fast, "rate"))["median"])
    return outcome


def _with_trouble(world: World, options: Options, outcome: Outcome, fast_rate: float) -> None:
    """Half of the mail to the bad endpoint at full speed, then a paced trickle to good ones beside it."""
    label = "dead" if options.hook == "dead" else f"{options.hook_ms} ms"
    world.trouble.ask(
        'set {"silent": true}' if options.hook == "dead" else f'set {{"delay": {options.hook_ms / 1000}}}'
    )

    def run() -> dict[str, Any]:
        world.clean()
        world.sink.ask("reset")
        meter = Meter(world)
        bad = traffic.start(world, _load(options, kind="trouble"))
        good = traffic.start(world, _load(options, kind="cloud", sessions=5, rate=50.0))
        sents = [bad.finish(), good.finish()]
        pending = _await_marks(world)
        if pending:
            outcome.faults.append(f"{pending} deliveries to good endpoints not marked")
        delays = _delays(world, sents[1], world.sink)
        result = _result(world, sents, meter, outcome)
        return result | {
            "arrival_p50_ms": percentile(delays, 0.5) * 1e3,
            "arrival_p99_ms": percentile(delays, 0.99) * 1e3,
        }

    results = repeated(options, outcome, f"{label} endpoint", run)
    outcome.add(f"{label}: accepted", "msg/s", _column(results, "rate"), floor=fast_rate, target=share_of_floor(0.9))
    outcome.add(f"{label}: others, 250 to arrival", "p50 ms", _column(results, "arrival_p50_ms"))
    outcome.add(f"{label}: others, 250 to arrival", "p99 ms", _column(results, "arrival_p99_ms"))


def inbound_ws(options: Options) -> Outcome:
    """From the 250 to the WebSocket frame, beside a background of other mail."""
    outcome = Outcome("inbound-ws", options.params())
    with World(flush_ms=options.flush_ms) as world:
        outcome.limits = limits.measure(world)
        api = world.daemon.api(world.owner_key)
        agent = api.agent("watched")
        target = f"/api/v1/agents/{agent}/ws?token={world.owner_key}\n"
        watched = world.file("watched", agent + "\n")
        commit_ms = 1000 / outcome.limits["insert_1c"]
        for background in options.backgrounds:
            client = world.helper("benchmarks.wsload", str(world.daemon.http_port), str(world.file("targets", target)))

            def run(background: int = background, client: Any = client) -> dict[str, Any]:
                world.clean()
                client.ask("reset")
                meter = Meter(world)
                paced = traffic.start(world, _load(options, sessions=1, rate=50.0, recipients=watched))
                other = traffic.start(world, _load(options, rate=float(background))) if background else None
                sents = [each.finish() for each in (paced, other) if each]
                time.sleep(0.5)
                delays = _delays(world, sents[0], client)
                if len(delays) < len(sents[0].counted()):
                    outcome.faults.append(f"{len(sents[0].counted()) - len(delays)} messages not seen on the WebSocket")
                result = _result(world, sents, meter, outcome)
                reached = sents[1].rate if other else 0.0
                return result | {
                    "background": reached,
                    "frame_p50_ms": percentile(delays, 0.50) * 1000,
                    "frame_p99_ms": percentile(delays, 0.99) * 1000,
                }

            label = f"beside {background} msg/s"
            results = repeated(options, outcome, label, run)
            client.stop()
            idle, busy = times_floor(2), at_most(5.0)
            outcome.add(f"{label}: reached", "msg/s", _column(results, "background"))
            p50, p99 = _column(results, "frame_p50_ms"), _column(results, "frame_p99_ms")
            outcome.add(label, "p50 ms", p50, floor=commit_ms, target=None if background else idle)
            outcome.add(label, "p99 ms", p99, target=busy if background == 2000 else None)
        api.close()
    return outcome


def quick_cases(world: World, options: Options, outcome: Outcome) -> None:
    """The short cases of ``quick``."""
    results = repeated(options, outcome, "stored", lambda: stored_run(world, _load(options), outcome))
    floor = outcome.limits["insert_batch50"]
    outcome.add("stored, 50 sessions", "msg/s", _column(results, "rate"), floor=floor, target=share_of_floor(0.15))
    for who in ("server", "postgres"):
        outcome.add(f"stored: CPU {who}", "us/msg", _column(results, "cpu_us", who))
    results = repeated(options, outcome, "webhook", lambda: webhook_run(world, _load(options, kind="cloud"), outcome))
    outcome.add("webhook, marked delivered", "msg/s", _column(results, "marked_rate"))
    for who in ("server", "postgres"):
        outcome.add(f"webhook: CPU {who}", "us/msg", _column(results, "cpu_us", who))
