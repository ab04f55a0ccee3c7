"""Erasing people and organisations.

First, in one transaction, the person goes with every credential, and the organisations that are to go with them are
marked. Then these are stopped: their mailboxes are taken away, so that no mail comes in any more, and what waits to be
sent or decided about is dropped. Then mail and other long lists go in batches, in the end what is left. Whoever finds a
mark may go on with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from e2a.core.entities import Role, User

from .changes import tell
from .retention import BATCH, forget_raws
from .rows import Cursor, execute, many, maybe, one

# The organisations first: no key, agent or member is added to them while their lock is held (foreign keys share it).
_MEMBERSHIPS = """
    SELECT o.id, m.role FROM organisations o JOIN memberships m ON m.organisation_id = o.id
    WHERE m.user_id = %s ORDER BY o.id FOR UPDATE OF o
"""
_OTHERS = """
    SELECT organisation_id, role FROM memberships WHERE organisation_id = ANY (%s) AND user_id <> %s
"""
_USER = "SELECT id, email, name, created_at FROM users WHERE id = %s FOR UPDATE"
# In the order of intake, which locks several. Whatever intake has under way is committed before, or finds nothing.
_LOCK_MAILBOXES = """
    SELECT m.agent_id FROM mailboxes m JOIN agents a ON a.id = m.agent_id
    WHERE a.organisation_id = ANY (%s) ORDER BY m.agent_id FOR UPDATE OF m
"""
_DROP_MAILBOXES = "DELETE FROM mailboxes WHERE agent_id = ANY (%s)"
_COUNTS = """
    WITH own AS MATERIALIZED (SELECT id FROM agents WHERE organisation_id = ANY (%(organisations)s) AND id <> %(kept)s)
    SELECT
        (SELECT count(*) FROM own) AS agents_deleted,
        (SELECT count(*) FROM domains WHERE organisation_id = ANY (%(organisations)s)) AS domains_deleted,
        (SELECT count(*) FROM api_keys WHERE organisation_id = ANY (%(organisations)s) OR user_id = %(user)s)
            AS api_keys_deleted,
        (SELECT count(*) FROM signing_secrets WHERE organisation_id = ANY (%(organisations)s))
            AS signing_secrets_deleted,
        (SELECT count(*) FROM suppressions WHERE organisation_id = ANY (%(organisations)s)) AS suppressions_deleted,
        (SELECT count(*) FROM delegations d JOIN own ON own.id = d.agent_id) AS delegations_deleted,
        (SELECT count(*) FROM invitations WHERE organisation_id = ANY (%(organisations)s)) AS invitations_deleted,
        (SELECT count(*) FROM user_sessions WHERE user_id = %(user)s) AS sessions_deleted
"""
_LONG_COUNTS = """
    SELECT
        (SELECT count(*) FROM usage_events WHERE organisation_id = ANY (%(organisations)s)) AS usage_events_deleted,
        (SELECT count(*) FROM usage_summaries WHERE organisation_id = ANY (%(organisations)s))
            AS usage_summaries_deleted,
        (SELECT count(*) FROM agents a JOIN messages m ON m.agent_id = a.id
            WHERE a.organisation_id = ANY (%(organisations)s)) AS messages_deleted,
        (SELECT count(*) FROM agents a JOIN webhook_deliveries w ON w.agent_id = a.id
            WHERE a.organisation_id = ANY (%(organisations)s)) AS webhook_deliveries_deleted,
        (SELECT count(*) FROM audit_events WHERE organisation_id = ANY (%(audited)s)) AS audit_events_deleted
"""
_MARK = "UPDATE organisations SET erased_since = now(), name = '' WHERE id = ANY (%s)"
_KEYS = "SELECT id FROM api_keys WHERE organisation_id = ANY (%s) OR user_id = %s"
_SESSIONS = "SELECT encode(token_hash, 'hex') AS digest FROM user_sessions WHERE user_id = %s"
_AGENTS = "SELECT id FROM agents WHERE organisation_id = ANY (%s) ORDER BY id"
_DOMAINS = "SELECT name FROM domains WHERE organisation_id = ANY (%s)"
_DROP_KEYS = "DELETE FROM api_keys WHERE organisation_id = ANY (%s)"
# What would still go out by itself.
_DROP_WAITING = """
    DELETE FROM messages WHERE organisation_id = ANY (%s) AND direction = 'outbound'
        AND status IN ('pending_approval', 'queued') RETURNING raw_id
