"""Domains: claim, prove, release."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar, cast

from e2a.core import ids
from e2a.core.entities import Domain, Principal
from e2a.core.errors import BadRequest, Conflict, NotFound, PreconditionFailed, Unavailable
from e2a.core.mail.addresses import AddressError, normal_domain
from e2a.core.rules.domains import OwnNames, claimable, new_proof
from e2a.core.rules.limits import Quotas
from e2a.core.rules.permissions import require_whole_account
from e2a.store import audit
from e2a.store import domains as store
from e2a.store.dkimkeys import DkimKey, KeyState
from e2a.store.organisations import lock_organisation
from e2a.store.rows import Cursor
from e2a.verify.questions import Answer, Check
from e2a.verify.records import RecordReport
from e2a.verify.records import check as record_check

from .domainkeys import DomainKeys
from .ports import Changed, Now, Transactions, nobody
from .quotas import check_domains

T = TypeVar("T")

MOST_DOMAINS = 500


#: What DNS says of one record that a domain should have.
Record: TypeAlias = RecordReport
#: A domain's DKIM key.
Key: TypeAlias = DkimKey
#: ``(name, token, keys) -> records``: asks DNS for every record that a domain should have.
CheckRecords = Callable[[str, str, Sequence[DkimKey]], Awaitable[Sequence[Record]]]


class Domains:
    """:param own: the deployment's names, in stored spelling.
    :param production: whether a claim must be proved by DNS; in development asking to verify is enough.
    :param changed: told of what changed here without waiting for the notification to come round.
    :param quotas: what every organisation may have unless it has quotas of its own.
    """

    def __init__(
        self,
        database: Transactions,
        keys: DomainKeys,
        check_records: CheckRecords,
        random: ids.RandomBytes,
        now: Now,
        *,
        own: OwnNames,
        production: bool,
        changed: Changed = nobody,
        quotas: Quotas | None = None,
    ) -> None:
        self._database = database
        self._keys = keys
        self._check_records = check_records
        self._random = random
        self._now = now
        self._own = own
        self._production = production
        self._changed = changed
        self._quotas = quotas or Quotas()

    async def list_claims(self, principal: Principal) -> list[Domain]:
        """The organisation's claims, newest first."""
        require_whole_account(principal)
        return await self._database.run("list domains", store.list_domains, principal.organisation_id)

    async def keys(self, domains: Sequence[Domain]) -> dict[int, list[DkimKey]]:
        """Every DKIM key of each of these, by domain id: first the one that signs, or while there is none the one to
        publish. A domain that has none yet is left out."""
        return await self._keys.all([domain.id for domain in domains])

    def state(self, key: DkimKey) -> KeyState:
        """Where the key is in its life, now."""
        return key.state(self._moment())

    async def claim(self, principal: Principal, text: str) -> Domain:
        """A claim on the name: new, or as it was made before, with the same token.

        :raises BadRequest: no domain name, one of the service's own, or one that another account has proved.
        :raises Conflict: there are too many claims.
        :raises QuotaExceeded: the organisation has as many as it may.
        """
        require_whole_account(principal)
        name = claimable(text, self._own)
        domain = await self._database.run("claim domain", self._claim, principal, name)
        await self._keys.ensure(domain.id)
        return domain

    async def _claim(self, cur: Cursor, principal: Principal, name: str) -> Domain:
        organisation_id = principal.organisation_id
        await lock_organisation(cur, organisation_id)
        own = await store.own_domain(cur, organisation_id, name)
        if own is not None:
            return own
        if await store.verified_domain(cur, name) is not None:
            raise BadRequest("this domain cannot be registered", field="domain")
        if await store.count_domains(cur, organisation_id) >= MOST_DOMAINS:
            raise Conflict(f"an account can have at most {MOST_DOMAINS} domains; delete some first")
        await check_domains(cur, organisation_id, self._quotas)
        claim = await store.claim_domain(cur, organisation_id, name, new_proof(self._random))
        await audit.record(cur, principal, "domain.claimed", "domain", name)
        return claim

    async def report(self, principal: Principal, text: str) -> tuple[Domain, Sequence[Record]]:
        """A claim, and what DNS says of each record that it should have.

        :raises NotFound: no claim of the organisation.
        """
        domain, _, records = await self._report(principal, text)
        return domain, records

    async def records(self, principal: Principal, text: str) -> tuple[Domain, Sequence[DkimKey], Sequence[Record]]:
        """A claim, its DKIM keys as ``keys`` orders them, and the records that it should have; DNS is not asked, so
        each is ``deferred``.

        :raises NotFound: no claim of the organisation.
        """
        domain = await self._own_domain(principal, text)
        keys = await self._every_key(domain)
        published = [(key.host, key.record) for key in self._published(keys)]
        check = record_check(domain.name, domain.verification_token, self._own.smtp, published)
        return domain, keys, self._explained(domain, keys, _unanswered(check))

    async def _report(self, principal: Principal, text: str) -> tuple[Domain, Sequence[DkimKey], Sequence[Record]]:
        domain = await self._own_domain(principal, text)
        keys = await self._every_key(domain)
        records = await self._check_records(domain.name, domain.verification_token, self._published(keys))
        return domain, keys, self._explained(domain, keys, records)

    async def _every_key(self, domain: Domain) -> Sequence[DkimKey]:
        keys = (await self.keys([domain])).get(domain.id)
        if keys is not None:
            return keys
        key = await self._keys.ensure(domain.id)
        if key is None:
            raise NotFound
        return [key]

    def _published(self, keys: Sequence[DkimKey]) -> Sequence[DkimKey]:
        """Those of them whose records should be in DNS."""
        return [key for key in keys if self.state(key) != "removable"]

    def _explained(self, domain: Domain, keys: Sequence[DkimKey], records: Sequence[Record]) -> Sequence[Record]:
        """Beside another key's record each one's says what it is for."""
        if len(keys) == 1:
            return records
        known = {f"{key.host}.{domain.name}": key for key in keys}
        return [
            replace(record, hint=self._role(known[record.name], record.hint)) if record.name in known else record
            for record in records
        ]

    def _role(self, key: DkimKey, hint: str) -> str:
        if key.removable_at is not None:
            return f"The former key: leave its record there until {key.removable_at:%Y-%m-%d}, for mail on its way."
        if key.active_at is None:
            return "The next key: publish its record beside the other; once it is seen, it signs."
        return hint

    # --- another DKIM key ---------------------------------------------------------------------------------------------

    async def rotate_key(self, principal: Principal, text: str) -> Domain:
        """Make another DKIM key for the domain; see ``DomainKeys.rotate``.

        :raises NotFound: no claim of the organisation.
        :raises Conflict: there were too many this month.
        """
        domain = await self._own_domain(principal, text)

        async def note(cur: Cursor, selector: str) -> None:
            await audit.record(cur, principal, "domain.key_rotated", "domain", domain.name, selector=selector)

        if await self._keys.rotate(domain.id, note) is None:
            raise NotFound
        return domain

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    # --- proving and releasing ----------------------------------------------------------------------------------------

    async def verify(self, principal: Principal, text: str) -> tuple[Domain, Sequence[Record]]:
        """Prove a claim by the ownership record in DNS. A proved claim stays proved whatever DNS says later. Mail from
        a proved domain is signed as soon as its DKIM record is there.

        :returns: the domain, and what DNS says of each record.
        :raises NotFound: no claim of the organisation.
        :raises PreconditionFailed: the ownership record is not there.
        :raises Unavailable: DNS gave no answer.
        :raises Conflict: another account proved the name first.
        """
        domain, keys, records = await self._report(principal, text)
        if not domain.verified:
            if self._production:
                _require_ownership(domain, records)
            domain = await self._database.run("prove domain", self._prove, principal, domain)
            self._changed(f"domain {domain.name}")
        found = {record.name for record in records if record.purpose == "dkim" and record.status == "found"}
        for key in keys:
            if f"{key.host}.{domain.name}" in found:
                await self._keys.seen(key)
        return domain, records

    async def _prove(self, cur: Cursor, principal: Principal, domain: Domain) -> Domain:
        proved = await store.prove_domain(cur, domain.id)
        if proved is not None:
            await audit.record(cur, principal, "domain.verified", "domain", domain.name)
            return proved
        earlier = await store.own_domain(cur, principal.organisation_id, domain.name)
        if earlier is None:
            raise NotFound
        return earlier

    async def release(self, principal: Principal, text: str) -> None:
        """Give a claim up.

        :raises NotFound: no claim of the organisation.
        :raises BadRequest: agents are on it.
        """
        domain = await self._own_domain(principal, text)
        await self._database.run("release domain", _release, principal, domain)
        self._changed(f"domain {domain.name}")

    async def _own_domain(self, principal: Principal, text: str) -> Domain:
        require_whole_account(principal)
        try:
            name = normal_domain(text)
        except AddressError:
            raise NotFound from None
        domain = await self._database.run("get domain", store.own_domain, principal.organisation_id, name)
        if domain is None:
            raise NotFound
        return domain


def _unanswered(check: Check[T]) -> T:
    """What a check says when DNS does not."""
    try:
        questions = next(check)
        while True:
            questions = check.send(dict.fromkeys(questions, Answer(failure="not asked")))
    except StopIteration as stop:
        return cast(T, stop.value)


async def _release(cur: Cursor, principal: Principal, domain: Domain) -> None:
    await store.drop_domain(cur, domain)
    await audit.record(cur, principal, "domain.deleted", "domain", domain.name)


def _require_ownership(domain: Domain, records: Sequence[Record]) -> None:
    status = next((record.status for record in records if record.purpose == "ownership"), "deferred")
    if status == "deferred":
        raise Unavailable(f"DNS gave no answer for the TXT record of {domain.name}, try again")
    if status != "found":
        others = ", ".join(f"{record.purpose} {record.status}" for record in records if record.purpose != "ownership")
        raise PreconditionFailed(
            f"no TXT record {domain.verification_token} was found at {domain.name}"
            + (f" (other records: {others})" if others else "")
        )
