"""Webhook signing secrets: each organisation has one to five, the newest signs, all of them verify."""

from __future__ import annotations

from datetime import UTC, datetime

from e2a.core import ids
from e2a.core.entities import Principal, SigningSecret
from e2a.core.errors import BadRequest, NotFound
from e2a.core.rules.permissions import require_whole_account
from e2a.core.trust.sealing import Sealer
from e2a.store import secrets as store
from e2a.store.organisations import lock_organisation
from e2a.store.rows import Cursor

from .ports import Now, Transactions

MOST_SECRETS = 5
DEFAULT_NAME = "default"
#: Seconds for which secrets are kept in memory without a notification.
CACHE_SECONDS = 30.0
CAPACITY = 20_000


async def make_secret(
    cur: Cursor, organisation_id: str, name: str, sealer: Sealer, random: ids.RandomBytes
) -> tuple[SigningSecret, str]:
    """Store a new secret; answers it with its text, 64 hex digits whose ASCII octets are the HMAC key."""
    text = ids.token(random)
    secret_id = ids.prefixed("wsec", random)
    secret = await store.add_secret(cur, secret_id, organisation_id, name, text[:12], sealer.seal(secret_id, text))
    return secret, text


async def reseal(cur: Cursor, sealer: Sealer) -> int:
    """Seal every secret under the current deployment secret that is under an old one; answers how many.

    :raises SealingError: one was sealed under a deployment secret that is not configured.
    """
    stale = await store.stale_secrets(cur, sealer.current_id)
    for secret in stale:
        await store.reseal(cur, secret.id, sealer.seal(secret.id, sealer.open(secret.id, secret.sealed)))
    return len(stale)


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
        self._cache: dict[str, tuple[float, tuple[tuple[str, str], ...]]] = {}
        self._changes = 0
        self._signed: dict[str, float] = {}

    # --- signing --------------------------------------------------------------------------------------------------

    async def newest(self, organisation_id: str) -> str:
        """The secret to sign with.

        :raises Unavailable: the database cannot be asked.
        :raises SealingError: it cannot be unsealed with the configured deployment secrets.
        """
        known = await self._read(organisation_id)
        if not known:
            return self._fallback
        secret_id, text = known[0]
        self._signed[secret_id] = self._now()
        return text

    async def all(self, organisation_id: str) -> tuple[str, ...]:
        """Every secret that verifies, newest first; raises as ``newest`` does."""
        known = await self._read(organisation_id)
        return tuple(text for _, text in known) or (self._fallback,)

    async def _read(self, organisation_id: str) -> tuple[tuple[str, str], ...]:
        kept = self._cache.get(organisation_id)
        if kept is not None and self._now() < kept[0]:
            return kept[1]
        changes = self._changes
        rows = await self._database.run("secrets", store.list_secrets, organisation_id)
        known = tuple((row.id, self._sealer.open(row.id, row.sealed)) for row in rows)
        # Changed while it was read: good for this caller, not for later ones.
        if changes == self._changes:
            self._cache.pop(organisation_id, None)
            if len(self._cache) >= CAPACITY:
                del self._cache[next(iter(self._cache))]
            self._cache[organisation_id] = self._now() + CACHE_SECONDS, known
        return known

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
            self._changes += 1
            self._cache.pop(organisation_id, None)

    def clear(self) -> None:
        """Forget everything: notifications may have been missed."""
        self._changes += 1
        self._cache.clear()

    # --- management -----------------------------------------------------------------------------------------------

    async def list_secrets(self, principal: Principal) -> list[SigningSecret]:
        """Newest first, without their texts."""
        require_whole_account(principal)
        return await self._database.run("list secrets", store.list_secrets, principal.organisation_id)

    async def create(self, principal: Principal, name: str) -> tuple[SigningSecret, str]:
        """A new secret, which signs from now on, and its text, which is not shown again.

        :raises BadRequest: the organisation has five already.
        """
        require_whole_account(principal)
        created = await self._database.run("create secret", self._create, principal.organisation_id, name)
        self.changed(f"secret {principal.organisation_id}")
        return created

    async def _create(self, cur: Cursor, organisation_id: str, name: str) -> tuple[SigningSecret, str]:
        await lock_organisation(cur, organisation_id)
        if len(await store.list_secrets(cur, organisation_id)) >= MOST_SECRETS:
            raise BadRequest(f"an account can have at most {MOST_SECRETS} signing secrets; delete one first")
        return await make_secret(cur, organisation_id, name.strip() or "unnamed", self._sealer, self._random)

    async def delete(self, principal: Principal, secret_id: str) -> None:
        """
        :raises NotFound: the organisation has no such secret.
        :raises BadRequest: it is the last one.
        """
        require_whole_account(principal)
        await self._database.run("delete secret", self._delete, principal.organisation_id, secret_id)
        self.changed(f"secret {principal.organisation_id}")

    async def _delete(self, cur: Cursor, organisation_id: str, secret_id: str) -> None:
        await lock_organisation(cur, organisation_id)
        known = [secret.id for secret in await store.list_secrets(cur, organisation_id)]
        if secret_id not in known:
            raise NotFound
        if len(known) == 1:
            raise BadRequest("the last signing secret cannot be deleted; create another one first")
        await store.drop_secret(cur, organisation_id, secret_id)
