"""The way out: what is due, who transmits it, and what came of it.

A job is claimed as a webhook delivery is: ``next_attempt_at`` moves to the end of a lease, ``fence`` counts up. Before
a message is transmitted its job goes to phase ``data``, guarded by the fence; from then on its outcome counts as
unknown until it is recorded. A job found in that phase with its lease over was left by a process that died: it is
never simply claimed (``take_lost``).

Locks are taken in one order: messages by id, then jobs, then recipients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from e2a.core.rules.sending import Settled, Target

from .changes import tell
from .retention import forget_raws
from .rows import Cursor, execute, many, maybe

#: Messages up to this many octets come with the claim itself; bigger ones are loaded when their attempt starts.
INLINE = 16_384

_SPLIT = """
    WITH whole AS MATERIALIZED (
        SELECT * FROM outbox
        WHERE destination = '' AND phase = 'ready' AND next_attempt_at <= now()
        ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED
    ), parts AS (
        UPDATE outbound_recipients r SET destination = lower(substring(r.address FROM '[^@]*$'))
        FROM whole WHERE r.message_id = whole.message_id AND r.route = 'smtp' AND r.destination = ''
        RETURNING r.message_id, r.destination, r.state
    ), made AS (
        INSERT INTO outbox (message_id, destination, attempts, unknowns, fence, gives_up_at, last_error, created_at)
        SELECT DISTINCT message_id, parts.destination, attempts, unknowns, fence, gives_up_at, last_error, created_at
        FROM whole JOIN parts USING (message_id) WHERE parts.state IN ('pending', 'unknown')
        ON CONFLICT DO NOTHING
    )
    DELETE FROM outbox o USING whole WHERE o.message_id = whole.message_id AND o.destination = ''
