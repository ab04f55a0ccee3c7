"""Group intake: everything that arrived while the previous commit ran shares the next one.

Under load one flush to disk serves hundreds. A message over ``ALONE_BYTES`` takes a transaction of its own, beside the
groups.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.store.intake import PART_BYTES, IntakeMail, Outcome, store_group

from .grouping import Grouped
from .ports import Metrics, Now, Transactions

#: Mails of one group at the most.
GROUP_MAILS = 500
#: What a row counts for, where the mail is smaller than its rows: a group takes no further mail from 512 rows on.
ROW_BYTES = 4 * 2**10
ALONE_BYTES = 256 * 2**10
#: Bytes waiting for a commit at the most; beyond it the sender is asked to come again.
QUEUE_BYTES = 256 * 2**20
#: One group is on its way at a time, and a second when commits are so slow that the reactor would idle meanwhile.
SLOW_COMMIT_SECONDS = 0.012

Outcomes = dict[str, Outcome]


class GroupIntake:
    """Stores mails durably, many in one transaction.

    :param usage: whether each stored copy writes a usage event.
    """

    _log = Logger()

    def __init__(self, database: Transactions, now: Now, metrics: Metrics, *, usage: bool = False) -> None:
        self._database = database
        self._now = now
        self._metrics = metrics
        self._usage = usage
        self._bytes = 0
        self._commit_seconds = 0.0
        self._groups = Grouped(self._commit_group, size=_weight, most=GROUP_MAILS, lanes=self._lanes)

    async def store(self, mail: IntakeMail) -> Outcomes:
        """Commit one mail for all its recipients or for none.

        :returns: for each row's message id whether it was stored, was a duplicate, or its agent is gone.
        :raises Unavailable: nothing was stored, or it is not known; the sender must keep the message.
        """
        size = len(mail.raw)
        if self._bytes + size > QUEUE_BYTES:
            raise Unavailable("too much mail is waiting to be stored")
        self._bytes += size
        try:
            return await (self._commit([mail]) if size > ALONE_BYTES else self._groups.ask(mail))
        except Unavailable:
            raise
        except Exception as error:
            self._log.failure("mail {raw_id} cannot be stored", raw_id=mail.raw_id)
            raise Unavailable from error
        finally:
            self._bytes -= size

    def _lanes(self) -> int:
        return 2 if self._commit_seconds > SLOW_COMMIT_SECONDS else 1

    async def _commit_group(self, mails: Sequence[IntakeMail]) -> list[Outcomes | Exception]:
        started = self._now()
        try:
            outcomes = await self._commit(mails)
        finally:
            seconds = self._now() - started
            self._commit_seconds += (seconds - self._commit_seconds) / 8
            self._metrics.observe("intake_commit_seconds", seconds)
            self._metrics.observe("intake_group_mails", float(len(mails)))
        return [{row.id: outcomes[row.id] for row in mail.rows} for mail in mails]

    async def _commit(self, mails: Sequence[IntakeMail]) -> Outcomes:
        # All but long bytes go in one statement.
        run = self._database.run if any(len(mail.raw) > PART_BYTES for mail in mails) else self._database.statement
        return await run("intake", store_group, mails, self._usage)


def _weight(mail: IntakeMail) -> int:
    return max(len(mail.raw), len(mail.rows) * ROW_BYTES)
