"""Sliding-window rate limits. One row for each counted event, so that no row is hot."""

from __future__ import annotations

import math

from e2a.core.errors import TooManyRequests
from e2a.core.rules.limits import Limit

from .retention import BATCH
from .rows import Cursor, execute, one

# Two statements: the second sees what others committed while the first waited. The lock ends with the transaction, so
# an event counts when it is committed and is never overlooked before that.
_CHARGE = """
    SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 20));
    WITH past AS (
        DELETE FROM rate_events WHERE key = %(key)s AND at <= clock_timestamp() - %(seconds)s * interval '1 second'
    ), window_events AS MATERIALIZED (
        SELECT at FROM rate_events
        WHERE key = %(key)s AND at > clock_timestamp() - %(seconds)s * interval '1 second'
        ORDER BY at DESC LIMIT %(most)s
    ), counted AS (
        INSERT INTO rate_events (key) SELECT %(key)s WHERE (SELECT count(*) FROM window_events) < %(most)s RETURNING 1
    )
    SELECT
        CASE WHEN EXISTS (SELECT FROM counted) THEN 0
        ELSE greatest(
            extract(epoch FROM (SELECT min(at) FROM window_events) - clock_timestamp())::float8 + %(seconds)s, 0.001
        ) END AS wait
"""
# Longer than any limit's window.
_FORGET = """
    WITH old AS (
        SELECT key, at, id FROM rate_events WHERE at < clock_timestamp() - interval '25 hours'
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM rate_events AS e USING old WHERE e.key = old.key AND e.at = old.at AND e.id = old.id
"""


async def charge(cur: Cursor, limit: Limit, whom: str) -> None:
    """Count one event, when this transaction commits.

    Others who count for the same ``whom`` wait until then, so it belongs near the end of a short transaction.

    :raises TooManyRequests: the limit is reached; nothing was counted.
    """
    values = {"key": limit.key(whom), "seconds": limit.seconds, "most": limit.most}
    wait = await one(cur, _CHARGE, values, lambda row: float(row.wait))
    if wait > 0:
        raise TooManyRequests(retry_after=math.ceil(wait))


async def forget_events(cur: Cursor, limit: int = BATCH) -> int:
    """Remove events that no limit looks at any more."""
    return await execute(cur, _FORGET, (limit,))