"""
_CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT message_id, destination, next_attempt_at FROM outbox
        WHERE next_attempt_at <= now() AND phase = 'ready' AND destination <> ALL ($1)
        ORDER BY next_attempt_at LIMIT $2
        FOR UPDATE SKIP LOCKED
    ), placed AS (
        SELECT *, row_number() OVER (PARTITION BY destination ORDER BY next_attempt_at, message_id) AS place FROM due
    ), claimed AS (
        UPDATE outbox o
        SET next_attempt_at = now() + make_interval(secs => $3), attempts = o.attempts + 1, fence = o.fence + 1
        FROM placed p LEFT JOIN unnest($4, $5) AS busy (destination, room)
            USING (destination)
        WHERE o.message_id = p.message_id AND o.destination = p.destination
            AND p.place <= coalesce(busy.room, $6)
        RETURNING o.*
    )
    SELECT c.message_id, c.destination, c.attempts, c.unknowns, c.fence, m.sender, m.raw_id, m.size, {targets},
        extract(epoch FROM c.gives_up_at - now())::float8 AS seconds_left, c.created_at,
        CASE WHEN r.size <= $7 THEN r.data END AS data
    FROM claimed c JOIN messages m ON m.id = c.message_id LEFT JOIN raw_messages r ON r.id = m.raw_id
    ORDER BY m.id
"""
_TARGETS = """
    ARRAY(
        SELECT state || ' ' || address FROM outbound_recipients r
        WHERE r.message_id = c.message_id AND r.destination = c.destination AND r.route = 'smtp'
            AND r.state IN ('pending', 'unknown')
        ORDER BY address
    ) AS targets
"""
_CLAIM = _CLAIM.format(targets=_TARGETS)
_CLAIM_TYPES = "text[], integer, float8, text[], integer[], integer, integer"
_LOST_IDS = """
    SELECT DISTINCT message_id FROM outbox WHERE phase = 'data' AND next_attempt_at <= now() LIMIT %s
"""
_LOST = f"""
    WITH c AS MATERIALIZED (
        SELECT * FROM outbox WHERE message_id = ANY (%s) AND phase = 'data' AND next_attempt_at <= now()
        ORDER BY message_id, destination FOR UPDATE SKIP LOCKED
    )
    SELECT c.message_id, c.destination, c.attempts, c.unknowns, c.fence, m.sender, m.raw_id, m.size, {_TARGETS},
        extract(epoch FROM c.gives_up_at - now())::float8 AS seconds_left, c.created_at,
        NULL::bytea AS data
    FROM c JOIN messages m ON m.id = c.message_id ORDER BY m.id
"""
_HELD = "unnest(%s::text[], %s::text[], %s::integer[]) AS held (message_id, destination, fence)"
_HELD_PREPARED = "unnest($1, $2, $3) AS held (message_id, destination, fence)"
_MINE = "o.message_id = held.message_id AND o.destination = held.destination AND o.fence = held.fence"
# Rows are locked in one order before they are changed: several processes do this with overlapping messages.
_BEGIN = f"""
    WITH mine AS MATERIALIZED (
        SELECT o.message_id, o.destination FROM outbox o JOIN {_HELD_PREPARED} ON {_MINE}
        WHERE o.phase = 'ready' AND o.next_attempt_at > now() ORDER BY 1, 2 FOR UPDATE OF o
    )
    UPDATE outbox o SET phase = 'data', next_attempt_at = now() + make_interval(secs => $4)
    FROM mine WHERE o.message_id = mine.message_id AND o.destination = mine.destination
    RETURNING o.message_id, o.destination, o.fence
"""
_RENEW = f"""
    WITH mine AS MATERIALIZED (
        SELECT o.message_id, o.destination FROM outbox o
            JOIN unnest(%s::text[], %s::text[], %s::integer[], %s::boolean[])
                AS held (message_id, destination, fence, begun) ON {_MINE}
        WHERE o.next_attempt_at > now() AND (o.phase = 'data' OR NOT held.begun) ORDER BY 1, 2 FOR UPDATE OF o
    )
    UPDATE outbox o SET next_attempt_at = now() + make_interval(secs => %s)
    FROM mine WHERE o.message_id = mine.message_id AND o.destination = mine.destination
    RETURNING o.message_id, o.destination, o.fence
"""
# The fence moves on: a begin of the same holder may still be on its way.
_RELEASE = f"""
    UPDATE outbox o SET phase = 'ready', next_attempt_at = now() + make_interval(secs => %s),
        attempts = greatest(o.attempts - 1, 0), fence = o.fence + 1
    FROM {_HELD} WHERE {_MINE} AND o.next_attempt_at IS NOT NULL
"""
_LOCK_MESSAGES = "SELECT id FROM messages WHERE id = ANY ($1) ORDER BY id FOR UPDATE"
_MARK = """
    UPDATE outbox o SET phase = 'ready', fence = o.fence + CASE WHEN d.recovered THEN 0 ELSE 1 END,
        next_attempt_at = now() + make_interval(secs => d.delay), unknowns = d.unknowns, last_error = d.error
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)
        AS d (message_id, destination, fence, delay, unknowns, kept, recovered, error)
    WHERE o.message_id = d.message_id AND o.destination = d.destination AND o.fence = d.fence
    RETURNING o.message_id, o.destination, d.fence, o.next_attempt_at IS NULL AND NOT d.kept AS finished
"""
_MARK_TYPES = "text[], text[], integer[], float8[], integer[], boolean[], boolean[], text[]"
_FINISH = """
    DELETE FROM outbox o USING unnest($1, $2) AS d (message_id, destination)
    WHERE o.message_id = d.message_id AND o.destination = d.destination
"""
# A recipient that a bounce has reached meanwhile keeps that.
_RECIPIENTS = """
    UPDATE outbound_recipients r SET state = d.state, code = d.code, reply = d.reply, updated_at = now()
    FROM unnest($1, $2, $3, $4, $5) AS d (message_id, address, state, code, reply)
    WHERE r.message_id = d.message_id AND r.address = d.address AND r.state IN ('pending', 'unknown')
"""
_RECIPIENTS_TYPES = "text[], text[], text[], integer[], text[]"
# Accepted by one is sent; what is still to come is seen at the recipients. A copy handed over inside counts only once
# the mail to people is through or has failed. One update for everything: each costs an entry in most of the indexes.
_SETTLE = """
    WITH counted AS MATERIALIZED (
        SELECT r.message_id,
            count(*) FILTER (WHERE r.state = 'pending') AS pending,
            count(*) FILTER (WHERE r.state = 'unknown') AS unknown,
            count(*) FILTER (WHERE r.state IN ('sent', 'bounced') AND r.route = 'smtp') AS sent,
            count(*) FILTER (WHERE r.state IN ('sent', 'bounced') AND r.route = 'loopback') AS handed_over
        FROM outbound_recipients r WHERE r.message_id = ANY ($1) GROUP BY r.message_id
    ), decided AS MATERIALIZED (
        SELECT m.id, m.raw_id, CASE WHEN sent > 0 THEN m.sent_status WHEN pending > 0 THEN 'queued'
                WHEN handed_over > 0 THEN m.sent_status WHEN unknown > 0 THEN 'unknown' ELSE 'failed' END AS status
        FROM counted c JOIN messages m ON m.id = c.message_id
        WHERE m.status IN ('queued', 'unknown', 'sent', 'expired_approved', 'failed')
    ), settled AS (
        UPDATE messages m SET
            status = d.status,
            raw_id = CASE WHEN d.status = m.sent_status AND NOT EXISTS (SELECT FROM outbox o WHERE o.message_id = m.id)
                THEN NULL ELSE m.raw_id END,
            provider_message_id = CASE WHEN m.provider_message_id = '' THEN coalesce(named.provider, '')
                ELSE m.provider_message_id END
        FROM decided d LEFT JOIN unnest($3, $4) AS named (id, provider) USING (id)
        WHERE m.id = d.id
        RETURNING m.id, m.status, m.sent_status, m.agent_id, m.organisation_id,
            CASE WHEN m.raw_id IS NULL THEN d.raw_id END AS let_go
    ), used AS (
        INSERT INTO usage_events (id, organisation_id, agent_id, domain, direction)
        SELECT 'ue_' || id, organisation_id, agent_id, substring(agent_id FROM '[^@]*$'), 'outbound'
        FROM settled WHERE status = sent_status AND $2
        ON CONFLICT DO NOTHING
    )
    SELECT id, let_go FROM settled
"""
_BACKLOG = """
    SELECT count(*) AS jobs, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest FROM outbox
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A job in this process's hands: enough to give it back. A process may have lost a job and claimed it again: the
    fence tells which of the two this is."""

    message_id: str
    destination: str
    fence: int


