"""What people wrote to the operator, and whom it has still to be passed on to."""

from __future__ import annotations

from dataclasses import dataclass

from .rows import Cursor, execute, many, maybe

_ADD = "INSERT INTO feedback (id, category, message, email, user_id) VALUES (%s, %s, %s, %s, %s)"
# The lease is the next attempt: who dies with it in hand needs no cleaning up.
_CLAIM = """
    WITH due AS (
        SELECT id FROM feedback WHERE next_attempt_at <= now() ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE feedback AS f SET next_attempt_at = now() + %s * interval '1 second', attempts = attempts + 1
    FROM due WHERE f.id = due.id
    RETURNING f.id, f.category, f.message, f.email, f.issue_url, f.attempts
"""
_LOCK_UNMAILED = "SELECT id FROM feedback WHERE id = %s AND mailed_at IS NULL FOR UPDATE"
_MAILED = "UPDATE feedback SET mailed_at = now() WHERE id = %s"
_FILED = "UPDATE feedback SET issue_url = %s WHERE id = %s"
_RETRY = "UPDATE feedback SET next_attempt_at = now() + %s * interval '1 second' WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Due:
    """Feedback that is to be passed on.

    :ivar issue_url: "" until there is an issue.
    :ivar attempts: this one included.
    """

    id: str
    category: str
    message: str
    email: str
    issue_url: str
    attempts: int


async def add_feedback(
    cur: Cursor, feedback_id: str, category: str, message: str, email: str, user_id: str | None
) -> None:
    await execute(cur, _ADD, (feedback_id, category, message, email, user_id))


async def claim(cur: Cursor, limit: int, lease: float) -> list[Due]:
    """Take what is due, for ``lease`` seconds."""
    return await many(cur, _CLAIM, (limit, lease), lambda row: Due(*row))


async def lock_unmailed(cur: Cursor, feedback_id: str) -> bool:
    """Whether it is still to be mailed, which nobody else decides until the transaction ends."""
    return await maybe(cur, _LOCK_UNMAILED, (feedback_id,), lambda row: row) is not None


async def mailed(cur: Cursor, feedback_id: str) -> None:
    await execute(cur, _MAILED, (feedback_id,))


async def filed(cur: Cursor, feedback_id: str, issue_url: str) -> None:
    await execute(cur, _FILED, (issue_url, feedback_id))


async def next_attempt(cur: Cursor, feedback_id: str, delay: float | None) -> None:
    """:param delay: seconds until it is due again; None: never."""
    await execute(cur, _RETRY, (delay, feedback_id))
