"""How much mail an organisation received and sent, day by day (UTC)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from .rows import Cursor, execute, many, maybe

#: Organisations of one batch.
BATCH = 200
#: So that one process at a time sums up; the others need not.
_LEAD = "SELECT pg_try_advisory_xact_lock(hashtextextended('usage summaries', 20)) AS leads"
_NEXT = "SELECT id FROM organisations WHERE id > %s ORDER BY id LIMIT %s"
#: Days after which a day that is summed up is not counted again. Events are kept for longer than that.
SETTLED_DAYS = 30
_SETTLED = f"((now() AT TIME ZONE 'UTC')::date - {SETTLED_DAYS})"
# From the day before the newest that is summed up: it may have been summed up while it lasted. Never from before
# ``SETTLED_DAYS``: its events may be gone.
_SUM_UP = """
    INSERT INTO usage_summaries AS s (organisation_id, bucket_date, inbound_count, outbound_count, total_count)
    SELECT wanted.id, used.day, used.inbound, used.outbound, used.inbound + used.outbound
    FROM unnest(%s::text[]) AS wanted (id) CROSS JOIN LATERAL (
        SELECT coalesce(
            (SELECT CASE WHEN max(bucket_date) IS NOT NULL THEN greatest(max(bucket_date) - 1, {settled}) END
                FROM usage_summaries WHERE organisation_id = wanted.id),
            '-infinity'
        )::timestamp AT TIME ZONE 'UTC' AS moment
    ) AS since CROSS JOIN LATERAL (
        SELECT (e.created_at AT TIME ZONE 'UTC')::date AS day,
            count(*) FILTER (WHERE direction = 'inbound') AS inbound,
            count(*) FILTER (WHERE direction = 'outbound') AS outbound
        FROM usage_events AS e WHERE e.organisation_id = wanted.id AND e.created_at >= since.moment GROUP BY 1
    ) AS used
    ON CONFLICT (organisation_id, bucket_date) DO UPDATE SET
        inbound_count = EXCLUDED.inbound_count, outbound_count = EXCLUDED.outbound_count,
        total_count = EXCLUDED.total_count
    WHERE (s.inbound_count, s.outbound_count) IS DISTINCT FROM (EXCLUDED.inbound_count, EXCLUDED.outbound_count)
"""
# What is not summed up for good yet is counted.
_DAYS = """
    WITH since AS (
        SELECT least(
            (now() AT TIME ZONE 'UTC')::date - 1,
            coalesce(
                (SELECT CASE WHEN max(bucket_date) IS NOT NULL THEN greatest(max(bucket_date), {settled}) END
                    FROM usage_summaries WHERE organisation_id = %(organisation)s),
                %(from)s
            )
        ) AS day
    )
    SELECT bucket_date AS day, inbound_count AS inbound, outbound_count AS outbound FROM usage_summaries, since
    WHERE organisation_id = %(organisation)s AND bucket_date BETWEEN %(from)s AND %(to)s AND bucket_date < since.day
    UNION ALL
    SELECT (e.created_at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE direction = 'inbound'),
        count(*) FILTER (WHERE direction = 'outbound')
    FROM usage_events AS e, since
    WHERE e.organisation_id = %(organisation)s
        AND e.created_at >= greatest(since.day, %(from)s)::timestamp AT TIME ZONE 'UTC'
        AND e.created_at < (%(to)s + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1
    ORDER BY day
"""
_SUM_UP, _DAYS = _SUM_UP.format(settled=_SETTLED), _DAYS.format(settled=_SETTLED)
# Whole days, and only such as are summed up.
_FORGET = """
    WITH old AS (
        SELECT e.id FROM usage_events AS e
        WHERE e.created_at < ((now() AT TIME ZONE 'UTC')::date - %s)::timestamp AT TIME ZONE 'UTC' AND (
            e.organisation_id IS NULL OR EXISTS (
                SELECT FROM usage_summaries AS s WHERE s.organisation_id = e.organisation_id
                    AND s.bucket_date >= (e.created_at AT TIME ZONE 'UTC')::date
            )
        )
        LIMIT %s FOR UPDATE OF e SKIP LOCKED
    )
    DELETE FROM usage_events AS e USING old WHERE e.id = old.id
"""


@dataclass(frozen=True, slots=True)
class Day:
    """:ivar inbound: copies received. :ivar outbound: messages that were sent."""

    day: date
    inbound: int
    outbound: int


async def sum_up(cur: Cursor, after: str = "", limit: int = BATCH) -> str:
    """Sum up the days of a batch of organisations, up to now.

    :param after: where the walk stands: what the call before answered, ``""`` to begin.
    :returns: where it stands now; ``""`` at the end, and when another process is at it.
    """
    if not await maybe(cur, _LEAD, (), lambda row: row.leads):
        return ""
    ids = await many(cur, _NEXT, (after, limit), lambda row: str(row.id))
    if ids:
        await cur.execute(_SUM_UP, (ids,))
    return ids[-1] if len(ids) == limit else ""


async def days(cur: Cursor, organisation_id: str, first: date, last: date) -> list[Day]:
    """Days with any use from ``first`` to ``last``, both included, oldest first; right up to now."""
    values = {"organisation": organisation_id, "from": first, "to": last}
    return await many(cur, _DAYS, values, lambda row: Day(row.day, int(row.inbound), int(row.outbound)))


async def forget(cur: Cursor, days: int, limit: int) -> int:
    """Remove events that are older than so many days and summed up.

    :param days: more than ``SETTLED_DAYS``.
    :returns: how many went.
    """
    return await execute(cur, _FORGET, (days, limit))
