"""Webhook deliveries: what is due, who attempts it, and what came of it.

A delivery is claimed by moving ``next_attempt_at`` to the end of a lease and counting ``fence`` up, in the transaction
that locks it. A process that dies leaves nothing to clean up: its lease ends. One that slept past its lease finds its
fence outdated, and its outcome is dropped. All times are the database's, so replicas need not agree on the clock.

An attempt is numbered by its fence: numbers only grow, also over a redelivery, which starts the schedule anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from e2a.core.entities import ClaimedDelivery, Delivery, DeliveryAttempt, DeliveryStatus
from e2a.core.errors import Conflict

from .messages import COLUMNS, load_message
from .rows import Cursor, execute, many, maybe

#: Raw messages up to this many octets come with the claim itself; bigger ones are loaded when their attempt starts.
INLINE = 16_384

# Walks the due index and looks agents up one by one: LATERAL keeps the planner from joining the whole backlog first,
# which it does while it knows little of the tables. {which} narrows the candidates; the rest is the same for a scan and
# for ids heard of in a notification.
_CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT d.message_id, d.next_attempt_at, CASE a.agent_mode WHEN 'cloud' THEN a.webhook_host ELSE '' END AS host
        FROM webhook_deliveries d CROSS JOIN LATERAL (
            SELECT agent_mode, webhook_host FROM agents WHERE agents.id = d.agent_id LIMIT 1
        ) a
        WHERE d.status = 'pending' AND d.next_attempt_at <= now() AND a.webhook_host <> ALL (%(full)s::text[]) {which}
        ORDER BY {order} LIMIT %(limit)s
        FOR UPDATE OF d SKIP LOCKED
    ), placed AS (
        SELECT message_id, host, row_number() OVER (PARTITION BY host ORDER BY next_attempt_at, message_id) AS place
        FROM due
    ), claimed AS (
        UPDATE webhook_deliveries d
        SET next_attempt_at = now() + make_interval(secs => %(lease)s), attempts = d.attempts + 1, fence = d.fence + 1
        FROM placed p LEFT JOIN unnest(%(hosts)s::text[], %(rooms)s::integer[]) AS busy (host, room) USING (host)
        WHERE d.message_id = p.message_id AND p.place <= coalesce(busy.room, %(room)s)
        RETURNING d.message_id, d.attempts, d.fence
    )
    SELECT {columns},
        CASE a.agent_mode WHEN 'cloud' THEN a.webhook_url ELSE '' END AS webhook_url,
        CASE a.agent_mode WHEN 'cloud' THEN a.webhook_host ELSE '' END AS webhook_host,
        a.organisation_id, c.attempts, c.fence, CASE WHEN r.size <= %(inline)s THEN r.data END AS data
    FROM claimed c JOIN messages m ON m.id = c.message_id JOIN agents a ON a.id = m.agent_id
        JOIN raw_messages r ON r.id = m.raw_id
    ORDER BY m.id
"""
_CLAIM_DUE = _CLAIM.format(columns=COLUMNS, which="", order="d.next_attempt_at")
# Another order than the scan's, which would tempt the planner to walk the whole backlog for a few ids.
_CLAIM_IDS = _CLAIM.format(columns=COLUMNS, which="AND d.message_id = ANY (%(ids)s::text[])", order="d.message_id")
_RECORD = """
    WITH outcome AS (
        SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[], %s::float8[], %s::text[], %s::integer[],
            %s::float8[], %s::integer[])
            AS o (message_id, fence, status, delay, error, status_code, started_at, duration_ms)
    ), marked AS (
        UPDATE webhook_deliveries d SET status = o.status, last_error = o.error,
            next_attempt_at = CASE o.status WHEN 'pending' THEN now() + make_interval(secs => o.delay) END,
            delivered_at = CASE o.status WHEN 'delivered' THEN now() END
        FROM outcome o WHERE d.message_id = o.message_id AND d.fence = o.fence AND d.status = 'pending'
        RETURNING d.message_id
    )
    INSERT INTO webhook_attempts (message_id, number, started_at, duration_ms, status_code, error)
    SELECT message_id, fence, to_timestamp(started_at), duration_ms, status_code, error
    FROM outcome JOIN marked USING (message_id)
    ON CONFLICT DO NOTHING
"""
_RELEASE = """
    UPDATE webhook_deliveries d
    SET next_attempt_at = now() + make_interval(secs => %s), attempts = greatest(d.attempts - 1, 0)
    FROM unnest(%s::text[], %s::integer[]) AS held (message_id, fence)
    WHERE d.message_id = held.message_id AND d.fence = held.fence AND d.status = 'pending'
"""
_COLUMNS = "message_id, agent_id, status, attempts, last_error, next_attempt_at, created_at, delivered_at"
_GET = f"SELECT {_COLUMNS} FROM webhook_deliveries WHERE message_id = %s AND agent_id = %s"
_LOG = """
    SELECT number, started_at, duration_ms, status_code, error FROM webhook_attempts WHERE message_id = %s
    ORDER BY number
"""
_LIST = f"""
    SELECT {_COLUMNS} FROM webhook_deliveries
    WHERE agent_id = %(agent)s AND status = %(status)s AND (%(before)s::text IS NULL OR message_id < %(before)s)
    ORDER BY message_id DESC LIMIT %(limit)s
"""
_MODE = """
    SELECT a.agent_mode FROM messages m JOIN agents a ON a.id = m.agent_id
    WHERE m.id = %s AND m.agent_id = %s AND m.direction = 'inbound' AND m.expires_at > now() FOR SHARE OF a
"""
_RENEW = """
    INSERT INTO webhook_deliveries AS d (message_id, agent_id) VALUES (%s, %s)
    ON CONFLICT (message_id) DO UPDATE
    SET status = 'pending', attempts = 0, last_error = '', next_attempt_at = now(), delivered_at = NULL
    WHERE d.status <> 'pending'
"""
_TELL = "SELECT pg_notify('e2a_mail', %s || ' ' || %s || ' due')"


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery to attempt now. ``raw`` is None when the message is bigger than ``INLINE``."""

    delivery: ClaimedDelivery
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt.

    :ivar delay: seconds until the next attempt, for status ``pending``.
    :ivar error: short phrase for the log, "" on success.
    :ivar started_at: Unix time.
    """

    message_id: str
    fence: int
    status: DeliveryStatus
    delay: float | None
    error: str
    status_code: int | None
    started_at: float
    duration_ms: int


