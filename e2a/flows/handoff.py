"""How the command line gets its key: the person signs in, is asked, and only then a key is made and handed over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from e2a.core.entities import Organisation, Principal, User
from e2a.core.errors import NotFound
from e2a.core.rules.permissions import in_order
from e2a.store import organisations, signin, users
from e2a.store.rows import Cursor

from .accounts import Accounts
from .ports import Now, Transactions

KEY_NAME = "CLI login"
#: How long a key works that the command line got by signing in; then ``e2a login`` asks again.
KEY_DAYS = 90


@dataclass(frozen=True, slots=True)
class Offer:
    """What the person is asked to agree to."""

    user: User
    organisation: Organisation
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HandedOver:
    """:ivar key: its text, which is not shown again.
    :ivar agent: the address of the organisation's newest agent, "" when there is none.
    """

    key: str
    agent: str


class HandOff:
    def __init__(self, database: Transactions, accounts: Accounts, now: Now) -> None:
        self._database = database
        self._accounts = accounts
        self._now = now

    async def offer(self, principal: Principal) -> Offer:
        """:raises NotFound: the account has just gone."""
        return await self._database.read("offer", self._offer, principal)

    async def _offer(self, cur: Cursor, principal: Principal) -> Offer:
        organisation = await organisations.get_organisation(cur, principal.organisation_id)
        if organisation is None:
            raise NotFound
        user = await users.get_user(cur, principal.user_id)
        return Offer(user, organisation, in_order(principal.permissions))

    async def agree(self, principal: Principal) -> HandedOver:
        """Make the key.

        :raises Conflict: there are too many keys.
        """
        expires_at = datetime.fromtimestamp(self._now(), UTC) + timedelta(days=KEY_DAYS)
        _, text = await self._accounts.create_key(principal, KEY_NAME, expires_at=expires_at)
        agent = await self._database.read("newest agent", signin.newest_agent, principal.organisation_id)
        return HandedOver(text, agent or "")
