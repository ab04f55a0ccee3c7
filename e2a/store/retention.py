"""Forgetting: each call removes one bounded batch and says how much it was; call again until it says 0.

A batch is short, so that it never holds up the mail that arrives meanwhile, and passes over what another replica is
removing.
"""

from __future__ import annotations

from collections.abc import Iterable

from .rows import Cursor, execute, many

#: Rows of one batch.
BATCH = 1000

_EXPIRED_MESSAGES = """
    WITH old AS (
        SELECT id FROM messages WHERE expires_at <= now() LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM messages USING old WHERE messages.id = old.id RETURNING messages.raw_id
"""
_AGENTS_MESSAGES = """
    DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE agent_id = %s LIMIT %s) RETURNING raw_id
"""
_LOCK_MAILBOX = "SELECT 1 FROM mailboxes WHERE agent_id = %s FOR UPDATE"
# Two replicas may remove the two last copies of the same bytes at once, and neither sees what the other does. The lock
# puts them in a row; the statement after it sees what the one before has committed.
_LOCK_RAWS = "SELECT 1 FROM raw_messages WHERE id = ANY ($1) ORDER BY id FOR UPDATE"
_DELETE_RAWS = """
    DELETE FROM raw_messages AS r WHERE id = ANY ($1) AND NOT EXISTS (SELECT FROM messages WHERE raw_id = r.id)
"""
_NEXT_RAWS = "SELECT id FROM raw_messages WHERE id > %s ORDER BY id LIMIT %s"
_OLD_FINGERPRINTS = """
    WITH old AS (
        SELECT agent_id, fingerprint FROM fingerprints WHERE seen_at < now() - interval '8 days'
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM fingerprints AS f USING old WHERE f.agent_id = old.agent_id AND f.fingerprint = old.fingerprint
"""
_EXPIRED_SESSIONS = """
    WITH old AS (
        SELECT token_hash FROM user_sessions WHERE expires_at <= now() LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM user_sessions AS s USING old WHERE s.token_hash = old.token_hash
"""
_OLD_INVITATIONS = """
    WITH old AS (
        SELECT id FROM invitations
        WHERE least(expires_at, accepted_at, revoked_at) < now() - interval '30 days' LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM invitations AS i USING old WHERE i.id = old.id
"""
_OLD_SIGNINS = """
    WITH old AS (
        SELECT state_hash FROM signin_states WHERE expires_at <= now() LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM signin_states AS s USING old WHERE s.state_hash = old.state_hash
"""
_OLD_LINKS = """
    WITH old AS (
        SELECT token_hash FROM signin_links WHERE expires_at <= now() LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM signin_links AS l USING old WHERE l.token_hash = old.token_hash
"""
# What was passed on to nobody is in this table alone.
_OLD_FEEDBACK = """
    WITH old AS (
        SELECT id FROM feedback
        WHERE created_at < now() - interval '90 days' AND next_attempt_at IS NULL
            AND (mailed_at IS NOT NULL OR issue_url <> '')
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM feedback AS f USING old WHERE f.id = old.id
"""


async def forget_expired_messages(cur: Cursor, limit: int = BATCH) -> int:
    """Remove expired messages with their deliveries, and the bytes that no copy is left of."""
    raw_ids = await many(cur, _EXPIRED_MESSAGES, (limit,), lambda row: row.raw_id)
    await forget_raws(cur, raw_ids)
    return len(raw_ids)


async def forget_fingerprints(cur: Cursor, limit: int = BATCH) -> int:
    """Remove fingerprints a day after they have stopped to matter."""
    return await execute(cur, _OLD_FINGERPRINTS, (limit,))


async def forget_sessions(cur: Cursor, limit: int = BATCH) -> int:
    """Remove expired sessions."""
    return await execute(cur, _EXPIRED_SESSIONS, (limit,))


async def forget_invitations(cur: Cursor, limit: int = BATCH) -> int:
    """Remove invitations 30 days after they were accepted, withdrawn, or ran out."""
    return await execute(cur, _OLD_INVITATIONS, (limit,))


async def forget_signins(cur: Cursor, limit: int = BATCH) -> int:
    """Remove sign-ins that were begun and never finished, once they cannot be any more."""
    return await execute(cur, _OLD_SIGNINS, (limit,))


async def forget_links(cur: Cursor, limit: int = BATCH) -> int:
    """Remove sign-in links that ran out."""
    return await execute(cur, _OLD_LINKS, (limit,))


async def forget_feedback(cur: Cursor, limit: int = BATCH) -> int:
    """Remove feedback 90 days after it was written, if the operator got it by mail or as an issue."""
    return await execute(cur, _OLD_FEEDBACK, (limit,))


async def sweep_raws(cur: Cursor, after: str = "", limit: int = BATCH) -> tuple[str, int]:
    """Walk over the stored bytes and remove what has no copy, as a cascade (an organisation that went) leaves it.

    :param after: where the walk stands: the id that the call before answered, ``""`` to begin.
    :returns: where it stands now, ``""`` at the end; and how many were removed.
    """
    ids = await many(cur, _NEXT_RAWS, (after, limit), lambda row: str(row.id))
    removed = 0
    if ids:
        await cur.execute_prepared("delete_raws", "text[]", _DELETE_RAWS, (ids,))
        removed = int(cur.rowcount)
    return (ids[-1] if len(ids) == limit else ""), removed


async def forget_agent(cur: Cursor, agent_id: str) -> int:
    """Remove all of an agent's messages, and the bytes that nobody else holds a copy of.

    To be called in the transaction that deletes the agent, before that: it locks the mailbox first, as intake does, so
    that the two cannot wait for each other.

    :returns: how many messages went.
    """
    await execute(cur, _LOCK_MAILBOX, (agent_id,))
    removed = 0
    raw_ids: list[str] = []
    while True:
        batch = await many(cur, _AGENTS_MESSAGES, (agent_id, BATCH), lambda row: row.raw_id)
        if not batch:
            break
        removed += len(batch)
        raw_ids += batch
    await forget_raws(cur, raw_ids)
    return removed


async def forget_raws(cur: Cursor, raw_ids: Iterable[str | None]) -> None:
    """Remove those of these bytes that no message holds any more."""
    ids = sorted({raw_id for raw_id in raw_ids if raw_id is not None})
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        await cur.later_prepared("lock_raws", "text[]", _LOCK_RAWS, (batch,))
        await cur.later_prepared("delete_raws", "text[]", _DELETE_RAWS, (batch,))
