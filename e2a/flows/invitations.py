"""Invitations: a mail with a link that the invited person, signed in under that address, can accept within seven days.

The token is in the mail and nowhere else; stored is its hash. It alone lets nobody in: who accepts must be signed in as
the person that was invited, so a forwarded mail is worth nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from e2a.core import ids
from e2a.core.entities import Invitation, Principal, Role
from e2a.core.errors import Conflict, Forbidden, Gone, NotFound
from e2a.core.rules import members as rules
from e2a.core.rules.drafts import Draft, Recipients, address
from e2a.core.rules.limits import Limit
from e2a.core.rules.permissions import require_whole_account
from e2a.core.trust import apikeys
from e2a.store import audit, invitations, limits, members, organisations, users
from e2a.store.rows import Cursor

from .people import actor_role, require_person
from .ports import Now, Transactions

#: Invitations of one organisation, of one person in all of theirs, and to one address whoever asks: each is a mail to
#: somebody who did not ask for it.
SENT = Limit("invitations", 50, 86_400)
SENT_BY = Limit("invitations by", 50, 86_400)
RECEIVED = Limit("invitations to", 5, 86_400)
#: Where the mail's link leads, below the public URL.
PATH = "/invitation"

_TEXT = """\
{inviter} invites you to work with the e-mail agents of an
organisation on {host}.

To see which organisation it is, and to accept, open this page within
seven days and sign in as {invited}:

{link}

