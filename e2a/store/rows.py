"""How a statement's answer becomes entities, with the number of rows it must have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

#: A txpostgres cursor inside an open transaction, rows as named tuples.
Cursor = Any


class WrongRowCount(Exception):
    """A statement answered with more or fewer rows than its caller stated."""


async def many(cur: Cursor, sql: str, params: Any, load: Callable[[Any], T]) -> list[T]:
    """Every row, in order."""
    await cur.execute(sql, params)
    return [load(row) for row in cur.fetchall()]


async def maybe(cur: Cursor, sql: str, params: Any, load: Callable[[Any], T]) -> T | None:
    """The only row, or None.

    :raises WrongRowCount: several rows.
    """
    rows = await many(cur, sql, params, load)
    if len(rows) > 1:
        raise WrongRowCount(len(rows))
    return rows[0] if rows else None


async def one(cur: Cursor, sql: str, params: Any, load: Callable[[Any], T]) -> T:
    """The only row.

    :raises WrongRowCount: none, or several.
    """
    row = await maybe(cur, sql, params, load)
    if row is None:
        raise WrongRowCount(0)
    return row


async def execute(cur: Cursor, sql: str, params: Any = None) -> int:
    """Run a statement that answers no rows; returns how many rows it touched."""
    await cur.execute(sql, params)
    return int(cur.rowcount)
