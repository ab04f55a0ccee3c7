"""Webhook signing secrets: each organisation has one to five, one of them signs first, all of them verify.

``core.rules.signers`` says which signs. A secret that a rotation retires stops counting by the clock, and is removed,
with a line in the audit log, by whichever replica looks first.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from e2a.core import ids
from e2a.core.entities import Principal, SigningSecret
from e2a.core.errors import BadRequest, Conflict, NotFound
from e2a.core.rules.permissions import require_whole_account
from e2a.core.rules.signers import MOST_SECRETS, OVERLAP, live, signing_order, waiting
from e2a.core.trust.sealing import Sealer
from e2a.store import audit
from e2a.store import secrets as store
from e2a.store.organisations import lock_organisation
from e2a.store.rows import Cursor

from .answers import Answers
from .ports import Now, Transactions

DEFAULT_NAME = "default"
#: Seconds for which secrets are kept in memory without a notification.
CACHE_SECONDS = 30.0
CAPACITY = 20_000
#: Retired secrets that one transaction removes.
_BATCH = 100


async def make_secret(
    cur: Cursor,
    organisation_id: str,
    name: str,
    sealer: Sealer,
    random: ids.RandomBytes,
    signs_from: datetime | None = None,
) -> tuple[SigningSecret, str]:
    """Store a new secret; answers it with its text, 64 hex digits whose ASCII octets are the HMAC key.

    :param signs_from: when it takes over; None: at once.
    """
    text = ids.token(random)
    secret_id = ids.prefixed("wsec", random)
    sealed = sealer.seal(secret_id, text)
    secret = await store.add_secret(cur, secret_id, organisation_id, name, text[:12], sealed, signs_from)
    return secret, text


class _Unsealed(NamedTuple):
    """An organisation's secrets, and the text of each by its id."""

    secrets: tuple[SigningSecret, ...]
    texts: dict[str, str]


