"""How far the webhook deliveries are behind."""

from __future__ import annotations

from dataclasses import dataclass

from .rows import Cursor, one

_BACKLOG = """
    SELECT (SELECT count(*) FROM webhook_deliveries WHERE status = 'pending' AND next_attempt_at <= now()) AS due,
           (SELECT coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0)::float8 FROM webhook_deliveries
            WHERE status = 'pending' AND next_attempt_at <= now()) AS oldest,
           (SELECT count(*) FROM webhook_deliveries WHERE status = 'failed') AS failed
"""


@dataclass(frozen=True, slots=True)
class Backlog:
    """:ivar due: deliveries whose time has come and that nobody has taken.
    :ivar oldest: seconds for which the oldest of them has been due.
    :ivar failed: deliveries that ran out of attempts.
    """

    due: int
    oldest: float
    failed: int


async def read_backlog(cur: Cursor) -> Backlog:
    """For all tenants together."""
    return await one(cur, _BACKLOG, None, lambda row: Backlog(row.due, row.oldest, row.failed))
