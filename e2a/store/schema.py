"""Brings the database to the schema this version needs, and says what would make "stored" untrue.

Migrations are numbered files, applied in order, each in a transaction of its own, by one process at a time. They only
ever go forward, and expand before they contract: the version before must be able to run beside this one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from e2a.core.errors import SettingsError

from .rows import Cursor, execute, many, one

if TYPE_CHECKING:
    from .database import Database

#: Held, as a transaction lock, while one migration runs.
ADVISORY_LOCK = 0x653261
#: PostgreSQL releases older than this are refused (``server_version_num``).
OLDEST_SERVER = 140000

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")

_LOCK = "SELECT pg_advisory_xact_lock(%s)"
_NO_LIMITS = (
    "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
)
_CREATE_TABLE = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version     integer PRIMARY KEY,
        name        text NOT NULL,
        applied_at  timestamptz NOT NULL DEFAULT now()
    )
"""
_APPLIED = "SELECT version FROM schema_migrations ORDER BY version"
_RECORD = "INSERT INTO schema_migrations (version, name) VALUES (%s, %s)"
_SERVER = """
    SELECT current_setting('server_version_num')::integer AS version, current_setting('server_encoding') AS encoding
"""
_DURABILITY = """
    SELECT name, setting FROM pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') ORDER BY name
"""
_PROMISE = {
    "fsync": "a crash of the database's machine can lose or destroy mail that was acknowledged",
    "full_page_writes": "a crash of the database's machine can destroy mail that was acknowledged",
    "synchronous_commit": "a crash of the database can lose mail that was acknowledged",
}


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str


def migrations() -> list[Migration]:
    """Every migration of this version, in order.

    They lie inside the package when it was installed, and at the top of a checkout.

    :raises SettingsError: there are none, or two carry one number.
    """
    here = Path(__file__).parent
    found: list[Migration] = []
    for folder in (here / "migrations", here.parent.parent / "migrations"):
        for path in sorted(folder.glob("*.sql")):
            if match := _FILE.fullmatch(path.name):
                found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
        if found:
            break
    if not found:
        raise SettingsError(["the installation is incomplete: no database migrations were found"])
    if len({migration.version for migration in found}) != len(found):
        raise SettingsError(["the installation is damaged: two database migrations carry the same number"])
    return found


async def apply(db: Database) -> list[str]:
    """Apply what is missing. Several processes may start at once: each migration is applied by one of them.

    :returns: the names of the migrations that this call applied.
    :raises SettingsError: the server is too old or not in UTF-8, or its schema is newer than this version.
    :raises Unavailable: the database cannot be reached.
    """
    known = migrations()
    await db.run("schema", _prepare, known[-1].version)
    applied: list[str] = []
    for migration in known:
        if await db.run("migration", _migrate, migration):
            applied.append(f"{migration.version:04d}_{migration.name}")
    return applied


async def _prepare(cur: Cursor, newest: int) -> None:
    await cur.execute(_NO_LIMITS)
    await execute(cur, _LOCK, (ADVISORY_LOCK,))
    server = await one(cur, _SERVER, None, lambda row: row)
    if server.version < OLDEST_SERVER:
        raise SettingsError([f"PostgreSQL {OLDEST_SERVER // 10000} or newer is needed"])
    if server.encoding != "UTF8":
        raise SettingsError([f"the database must be in UTF8, and is in {server.encoding}"])
    # IF NOT EXISTS would still ask for the right to create, which a daemon on a prepared database may lack.
    if not await one(cur, "SELECT to_regclass('schema_migrations') IS NOT NULL AS there", None, lambda row: row.there):
        await cur.execute(_CREATE_TABLE)
    present = await many(cur, _APPLIED, None, lambda row: int(row.version))
    if present and present[-1] > newest:
        raise SettingsError(
            [f"the database's schema has version {present[-1]}, this e2a knows up to {newest}: run a newer e2a on it"]
        )


async def _migrate(cur: Cursor, migration: Migration) -> bool:
    await cur.execute(_NO_LIMITS)
    await execute(cur, _LOCK, (ADVISORY_LOCK,))
    if migration.version in await many(cur, _APPLIED, None, lambda row: row.version):
        return False
    await cur.execute(migration.sql)
    await execute(cur, _RECORD, (migration.version, migration.name))
    return True


async def missing(cur: Cursor) -> int:
    """How many of the known migrations the database lacks."""
    present = set(await many(cur, _APPLIED, None, lambda row: int(row.version)))
    return len(_versions() - present)


@cache
def _versions() -> frozenset[int]:
    return frozenset(migration.version for migration in migrations())


async def durability(cur: Cursor) -> list[str]:
    """What keeps a commit from surviving a crash, one sentence each; empty when a commit is durable."""
    settings = await many(cur, _DURABILITY, None, lambda row: (row.name, row.setting))
    return [f"{name} is off: {_PROMISE[name]}" for name, setting in settings if setting == "off"]
