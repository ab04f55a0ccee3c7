"""Sliding-window rate limits. One row for each counted event, so that no row is hot."""

from __future__ import annotations

import math

from e2a.core.errors import TooManyRequests
from e2a.core.rules.limits import Limit

from .retention import BATCH
from .rows import Cursor, execute

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
#: Seconds until there is room; 0 when the event was counted.
WAIT = """
    CASE WHEN EXISTS (SELECT FROM counted) THEN 0
    ELSE greatest(extract(epoch FROM (SELECT min(at) FROM window_events) - clock_timestamp())::float8 + $2, 0.001) END
"""
_CHARGE = f"WITH {COUNTED} SELECT {WAIT} AS wait"
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
    await lock(cur, limit, whom)
    await cur.execute_prepared("charge", TYPES, _CHARGE, values(limit, whom))
    check(cur.fetchone().wait)


async def lock(cur: Cursor, limit: Limit, whom: str) -> None:
    """Let nobody else count for ``whom`` until the transaction ends."""
    await cur.later_prepared("lock_limit", "text", _LOCK, (limit.key(whom),))


def values(limit: Limit, whom: str) -> tuple[str, int, int]:
    """The parameters of ``COUNTED``."""
    return limit.key(whom), limit.seconds, limit.most


def check(wait: float) -> None:
    """:param wait: what ``WAIT`` answered.
    :raises TooManyRequests: the limit is reached.
    """
    if wait > 0:
        raise TooManyRequests(retry_after=math.ceil(wait))


async def forget_events(cur: Cursor, limit: int = BATCH) -> int:
    """Remove events that no limit looks at any more."""
    return await execute(cur, _FORGET, (limit,))
