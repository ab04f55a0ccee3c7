"""Runs of the load generator, and the check that nothing was lost, doubled or left unsigned."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import corpus, measure
from benchmarks.measure import Entry, percentile
from benchmarks.world import World
from tests.support.daemon import CHECKOUT
from tests.support.pgprograms import die_with_parent

_WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8"


@dataclass(frozen=True, slots=True)
class Load:
    """What to send.

    :ivar kind: which seeded agents receive it.
    :ivar rate: messages a second; 0 is as fast as possible.
    :ivar modes: OPTIONS as in load.c, and ``t`` for STARTTLS.
    :ivar warmup: seconds at the start that do not count.
    """

    kind: str = "local"
    sessions: int = 50
    seconds: float = 10.0
    warmup: float = 2.0
    rate: float = 0.0
    modes: str = "-"
    signed: bool = True
    size: int = 2048
    domains: int = 1
    accounts: int = 2000
    recipients: Path | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and answered. ``started`` is Unix time; ``entries`` are the messages answered 250."""

    load: Load
    run: int
    started: float
    outcome: dict[str, Any]
    entries: list[Entry]

    def counted(self) -> list[Entry]:
        """The messages answered between the warm-up and the end."""
        begin = self.started + self.load.warmup
        return [entry for entry in self.entries if begin <= entry.answered_at < begin + self.load.seconds]

    def key(self, entry: Entry) -> str:
        """The part of the Message-ID that tells this message from all others."""
        return f"{self.run:08x}{entry.number:08x}"

    @property
    def rate(self) -> float:
        return len(self.counted()) / self.load.seconds

    def latency_ms(self, share: float) -> float:
        return percentile((entry.latency for entry in self.counted()), share) * 1000


@dataclass(slots=True)
class Running:
    """A generator at work."""

    load: Load
    run: int
    ledger: Path
    process: subprocess.Popen[str]

    def finish(self) -> Sent:
        """Wait for its end.

        :raises RuntimeError: it failed or did not end in time.
        """
        try:
            output, _ = self.process.communicate(timeout=self.load.seconds + self.load.warmup + 60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError("the load generator did not end") from None
        if self.process.returncode:
            raise RuntimeError(f"the load generator ended with {self.process.returncode}")
        outcome = json.loads(output)
        return Sent(self.load, self.run, outcome["started"], outcome, measure.read_ledger(self.ledger))


def letters(world: World, load: Load) -> Path:
    """The corpus file for a load, made once."""
    path = world.directory / f"letters-{load.size}-{load.signed}-{load.domains}"
    if not path.exists():
        count = max(20, load.domains) if load.size < 100_000 else 2
        corpus.write(world.corpus.letters(count, size=load.size, signed=load.signed, domains=load.domains), path)
    return path


def start(world: World, load: Load, generator: Sequence[str] | None = None, *, port: int = 0) -> Running:
    """Start sending, to our daemon or to another port."""
    run = world.next_run()
    ledger = world.directory / f"ledger-{run}"
    recipients = load.recipients or world.recipients(load.kind, load.accounts)
    arguments = [
        port or world.daemon.smtp_port,
        load.sessions,
        load.warmup + load.seconds,
        load.rate,
        load.modes,
        run,
    ]
    command = [*(generator or world.generator), *map(str, [*arguments, letters(world, load), recipients, ledger])]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    return Running(load, run, ledger, process)


@dataclass(slots=True)
class Books:
    """What the database holds of some runs, compared with what was answered 250.

    :ivar identifiers: Message-ID key to our message id.
    """

    stored: int = 0
    lost: int = 0
    doubled: int = 0
    unsigned: int = 0
    unverified: int = 0
    identifiers: dict[str, str] = field(default_factory=dict)

    @property
    def wrong(self) -> int:
        """How many messages fail the run."""
        return self.lost + self.doubled + self.unsigned + self.unverified


def audit(world: World, sents: Sequence[Sent]) -> Books:
    """Compare ledgers and database."""
    books = Books()
    for sent in sents:
        rows = world.query(
            "SELECT substr(email_message_id, 2, 16), id, verified, body_hash FROM messages"
            f" WHERE direction = 'inbound' AND email_message_id LIKE '<{sent.run:08x}%'"
        )
        found = {key: identifier for key, identifier, _, _ in rows}
        books.stored += len(rows)
        books.doubled += len(rows) - len(found)
        books.lost += sum(sent.key(entry) not in found for entry in sent.entries)
        books.unsigned += sum(len(body_hash) != 64 for _, _, _, body_hash in rows)
        books.unverified += sum(not verified for _, _, verified, _ in rows) if sent.load.signed else 0
        books.identifiers |= found
    return books


class Meter:
    """CPU of the daemon, of PostgreSQL and of everything else, and the log PostgreSQL wrote, between two moments."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = self._read()

    def _read(self) -> tuple[float, ...]:
        world = self._world
        wal = float(world.query(_WAL)[0][0])
        tree = measure.tree_cpu
        return (
            time.monotonic(),
            tree(world.pid),
            tree(world.postgres_pid),
            tree(os.getpid()),
            measure.machine_cpu(),
            wal,
        )

    def stop(self, count: int, load_cpu: float = 0.0) -> dict[str, Any]:
        """What each of ``count`` messages or requests cost.

        :param load_cpu: seconds that the generator says it used.
        """
        seconds, server, postgres, bench, machine, wal = (
            b - a for a, b in zip(self._before, self._read(), strict=True)
        )
        foreign = max(0.0, machine - bench) / (seconds * (os.cpu_count() or 1))
        each = 1e6 / max(1, count)
        return {
            "cpu_us": {"server": server * each, "postgres": postgres * each, "load": load_cpu * each},
            "server_cores": server / seconds,
            "wal_b": wal / max(1, count),
            "foreign_cpu": foreign,
            "noisy": foreign > 0.05,
        }
