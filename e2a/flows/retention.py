"""What is forgotten, and when: expired messages with their bytes, old fingerprints, sessions, keys of repeatable
requests, counted events, invitations, sign-ins that came to nothing, the audit log, usage, feedback that was passed
on, accounts whose deletion was interrupted, bytes without a copy.

Every step is one short transaction, so that a large backlog never holds up the mail that arrives meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

from e2a.store import audit, idempotency, limits, retention, usage

from .erasure import Erasure
from .ports import Metrics, Transactions


class Retention:
    """Any number of replicas may do this at once: they skip each other's rows.

    :param erasure: finishes deletions of accounts that were interrupted; None: there is nobody to do it.
    :param audit_days: how long lines of the audit log are kept; 0: for ever.
    :param usage_days: the same for usage events, of which the daily sums stay.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        metrics: Metrics,
        *,
        erasure: Erasure | None = None,
        audit_days: int = 0,
        usage_days: int = 0,
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._erasure = erasure
        self._audit_days = audit_days
        self._usage_days = usage_days
        self._stopping = False

    async def forget(self) -> None:
        """Remove everything whose time has come.

        :raises Unavailable: the database went away; what was removed before stays removed.
        """
        await self._batches("messages", retention.forget_expired_messages)
        await self._batches("fingerprints", retention.forget_fingerprints)
        await self._batches("sessions", retention.forget_sessions)
        await self._batches("idempotency keys", idempotency.forget)
        await self._batches("rate events", limits.forget_events)
        await self._batches("invitations", retention.forget_invitations)
        await self._batches("sign-ins", retention.forget_signins)
        await self._batches("sign-in links", retention.forget_links)
        await self._batches("feedback", retention.forget_feedback)
        if self._audit_days:
            forget = partial(audit.forget, days=self._audit_days, limit=retention.BATCH)
            await self._batches("audit events", forget)
        if self._usage_days:
            forget = partial(usage.forget, days=self._usage_days, limit=retention.BATCH)
            await self._batches("usage events", forget)
        if self._erasure is not None and not self._stopping:
            self._report("accounts", await self._erasure.resume())
        await self._sweep()

    def stop(self) -> None:
        """End after the batch in hand; the rest is found again next time."""
        self._stopping = True
        if self._erasure is not None:
            self._erasure.stop()

    async def _batches(self, what: str, work: Callable[..., Awaitable[int]]) -> None:
        total = 0
        while not self._stopping:
            removed = await self._database.run(f"forget {what}", work)
            total += removed
            if not removed:
                break
        self._report(what, total)

    async def _sweep(self) -> None:
        total, place = 0, ""
        while not self._stopping:
            step: tuple[Any, int] = await self._database.run("sweep raw messages", retention.sweep_raws, place)
            place = step[0]
            total += step[1]
            if not place:
                break
        self._report("raw messages", total)

    def _report(self, what: str, total: int) -> None:
        if total:
            self._log.info("forgot {count} {what}", count=total, what=what)
            self._metrics.count("forgotten", total, what=what.replace(" ", "_"))