@dataclass(frozen=True, slots=True)
class Job:
    """A message to one destination.

    :ivar destination: a recipient domain, or "" for the upstream server.
    :ivar attempt: counts from 1, this one included.
    :ivar unknowns: earlier attempts whose final answer was lost.
    :ivar sender: the From header's mailbox.
    :ivar raw_id: None when the bytes have been let go.
    :ivar raw: the bytes, if they are few.
    :ivar targets: recipients that are not settled.
    :ivar seconds_left: until it is given up.
    """

    message_id: str
    destination: str
    attempt: int
    unknowns: int
    fence: int
    sender: str
    raw_id: str | None
    size: int
    targets: tuple[Target, ...]
    seconds_left: float
    created_at: datetime
    raw: bytes | None = field(default=None, repr=False)

    @property
    def held(self) -> Held:
        return Held(self.message_id, self.destination, self.fence)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt.

    :ivar delay: seconds until the next one; None: the job is done, or ``kept`` without one.
    :ivar unknowns: attempts of the job so far whose final answer was lost.
    :ivar recovered: guessed by another process; who made the attempt may still know better.
    :ivar provider_id: the Message-ID the server named, or "".
    """

    held: Held
    recipients: tuple[Settled, ...]
    delay: float | None
    kept: bool
    unknowns: int
    error: str
    provider_id: str = ""
    recovered: bool = False


async def split(cur: Cursor, limit: int) -> int:
    """Divide due jobs for "all recipients" into one for each recipient domain; returns how many were divided."""
    return await execute(cur, _SPLIT, (limit,))


async def claim(cur: Cursor, *, limit: int, lease: float, room: int, rooms: Mapping[str, int]) -> list[Job]:
    """Take due jobs for this process, longest overdue first.

    :param lease: seconds after which another process may take them.
    :param room: how many to take for one destination, unless ``rooms`` says otherwise; 0 there leaves it out.
    """
    full = [name for name, free in rooms.items() if free <= 0]
    parameters = (full, limit, lease, list(rooms), list(rooms.values()), room, INLINE)
    await cur.execute_prepared("claim_outbox", _CLAIM_TYPES, _CLAIM, parameters)
    return [_load_job(row) for row in cur.fetchall()]


async def take_lost(cur: Cursor, limit: int) -> list[Job]:
    """Jobs whose process ended between DATA and the record, locked; an outcome must be recorded in this transaction."""
    ids = await many(cur, _LOST_IDS, (limit,), lambda row: str(row.message_id))
    if not ids:
        return []
    await _lock_messages(cur, ids)
    return await many(cur, _LOST, (ids,), _load_job)


async def begin(cur: Cursor, held: Sequence[Held], lease: float) -> set[Held]:
    """Phase ``data`` for those whose lease still stands; returns these. The lease begins anew."""
    await cur.execute_prepared("begin_data", "text[], text[], integer[], float8", _BEGIN, (*_columns(held), lease))
    return {_load_held(row) for row in cur.fetchall()}


async def renew(cur: Cursor, held: Sequence[Held], transmitting: Sequence[Held], lease: float) -> set[Held]:
    """Extend leases; returns those that still stood.

    :param transmitting: those of them known to be in phase ``data``: one that is not any more was taken for lost.
    """
    ordered, begun = _ordered(held), set(transmitting)
    parameters = (*_columns(ordered), [job in begun for job in ordered], lease)
    return set(await many(cur, _RENEW, parameters, _load_held))


async def release(cur: Cursor, held: Sequence[Held], delay: float) -> int:
    """Give jobs back of which nothing was transmitted: due again after ``delay`` seconds, the attempt not counted.
    Written again it changes nothing."""
    return await execute(cur, _RELEASE, (delay, *_columns(held)))


async def record(cur: Cursor, outcomes: Sequence[Outcome], *, usage: bool) -> int:
    """Write what came of attempts, each only if its job was not taken over; then settle the messages. The fence moves
    on, so writing an outcome again changes nothing.

    :param usage: whether a message that is sent writes a usage event, once.
    :returns: how many were news.
    """
    outcomes = sorted(outcomes, key=lambda outcome: (outcome.held.message_id, outcome.held.destination))
    ids = sorted({outcome.held.message_id for outcome in outcomes})
    await _lock_messages(cur, ids)
    marks = (
        *_columns([outcome.held for outcome in outcomes]),
        [outcome.delay for outcome in outcomes],
        [outcome.unknowns for outcome in outcomes],
        [outcome.kept for outcome in outcomes],
        [outcome.recovered for outcome in outcomes],
        [outcome.error for outcome in outcomes],
    )
    await cur.execute_prepared("mark_outbox", _MARK_TYPES, _MARK, marks)
    marked = {_load_held(row): row.finished for row in cur.fetchall()}
    news = [outcome for outcome in outcomes if outcome.held in marked]
    if not news:
        return 0
    finished = [held for held, done in marked.items() if done]
    places = ([held.message_id for held in finished], [held.destination for held in finished])
    await cur.later_prepared("finish_outbox", "text[], text[]", _FINISH, places)
    settled = [(outcome.held.message_id, recipient) for outcome in news for recipient in outcome.recipients]
    columns = (
        [message_id for message_id, _ in settled],
        [recipient.address for _, recipient in settled],
        [recipient.state for _, recipient in settled],
        [recipient.code for _, recipient in settled],
        [recipient.reply for _, recipient in settled],
    )
    await cur.later_prepared("settle_recipients", _RECIPIENTS_TYPES, _RECIPIENTS, columns)
    named = {outcome.held.message_id: outcome.provider_id for outcome in news if outcome.provider_id}
    await settle(cur, sorted({outcome.held.message_id for outcome in news}), usage=usage, named=named)
    return len(news)


async def settle(
    cur: Cursor, message_ids: Sequence[str], *, usage: bool, named: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Bring messages' status in line with their recipients, announce them as ``outbound <id>``, and let the bytes go of
    those that are sent and have no job any more; the others may be sent once more (``resending``). The messages' rows
    must be locked, or new in this transaction.

    :param named: the Message-ID that the server gave a message, by its id.
    """
    parameters = (list(message_ids), usage, list(named), list(named.values()))
    await cur.execute_prepared("settle_messages", "text[], boolean, text[], text[]", _SETTLE, parameters)
    rows = cur.fetchall()
    ids = [str(row.id) for row in rows]
    await forget_raws(cur, [row.let_go for row in rows])
    await tell(cur, "outbound", ids)


