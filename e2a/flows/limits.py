"""Counting what is limited, and telling a caller how much is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from e2a.core.entities import Principal
from e2a.core.rules.limits import COUNTED_BY, DEFAULTS, QUOTAS, Allowance, Limit, LimitName, Quotas
from e2a.store import limits as store
from e2a.store import quotas as kept
from e2a.store.rows import Cursor

from .ports import Transactions
from .quotas import quotas_of
from .reviewlinks import network_of


@dataclass(frozen=True, slots=True)
class Standing:
    """How a caller stands with one limit or quota.

    :ivar remaining: how much is left; None when it is counted for each agent apart and the caller is not one of them.
    :ivar resets_in_seconds: when the oldest counted event stops to count; 0 when nothing is counted, and for quotas.
    """

    limit: int
    remaining: int | None
    resets_in_seconds: int


class RateLimits:
    """:param limits: as the settings have them.
    :param quotas: what every organisation may have unless it has quotas of its own.
    """

    def __init__(
        self, database: Transactions, limits: Mapping[LimitName, Limit] = DEFAULTS, quotas: Quotas | None = None
    ) -> None:
        self._database = database
        self._limits = limits
        self._quotas = quotas or Quotas()

    def limit(self, name: LimitName) -> Limit:
        return self._limits[name]

    async def count(self, name: LimitName, whom: str) -> Allowance | None:
        """Count one event now, whatever comes of it.

        :param whom: a user's id; for limits by client, its address, of whose network everybody is counted together.
        :returns: None when there is no such limit in this deployment.
        :raises TooManyRequests: the limit is reached; nothing was counted.
        """
        limit = self._limits[name]
        if not limit.most:
            return None
        if COUNTED_BY[name] == "client":
            whom = network_of(whom)
        return await self._database.statement(f"count {name}", store.count, limit, whom)

    async def snapshot(self, principal: Principal) -> Mapping[str, Standing]:
        """How the caller stands: with rate limits by name, and with the organisation's quotas, as far as it has any.

        It costs nothing of what it reports. Of limits by client address nothing is said.
        """
        return await self._database.read("snapshot of limits", self._snapshot, principal)

    async def _snapshot(self, cur: Cursor, principal: Principal) -> dict[str, Standing]:
        poll, send = self._limits["poll"], self._limits["send"]
        wanted = [(limit, whom) for limit, whom in ((poll, principal.user_id), (send, principal.agent_id)) if whom]
        found = {one.limit.name: one for one in await store.look(cur, wanted)}
        standings = {limit.name: _standing(limit, found.get(limit.name)) for limit in (poll, send) if limit.most}
        quotas = await quotas_of(cur, principal.organisation_id, self._quotas)
        if quotas != Quotas():
            used = await kept.used(cur, principal.organisation_id)
            for name in QUOTAS:
                most = quotas.of(name)
                if most:
                    standings[name] = Standing(most, max(most - used.of(name), 0), 0)
        return standings


def _standing(limit: Limit, allowance: Allowance | None) -> Standing:
    if allowance is None:
        return Standing(limit.most, None, 0)
    return Standing(limit.most, allowance.remaining, -int(-allowance.resets // 1))
