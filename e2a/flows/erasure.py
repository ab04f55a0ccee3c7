"""A person's account goes, with everything that is nobody else's.

The person leaves every organisation. One that has other members goes on without them; one in which they are alone is
erased. From the first commit on nothing that belonged to the account works any more and nothing new comes in; what
takes long follows in short transactions. Should the daemon die on the way, the next round of retention goes on.

Everything is decided under the locks of the organisations, which whoever changes members takes too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from e2a.core import ids
from e2a.core.entities import Origin, Principal
from e2a.core.errors import BadRequest, Conflict, Forbidden, Unauthenticated
from e2a.core.rules.permissions import require_whole_account
from e2a.core.trust.sealing import Sealer
from e2a.store import audit, invitations
from e2a.store import erasure as store
from e2a.store.rows import Cursor

from .bootstrap import OPERATOR
from .ports import Changed, Transactions, nobody
from .secrets import DEFAULT_NAME, make_secret

T = TypeVar("T")

#: What the caller must write to show that they mean it.
CONFIRMATION = "DELETE"


class Insistent(Transactions, Protocol):
    """``store.database.Database`` as this flow sees it."""

    async def insist(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As ``run``; run again when it has lost against another transaction."""
        ...


@dataclass(frozen=True, slots=True)
class _Departure:
    """What the first transaction did.

    :ivar erased: the organisations that go with the person, in order.
    :ivar whom: under what else the person was counted.
    """

    counts: dict[str, int]
    erased: tuple[str, ...]
    whom: tuple[str, ...]


class Erasure:
    """:param operator: the deployment's own mailbox: it and its organisation are emptied and stay.
    :param changed: told of what changed here without waiting for the notification to come round.
    """

    _log = Logger()

    def __init__(
        self,
        database: Insistent,
        sealer: Sealer,
        random: ids.RandomBytes,
        *,
        operator: str,
        changed: Changed = nobody,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._random = random
        self._operator = operator
        self._changed = changed
        self._stopping = False

    async def delete_account(self, principal: Principal, confirm: str) -> dict[str, Any]:
        """Delete the person whose credential this is. A caller who leaves does not stop it.

        :returns: how many rows of each kind went, ``<kind>_deleted``, and ``user_deleted``.
        :raises BadRequest: it is not confirmed; ``field`` is ``confirm``.
        :raises Forbidden: the key sees only a part of the organisation, or its owner belongs to others as well.
        :raises Conflict: an organisation with other members would be without an owner.
        :raises Unavailable: the database went away; what has begun is finished later.
        """
        require_whole_account(principal)
        if confirm != CONFIRMATION:
            raise BadRequest(f"deleting the account needs confirm={CONFIRMATION} in the query", field="confirm")
        outcome: Deferred[dict[str, Any]] = Deferred()
        Deferred.fromCoroutine(self._delete(principal)).addCallbacks(
            outcome.callback, self._failed, errbackArgs=(outcome,)
        )
        return await outcome

    def _failed(self, failure: Failure, outcome: Deferred[Any]) -> None:
        if outcome.called:
            self._log.failure("deleting an account, which nobody waits for any more", failure)
        outcome.errback(failure)

    async def _delete(self, principal: Principal) -> dict[str, Any]:
        departure = await self._database.insist("delete account", self._depart, principal)
        if principal.key_id is not None:
            self._changed(f"key {principal.key_id}")
        counts = await self._database.insist("stop account", self._stop, departure)
        for organisation_id in departure.erased:
            await self._erase(organisation_id)
        return {**counts, **departure.counts, "user_deleted": True}

    async def _depart(self, cur: Cursor, principal: Principal) -> _Departure:
        user_id = principal.user_id
        user = await store.lock_user(cur, user_id)
        if user is None:
            raise Unauthenticated
        mine = await store.belongings(cur, user_id)
        if principal.key_id is not None and any(one.organisation_id != principal.organisation_id for one in mine):
            raise Forbidden(
                "this key belongs to one of several organisations of its owner; sign in to delete the account with all"
                " of them"
            )
        alone = [one.organisation_id for one in mine if not one.others]
        for one in mine:
            if one.role == "owner" and one.others and "owner" not in one.others:
                raise Conflict(
                    f"you are the only owner of {one.organisation_id}, which has other members: make somebody else an"
                    " owner, or remove them, first"
                )
        counts = await store.count(cur, user_id, alone, kept_agent=self._operator)
        for one in mine:
            if one.others:
                there = replace(principal, organisation_id=one.organisation_id)
                await audit.record(cur, there, "member.left", "member", user_id, account="deleted")
                await invitations.revoke_of(cur, one.organisation_id, user_id, ())
        # Of the person themselves nothing is said: no id, no address, no place.
        nameless = Principal(OPERATOR, "", frozenset(), origin=Origin(request_id=principal.origin.request_id))
        await audit.record(cur, nameless, "account.deleted", "account", organisations=len(alone), rows=counts)
        await store.mark(cur, alone)
        await store.drop_user(cur, user, alone)
        return _Departure(counts, tuple(alone), (user.id, user.email.lower()))

    async def _stop(self, cur: Cursor, departure: _Departure) -> dict[str, int]:
        waiting = await store.stop(cur, departure.erased, kept_agent=self._operator)
        counts = await store.count_long(cur, departure.erased, kept_organisation=OPERATOR)
        counts["messages_deleted"] += waiting
        await store.drop_counters(cur, departure.whom)
        return counts

    # --- what takes long ----------------------------------------------------------------------------------------------

    async def resume(self) -> int:
        """Finish what was begun and is not over; says how many organisations went.

        :raises Unavailable: the database went away; what is left is found again.
        """
        erased = 0
        for organisation_id in await self._database.run("find erased", store.marked):
            if not self._stopping:
                await self._database.insist("stop account", self._stop, _Departure({}, (organisation_id,), ()))
                erased += await self._erase(organisation_id)
        return erased

    def stop(self) -> None:
        """End ``resume`` after the step in hand."""
        self._stopping = True

    async def _erase(self, organisation_id: str) -> bool:
        while not self._stopping:
            if not await self._database.insist("erase messages", store.erase_messages, organisation_id):
                break
        while not self._stopping:
            if not await self._database.insist("erase lists", store.erase_lists, organisation_id, OPERATOR):
                break
        if self._stopping:
            return False
        return await self._database.insist("erase organisation", self._finish, organisation_id)

    async def _finish(self, cur: Cursor, organisation_id: str) -> bool:
        done = await store.finish(cur, organisation_id, kept_agent=self._operator, kept_organisation=OPERATOR)
        if done and organisation_id == OPERATOR:
            await make_secret(cur, OPERATOR, DEFAULT_NAME, self._sealer, self._random)
        return done
