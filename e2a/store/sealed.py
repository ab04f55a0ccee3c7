"""Everything in the database that is sealed under the deployment secret, and under which one.

A table that holds sealed values must be listed here: otherwise they would be lost with the next deployment secret. The
index of a listed table on the seal's id makes every question here a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .rows import Cursor, many, one


@dataclass(frozen=True, slots=True)
class SealedTable:
    """:ivar what: the values' name for people.
    :ivar key: the columns of the primary key.
    :ivar row_id: SQL for what a value is sealed for (``core.trust.sealing.Sealer.seal``).
    """

    what: str
    table: str
    key: tuple[str, ...]
    row_id: str
    column: str = "sealed"

    @property
    def seal(self) -> str:
        """SQL for the id of the seal."""
        return f"substring({self.column} FROM 2 FOR 8)"


TABLES = (
    SealedTable("signing secrets", "signing_secrets", ("id",), "id"),
    SealedTable("DKIM keys", "dkim_keys", ("domain_id", "selector"), "'dkim ' || domain_id || ' ' || selector"),
)

# From one id to the next through the index: as many steps as there are ids, however many rows.
_SEALS = """
    WITH RECURSIVE found AS (
        (SELECT {seal} AS id FROM {table} WHERE {seal} IS NOT NULL ORDER BY {seal} LIMIT 1)
        UNION ALL
        SELECT (SELECT {seal} FROM {table} WHERE {seal} > found.id ORDER BY {seal} LIMIT 1)
        FROM found WHERE found.id IS NOT NULL
    )
    SELECT id FROM found WHERE id IS NOT NULL
"""
_COUNT = "SELECT count(*) AS count FROM {table} WHERE {seal} = %s"
_BATCH = """
    SELECT {key}, {row_id} AS row_id, {column} AS value FROM {table} WHERE {seal} = %s {after}
    ORDER BY {key} LIMIT %s FOR NO KEY UPDATE
"""
_RESEAL = "UPDATE {table} SET {column} = %s WHERE ({key}) = ({places})"


@dataclass(frozen=True, slots=True)
class SealedValue:
    """:ivar key: the values of the table's primary key."""

    key: tuple[Any, ...]
    row_id: str
    sealed: bytes


async def seal_ids(cur: Cursor, table: SealedTable) -> list[bytes]:
    """The id of every deployment secret that something in the table is sealed under."""
    sql = _SEALS.format(table=table.table, seal=table.seal)
    return await many(cur, sql, None, lambda row: bytes(row.id))


async def count_sealed(cur: Cursor, table: SealedTable, seal_id: bytes) -> int:
    """How many values are sealed under that one."""
    sql = _COUNT.format(table=table.table, seal=table.seal)
    return await one(cur, sql, (seal_id,), lambda row: int(row.count))


async def lock_sealed(
    cur: Cursor, table: SealedTable, seal_id: bytes, after: Sequence[Any] | None, limit: int
) -> list[SealedValue]:
    """The next values sealed under that one, in the order of their keys, locked.

    :param after: the key of the last one seen.
    """
    key = ", ".join(table.key)
    sql = _BATCH.format(
        table=table.table,
        seal=table.seal,
        column=table.column,
        row_id=table.row_id,
        key=key,
        after=f"AND ({key}) > ({_places(table)})" if after else "",
    )
    width = len(table.key)
    return await many(
        cur,
        sql,
        (seal_id, *(after or ()), limit),
        lambda row: SealedValue(tuple(row[:width]), row.row_id, bytes(row.value)),
    )


async def replace_sealed(cur: Cursor, table: SealedTable, key: Sequence[Any], sealed: bytes) -> None:
    """Put another value in the place of one that is locked."""
    sql = _RESEAL.format(table=table.table, column=table.column, key=", ".join(table.key), places=_places(table))
    cur.later(sql, (sealed, *key))


def _places(table: SealedTable) -> str:
    return ", ".join(["%s"] * len(table.key))
