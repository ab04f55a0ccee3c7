"""Which requests have had their effect already, and what came of it.

A key is claimed in the transaction of the effect: of several equal requests one commits, the others find its row.
"""

from __future__ import annotations

from collections.abc import Sequence

from e2a.core.errors import KeyReuse
from e2a.core.rules.idempotency import Once

from .retention import BATCH
from .rows import Cursor, execute

_FIND = """
    SELECT wanted.place, found.* FROM unnest($1, $2, $3) WITH ORDINALITY AS wanted (organisation_id, route, key, place)
    CROSS JOIN LATERAL (
        SELECT request_hash, resource_id FROM idempotency_keys AS k
        WHERE k.organisation_id = wanted.organisation_id AND k.route = wanted.route AND k.key = wanted.key
            AND k.created_at > now() - interval '24 hours' LIMIT 1
    ) AS found
"""
_CLAIM = """
    INSERT INTO idempotency_keys AS k (organisation_id, route, key, request_hash, resource_id)
    SELECT * FROM unnest($1, $2, $3, $4, $5)
    ON CONFLICT (organisation_id, route, key) DO UPDATE
        SET request_hash = EXCLUDED.request_hash, resource_id = EXCLUDED.resource_id, created_at = now()
        WHERE k.created_at <= now() - interval '24 hours'
    RETURNING resource_id
"""
_GIVE_BACK = "DELETE FROM idempotency_keys WHERE organisation_id = $1 AND route = $2 AND key = $3"
_FORGET = """
    WITH old AS (
        SELECT organisation_id, route, key FROM idempotency_keys WHERE created_at < now() - interval '25 hours'
        LIMIT %s FOR UPDATE SKIP LOCKED
    )
    DELETE FROM idempotency_keys AS k USING old
    WHERE k.organisation_id = old.organisation_id AND k.route = old.route AND k.key = old.key
"""


#: What a request made before; None when it is new; the error when its key came with another request.
Earlier = str | KeyReuse | None


async def find(cur: Cursor, once: Once) -> str | None:
    """What this very request made before; None when it is new.

    :raises KeyReuse: the key came with another request.
    """
    (earlier,) = await find_all(cur, [once])
    return _made(earlier)


async def find_all(cur: Cursor, wanted: Sequence[Once]) -> list[Earlier]:
    """As ``find``, for several requests, in order."""
    columns = (
        [once.organisation_id for once in wanted],
        [once.route for once in wanted],
        [once.key for once in wanted],
    )
    await cur.execute_prepared("find_requests", "text[], text[], text[]", _FIND, columns)
    earlier: list[Earlier] = [None] * len(wanted)
    for row in cur.fetchall():
        same = bytes(row.request_hash) == wanted[row.place - 1].digest
        earlier[row.place - 1] = str(row.resource_id) if same else KeyReuse()
    return earlier


async def claim(cur: Cursor, once: Once, resource_id: str) -> str | None:
    """Mark the request as having made ``resource_id``, when this transaction commits.

    Waits for another transaction that is making the same claim.

    :returns: None; or what the request made before, and then this transaction must have no effect.
    :raises KeyReuse: the key came with another request.
    """
    (earlier,) = await claim_all(cur, [(once, resource_id)])
    return _made(earlier)


async def claim_all(cur: Cursor, wanted: Sequence[tuple[Once, str]]) -> list[Earlier]:
    """As ``claim``, for requests with different keys, each with the id of what it would make.

    :returns: of each of them, in order, what was made before, and then this transaction must have no effect for it.
    """
    # Keys are waited for in one order by everybody.
    ordered = sorted(wanted, key=lambda one: (one[0].organisation_id, one[0].route, one[0].key))
    columns = (
        [once.organisation_id for once, _ in ordered],
        [once.route for once, _ in ordered],
        [once.key for once, _ in ordered],
        [once.digest for once, _ in ordered],
        [resource_id for _, resource_id in ordered],
    )
    await cur.execute_prepared("claim_requests", "text[], text[], text[], bytea[], text[]", _CLAIM, columns)
    claimed = {str(row.resource_id) for row in cur.fetchall()}
    if len(claimed) == len(wanted):
        return [None] * len(wanted)
    earlier = await find_all(cur, [once for once, _ in wanted])
    return [None if new in claimed else made for (_, new), made in zip(wanted, earlier, strict=True)]


async def give_back(cur: Cursor, once: Once) -> None:
    """Take back a claim of this transaction: the request has had no effect."""
    values = (once.organisation_id, once.route, once.key)
    await cur.later_prepared("give_back_request", "text, text, text", _GIVE_BACK, values)


def _made(earlier: Earlier) -> str | None:
    if isinstance(earlier, KeyReuse):
        raise earlier
    return earlier


async def forget(cur: Cursor, limit: int = BATCH) -> int:
    """Remove keys an hour after they have stopped to matter."""
    return await execute(cur, _FORGET, (limit,))
