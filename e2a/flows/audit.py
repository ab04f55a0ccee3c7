"""The audit log for those who may read it: by pages, or whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from e2a.core.entities import AuditEvent, Principal
from e2a.core.rules.permissions import require_whole_account
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import audit, dataexport
from e2a.store.audit import AuditFilters
from e2a.store.rows import Cursor

from .dataexport import Exporting
from .ports import Transactions
from .spool import Spool

__all__ = ["AuditFilters", "AuditLog", "AuditPage", "action_filter"]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """:ivar next_token: None on the last page."""

    events: tuple[AuditEvent, ...]
    next_token: str | None


class AuditLog:
    """:param tokens: signs positions in lists, under a key that clients do not hold.
    :param exporting: shared with everything else that exports.
    """

    def __init__(self, database: Transactions, exporting: Exporting, tokens: PageTokens) -> None:
        self._database = database
        self._exporting = exporting
        self._tokens = tokens

    async def page(self, principal: Principal, filters: AuditFilters, size: int, token: str | None) -> AuditPage:
        """Newest first.

        :raises BadRequest: the token is not of this list with these filters; ``field`` is ``token``.
        :raises Forbidden: the key sees only a part of the organisation.
        """
        require_whole_account(principal)
        kind = json.dumps(["audit", principal.organisation_id, _as_json(filters)])
        before = str(self._tokens.read(kind, token)[0]) if token else None
        rows = await self._database.run("list audit", _list, principal.organisation_id, filters, before, size + 1)
        more = len(rows) > size
        return AuditPage(tuple(rows[:size]), self._tokens.make(kind, [rows[size - 1].id]) if more else None)

    async def export(self, principal: Principal, filters: AuditFilters) -> Spool:
        """Every line, newest first, as JSON Lines; that it was done is the newest of them.

        :returns: what to read it from; ``close`` it in the end.
        :raises Forbidden: as ``page``.
        :raises TooManyRequests: too many exports are being made.
        """
        require_whole_account(principal)
        await self._database.run("audit export asked for", _asked, principal, filters)

        async def make(cur: Cursor, spool: Spool) -> None:
            sql, values = audit.listing(principal.organisation_id, filters)
            async for rows in dataexport.walk(cur, sql, values):
                await _write(spool, rows)

        return await self._exporting.start(principal.organisation_id, "export audit", make)


def action_filter(text: str) -> dict[str, str]:
    """``key.created`` is itself; ``key.`` and ``key.*`` are every action about keys."""
    if text.endswith("*"):
        return {"action_prefix": text[:-1]}
    return {"action_prefix": text} if text.endswith(".") else {"action": text}


async def _write(spool: Spool, rows: list[Any]) -> None:
    await spool.put(lambda file: file.write(dataexport.lines(rows)))


async def _list(
    cur: Cursor, organisation_id: str, filters: AuditFilters, before: str | None, limit: int
) -> list[AuditEvent]:
    return await audit.list_events(cur, organisation_id, filters, before=before, limit=limit)


async def _asked(cur: Cursor, principal: Principal, filters: AuditFilters) -> None:
    await audit.record(cur, principal, "audit.exported", "audit", filters=_as_json(filters))


def _as_json(filters: AuditFilters) -> Mapping[str, str]:
    return {name: str(value) for name, value in filters.given().items()}
