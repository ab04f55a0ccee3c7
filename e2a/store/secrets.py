"""Webhook signing secrets, sealed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from e2a.core.entities import SigningSecret

from .changes import tell
from .rows import Cursor, execute, many, one

_COLUMNS = "id, organisation_id, name, secret_prefix, sealed, created_at, last_signed_at"
_LIST = f"SELECT {_COLUMNS} FROM signing_secrets WHERE organisation_id = %s ORDER BY created_at DESC, id DESC"
# clock_timestamp and not now(): the newest signs, and creators wait for each other inside their transactions.
_ADD = f"""
    INSERT INTO signing_secrets (id, organisation_id, name, secret_prefix, sealed, created_at)
    VALUES (%s, %s, %s, %s, %s, clock_timestamp()) RETURNING {_COLUMNS}
"""
_DROP = "DELETE FROM signing_secrets WHERE organisation_id = %s AND id = %s"
_SIGNED = """
    UPDATE signing_secrets s SET last_signed_at = u.at FROM unnest(%s::text[], %s::timestamptz[]) AS u (id, at)
    WHERE s.id = u.id AND (s.last_signed_at IS NULL OR s.last_signed_at < u.at)
"""
_STALE = f"""
    SELECT {_COLUMNS} FROM signing_secrets WHERE substring(sealed FROM 2 FOR 8) <> %s ORDER BY id FOR UPDATE
"""
_RESEAL = "UPDATE signing_secrets SET sealed = %s WHERE id = %s"


def _load(row: Any) -> SigningSecret:
    return SigningSecret(**{**row._asdict(), "sealed": bytes(row.sealed)})


async def list_secrets(cur: Cursor, organisation_id: str) -> list[SigningSecret]:
    """Newest first."""
    return await many(cur, _LIST, (organisation_id,), _load)


async def add_secret(
    cur: Cursor, secret_id: str, organisation_id: str, name: str, secret_prefix: str, sealed: bytes
) -> SigningSecret:
    secret = await one(cur, _ADD, (secret_id, organisation_id, name, secret_prefix, sealed), _load)
    await tell(cur, "secret", [organisation_id])
    return secret


async def drop_secret(cur: Cursor, organisation_id: str, secret_id: str) -> None:
    await execute(cur, _DROP, (organisation_id, secret_id))
    await tell(cur, "secret", [organisation_id])


async def record_signing(cur: Cursor, signed: Mapping[str, datetime]) -> None:
    """Remember when secrets last signed. A later time that is already there stays."""
    ordered = sorted(signed)
    await execute(cur, _SIGNED, (ordered, [signed[secret_id] for secret_id in ordered]))


async def stale_secrets(cur: Cursor, current_id: bytes) -> list[SigningSecret]:
    """Those sealed under another deployment secret than the current one, locked."""
    return await many(cur, _STALE, (current_id,), _load)


async def reseal(cur: Cursor, secret_id: str, sealed: bytes) -> None:
    await execute(cur, _RESEAL, (sealed, secret_id))
