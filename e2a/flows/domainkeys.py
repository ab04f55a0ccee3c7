"""The DKIM keys of domains: made when a domain is claimed, signing once their record was seen in DNS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.core.trust.sealing import Sealer
from e2a.store import dkimkeys as store
from e2a.store.dkimkeys import DkimKey
from e2a.verify.dkimsign import make_key
from e2a.verify.records import RecordReport

from .ports import Changed, Cpu, Now, Transactions, nobody

#: Seconds after which DNS is asked again for the record of a key that does not sign yet.
CHECK_SECONDS = 3600.0
_BATCH = 20

#: ``(domain, host below it, record) -> report``: what DNS says of one key record.
CheckKey = Callable[[str, str, str], Awaitable[RecordReport]]


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

    async def newest(self, domain_ids: Sequence[int]) -> dict[int, DkimKey]:
        """The key that each domain publishes, by domain id; a domain that has none yet is left out."""
        return await self._database.run("DKIM keys", store.newest_keys, domain_ids)

    async def ensure(self, domain_id: int) -> DkimKey | None:
        """The key that the domain publishes, made if there is none; None when the domain is gone."""
        found = (await self.newest([domain_id])).get(domain_id)
        if found is not None:
            return found
        private, public = await self._cpu.run(make_key)
        selector = f"e2a{datetime.fromtimestamp(self._now(), UTC):%Y%m}a"
        sealed = self._sealer.seal(store.row_id(domain_id, selector), private)
        return await self._database.run("add DKIM key", store.add_key, domain_id, selector, sealed, public)

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
        ``CHECK_SECONDS`` however many replicas do this.

        :raises Unavailable: the database went away; what was done stays done.
        """
        await self._make_missing()
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