"""
_STOP_DELIVERIES = "UPDATE agents SET agent_mode = 'local', webhook_url = '' WHERE organisation_id = ANY (%s)"
_UNNAME_FEEDBACK = "UPDATE feedback SET email = '' WHERE user_id = %s OR lower(email) = lower(%s)"
# Nobody joins what is going: they would see what is left of it.
_DROP_OPEN_DOORS = "DELETE FROM invitations WHERE organisation_id = ANY (%s)"
_DROP_INVITATIONS = "DELETE FROM invitations WHERE lower(email) = lower(%s)"
_DROP_USER = "DELETE FROM users WHERE id = %s"

_MARKED = "SELECT id FROM organisations WHERE erased_since IS NOT NULL ORDER BY erased_since LIMIT 100"
_MESSAGES = """
    DELETE FROM messages WHERE id IN (
        SELECT m.id FROM agents a JOIN messages m ON m.agent_id = a.id
        WHERE a.organisation_id = %s LIMIT %s FOR UPDATE OF m SKIP LOCKED
    ) RETURNING raw_id
"""
_FINGERPRINTS = """
    DELETE FROM fingerprints WHERE (agent_id, fingerprint) IN (
        SELECT f.agent_id, f.fingerprint FROM agents a JOIN fingerprints f ON f.agent_id = a.id
        WHERE a.organisation_id = %s LIMIT %s FOR UPDATE OF f SKIP LOCKED
    )
"""
_LISTS = tuple(
    f"""
    DELETE FROM {table} WHERE {key} IN (
        SELECT {key} FROM {table} WHERE organisation_id = %s LIMIT %s FOR UPDATE SKIP LOCKED
    )
    """
    for table, key in (("usage_events", "id"), ("audit_events", "id"))
)
_LOCK_MARKED = "SELECT id FROM organisations WHERE id = %s AND erased_since IS NOT NULL FOR UPDATE"
_COUNTERS = "DELETE FROM rate_events WHERE split_part(key, ':', 2) = ANY (%s)"
_FREED = "DELETE FROM storage_freed WHERE agent_id = ANY (%s)"
_LAST_FINGERPRINTS = "DELETE FROM fingerprints WHERE agent_id = ANY (%s)"
_DROP_AGENTS = "DELETE FROM agents WHERE organisation_id = %s AND id <> %s"
_DROP_DOMAINS = "DELETE FROM domains WHERE organisation_id = %s"
_DROP_ORGANISATION = "DELETE FROM organisations WHERE id = %s"
#: What hangs on an organisation that is emptied and stays. (What hangs on its agents and domains goes with them.)
_EMPTIED = (
    "api_keys",
    "signing_secrets",
    "suppressions",
    "idempotency_keys",
    "message_days",
    "usage_summaries",
)
_UNMARK = "UPDATE organisations SET erased_since = NULL, name = 'operator' WHERE id = %s"


@dataclass(frozen=True, slots=True)
class Belonging:
    """An organisation that the person belongs to, locked.

    :ivar others: the roles of its other members.
    """

    organisation_id: str
    role: Role
    others: tuple[Role, ...]


async def belongings(cur: Cursor, user_id: str) -> list[Belonging]:
    """The person's organisations, which stay as they are until the transaction ends."""
    own = await many(cur, _MEMBERSHIPS, (user_id,), lambda row: (str(row.id), row.role))
    found = await many(cur, _OTHERS, ([name for name, _ in own], user_id), tuple)
    return [
        Belonging(name, role, tuple(other for organisation, other in found if organisation == name))
        for name, role in own
    ]


async def lock_user(cur: Cursor, user_id: str) -> User | None:
    """The person, kept as they are until the transaction ends."""
    return await maybe(cur, _USER, (user_id,), lambda row: User(*row))


async def count(cur: Cursor, user_id: str, organisations: Sequence[str], *, kept_agent: str) -> dict[str, int]:
    """How many rows will go of each kind that nothing adds to any more, under the names that answers have."""
    values = {"organisations": list(organisations), "user": user_id, "kept": kept_agent}
    return await one(cur, _COUNTS, values, _numbers)


async def count_long(cur: Cursor, organisations: Sequence[str], *, kept_organisation: str) -> dict[str, int]:
    """The same for the long lists. ``stop`` comes before in the same transaction, so that nothing is added."""
    audited = [name for name in organisations if name != kept_organisation]
    return await one(cur, _LONG_COUNTS, {"organisations": list(organisations), "audited": audited}, _numbers)


def _numbers(row: Any) -> dict[str, int]:
    return {name: int(value) for name, value in row._asdict().items()}


