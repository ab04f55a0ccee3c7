"""DKIM keys of domains. The newest key of a domain is the one to publish; it signs once it was seen in DNS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .changes import tell
from .rows import Cursor, execute, many, maybe

_COLUMNS = "k.domain_id, d.name AS domain, k.selector, k.sealed, k.public_key, k.created_at, k.active_at"
_FROM = "FROM dkim_keys k JOIN domains d ON d.id = k.domain_id"
_NEWEST = f"""
    SELECT DISTINCT ON (k.domain_id) {_COLUMNS} {_FROM}
    WHERE k.domain_id = ANY (%s) ORDER BY k.domain_id, k.created_at DESC, k.selector DESC
"""
_SIGNING = f"""
    SELECT {_COLUMNS} {_FROM} WHERE d.name = %s AND d.verified_at IS NOT NULL AND k.active_at IS NOT NULL
    ORDER BY k.created_at DESC, k.selector DESC LIMIT 1
"""
_LOCK_DOMAIN = "SELECT id FROM domains WHERE id = %s FOR NO KEY UPDATE"
_ADD = "INSERT INTO dkim_keys (domain_id, selector, sealed, public_key) VALUES (%s, %s, %s, %s)"
_ACTIVATE = """
    UPDATE dkim_keys k SET active_at = now() FROM domains d
    WHERE k.domain_id = %s AND k.selector = %s AND k.active_at IS NULL
        AND d.id = k.domain_id AND d.verified_at IS NOT NULL
    RETURNING d.name
"""
_KEYLESS = """
    SELECT d.id FROM domains d
    WHERE d.id > %s AND NOT EXISTS (SELECT 1 FROM dkim_keys k WHERE k.domain_id = d.id) ORDER BY d.id LIMIT %s
"""
# Marked before it is asked for: of several replicas each looks after its own, and none of them while holding a lock.
_CLAIM_CHECKS = f"""
    WITH due AS (
        SELECT k.domain_id, k.selector FROM dkim_keys k JOIN domains d ON d.id = k.domain_id
        WHERE k.active_at IS NULL AND d.verified_at IS NOT NULL
            AND (k.checked_at IS NULL OR k.checked_at < now() - make_interval(secs => %s))
        ORDER BY k.checked_at NULLS FIRST, k.domain_id LIMIT %s FOR UPDATE OF k SKIP LOCKED
    )
    UPDATE dkim_keys k SET checked_at = now() FROM due, domains d
    WHERE k.domain_id = due.domain_id AND k.selector = due.selector AND d.id = k.domain_id
    RETURNING {_COLUMNS}
"""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A domain's key pair.

    :ivar sealed: the private key as PEM, sealed for ``row_id``.
    :ivar public_key: base64 of the DER public key, as in the key record's ``p=``.
    :ivar active_at: when the record was first seen in DNS, None before that; only an active key signs.
    """

    domain_id: int
    domain: str
    selector: str
    sealed: bytes
    public_key: str
    created_at: datetime
    active_at: datetime | None = None

    @property
    def host(self) -> str:
        """Where the record stands, below the domain."""
        return f"{self.selector}._domainkey"

    @property
    def record(self) -> str:
        """The TXT record to publish (RFC 6376 section 3.6.1)."""
        return f"v=DKIM1; k=rsa; p={self.public_key}"

    @property
    def row_id(self) -> str:
        return row_id(self.domain_id, self.selector)


def row_id(domain_id: int, selector: str) -> str:
    """What a private key is sealed for."""
    return f"dkim {domain_id} {selector}"


def _load(row: Any) -> DkimKey:
    return DkimKey(**{**row._asdict(), "sealed": bytes(row.sealed)})


async def newest_keys(cur: Cursor, domain_ids: Sequence[int]) -> dict[int, DkimKey]:
    """The key to publish, by domain id; a domain without a key is left out."""
    return {key.domain_id: key for key in await many(cur, _NEWEST, (list(domain_ids),), _load)}


async def signing_key(cur: Cursor, domain: str) -> DkimKey | None:
    """The key that signs for the proved domain of this name; None while there is none."""
    return await maybe(cur, _SIGNING, (domain,), _load)


async def add_key(cur: Cursor, domain_id: int, selector: str, sealed: bytes, public_key: str) -> DkimKey | None:
    """The domain's first key; the one that it has when another process was faster; None when the domain is gone."""
    if await maybe(cur, _LOCK_DOMAIN, (domain_id,), lambda row: row) is None:
        return None
    found = await newest_keys(cur, [domain_id])
    if not found:
        await execute(cur, _ADD, (domain_id, selector, sealed, public_key))
        found = await newest_keys(cur, [domain_id])
    return found[domain_id]


async def activate_key(cur: Cursor, domain_id: int, selector: str) -> bool:
    """Let the key sign; False when it does already, is gone, or its domain is not proved."""
    name = await maybe(cur, _ACTIVATE, (domain_id, selector), lambda row: str(row.name))
    if name is not None:
        await tell(cur, "domain", [name])
    return name is not None


async def keyless_domains(cur: Cursor, after: int, limit: int) -> list[int]:
    """Ids of domains without any key, ascending, above ``after``."""
    return await many(cur, _KEYLESS, (after, limit), lambda row: int(row.id))


async def claim_checks(cur: Cursor, interval: float, limit: int) -> list[DkimKey]:
    """Keys of proved domains that do not sign yet and that nobody looked for in DNS within ``interval`` seconds; they
    are the caller's to look for now.
    """
    return await many(cur, _CLAIM_CHECKS, (interval, limit), _load)
