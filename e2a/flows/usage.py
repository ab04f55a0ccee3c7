"""How much an organisation uses: one event for each message, summed up by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest
from e2a.core.rules.permissions import require_whole_account
from e2a.store import usage as store
from e2a.store.usage import Day

from .ports import Now, Transactions

__all__ = ["Day", "Usage"]

#: Days that are shown unless asked otherwise, and at the most.
SHOWN = 30
LONGEST = 366


class Usage:
    """:param tracking: whether this deployment writes usage events."""

    def __init__(self, database: Transactions, now: Now, *, tracking: bool) -> None:
        self._database = database
        self._now = now
        self.tracking = tracking
        self._stopping = False

    async def days(
        self, principal: Principal, first: date | None, last: date | None
    ) -> tuple[date, date, Sequence[Day]]:
        """Every day from ``first`` to ``last``, both included, those without use as well.

        :param first: None: so that 30 days are shown.
        :param last: None: today (UTC).
        :raises BadRequest: the days are the wrong way round, or too many.
        """
        require_whole_account(principal)
        last = last or datetime.fromtimestamp(self._now(), UTC).date()
        first = first or last - timedelta(days=min(SHOWN - 1, (last - date.min).days))
        if first > last:
            raise BadRequest("from must not be after to", field="from")
        if (last - first).days >= LONGEST:
            raise BadRequest(f"from and to may be at most {LONGEST} days apart", field="from")
        found = await self._database.read("usage", store.days, principal.organisation_id, first, last)
        used = {one.day: one for one in found}
        every = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        return first, last, [used.get(day, Day(day, 0, 0)) for day in every]

    async def sum_up(self) -> None:
        """Write the summaries, a batch of organisations at a time; any number of replicas may call it at once.

        :raises Unavailable: the database went away; the next call goes on.
        """
        place = ""
        while not self._stopping:
            place = await self._database.run("sum up usage", store.sum_up, place)
            if not place:
                break

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping = True
