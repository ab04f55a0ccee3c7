"""Counting what is limited, and telling a caller how much is left."""

from __future__ import annotations

from collections.abc import Mapping

from e2a.core.entities import Principal
from e2a.core.rules.limits import COUNTED_BY, DEFAULTS, QUOTAS, Allowance, Limit, LimitName, Quotas, network_of
from e2a.store import limits as store
from e2a.store import quotas as kept
from e2a.store.rows import Cursor

from .me import LimitStanding, QuotaStanding, Standing
from .ports import Transactions
from .quotas import quotas_of


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

    async def standing(self, principal: Principal, client_ip: str) -> Standing:
        """How the caller stands with the limits that count for it, and its organisation with the quotas there are.

        It costs nothing of what it reports. A key for a part of the agents learns nothing of the organisation.
        """
        return await self._database.read("standing", self._standing, principal, network_of(client_ip))

    async def _standing(self, cur: Cursor, principal: Principal, network: str) -> Standing:
        whom: dict[LimitName, str | None] = {
            "register": network,
            "send": principal.agent_id,
            "poll": principal.user_id,
            "feedback": network,
        }
        wanted = [(self._limits[name], one) for name, one in whom.items() if one and self._limits[name].most]
        left = {one.limit.name: one.remaining for one in await store.look(cur, wanted)}
        limits = [
            LimitStanding(limit.name, limit.most, limit.seconds, left.get(limit.name))
            for limit in (self._limits[name] for name in whom)
            if limit.most
        ]
        if principal.restricted:
            return Standing(limits)
        quotas = await quotas_of(cur, principal.organisation_id, self._quotas)
        used = await kept.used(cur, principal.organisation_id)
        return Standing(limits, [QuotaStanding(name, quotas.of(name), used.of(name)) for name in QUOTAS])
