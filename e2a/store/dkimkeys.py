"""DKIM keys of domains. A domain's first key signs once it was seen in DNS. A later one waits beside it for the same
moment, and then takes over: from then on the former retires, with its record in DNS while mail that it signed may be
under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from .changes import tell
from .rows import Cursor, execute, many, maybe

#: Where a key is in its life; only an ``active`` one signs. The record of a ``removable`` one is of no use any more.
KeyState = Literal["pending", "active", "retiring", "removable"]
#: How long after its last signature a key's record is to stay in DNS.
RETIRING = timedelta(days=7)
#: Days for which a retired key is shown, which is longer than its selector could come up again (``domainkeys``).
_RETIRED_DAYS = 40

_COLUMNS = "k.domain_id, d.name AS domain, k.selector, k.sealed, k.public_key, k.created_at, k.active_at, k.retired_at"
_FROM = "FROM dkim_keys k JOIN domains d ON d.id = k.domain_id"
_LIST = f"""
    SELECT {_COLUMNS} {_FROM} WHERE k.domain_id = ANY (%s)
    ORDER BY k.domain_id, k.retired_at IS NULL AND k.active_at IS NOT NULL DESC, k.retired_at IS NULL DESC,
        k.created_at DESC, k.selector DESC
"""
_SIGNING = f"""
    SELECT {_COLUMNS} {_FROM}
    WHERE d.name = %s AND d.verified_at IS NOT NULL AND k.active_at IS NOT NULL AND k.retired_at IS NULL
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
_RETIRE = """
    UPDATE dkim_keys SET retired_at = now()
    WHERE domain_id = %s AND selector <> %s AND active_at IS NOT NULL AND retired_at IS NULL
"""
_FORGET = "DELETE FROM dkim_keys WHERE retired_at < now() - make_interval(days => %s)"
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
    :ivar active_at: when the record was first seen in DNS and the key began to sign, None before that.
    :ivar retired_at: when another key took over, None before that.
    """

    domain_id: int
    domain: str
    selector: str
    sealed: bytes
    public_key: str
    created_at: datetime
    active_at: datetime | None = None
    retired_at: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        if self.removable_at is not None:
            return "retiring" if now < self.removable_at else "removable"
        return "pending" if self.active_at is None else "active"

    @property
    def removable_at(self) -> datetime | None:
        """From when on the record need not be in DNS any more; None while the key has not retired."""
        return None if self.retired_at is None else self.retired_at + RETIRING

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


async def list_keys(cur: Cursor, domain_ids: Sequence[int]) -> dict[int, list[DkimKey]]:
    """The keys of each domain: the one that signs, the one that waits, those that have retired, the last one first; a
    domain without a key is left out."""
    found: dict[int, list[DkimKey]] = {}
    for key in await many(cur, _LIST, (list(domain_ids),), _load):
        found.setdefault(key.domain_id, []).append(key)
    return found


async def current_keys(cur: Cursor, domain_ids: Sequence[int]) -> dict[int, DkimKey]:
    """The key that signs, or while there is none the one to publish, by domain id; a domain without a key is left
    out."""
    return {domain_id: keys[0] for domain_id, keys in (await list_keys(cur, domain_ids)).items()}


async def signing_key(cur: Cursor, domain: str) -> DkimKey | None:
    """The key that signs for the proved domain of this name; None while there is none."""
    return await maybe(cur, _SIGNING, (domain,), _load)


async def add_key(cur: Cursor, domain_id: int, selector: str, sealed: bytes, public_key: str) -> DkimKey | None:
    """The domain's first key; the one that it has when another process was faster; None when the domain is gone."""
    if not await lock_domain(cur, domain_id):
        return None
    if domain_id not in await list_keys(cur, [domain_id]):
        await add_next_key(cur, domain_id, selector, sealed, public_key)
    return (await current_keys(cur, [domain_id]))[domain_id]


async def lock_domain(cur: Cursor, domain_id: int) -> bool:
    """Let nobody else change the domain's keys until the transaction ends; False when the domain is gone."""
    return await maybe(cur, _LOCK_DOMAIN, (domain_id,), lambda row: row) is not None


async def add_next_key(cur: Cursor, domain_id: int, selector: str, sealed: bytes, public_key: str) -> None:
    """A key that waits to be seen. The domain must be locked."""
    await execute(cur, _ADD, (domain_id, selector, sealed, public_key))


async def activate_key(cur: Cursor, domain_id: int, selector: str) -> bool:
    """Let the key sign, in place of the one that did; False when it does already, is gone, or its domain is not
    proved."""
    await lock_domain(cur, domain_id)
    name = await maybe(cur, _ACTIVATE, (domain_id, selector), lambda row: str(row.name))
    if name is not None:
        await execute(cur, _RETIRE, (domain_id, selector))
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


async def forget_retired(cur: Cursor) -> int:
    """Remove keys that have retired long ago; says how many."""
    return await execute(cur, _FORGET, (_RETIRED_DAYS,))
