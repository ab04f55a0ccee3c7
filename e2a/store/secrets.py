"""Webhook signing secrets, sealed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from e2a.core.entities import SigningSecret

from .changes import tell
from .rows import Cursor, execute, many, one

_COLUMNS = "id, organisation_id, name, secret_prefix, sealed, created_at, last_signed_at, signs_from, retires_at"
_LIST = f"SELECT {_COLUMNS} FROM signing_secrets WHERE organisation_id = %s ORDER BY created_at DESC, id DESC"
# clock_timestamp and not now(): the newest signs, and creators wait for each other inside their transactions.
_ADD = f"""
    INSERT INTO signing_secrets (id, organisation_id, name, secret_prefix, sealed, signs_from, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp()) RETURNING {_COLUMNS}
"""
_RETIRE = "UPDATE signing_secrets SET retires_at = %s WHERE organisation_id = %s AND id = ANY (%s)"
_RETIRED = f"""
    DELETE FROM signing_secrets WHERE id IN (
        SELECT id FROM signing_secrets WHERE retires_at <= %s ORDER BY retires_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    RETURNING {_COLUMNS}
"""
_DROP = "DELETE FROM signing_secrets WHERE organisation_id = %s AND id = %s"
_SIGNED = """
    UPDATE signing_secrets s SET last_signed_at = u.at FROM unnest(%s::text[], %s::timestamptz[]) AS u (id, at)
    WHERE s.id = u.id AND (s.last_signed_at IS NULL OR s.last_signed_at < u.at)
"""


def _load(row: Any) -> SigningSecret:
    return SigningSecret(**{**row._asdict(), "sealed": bytes(row.sealed)})


async def list_secrets(cur: Cursor, organisation_id: str) -> list[SigningSecret]:
    """Newest first."""
    return await many(cur, _LIST, (organisation_id,), _load)


async def add_secret(
    cur: Cursor,
    secret_id: str,
    organisation_id: str,
    name: str,
    secret_prefix: str,
    sealed: bytes,
    signs_from: datetime | None = None,
) -> SigningSecret:
    secret = await one(cur, _ADD, (secret_id, organisation_id, name, secret_prefix, sealed, signs_from), _load)
    await tell(cur, "secret", [organisation_id])
    return secret


async def drop_secret(cur: Cursor, organisation_id: str, secret_id: str) -> None:
    await execute(cur, _DROP, (organisation_id, secret_id))
    await tell(cur, "secret", [organisation_id])


async def set_retirement(cur: Cursor, organisation_id: str, secret_ids: Sequence[str], at: datetime | None) -> None:
    """Let these stop counting at ``at``; None: not by themselves."""
    await execute(cur, _RETIRE, (at, organisation_id, list(secret_ids)))
    await tell(cur, "secret", [organisation_id])


async def drop_retired(cur: Cursor, moment: datetime, limit: int) -> list[SigningSecret]:
    """Remove those that stopped counting by ``moment``, at most ``limit`` of them; answers them."""
    gone = await many(cur, _RETIRED, (moment, limit), _load)
    if gone:
        await tell(cur, "secret", sorted({secret.organisation_id for secret in gone}))
    return gone


async def record_signing(cur: Cursor, signed: Mapping[str, datetime]) -> None:
    """Remember when secrets last signed. A later time that is already there stays."""
    ordered = sorted(signed)
    await execute(cur, _SIGNED, (ordered, [signed[secret_id] for secret_id in ordered]))