async def read_backlog(cur: Cursor) -> tuple[int, float]:
    """How many jobs there are, and the age of the oldest in seconds."""
    found = await maybe(cur, _BACKLOG, (), lambda row: (int(row.jobs), float(row.oldest)))
    return found or (0, 0.0)


async def _lock_messages(cur: Cursor, message_ids: Sequence[str]) -> None:
    await cur.later_prepared("lock_messages", "text[]", _LOCK_MESSAGES, (list(message_ids),))


def _ordered(held: Iterable[Held]) -> list[Held]:
    return sorted(held, key=lambda job: (job.message_id, job.destination))


def _columns(held: Iterable[Held]) -> tuple[list[str], list[str], list[int]]:
    rows = _ordered(held)
    return [job.message_id for job in rows], [job.destination for job in rows], [job.fence for job in rows]


def _load_held(row: Any) -> Held:
    return Held(row.message_id, row.destination, row.fence)


def _load_job(row: Any) -> Job:
    pairs = [text.partition(" ") for text in row.targets]
    return Job(
        message_id=row.message_id,
        destination=row.destination,
        attempt=row.attempts,
        unknowns=row.unknowns,
        fence=row.fence,
        sender=row.sender,
        raw_id=row.raw_id,
        size=row.size,
        targets=tuple(Target(address, "unknown" if state == "unknown" else "pending") for state, _, address in pairs),
        seconds_left=row.seconds_left,
        created_at=row.created_at,
        raw=None if row.data is None else bytes(row.data),
    )
