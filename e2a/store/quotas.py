"""What organisations may have, and what they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from e2a.core.rules.limits import QUOTAS, QuotaName, Quotas

from .retention import BATCH
from .rows import Cursor, execute, many, maybe, one

_COLUMNS = ", ".join(f"quota_{name} AS {name}" for name in QUOTAS)
_OWN = f"SELECT {_COLUMNS} FROM organisations WHERE id = %s"
_SET = f"UPDATE organisations SET {', '.join(f'quota_{name} = %({name})s' for name in QUOTAS)} WHERE id = %(id)s"
_USED = """
    SELECT
        (SELECT count(*) FROM agents WHERE organisation_id = %(id)s) AS agents,
        (SELECT count(*) FROM domains WHERE organisation_id = %(id)s) AS domains,
        (SELECT coalesce(sum(m.bytes), 0)::bigint FROM agents AS a JOIN mailboxes AS m ON m.agent_id = a.id
            WHERE a.organisation_id = %(id)s) AS storage_bytes,
        coalesce((SELECT messages FROM message_days
            WHERE organisation_id = %(id)s AND day = (now() AT TIME ZONE 'UTC')::date), 0) AS messages_per_day
"""
# The row is the organisation's for the day: whoever counts holds it until the transaction ends.
_TAKE = """
    INSERT INTO message_days AS d (organisation_id, day, messages)
    SELECT $1, (now() AT TIME ZONE 'UTC')::date, 1 WHERE $2 > 0
    ON CONFLICT (organisation_id, day) DO UPDATE SET messages = d.messages + 1 WHERE d.messages < $2
    RETURNING messages
"""
_TAKE_ALL = """
    INSERT INTO message_days AS d (organisation_id, day, messages)
    SELECT id, (now() AT TIME ZONE 'UTC')::date, wanted FROM unnest($1, $2, $3) AS asked (id, wanted, most)
    WHERE wanted <= most
    ON CONFLICT (organisation_id, day) DO UPDATE SET messages = d.messages + EXCLUDED.messages
        WHERE d.messages + EXCLUDED.messages <= ($3)[array_position($1, d.organisation_id)]
    RETURNING organisation_id
"""
_ANY_STORAGE = "SELECT EXISTS (SELECT FROM organisations WHERE quota_storage_bytes IS NOT NULL) AS found"
_STORAGE = """
    SELECT o.id, o.quota_storage_bytes AS own, kept.bytes
    FROM unnest(%s::text[]) AS wanted (id) JOIN organisations AS o ON o.id = wanted.id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(m.bytes), 0)::bigint AS bytes
        FROM agents AS a JOIN mailboxes AS m ON m.agent_id = a.id WHERE a.organisation_id = o.id
    ) AS kept
"""
_OWNERS = "SELECT id, organisation_id FROM agents WHERE id = ANY (%s)"
# Rows before mailboxes, and mailboxes in the order of their agents, as intake takes them.
_FREED = "SELECT id, agent_id, bytes FROM storage_freed ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"
_LOCK_MAILBOXES = "SELECT agent_id FROM mailboxes WHERE agent_id = ANY (%s) ORDER BY agent_id FOR UPDATE"
_TAKE_OFF = """
    UPDATE mailboxes AS m SET bytes = greatest(m.bytes - freed.bytes, 0)
    FROM unnest(%s::text[], %s::bigint[]) AS freed (agent_id, bytes) WHERE m.agent_id = freed.agent_id
"""
_DROP_FREED = "DELETE FROM storage_freed WHERE id = ANY (%s)"
_OLD_DAYS = """
    WITH old AS (
        SELECT organisation_id, day FROM message_days WHERE day < (now() AT TIME ZONE 'UTC')::date - 1
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM message_days AS d USING old WHERE d.organisation_id = old.organisation_id AND d.day = old.day
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """How much mail an organisation keeps.

    :ivar own: its own quota; None: the deployment's.
    """

    organisation_id: str
    own: int | None
    bytes: int


async def own_quotas(cur: Cursor, organisation_id: str) -> Mapping[QuotaName, int | None] | None:
    """An organisation's own quotas, None where the deployment's hold; None when there is no such organisation."""
    return await maybe(cur, _OWN, (organisation_id,), lambda row: {name: getattr(row, name) for name in QUOTAS})


async def set_quotas(cur: Cursor, organisation_id: str, own: Mapping[QuotaName, int | None]) -> bool:
    """Whether there is such an organisation."""
    return await execute(cur, _SET, {**own, "id": organisation_id}) == 1


async def used(cur: Cursor, organisation_id: str) -> Quotas:
    """How much of everything the organisation has now."""
    return await one(cur, _USED, {"id": organisation_id}, lambda row: Quotas(*map(int, row)))


async def take_message(cur: Cursor, organisation_id: str, most: int) -> bool:
    """Count one message of today's, when this transaction commits; False when there were as many already.

    Others of the organisation wait until the transaction ends.
    """
    await cur.execute_prepared("take_message", "text, bigint", _TAKE, (organisation_id, most))
    return cur.fetchone() is not None


async def take_messages(cur: Cursor, wanted: Mapping[str, tuple[int, int]]) -> set[str]:
    """Count several messages of today's for each organisation, all of them or none.

    :param wanted: by organisation how many there are, and how many there may be on a day.
    :returns: the organisations that had room for all of theirs. The others may still have room for some.
    """
    ordered = sorted(wanted)
    columns = (ordered, [wanted[one][0] for one in ordered], [wanted[one][1] for one in ordered])
    await cur.execute_prepared("take_messages", "text[], bigint[], bigint[]", _TAKE_ALL, columns)
    return {str(row.organisation_id) for row in cur.fetchall()}


async def any_storage_quotas(cur: Cursor) -> bool:
    """Whether any organisation has a storage quota of its own."""
    return await one(cur, _ANY_STORAGE, (), lambda row: bool(row.found))


async def storage_of(cur: Cursor, organisation_ids: Sequence[str]) -> list[Kept]:
    """How much these organisations keep, those that are gone left out."""
    return await many(cur, _STORAGE, (list(organisation_ids),), lambda row: Kept(row.id, row.own, int(row.bytes)))


async def owners(cur: Cursor, agent_ids: Sequence[str]) -> dict[str, str]:
    """Each agent's organisation, those that are gone left out."""
    return dict(await many(cur, _OWNERS, (list(agent_ids),), lambda row: (row.id, row.organisation_id)))


async def take_off_freed(cur: Cursor, limit: int = BATCH) -> int:
    """Take what was deleted off the mailboxes' counts; returns how many notes of it were taken in."""
    notes = await many(cur, _FREED, (limit,), lambda row: (row.id, row.agent_id, int(row.bytes)))
    if not notes:
        return 0
    sums: dict[str, int] = {}
    for _, agent_id, size in notes:
        sums[agent_id] = sums.get(agent_id, 0) + size
    await execute(cur, _LOCK_MAILBOXES, (list(sums),))
    await execute(cur, _TAKE_OFF, (list(sums), list(sums.values())))
    await execute(cur, _DROP_FREED, ([note[0] for note in notes],))
    return len(notes)


async def forget_message_days(cur: Cursor, limit: int = BATCH) -> int:
    """Remove the counts of days that are over."""
    return await execute(cur, _OLD_DAYS, (limit,))
