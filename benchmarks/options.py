"""What can be asked on the command line."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    scenario: str
    runs: int
    secs: float
    warmup: float
    sessions: tuple[int, ...]
    variants: bool
    domains: int
    dns_ms: int
    one_account: bool
    flush_ms: int
    hook: str
    hook_ms: int
    backgrounds: tuple[int, ...]
    rows: int
    clients: int
    sockets: int
    patience: int
    json: Path | None
    target: str
    peer_smtp: str
    peer_dsn: str

    def params(self) -> dict[str, Any]:
        """What the JSON document says about the run."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for private in ("json", "peer_smtp", "peer_dsn", "scenario"):
            del values[private]
        return values


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def parse(scenarios: dict[str, str], arguments: list[str]) -> Options:
    """Options from the command line; ends the program on a mistake.

    :param scenarios: name to what it measures.
    """
    listing = "\n".join(f"  {name:<16} {text}" for name, text in scenarios.items())
    parser = argparse.ArgumentParser(
        prog="benchmarks/run",
        description="Measures a real daemon with a real PostgreSQL on this machine. Stops by itself.",
        epilog=f"scenarios:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenario", choices=scenarios, metavar="SCENARIO")
    add("--runs", type=int, default=5, help="runs of each case; the median counts (5)")
    add("--secs", type=float, default=10.0, help="seconds of each run (10)")
    add("--warmup", type=float, default=2.0, help="seconds before them that do not count (2)")
    add("--sessions", type=_numbers, default=(1, 10, 50, 200), help="numbers of SMTP sessions (1,10,50,200)")
    add("--no-variants", dest="variants", action="store_false", help="inbound-stored: only the numbers of sessions")
    add("--domains", type=int, default=1, help="sender domains (1); many keep the DNS cache cold")
    add("--dns-ms", type=int, default=0, help="how long every DNS answer takes (0)")
    add("--one-account", action="store_true", help="all mail to one agent")
    add("--flush-ms", type=int, choices=(0, 1, 4), default=0, help="slow storage: wait before each flush (0)")
    add(
        "--hook",
        choices=("fast", "dead"),
        default="fast",
        help="inbound-webhook: half of the mail to a silent endpoint",
    )
    add("--hook-ms", type=int, default=0, help="inbound-webhook: half of the mail to an endpoint that takes so long")
    add("--backgrounds", type=_numbers, default=(0, 500, 2000, 4000), help="inbound-ws: other mail a second")
    add("--rows", type=int, default=0, help="list, growth, drain: messages stored before (a default for each)")
    add("--clients", type=int, default=32, help="list, get: HTTP connections (32)")
    add("--sockets", type=int, default=10_000, help="ws-idle: WebSockets, as far as the file limit goes (10000)")
    add("--patience", type=int, default=3, help="how often a run is repeated that other work disturbed (3)")
    add("--json", type=Path, help="write the JSON document there")
    add("--target", choices=("ours", "peer", "both"), default="ours", help="inbound-stored: which system to measure")
    add("--peer-smtp", default="", metavar="HOST:PORT", help="a running peer's SMTP port")
    add("--peer-dsn", default="", metavar="DSN", help="the peer's database, with agents and messages tables")
    return Options(**vars(parser.parse_args(arguments)))
