"""Keys that were good once and are still tried: their organisation should know.

A line for each refused request would let whoever holds such a key fill the log, so a key has one line in an hour, and
this process asks about few refusals at a time. Keys that never existed belong to nobody and are in no log.
"""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from e2a.core.entities import Origin, Principal
from e2a.core.errors import Unavailable
from e2a.core.trust import apikeys
from e2a.store import audit
from e2a.store.rows import Cursor

from .ports import Now, Transactions

#: Seconds for which a refused key is not looked at again, and how many keys are remembered for that.
QUIET_SECONDS = 600.0
REMEMBERED = 10_000
#: Questions under way at a time; refusals beyond them are not looked into.
QUESTIONS = 2


class Refusals:
    _log = Logger()

    def __init__(self, database: Transactions, now: Now) -> None:
        self._database = database
        self._now = now
        self._seen: OrderedDict[bytes, float] = OrderedDict()
        self._asking = 0

    def note(self, token: str, origin: Origin) -> None:
        """Take in that a credential was refused; returns at once, and what is written follows."""
        if not apikeys.well_formed(token) or self._asking >= QUESTIONS:
            return
        digest, now = apikeys.digest(token), self._now()
        if now < self._seen.get(digest, 0.0):
            return
        self._seen[digest] = now + QUIET_SECONDS
        self._seen.move_to_end(digest)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._asking += 1
        Deferred.fromCoroutine(
            self._database.run("refused key", _record, digest, origin),
        ).addErrback(self._failed).addBoth(self._asked)

    def _asked(self, _: object) -> None:
        self._asking -= 1

    def _failed(self, failure: Failure) -> None:
        if failure.check(Unavailable) is None:
            self._log.failure("noting a refused key", failure)


async def _record(cur: Cursor, digest: bytes, origin: Origin) -> None:
    found = await audit.dead_key(cur, digest)
    if found is None or await audit.refused_lately(cur, found.organisation_id, found.key_id):
        return
    holder = Principal(found.organisation_id, found.user_id, frozenset(), key_prefix=found.key_prefix, origin=origin)
    await audit.record(cur, holder, "key.refused", "key", found.key_id, result="refused", reason=found.reason)