class SecretBook:
    """:param fallback: the deployment secret, which signs for an organisation that has none of its own."""

    def __init__(
        self, database: Transactions, sealer: Sealer, now: Now, random: ids.RandomBytes, *, fallback: str
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._now = now
        self._random = random
        self._fallback = fallback
        self._kept: Answers[_Unsealed] = Answers(now, CACHE_SECONDS, CAPACITY)
        self._signed: dict[str, float] = {}

    # --- signing --------------------------------------------------------------------------------------------------

    async def signers(self, organisation_id: str, attempt: int = 1) -> tuple[str, ...]:
        """Every secret that counts now, first the one that signs where only one signature fits.

        :param attempt: which attempt at delivering is signed; during a rotation old and new take turns.
        :raises Unavailable: the database cannot be asked.
        :raises SealingError: one cannot be unsealed with the configured deployment secrets.
        """
        found = await self._kept.find(organisation_id, lambda: self._unsealed(organisation_id))
        assert found is not None
        order = signing_order(found.secrets, self._moment(), attempt)
        if not order:
            return (self._fallback,)
        self._signed[order[0].id] = self._now()
        return tuple(found.texts[secret.id] for secret in order)

    async def _unsealed(self, organisation_id: str) -> _Unsealed:
        secrets = tuple(await self._database.run("secrets", store.list_secrets, organisation_id))
        return _Unsealed(secrets, {secret.id: self._sealer.open(secret.id, secret.sealed) for secret in secrets})

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)

    async def record_signing(self) -> None:
        """Write down when secrets last signed. To be called once a minute.

        :raises Unavailable: it was not written; the next call writes it.
        """
        signed, self._signed = self._signed, {}
        if not signed:
            return
        moments = {secret_id: datetime.fromtimestamp(at, UTC) for secret_id, at in signed.items()}
        try:
            await self._database.run("signing", store.record_signing, moments)
        except Exception:
            self._signed = signed | self._signed
            raise

    def changed(self, payload: str) -> None:
        """Take in a notification of ``e2a_changed``."""
        kind, _, organisation_id = payload.partition(" ")
        if kind == "secret":
            self._kept.changed(organisation_id)

    def clear(self) -> None:
        """Forget everything: notifications may have been missed."""
        self._kept.clear()

    # --- management -----------------------------------------------------------------------------------------------

    async def list_secrets(self, principal: Principal) -> list[SigningSecret]:
        """Those that count, newest first, without their texts."""
        require_whole_account(principal)
        secrets = await self._database.run("list secrets", store.list_secrets, principal.organisation_id)
        return live(secrets, self._moment())

    async def create(self, principal: Principal, name: str) -> tuple[SigningSecret, str]:
        """A new secret, which signs from now on, and its text, which is not shown again.

        :raises BadRequest: the organisation has five already.
        """
        require_whole_account(principal)
        created = await self._database.run("create secret", self._create, principal, name)
        self.changed(f"secret {principal.organisation_id}")
        return created

    async def _create(self, cur: Cursor, principal: Principal, name: str) -> tuple[SigningSecret, str]:
        await self._room(cur, principal.organisation_id)
        return await self._make(cur, principal, name)

    async def rotate(self, principal: Principal, name: str, overlap: int = OVERLAP) -> tuple[SigningSecret, str]:
        """A new secret and its text, which replaces all others: they count for ``overlap`` seconds more, and until then
        the earlier one keeps signing where only one signature fits.

        :raises BadRequest: the organisation has five already.
        :raises Conflict: another rotation has not ended.
        """
        require_whole_account(principal)
        created = await self._database.run("rotate secrets", self._rotate, principal, name, overlap)
        self.changed(f"secret {principal.organisation_id}")
        return created

    async def _rotate(self, cur: Cursor, principal: Principal, name: str, overlap: int) -> tuple[SigningSecret, str]:
        earlier = await self._room(cur, principal.organisation_id)
        moment = self._moment()
        if any(waiting(secret, moment) for secret in earlier):
            raise Conflict("a rotation is under way; delete its new secret to cancel it, or the earlier ones to end it")
        end = moment + timedelta(seconds=overlap)
        created = await self._make(cur, principal, name, end if overlap else None)
        leaving = [secret for secret in earlier if secret.retires_at is None]
        await store.set_retirement(cur, principal.organisation_id, [secret.id for secret in leaving], end)
        for secret in leaving:
            await audit.record(
                cur, principal, "secret.superseded", "secret", secret.id, name=secret.name, overlap_seconds=overlap
            )
        return created

    async def _room(self, cur: Cursor, organisation_id: str) -> list[SigningSecret]:
        """The secrets that count, locked against changes, when there may be one more."""
        await lock_organisation(cur, organisation_id)
        present = live(await store.list_secrets(cur, organisation_id), self._moment())
        if len(present) >= MOST_SECRETS:
            raise BadRequest(f"an account can have at most {MOST_SECRETS} signing secrets; delete one first")
        return present

    async def _make(
        self, cur: Cursor, principal: Principal, name: str, signs_from: datetime | None = None
    ) -> tuple[SigningSecret, str]:
        secret, text = await make_secret(
            cur, principal.organisation_id, name.strip() or "unnamed", self._sealer, self._random, signs_from
        )
        await audit.record(cur, principal, "secret.created", "secret", secret.id, name=secret.name)
        return secret, text

    async def delete(self, principal: Principal, secret_id: str) -> None:
        """Retire one at once. Without any that stays for good the others stay: deleting the new secret of a rotation
        cancels it.

        :raises NotFound: the organisation has no such secret.
        :raises BadRequest: it is the last one.
        """
        require_whole_account(principal)
        await self._database.run("delete secret", self._delete, principal, secret_id)
        self.changed(f"secret {principal.organisation_id}")

    async def _delete(self, cur: Cursor, principal: Principal, secret_id: str) -> None:
        organisation_id = principal.organisation_id
        await lock_organisation(cur, organisation_id)
        known = {secret.id: secret for secret in live(await store.list_secrets(cur, organisation_id), self._moment())}
        secret = known.pop(secret_id, None)
        if secret is None:
            raise NotFound
        if not known:
            raise BadRequest("the last signing secret cannot be deleted; create another one first")
        await store.drop_secret(cur, organisation_id, secret_id)
        if all(other.retires_at is not None for other in known.values()):
            await store.set_retirement(cur, organisation_id, list(known), None)
        await audit.record(cur, principal, "secret.deleted", "secret", secret_id, name=secret.name)

    async def remove_retired(self) -> None:
        """Remove the secrets whose overlap has ended. To be called once a minute.

        :raises Unavailable: not all were removed; they count no more all the same.
        """
        while await self._database.run("retired secrets", self._remove_retired) == _BATCH:
            pass

    async def _remove_retired(self, cur: Cursor) -> int:
        gone = await store.drop_retired(cur, self._moment(), _BATCH)
        for secret in gone:
            nobody = Principal(secret.organisation_id, "", frozenset())
            await audit.record(cur, nobody, "secret.retired", "secret", secret.id, name=secret.name)
        return len(gone)
