"""Sliding-window rate limits. One row for each counted event, so that no row is hot."""

from __future__ import annotations

from collections.abc import Sequence

from e2a.core.rules.limits import Allowance, Limit

from .retention import BATCH
from .rows import Cursor, execute, many

# Two statements: the second sees what others committed while the first waited. The lock ends with the transaction, so
# an event counts when it is committed and is never overlooked before that.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1, 20))"
# In the order given, which is everybody's.
_LOCK_ALL = "SELECT pg_advisory_xact_lock(hashtextextended(key, 20)) FROM unnest($1) AS key"
_ADD_EVENTS = "INSERT INTO rate_events (key) SELECT unnest($1)"
_CHARGE = """
    WITH past AS (
        DELETE FROM rate_events WHERE key = $1 AND at <= clock_timestamp() - $2 * interval '1 second'
    ), window_events AS MATERIALIZED (
        SELECT at FROM rate_events
        WHERE key = $1 AND at > clock_timestamp() - $2 * interval '1 second'
        ORDER BY at DESC LIMIT $3
    ), counted AS (
        INSERT INTO rate_events (key) SELECT $1 WHERE (SELECT count(*) FROM window_events) < $3
    )
    SELECT (SELECT count(*) FROM window_events) AS events,
        extract(epoch FROM (SELECT min(at) FROM window_events) - clock_timestamp())::float8 + $2 AS resets
"""
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
    await cur.later_prepared("lock_limit", "text", _LOCK, (limit.key(whom),))
    return await _charged(cur, limit, whom)


async def count(cur: Cursor, limit: Limit, whom: str) -> Allowance:
    """As ``charge``, for a transaction that does nothing else: one round trip with ``Database.statement``, without
    waiting for the disk.
    """
    await cur.later_prepared("lock_limit_lightly", "text", _LOCK_LIGHTLY, (limit.key(whom),))
    return await _charged(cur, limit, whom)


async def _charged(cur: Cursor, limit: Limit, whom: str) -> Allowance:
    params = (limit.key(whom), limit.seconds, limit.most)
    await cur.execute_prepared("charge", "text, float8, integer", _CHARGE, params)
    row = cur.fetchone()
    found = next_one(limit, int(row.events), row.resets)
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


async def lock_all(cur: Cursor, keys: Sequence[str]) -> None:
    """Let nobody else count under any of these keys until the transaction ends."""
    await cur.later_prepared("lock_limits", "text[]", _LOCK_ALL, (sorted(keys),))


async def add_events(cur: Cursor, keys: Sequence[str]) -> None:
    """Count one event under each of these keys, which are locked and have room, when this transaction commits."""
    await cur.later_prepared("add_events", "text[]", _ADD_EVENTS, (list(keys),))


def next_one(limit: Limit, events: int, resets: float | None) -> Allowance:
    """How one stands who asks for one more event.

    :param events: those in the window, or as many of them as may be.
    :param resets: seconds until the oldest leaves it, None when there are none: the new one itself is the oldest.
    """
    refused = events >= limit.most
    left = float(limit.seconds) if resets is None else max(float(resets), 0.0)
    return Allowance(limit, events if refused else events + 1, left, refused=refused)


async def forget_events(cur: Cursor, limit: int = BATCH) -> int:
    """Remove events that no limit looks at any more."""
    return await execute(cur, _FORGET, (limit,))
