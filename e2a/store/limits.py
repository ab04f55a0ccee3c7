"""Sliding-window rate limits. One row for each counted event, so that no row is hot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2a.core.rules.limits import Allowance, Limit

from .retention import BATCH
from .rows import Cursor, execute, many

# Two statements: the second sees what others committed while the first waited. The lock ends with the transaction, so
# an event counts when it is committed and is never overlooked before that.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 20))"
#: One event counted, as common table expressions of a larger statement: its parameters begin with the key, the seconds
#: and the most, as ``TYPES``. The key must be locked before the statement begins, see ``lock``.
COUNTED = """
    past AS (
        DELETE FROM rate_events WHERE key = $1 AND at <= clock_timestamp() - $2 * interval '1 second'
    ), window_events AS MATERIALIZED (
        SELECT at FROM rate_events
        WHERE key = $1 AND at > clock_timestamp() - $2 * interval '1 second'
        ORDER BY at DESC LIMIT $3
    ), counted AS (
        INSERT INTO rate_events (key) SELECT $1 WHERE (SELECT count(*) FROM window_events) < $3 RETURNING 1
    )
"""
TYPES = "text, float8, integer"
#: The columns that ``allowance`` reads.
STATE = """
    EXISTS (SELECT FROM counted) AS counted,
    (SELECT count(*) FROM window_events) AS before,
    extract(epoch FROM (SELECT min(at) FROM window_events) - clock_timestamp())::float8 + $2 AS resets
"""
_CHARGE = f"WITH {COUNTED} SELECT {STATE}"
# A count that a crash of the database's machine takes along harms nobody, so nobody waits for the disk.
_LOCK_LIGHTLY = f"{_LOCK}, set_config('synchronous_commit', 'off', true)"
_LOOK = """
    SELECT used.events, extract(epoch FROM used.oldest - clock_timestamp())::float8 + wanted.seconds AS resets
    FROM unnest(%s::text[], %s::float8[], %s::integer[]) WITH ORDINALITY AS wanted (key, seconds, most, place)
    CROSS JOIN LATERAL (
        SELECT count(*) AS events, min(at) AS oldest FROM (
            SELECT at FROM rate_events AS e
            WHERE e.key = wanted.key AND at > clock_timestamp() - wanted.seconds * interval '1 second'
            ORDER BY at DESC LIMIT wanted.most
        ) AS newest
    ) AS used
    ORDER BY wanted.place
"""
# Longer than any limit's window.
_FORGET = """
    WITH old AS (
        SELECT key, at, id FROM rate_events WHERE at < clock_timestamp() - interval '25 hours'
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM rate_events AS e USING old WHERE e.key = old.key AND e.at = old.at AND e.id = old.id
"""


async def charge(cur: Cursor, limit: Limit, whom: str) -> Allowance:
    """Count one event, when this transaction commits.

    Others who count for the same ``whom`` wait until then, so it belongs near the end of a short transaction.

    :raises TooManyRequests: the limit is reached; nothing was counted.
    """
    await lock(cur, limit, whom)
    return await _charged(cur, limit, whom)


async def count(cur: Cursor, limit: Limit, whom: str) -> Allowance:
    """As ``charge``, for a transaction that does nothing else: one round trip with ``Database.statement``, without
    waiting for the disk.
    """
    await cur.later_prepared("lock_limit_lightly", "text", _LOCK_LIGHTLY, (limit.key(whom),))
    return await _charged(cur, limit, whom)


async def _charged(cur: Cursor, limit: Limit, whom: str) -> Allowance:
    await cur.execute_prepared("charge", TYPES, _CHARGE, values(limit, whom))
    found = allowance(limit, cur.fetchone())
    found.check()
    return found


async def look(cur: Cursor, wanted: Sequence[tuple[Limit, str]]) -> list[Allowance]:
    """How each of these stands with its limit; counts nothing."""
    columns = (
        [limit.key(whom) for limit, whom in wanted],
        [limit.seconds for limit, _ in wanted],
        [limit.most for limit, _ in wanted],
    )
    found = await many(cur, _LOOK, columns, lambda row: (int(row.events), max(row.resets or 0.0, 0.0)))
    return [Allowance(limit, *state) for (limit, _), state in zip(wanted, found, strict=True)]


async def lock(cur: Cursor, limit: Limit, whom: str) -> None:
    """Let nobody else count for ``whom`` until the transaction ends."""
    await cur.later_prepared("lock_limit", "text", _LOCK, (limit.key(whom),))


def values(limit: Limit, whom: str) -> tuple[str, int, int]:
    """The parameters of ``COUNTED``."""
    return limit.key(whom), limit.seconds, limit.most


def allowance(limit: Limit, row: Any) -> Allowance:
    """:param row: with the columns of ``STATE``."""
    before = int(row.before)
    # Nothing was in the window: the event itself is the oldest.
    resets = float(limit.seconds) if row.resets is None else max(float(row.resets), 0.0)
    return Allowance(limit, before + bool(row.counted), resets, refused=not row.counted)


async def forget_events(cur: Cursor, limit: int = BATCH) -> int:
    """Remove events that no limit looks at any more."""
    return await execute(cur, _FORGET, (limit,))
