"""What the operator should know of the database. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from .rows import Cursor, many, one

_SERVER = """
    SELECT current_setting('server_version') AS version, current_setting('server_encoding') AS encoding,
        current_setting('server_version_num')::integer AS number,
        current_setting('max_connections')::integer AS max_connections,
        current_setting('superuser_reserved_connections')::integer AS reserved,
        (SELECT count(*)::integer FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
        extract(epoch FROM clock_timestamp())::float8 AS clock
"""
_REPLICAS = """
    SELECT coalesce(application_name, '') AS name, extract(epoch FROM replay_lag)::float8 AS seconds,
        (pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::float8 AS octets
    FROM pg_stat_replication ORDER BY 1
"""
_HAS_SCHEMA = "SELECT to_regclass('schema_migrations') IS NOT NULL AS there"
_APPLIED = "SELECT version FROM schema_migrations ORDER BY version"
_DOMAINS = "SELECT id, name FROM domains WHERE verified_at IS NOT NULL ORDER BY id LIMIT %s"


@dataclass(frozen=True, slots=True)
class Server:
    """:ivar number: the version as ``server_version_num``.
    :ivar reserved: connections that only superusers get.
    :ivar used: connections of clients, this one among them.
    :ivar clock: its Unix time.
    """

    version: str
    encoding: str
    number: int
    max_connections: int
    reserved: int
    used: int
    clock: float


@dataclass(frozen=True, slots=True)
class Replica:
    """A standby that follows.

    :ivar seconds: for how long the last change has not been replayed there; None: not known, or nothing happened.
    :ivar octets: of the log that it has not replayed; None: this role may not see it.
    """

    name: str
    seconds: float | None
    octets: float | None


async def server(cur: Cursor) -> Server:
    return await one(cur, _SERVER, None, lambda row: Server(**row._asdict()))


async def replicas(cur: Cursor) -> list[Replica]:
    return await many(cur, _REPLICAS, None, lambda row: Replica(**row._asdict()))


async def applied_migrations(cur: Cursor) -> list[int]:
    """Versions, ascending; empty for a database that was never used."""
    if not await one(cur, _HAS_SCHEMA, None, lambda row: row.there):
        return []
    return await many(cur, _APPLIED, None, lambda row: int(row.version))


async def verified_domains(cur: Cursor, limit: int) -> list[tuple[int, str]]:
    """Id and name of the oldest ones."""
    return await many(cur, _DOMAINS, (limit,), lambda row: (int(row.id), str(row.name)))