async def claim(
    cur: Cursor,
    *,
    limit: int,
    lease: float,
    room: int,
    rooms: Mapping[str, int],
    ids: Sequence[str] | None = None,
) -> list[Claim]:
    """Take due deliveries for this process.

    An agent that switched to local mode has an empty ``webhook_url`` and host in its claim: there is nothing to post
    to, and the caller ends the delivery.

    :param limit: most rows to look at.
    :param lease: seconds after which another process may take them.
    :param room: how many to take for one host, unless ``rooms`` says otherwise.
    :param rooms: hosts known here and how many more each can take; 0 leaves a host's rows out of the search.
    :param ids: only these messages; None searches everything that is due, longest overdue first.
    """
    parameters = {
        "limit": limit,
        "lease": lease,
        "room": room,
        "full": [host for host, free in rooms.items() if free <= 0],
        "hosts": list(rooms),
        "rooms": list(rooms.values()),
        "inline": INLINE,
    }
    if ids is None:
        return await many(cur, _CLAIM_DUE, parameters, _load_claim)
    return await many(cur, _CLAIM_IDS, {**parameters, "ids": list(ids)}, _load_claim)


async def record_outcomes(cur: Cursor, outcomes: Iterable[Outcome]) -> int:
    """Write what came of attempts, each only if its lease was not taken over; writing one again changes nothing.

    :returns: how many were news.
    """
    rows = sorted(outcomes, key=lambda outcome: outcome.message_id)
    columns = (
        [row.message_id for row in rows],
        [row.fence for row in rows],
        [row.status for row in rows],
        [row.delay for row in rows],
        [row.error for row in rows],
        [row.status_code for row in rows],
        [row.started_at for row in rows],
        [row.duration_ms for row in rows],
    )
    return await execute(cur, _RECORD, columns)


async def release(cur: Cursor, held: Iterable[tuple[str, int]], delay: float) -> int:
    """Give claims back unattempted: due again after ``delay`` seconds, the attempt not counted.

    :param held: message id and fence of each.
    """
    pairs = sorted(held)
    return await execute(cur, _RELEASE, (delay, [pair[0] for pair in pairs], [pair[1] for pair in pairs]))


async def list_deliveries(
    cur: Cursor, agent_id: str, status: DeliveryStatus, *, limit: int, before: str | None = None
) -> list[Delivery]:
    """An agent's deliveries in one state, newest message first, without their logs.

    :param before: message id of the last entry of the previous page.
    """
    parameters = {"agent": agent_id, "status": status, "before": before, "limit": limit}
    return await many(cur, _LIST, parameters, lambda row: Delivery(*row))


async def get_delivery(cur: Cursor, agent_id: str, message_id: str) -> Delivery | None:
    """One message's delivery with every attempt; None when it has none, or belongs to another agent."""
    found = await maybe(cur, _GET, (message_id, agent_id), lambda row: Delivery(*row))
    if found is None:
        return None
    log = await many(cur, _LOG, (message_id,), lambda row: DeliveryAttempt(*row))
    return replace(found, log=tuple(log))


async def redeliver(cur: Cursor, agent_id: str, message_id: str) -> Delivery | None:
    """Make a message's delivery due now, with the whole schedule ahead, whatever became of it before.

    A delivery that is still pending stays as it is; a message that never had one gets one.

    :returns: the delivery as it then is; None when the agent has no such message.
    :raises Conflict: the agent has no webhook.
    """
    mode = await maybe(cur, _MODE, (message_id, agent_id), lambda row: row.agent_mode)
    if mode is None:
        return None
    if mode != "cloud":
        raise Conflict("the agent is in local mode and has no webhook to deliver to")
    if await execute(cur, _RENEW, (message_id, agent_id)):
        await cur.execute(_TELL, (agent_id, message_id))
    return await get_delivery(cur, agent_id, message_id)


def _load_claim(row: Any) -> Claim:
    delivery = ClaimedDelivery(
        message=load_message(row),
        webhook_url=row.webhook_url,
        host=row.webhook_host,
        organisation_id=row.organisation_id,
        attempt=row.attempts,
        fence=row.fence,
    )
    return Claim(delivery, None if row.data is None else bytes(row.data))