If you do not know what this is about, do nothing.
"""


class Writer(Protocol):
    """``flows.outbound.Outbound`` as this flow sees it."""

    @property
    def sends_system_mail(self) -> bool: ...

    async def system_mail(self, cur: Cursor, draft: Draft) -> Any: ...


class Invitations:
    """:param public_url: where the links lead, without a trailing slash; ``""`` when it is not known."""

    def __init__(
        self, database: Transactions, writer: Writer, *, public_url: str, now: Now, random: ids.RandomBytes
    ) -> None:
        self._database = database
        self._writer = writer
        self._public_url = public_url
        self._now = now
        self._random = random

    # --- for those who invite -----------------------------------------------------------------------------------------

    async def list_open(self, principal: Principal) -> Sequence[Invitation]:
        """Those that can still be accepted, newest first."""
        require_whole_account(principal)
        return await self._database.run(
            "list invitations", invitations.list_open, principal.organisation_id, self._moment()
        )

    async def invite(self, principal: Principal, email: str, role: str) -> tuple[Invitation, str | None]:
        """Ask a person, by mail. An open invitation to the same address is replaced, and its link stops working.

        :returns: the invitation; and its link when the deployment cannot send mail, for the caller to hand over.
        :raises BadRequest: not an address, or not a role; ``field`` says which.
        :raises Forbidden: only an owner invites an owner; or the role may do more than the key that asks.
        :raises Conflict: they are a member already, or there are too many.
        :raises TooManyRequests: too many were asked, or this address too often.
        :raises RecipientSuppressed: mail to the address came back.
        """
        require_whole_account(principal)
        return await self._database.run("invite", self._invite, principal, address(email, "email"), rules.role(role))

    async def _invite(self, cur: Cursor, principal: Principal, email: str, role: Role) -> tuple[Invitation, str | None]:
        organisation_id, moment = principal.organisation_id, self._moment()
        await organisations.lock_organisation(cur, organisation_id)
        rules.check_appointment(await actor_role(cur, principal), None, role)
        rules.check_grant(principal.permissions, None, role)
        if await members.find_member(cur, organisation_id, email) is not None:
            raise Conflict("this person is a member already")
        if len(await invitations.list_open(cur, organisation_id, moment)) >= rules.MOST_INVITATIONS:
            raise Conflict(f"at most {rules.MOST_INVITATIONS} invitations can be open; revoke some first")
        await self._check_room(cur, organisation_id)
        token = apikeys.mint(self._random)
        made = await invitations.add_invitation(
            cur,
            ids.prefixed("inv", self._random),
            organisation_id,
            email=email,
            role=role,
            digest=token.digest,
            invited_by=principal.user_id,
            now=moment,
            expires_at=moment + rules.INVITATION,
        )
        await audit.record(cur, principal, "invitation.created", "invitation", made.id, role=role)
        await limits.charge(cur, SENT, organisation_id)
        await limits.charge(cur, SENT_BY, principal.user_id)
        await limits.charge(cur, RECEIVED, email.lower())
        link = f"{self._public_url}{PATH}?token={token.text}"
        if not self._writer.sends_system_mail or not self._public_url:
            return made, link
        inviter = await users.get_user(cur, principal.user_id)
        await self._writer.system_mail(cur, self._letter(made, inviter.email, link))
        return made, None

    def _letter(self, invitation: Invitation, inviter: str, link: str) -> Draft:
        # The organisation's name is its members' to choose and could carry a text of its own: the page shows it.
        host = self._public_url.partition("://")[2]
        text = _TEXT.format(inviter=inviter, host=host, invited=invitation.email, link=link)
        subject = f"{inviter} invites you to an organisation on {host}"
        return Draft("send", Recipients((invitation.email,)), subject, text)

    async def revoke(self, principal: Principal, invitation_id: str) -> None:
        """:raises NotFound: unknown, another organisation's, or over."""
        require_whole_account(principal)
        await self._database.run("revoke invitation", self._revoke, principal, invitation_id)

    async def _revoke(self, cur: Cursor, principal: Principal, invitation_id: str) -> None:
        if not await invitations.revoke(cur, principal.organisation_id, invitation_id, self._moment()):
            raise NotFound
        await audit.record(cur, principal, "invitation.revoked", "invitation", invitation_id)

    # --- for the person -----------------------------------------------------------------------------------------------

    async def look(self, token: str) -> Invitation:
        """What a link is about; nothing changes.

        :raises NotFound: nothing was invited with this token.
        :raises Gone: it is over: accepted, revoked, replaced or expired.
        """
        if not apikeys.well_formed(token):
            raise NotFound("this link is not complete or was not made here")
        found = await self._database.run("look at invitation", invitations.by_token, apikeys.digest(token))
        return self._open(found)

    async def accept(self, principal: Principal, token: str) -> Invitation:
        """Join.

        :raises NotFound: as ``look``.
        :raises Gone: as ``look``.
        :raises Forbidden: the caller is not signed in, or not as the person that was invited.
        :raises Conflict: the organisation is full, or the caller in it already.
        """
        require_person(principal)
        if not apikeys.well_formed(token):
            raise NotFound("this link is not complete or was not made here")
        return await self._database.run("accept invitation", self._accept, principal, apikeys.digest(token))

    async def _accept(self, cur: Cursor, principal: Principal, digest: bytes) -> Invitation:
        found = self._open(await invitations.by_token(cur, digest))
        user = await users.get_user(cur, principal.user_id)
        if user.email.lower() != found.email.lower():
            raise Forbidden(f"this invitation is for {found.email}; you are signed in as {user.email}")
        await organisations.lock_organisation(cur, found.organisation_id)
        # Before the lock it may have been accepted, or have gone with the organisation.
        found = self._open(await invitations.by_token(cur, digest, lock=True))
        await self._check_room(cur, found.organisation_id)
        if not await members.add_member(cur, found.organisation_id, user.id, found.role):
            raise Conflict("you are a member of this organisation already")
        await invitations.accept(cur, found.id, self._moment())
        joined = Principal(
            found.organisation_id, user.id, frozenset(), session_id=principal.session_id, origin=principal.origin
        )
        await audit.record(cur, joined, "member.joined", "member", user.id, role=found.role)
        return found

    async def _check_room(self, cur: Cursor, organisation_id: str) -> None:
        count, _ = await members.count_members(cur, organisation_id)
        if count >= rules.MOST_MEMBERS:
            raise Conflict(f"an organisation can have at most {rules.MOST_MEMBERS} members")

    def _open(self, found: Invitation | None) -> Invitation:
        if found is None:
            raise NotFound("this link is not complete or was not made here")
        if not found.open(self._moment()):
            raise Gone("this invitation is over; ask for a new one")
        return found

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)
