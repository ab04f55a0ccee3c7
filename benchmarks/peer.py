"""Another system under the same load. It is prepared outside and only attached to: its SMTP port and its database."""

from __future__ import annotations

import dataclasses
from typing import Any

import psycopg2

from benchmarks import traffic
from benchmarks.options import Options
from benchmarks.traffic import Load
from benchmarks.world import World


class Peer:
    """:param port: its SMTP port on 127.0.0.1.
    :param dsn: where its ``agents (id)`` and ``messages (direction)`` are."""

    def __init__(self, port: int, dsn: str) -> None:
        self._port, self._dsn = port, dsn

    @classmethod
    def attach(cls, options: Options) -> Peer | None:
        """The peer of the command line, None without one."""
        if options.target == "ours" or not (options.peer_smtp and options.peer_dsn):
            return None
        return cls(int(options.peer_smtp.rpartition(":")[2]), options.peer_dsn)

    def stored(self, world: World, load: Load, runs: int) -> list[float]:
        """Messages stored a second in each run, counted in its database; lost ones are not counted."""
        agents = [row[0] for row in self._query("SELECT id FROM agents ORDER BY id LIMIT 2000")]
        recipients = world.file("recipients-peer", "".join(f"{agent}\n" for agent in agents))
        rates = []
        for _ in range(runs):
            before = self._count()
            running = traffic.start(world, dataclasses.replace(load, recipients=recipients), port=self._port)
            sent = running.finish()
            stored = (self._count() - before) / max(1, len(sent.entries))
            rates.append(sent.rate * min(1.0, stored))
        return rates

    def _count(self) -> int:
        return int(self._query("SELECT count(*) FROM messages WHERE direction = 'inbound'")[0][0])

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = psycopg2.connect(self._dsn)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()