async def mark(cur: Cursor, organisations: Sequence[str]) -> None:
    """Begin the erasure of these organisations."""
    await execute(cur, _MARK, (list(organisations),))
    await execute(cur, _DROP_OPEN_DOORS, (list(organisations),))
    await tell(cur, "agent", await many(cur, _AGENTS, (list(organisations),), lambda row: str(row.id)))
    await tell(cur, "secret", organisations)


async def stop(cur: Cursor, organisations: Sequence[str], *, kept_agent: str) -> int:
    """Let nothing in and out any more: mail that is being received for these organisations' agents is answered that
    they are gone, and what would be sent, decided or delivered by itself is not.

    :param kept_agent: an agent that goes on receiving.
    :returns: how many messages went, which were still to be sent.
    """
    scope = (list(organisations),)
    mailboxes = await many(cur, _LOCK_MAILBOXES, scope, lambda row: str(row.agent_id))
    await execute(cur, _DROP_MAILBOXES, ([agent for agent in mailboxes if agent != kept_agent],))
    waiting = await many(cur, _DROP_WAITING, scope, lambda row: row.raw_id)
    await forget_raws(cur, waiting)
    await execute(cur, _STOP_DELIVERIES, scope)
    return len(waiting)


async def drop_counters(cur: Cursor, whom: Sequence[str]) -> None:
    """Forget what was counted for these: people, their addresses, organisations, agents."""
    await execute(cur, _COUNTERS, (list(whom),))


async def drop_user(cur: Cursor, user: User, organisations: Sequence[str]) -> None:
    """Delete the person with their credentials, wherever these are, and all keys of the organisations; nobody is told
    any more who wrote feedback, or who was invited.

    :param organisations: those that go with the person.
    """
    await tell(cur, "key", await many(cur, _KEYS, (list(organisations), user.id), lambda row: str(row.id)))
    await tell(cur, "session", await many(cur, _SESSIONS, (user.id,), lambda row: str(row.digest)))
    await execute(cur, _DROP_KEYS, (list(organisations),))
    await execute(cur, _UNNAME_FEEDBACK, (user.id, user.email))
    await execute(cur, _DROP_INVITATIONS, (user.email,))
    await execute(cur, _DROP_USER, (user.id,))


async def marked(cur: Cursor) -> list[str]:
    """Organisations whose erasure has begun and is not over, the one that began first before the others."""
    return await many(cur, _MARKED, (), lambda row: str(row.id))


async def erase_messages(cur: Cursor, organisation_id: str, limit: int = BATCH) -> int:
    """Remove a batch of an organisation's messages, and the bytes that nobody else holds a copy of."""
    raw_ids = await many(cur, _MESSAGES, (organisation_id, limit), lambda row: row.raw_id)
    await forget_raws(cur, raw_ids)
    return len(raw_ids)


async def erase_lists(cur: Cursor, organisation_id: str, kept_organisation: str, limit: int = BATCH) -> int:
    """Remove a batch of an organisation's other long lists.

    :param kept_organisation: the one whose audit log stays.
    """
    removed = await execute(cur, _FINGERPRINTS, (organisation_id, limit))
    for sql in _LISTS:
        if organisation_id != kept_organisation or "audit_events" not in sql:
            removed += await execute(cur, sql, (organisation_id, limit))
    return removed


async def finish(cur: Cursor, organisation_id: str, *, kept_agent: str, kept_organisation: str) -> bool:
    """Remove what the batches have left.

    :param kept_organisation: the one that is emptied and stays, with ``kept_agent``.
    :returns: False when somebody else was there first.
    """
    if await maybe(cur, _LOCK_MARKED, (organisation_id,), lambda row: row) is None:
        return False
    scope = ([organisation_id],)
    agents = await many(cur, _AGENTS, scope, lambda row: str(row.id))
    domains = await many(cur, _DOMAINS, scope, lambda row: str(row.name))
    await execute(cur, _DROP_AGENTS, (organisation_id, kept_agent))
    await execute(cur, _DROP_DOMAINS, (organisation_id,))
    await execute(cur, _LAST_FINGERPRINTS, (agents,))
    await drop_counters(cur, [organisation_id, *agents])
    if organisation_id == kept_organisation:
        for table in _EMPTIED:
            await execute(cur, f"DELETE FROM {table} WHERE organisation_id = %s", (organisation_id,))
        await execute(cur, _UNMARK, (organisation_id,))
    else:
        await execute(cur, _DROP_ORGANISATION, (organisation_id,))
    # Last: a trigger counts what goes.
    await execute(cur, _FREED, ([agent for agent in agents if agent != kept_agent],))
    await tell(cur, "agent", agents)
    await tell(cur, "domain", domains)
    return True
