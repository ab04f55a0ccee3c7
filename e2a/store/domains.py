"""Claims on domain names. Several organisations may claim one name, one of them can have proved it."""

from __future__ import annotations

from typing import Any

from psycopg2.errors import ForeignKeyViolation, UniqueViolation

from e2a.core.entities import Domain
from e2a.core.errors import BadRequest, Conflict

from .changes import tell
from .rows import Cursor, execute, many, maybe, one

_COLUMNS = "id, name, organisation_id, verification_token, created_at, verified_at"
_OWN = f"SELECT {_COLUMNS} FROM domains WHERE organisation_id = %s AND name = %s"
_VERIFIED = f"SELECT {_COLUMNS} FROM domains WHERE name = %s AND verified_at IS NOT NULL"
_LIST = f"SELECT {_COLUMNS} FROM domains WHERE organisation_id = %s ORDER BY created_at DESC, id DESC"
_COUNT = "SELECT count(*) AS claims FROM domains WHERE organisation_id = %s"
_ADD = f"""
    INSERT INTO domains (name, organisation_id, verification_token) VALUES (%s, %s, %s)
    ON CONFLICT (organisation_id, name) DO UPDATE SET verification_token = domains.verification_token
    RETURNING {_COLUMNS}
"""
_PROVE = f"UPDATE domains SET verified_at = now() WHERE id = %s AND verified_at IS NULL RETURNING {_COLUMNS}"
_DROP = "DELETE FROM domains WHERE id = %s"
_LOCK_FOR_AGENT = f"SELECT {_COLUMNS} FROM domains WHERE id = %s FOR KEY SHARE"
_TAKE_OVER = f"""
    UPDATE domains SET organisation_id = NULL
    WHERE name = %s AND verified_at IS NOT NULL AND organisation_id IS NOT NULL RETURNING {_COLUMNS}
"""
_ADD_SYSTEM = """
    INSERT INTO domains (name, verified_at) VALUES (%s, now())
    ON CONFLICT (name) WHERE verified_at IS NOT NULL DO NOTHING
"""


def _load(row: Any) -> Domain:
    return Domain(*row)


async def own_domain(cur: Cursor, organisation_id: str, name: str) -> Domain | None:
    """The organisation's claim on this name, proved or not."""
    return await maybe(cur, _OWN, (organisation_id, name), _load)


async def verified_domain(cur: Cursor, name: str) -> Domain | None:
    """The one claim on this name that is proved, whoever's it is."""
    return await maybe(cur, _VERIFIED, (name,), _load)


async def list_domains(cur: Cursor, organisation_id: str) -> list[Domain]:
    """Newest first."""
    return await many(cur, _LIST, (organisation_id,), _load)


async def count_domains(cur: Cursor, organisation_id: str) -> int:
    await cur.execute(_COUNT, (organisation_id,))
    return int(cur.fetchone().claims)


async def claim_domain(cur: Cursor, organisation_id: str, name: str, token: str) -> Domain:
    """The organisation's claim, new or as it was: a claim's token never changes."""
    return await one(cur, _ADD, (name, organisation_id, token), _load)


async def prove_domain(cur: Cursor, domain_id: int) -> Domain | None:
    """Make this claim the proved one; None when it is gone or was proved before.

    :raises Conflict: another organisation proved the name first.
    """
    try:
        domain = await maybe(cur, _PROVE, (domain_id,), _load)
    except UniqueViolation as error:
        raise Conflict("another account has proved this domain") from error
    if domain is not None:
        await tell(cur, "domain", [domain.name])
    return domain


async def drop_domain(cur: Cursor, domain: Domain) -> None:
    """:raises BadRequest: agents are on it."""
    try:
        await execute(cur, _DROP, (domain.id,))
    except ForeignKeyViolation as error:
        raise BadRequest("agents are registered on this domain; delete them first") from error
    await tell(cur, "domain", [domain.name])


async def keep_domain(cur: Cursor, domain_id: int) -> Domain | None:
    """The claim, kept from deletion until the transaction ends."""
    return await maybe(cur, _LOCK_FOR_AGENT, (domain_id,), _load)


async def take_over(cur: Cursor, name: str) -> Domain | None:
    """Make an organisation's proved domain the deployment's own; None when no organisation had proved it. Its agents
    stay.
    """
    domain = await maybe(cur, _TAKE_OVER, (name,), _load)
    if domain is not None:
        await tell(cur, "domain", [name])
    return domain


async def ensure_system_domain(cur: Cursor, name: str) -> Domain:
    """The proved row of a name, made the deployment's own when nobody has proved the name."""
    if await execute(cur, _ADD_SYSTEM, (name,)):
        await tell(cur, "domain", [name])
    return await one(cur, _VERIFIED, (name,), _load)
