"""Addresses that an account's agents do not write to: listed, added and removed by people."""

from __future__ import annotations

import json
from dataclasses import dataclass

from e2a.core.entities import Principal, Suppression
from e2a.core.errors import BadRequest, NotFound
from e2a.core.mail.addresses import AddressError, join, match_path, normal_domain
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import audit, suppressions
from e2a.store.rows import Cursor

from .ports import Transactions

LONGEST_REASON = 200
MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class SuppressionPage:
    """:ivar next_token: None on the last page."""

    entries: tuple[Suppression, ...]
    next_token: str | None


class Suppressions:
    """:param tokens: signs positions in lists, under a key that clients do not hold."""

    def __init__(self, database: Transactions, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def page(self, principal: Principal, size: int, token: str | None) -> SuppressionPage:
        """In the order of addresses.

        :raises BadRequest: the token is not of this list; ``field`` is ``token``.
        """
        kind = json.dumps(["suppressions", principal.organisation_id])
        after = str(self._tokens.read(kind, token)[0]) if token else ""
        rows = await self._database.run(
            "list suppressions", suppressions.list_suppressions, principal.organisation_id, after, size + 1
        )
        more = len(rows) > size
        return SuppressionPage(tuple(rows[:size]), self._tokens.make(kind, [rows[size - 1].address]) if more else None)

    async def add(self, principal: Principal, address: str, reason: str) -> Suppression:
        """Suppress an address; one that is suppressed already stays as it is.

        :param reason: for the list; "" for ``manual``.
        :raises BadRequest: not an address, or a reason that is too long or unprintable; ``field`` names which.
        """
        if len(reason) > LONGEST_REASON or not reason.isprintable():
            raise BadRequest(f"reason must be at most {LONGEST_REASON} printable characters", field="reason")
        plain = plain_address(address)
        return await self._database.run("suppress", _suppress, principal, plain, reason.strip() or MANUAL)

    async def get(self, principal: Principal, address: str) -> Suppression:
        """:raises NotFound: it is not suppressed."""
        found = await self._database.run(
            "find suppression", suppressions.get_suppression, principal.organisation_id, address
        )
        if found is None:
            raise NotFound
        return found

    async def remove(self, principal: Principal, address: str) -> None:
        """Let agents write there again.

        :raises NotFound: it is not suppressed.
        """
        await self._database.run("unsuppress", _lift, principal, address)


async def _suppress(cur: Cursor, principal: Principal, address: str, reason: str) -> Suppression:
    earlier = await suppressions.get_suppression(cur, principal.organisation_id, address)
    entry = await suppressions.suppress(cur, principal.organisation_id, address, reason)
    if earlier is None:
        await audit.record(cur, principal, "suppression.created", "suppression", entry.address)
    return entry


async def _lift(cur: Cursor, principal: Principal, address: str) -> None:
    if not await suppressions.drop_suppression(cur, principal.organisation_id, address):
        raise NotFound
    await audit.record(cur, principal, "suppression.deleted", "suppression", address.lower())


def plain_address(text: str) -> str:
    """A bare address in lower case, as recipients are stored.

    :raises AddressError: anything else; ``field`` is ``address``.
    """
    wanted = f"<{text.strip()}>"
    try:
        path, end = match_path(wanted)
        if end != len(wanted) or not path.domain or path.domain.startswith("["):
            raise AddressError
        return join(path.local, normal_domain(path.domain)).lower()
    except AddressError as error:
        raise AddressError(field="address") from error
