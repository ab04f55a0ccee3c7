"""The DKIM keys of domains: made when a domain is claimed, or when somebody asks for another one, signing once their
record was seen in DNS.

A key never changes by itself: a record in somebody's DNS would silently be worth nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from string import ascii_lowercase

from twisted.logger import Logger

from e2a.core.errors import Conflict, Unavailable
from e2a.core.trust.sealing import Sealer
from e2a.store import dkimkeys as store
from e2a.store.dkimkeys import DkimKey
from e2a.store.rows import Cursor
from e2a.verify.dkimsign import make_key
from e2a.verify.records import RecordReport

from .ports import Changed, Cpu, Now, Transactions, nobody

#: Seconds after which DNS is asked again for the record of a key that does not sign yet.
CHECK_SECONDS = 3600.0
_BATCH = 20

#: ``(domain, host below it, record) -> report``: what DNS says of one key record.
CheckKey = Callable[[str, str, str], Awaitable[RecordReport]]
#: ``(cur, selector)``: told in its transaction of a key that was made.
Noted = Callable[[Cursor, str], Awaitable[None]]


class DomainKeys:
    """:param announced: names of the deployment's own domains whose record is the operator's to publish: the log tells.
    :param changed: told of what changed here without waiting for the notification to come round.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        sealer: Sealer,
        cpu: Cpu,
        now: Now,
        check_key: CheckKey,
        *,
        announced: Sequence[str] = (),
        changed: Changed = nobody,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._cpu = cpu
        self._now = now
        self._check_key = check_key
        self._unannounced = {name for name in announced if name}
        self._changed = changed
        self._stopping = False

    async def all(self, domain_ids: Sequence[int]) -> dict[int, list[DkimKey]]:
        """Every key of each domain, the one that signs first; see ``store.dkimkeys.list_keys``."""
        return await self._database.run("DKIM keys", store.list_keys, domain_ids)

    async def ensure(self, domain_id: int) -> DkimKey | None:
        """The key that signs for the domain or is to, made if there is none; None when the domain is gone."""
        found = (await self.all([domain_id])).get(domain_id)
        if found is not None:
            return found[0]
        private, public = await self._cpu.run(make_key)
        selector = next(self._selectors())
        sealed = self._sealer.seal(store.row_id(domain_id, selector), private)
        return await self._database.run("add DKIM key", store.add_key, domain_id, selector, sealed, public)

    async def rotate(self, domain_id: int, done: Noted) -> DkimKey | None:
        """Another key beside the one that signs, which goes on signing until the new one was seen in DNS. Asked again
        before that it answers the same key; so it does while the domain's first key waits.

        :param done: called in the transaction when a key was made.
        :returns: the key to publish; None when the domain is gone.
        :raises Conflict: there were too many this month.
        """
        waiting = _waiting((await self.all([domain_id])).get(domain_id, ()))
        if waiting is not None:
            return waiting
        private, public = await self._cpu.run(make_key)
        return await self._database.run("rotate DKIM key", self._rotate, domain_id, private, public, done)

    async def _rotate(self, cur: Cursor, domain_id: int, private: str, public: str, done: Noted) -> DkimKey | None:
        if not await store.lock_domain(cur, domain_id):
            return None
        keys = (await store.list_keys(cur, [domain_id])).get(domain_id, [])
        waiting = _waiting(keys)
        if waiting is not None:
            return waiting
        used = {key.selector for key in keys}
        selector = next((one for one in self._selectors() if one not in used), None)
        if selector is None:
            raise Conflict("this domain had too many DKIM keys this month; rotate again next month")
        await store.add_next_key(
            cur, domain_id, selector, self._sealer.seal(store.row_id(domain_id, selector), private), public
        )
        await done(cur, selector)
        return _waiting((await store.list_keys(cur, [domain_id]))[domain_id])

    def _selectors(self) -> Iterator[str]:
        """Names for keys that are made now, in order."""
        month = f"e2a{datetime.fromtimestamp(self._now(), UTC):%Y%m}"
        return (month + letter for letter in ascii_lowercase)

    async def seen(self, key: DkimKey) -> None:
        """Let a key sign whose record is in DNS; one whose domain is not proved waits for that."""
        if key.active_at is None and await self._database.run(
            "activate DKIM key", store.activate_key, key.domain_id, key.selector
        ):
            self._log.info("mail from {domain} is signed with DKIM from now on", domain=key.domain)
            self._changed(f"domain {key.domain}")

    # --- now and then ---------------------------------------------------------------------------------------------

    async def look_after(self) -> None:
        """Make the keys that are missing, and ask DNS for those that do not sign yet, each at most once in
        ``CHECK_SECONDS`` however many replicas do this. Forget those that have retired long ago.

        :raises Unavailable: the database went away; what was done stays done.
        """
        await self._make_missing()
        await self._database.run("forget DKIM keys", store.forget_retired)
        while not self._stopping:
            waiting = await self._database.run("claim DKIM checks", store.claim_checks, CHECK_SECONDS, _BATCH)
            for key in waiting:
                if self._stopping:
                    return
                await self._check(key)
            if len(waiting) < _BATCH:
                return

    def stop(self) -> None:
        """End after the key in hand."""
        self._stopping = True

    async def _make_missing(self) -> None:
        after = 0
        while not self._stopping:
            keyless = await self._database.run("domains without DKIM key", store.keyless_domains, after, _BATCH)
            for domain_id in keyless:
                if self._stopping:
                    return
                await self.ensure(domain_id)
            if len(keyless) < _BATCH:
                return
            after = keyless[-1]

    async def _check(self, key: DkimKey) -> None:
        try:
            report = await self._check_key(key.domain, key.host, key.record)
        except Unavailable:
            # Asked again in the next round that is due.
            return
        if report.status == "found":
            await self.seen(key)
        elif key.domain in self._unannounced:
            self._unannounced.discard(key.domain)
            self._log.warn(
                "mail from {domain} is not signed yet: publish the TXT record {name} with {record}",
                domain=key.domain,
                name=report.name,
                record=report.expected,
            )


def _waiting(keys: Sequence[DkimKey]) -> DkimKey | None:
    """The key among these that was not seen in DNS yet."""
    return next((key for key in keys if key.active_at is None), None)
