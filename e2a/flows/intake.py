"""Group intake: everything that arrived while the previous commit ran shares the next one.

No timer: at rest a message is committed at once, under load one flush to disk serves hundreds. One bad row never fails
its neighbours: a group that fails is split in halves until the culprit stands alone. A message over ``ALONE_BYTES``
takes a transaction of its own, beside the groups.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.store.intake import PART_BYTES, IntakeMail, Outcome, store_group

from .ports import Metrics, Now, Transactions

#: Rows and bytes of one group at the most.
GROUP_ROWS = 500
GROUP_BYTES = 2 * 2**20
ALONE_BYTES = 256 * 2**10
#: Bytes waiting for a commit at the most; beyond it the sender is asked to come again.
QUEUE_BYTES = 256 * 2**20
#: One group is on its way at a time, and a second when commits are so slow that the reactor would idle meanwhile.
SLOW_COMMIT_SECONDS = 0.012

Outcomes = dict[str, Outcome]


class _Entry:
    __slots__ = ("done", "mail")

    def __init__(self, mail: IntakeMail) -> None:
        self.mail = mail
        self.done: Deferred[Outcomes] = Deferred()


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
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._in_flight = 0
        self._commit_seconds = 0.0

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
            if size > ALONE_BYTES:
                return await self._commit([mail])
            entry = _Entry(mail)
            self._waiting.append(entry)
            self._pump()
            return await entry.done
        finally:
            self._bytes -= size

    def _pump(self) -> None:
        allowed = 2 if self._commit_seconds > SLOW_COMMIT_SECONDS else 1
        while self._waiting and self._in_flight < allowed:
            group = self._take()
            self._in_flight += 1
            Deferred.fromCoroutine(self._run(group)).addErrback(lambda failure: self._log.failure("intake", failure))

    def _take(self) -> list[_Entry]:
        group: list[_Entry] = []
        rows = size = 0
        while self._waiting and rows < GROUP_ROWS and size < GROUP_BYTES:
            entry = self._waiting.popleft()
            rows += len(entry.mail.rows)
            size += len(entry.mail.raw)
            group.append(entry)
        return group

    async def _run(self, group: list[_Entry]) -> None:
        started = self._now()
        try:
            await self._settle(group)
        finally:
            self._in_flight -= 1
            seconds = self._now() - started
            self._commit_seconds += (seconds - self._commit_seconds) / 8
            self._metrics.observe("intake_commit_seconds", seconds)
            self._metrics.observe("intake_group_mails", float(len(group)))
            self._pump()

    async def _settle(self, group: list[_Entry]) -> None:
        try:
            outcomes = await self._commit([entry.mail for entry in group])
        except Unavailable as error:
            for entry in group:
                entry.done.errback(error)
        except Exception as error:
            if len(group) == 1:
                self._log.failure("mail {raw_id} cannot be stored", raw_id=group[0].mail.raw_id)
                group[0].done.errback(Unavailable().with_traceback(error.__traceback__))
                return
            half = len(group) // 2
            await self._settle(group[:half])
            await self._settle(group[half:])
        else:
            for entry in group:
                entry.done.callback({row.id: outcomes[row.id] for row in entry.mail.rows})

    async def _commit(self, mails: Sequence[IntakeMail]) -> Outcomes:
        # All but long bytes go in one statement.
        run = self._database.run if any(len(mail.raw) > PART_BYTES for mail in mails) else self._database.statement
        return await run("intake", store_group, mails, self._usage)
