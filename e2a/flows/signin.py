"""Signing people in: with a provider, or in development with a link that the operator's command line prints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from twisted.logger import Logger

from e2a.core import ids
from e2a.core.entities import AuditResult, Origin, Principal, User
from e2a.core.errors import BadRequest, Conflict, E2AError, Forbidden
from e2a.core.mail.addresses import AddressError, match_path
from e2a.core.rules.limits import Limit, network_of
from e2a.core.rules.signin import may_sign_up, safe_next
from e2a.core.trust import apikeys
from e2a.core.trust.browser import Attempts
from e2a.core.trust.sealing import Sealer
from e2a.store import audit, identities, limits, organisations, signin, users
from e2a.store.rows import Cursor

from .accounts import make_user
from .ports import Now, Transactions
from .providers import Person, Provider
from .sessions import Opened, open_session

CALLBACK = "/api/auth/callback"
LINK = "/api/auth/link"
#: Seconds from leaving for the provider to coming back.
STATE_SECONDS = 600
LINK_MINUTES = 15
#: Sign-ins that one client address begins, comes back from, or opens a link for.
ATTEMPTS = Limit("sign-in", 60, 60)


class LinkGone(E2AError):
    """A one-time link that was used, has expired or never was."""

    status, code = 410, "link_gone"
    default = "this sign-in link was used already or has expired; run e2a bootstrap again for a new one"


@dataclass(frozen=True, slots=True)
class SignUpRules:
    """Who may make an account, see ``core.rules.signin.may_sign_up``."""

    open_to_all: bool
    domains: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """:ivar url: where the browser goes.
    :ivar browser: the cookie that ties what comes back to this browser.
    """

    url: str
    browser: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """:ivar token: for the session's cookie. :ivar next: the path to go on to."""

    token: str
    next: str


class SignIn:
    """:param providers: in the order in which people are offered them.
    :param base: scheme and host that providers send people back to; "" when there is no provider.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        providers: Sequence[Provider],
        attempts: Attempts,
        rules: SignUpRules,
        *,
        base: str,
        sealer: Sealer,
        now: Now,
        random: ids.RandomBytes,
    ) -> None:
        self._database = database
        self._providers = {provider.settings.key: provider for provider in providers}
        self._attempts = attempts
        self._rules = rules
        self._sealer = sealer
        self._now = now
        self._random = random
        self.base = base

    @property
    def providers(self) -> list[tuple[str, str]]:
        """Key and name of each provider."""
        return [(key, provider.settings.name) for key, provider in self._providers.items()]

    async def begin(self, provider_key: str, next_path: str, cookie: str, origin: Origin) -> Begun:
        """Send somebody to a provider.

        :param cookie: what the browser has from an earlier sign-in under way, "" for nothing.
        :raises BadRequest: there is no such provider.
        :raises ProviderFailed: it cannot be reached.
        :raises TooManyRequests: too many from this address.
        """
        provider = self._providers.get(provider_key)
        if provider is None:
            raise BadRequest("there is no such sign-in provider", field="provider")
        await self._count(origin)
        browser, state = self._attempts.browser(cookie), self._attempts.state()
        digest = self._attempts.digest(state, browser)
        assert digest is not None
        nonce, verifier = self._attempts.nonce(state, browser), self._attempts.verifier(state, browser)
        url = await provider.authorization_url(self.base + CALLBACK, state, nonce, verifier)
        now = self._moment()
        kept = signin.State(provider_key, safe_next(next_path))
        await self._database.run(
            "begin sign-in", signin.add_state, digest, kept, now, now + timedelta(seconds=STATE_SECONDS)
        )
        return Begun(url, browser)

    async def finish(self, state: str, code: str, answered_by: str | None, cookie: str, origin: Origin) -> SignedIn:
        """Take in somebody who comes back from the provider. A state counts once, whatever comes of it.

        :raises BadRequest: the sign-in was not begun in this browser, is too old, or was finished.
        :raises ProviderFailed: the provider does not confirm it.
        :raises Forbidden: the address is not verified, or nobody without an invitation may sign up.
        :raises Conflict: the address belongs to somebody else's account.
        """
        await self._count(origin)
        digest = self._attempts.digest(state, cookie)
        kept = None
        if digest is not None:
            kept = await self._database.run("finish sign-in", signin.take_state, digest, self._moment())
        provider = self._providers.get(kept.provider) if kept is not None else None
        if kept is None or provider is None:
            raise BadRequest("this sign-in was not begun in this browser, or took too long; please begin again")
        person = await provider.person(
            code,
            self.base + CALLBACK,
            verifier=self._attempts.verifier(state, cookie),
            nonce=self._attempts.nonce(state, cookie),
            answered_by=answered_by,
        )
        _check_address(person)
        opened = await self._database.run("sign in", self._enter, person, origin)
        if isinstance(opened, E2AError):
            raise opened
        return SignedIn(opened.token, kept.next)

    async def _enter(self, cur: Cursor, person: Person, origin: Origin) -> Opened | E2AError:
        """A session for the person. A refusal is returned, not raised, so that its line in the audit log stays."""
        user_id = await identities.find_identity(cur, person.issuer, person.subject)
        if user_id is not None:
            await identities.note_email(cur, person.issuer, person.subject, person.email)
            user = await self._refreshed(cur, person, await users.get_user(cur, user_id), origin)
        else:
            linked = await self._link(cur, person, origin)
            if isinstance(linked, E2AError):
                return linked
            user = linked
        return await self._open(cur, user, person.issuer, origin)

    async def _refreshed(self, cur: Cursor, person: Person, user: User, origin: Origin) -> User:
        """The person with the name and address that they have at the provider now. The address opens invitations and
        further providers, so it is taken over only from a provider that could open the account by it.
        """
        others = await identities.known_elsewhere(cur, user.id, person.issuer)
        email = person.email if person.link == "always" or not others else user.email
        found = await users.refresh_user(cur, user.id, email, person.name)
        if found.email != user.email:
            await _note(cur, user, origin, "user.address_changed", issuer=person.issuer)
        return found

    async def _link(self, cur: Cursor, person: Person, origin: Origin) -> User | E2AError:
        """The account of somebody who signs in as this subject for the first time: the one with their address, or a new
        one.
        """
        user, made = await users.find_user(cur, person.email), False
        if user is None:
            if not await self._admitted(cur, person.email):
                self._log.info(
                    "somebody without an account or invitation was not let in by {issuer}", issuer=person.issuer
                )
                return Forbidden("there is no account with this address; ask the operator or a colleague to invite you")
            user = await make_user(
                cur, person.email, person.name, issuer=person.issuer, sealer=self._sealer, random=self._random
            )
            made = True
        if not made and not await self._opens(cur, person, user):
            await _note(cur, user, origin, "identity.linked", result="refused", issuer=person.issuer)
            return Conflict(
                "an account with this address exists, and this provider may not open it; sign in as you did before"
            )
        if not await identities.add_identity(cur, person.issuer, person.subject, user.id, person.email):
            await _note(cur, user, origin, "identity.linked", result="refused", issuer=person.issuer)
            return Conflict(
                "an account with this address exists, and belongs to another person at the same provider; "
                "ask the operator for help"
            )
        if made:
            await _note(cur, user, origin, "user.created", issuer=person.issuer)
        else:
            user = await users.refresh_user(cur, user.id, user.email, person.name)
        await _note(cur, user, origin, "identity.linked", issuer=person.issuer)
        return user

    async def _opens(self, cur: Cursor, person: Person, user: User) -> bool:
        """Whether the provider's word about the address is enough to open this account."""
        if person.link == "auto":
            return not await identities.known_elsewhere(cur, user.id, person.issuer)
        return person.link == "always"

    async def _admitted(self, cur: Cursor, email: str) -> bool:
        invited = await signin.invited(cur, email, self._moment())
        return may_sign_up(email, invited=invited, open_to_all=self._rules.open_to_all, domains=self._rules.domains)

    # --- links ----------------------------------------------------------------------------------------------------

    async def look(self, token: str, origin: Origin) -> str:
        """The address of whom the link would sign in; it stays good.

        :raises LinkGone: nobody.
        """
        await self._count(origin)
        email = await self._database.read("look at link", signin.find_link, apikeys.digest(token), self._moment())
        if email is None:
            raise LinkGone
        return email

    async def use(self, token: str, origin: Origin) -> SignedIn:
        """Sign in with a link, which is used up.

        :raises LinkGone: it does not sign anybody in.
        """
        await self._count(origin)
        opened = await self._database.run("use link", self._use, apikeys.digest(token), origin)
        return SignedIn(opened.token, safe_next(""))

    async def _use(self, cur: Cursor, digest: bytes, origin: Origin) -> Opened:
        user_id = await signin.take_link(cur, digest, self._moment())
        if user_id is None:
            raise LinkGone
        return await self._open(cur, await users.get_user(cur, user_id), "link", origin)

    # --- both -----------------------------------------------------------------------------------------------------

    async def _open(self, cur: Cursor, user: User, via: str, origin: Origin) -> Opened:
        return await open_session(
            cur, user, via, origin=origin, now=self._moment(), sealer=self._sealer, random=self._random
        )

    async def _count(self, origin: Origin) -> None:
        await self._database.run("count sign-in", limits.charge, ATTEMPTS, network_of(origin.client_ip))

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


async def make_link(cur: Cursor, user_id: str, now: datetime, random: ids.RandomBytes) -> str:
    """The token of a link that signs this user in once, within the next quarter of an hour; stored as a hash only."""
    token = ids.token(random)
    organisation = await organisations.organisation_of(cur, user_id)
    if organisation is not None:
        # Whoever asks for it on the server has shown nobody who they are.
        operator = Principal(organisation.id, "", frozenset())
        await audit.record(cur, operator, "link.created", "user", user_id, minutes=LINK_MINUTES)
    await signin.add_link(cur, apikeys.digest(token), user_id, now, now + timedelta(minutes=LINK_MINUTES))
    return token


async def _note(
    cur: Cursor, user: User, origin: Origin, action: str, *, issuer: str, result: AuditResult = "ok"
) -> None:
    """A line in the audit log about somebody who has no session yet. Who has left all organisations is in nobody's."""
    organisation = await organisations.organisation_of(cur, user.id)
    if organisation is not None:
        caller = Principal(organisation.id, user.id, frozenset(), origin=origin)
        await audit.record(cur, caller, action, "user", user.id, result=result, issuer=issuer)


def _check_address(person: Person) -> None:
    """:raises Forbidden: the provider vouches for no address."""
    try:
        path, end = match_path(f"<{person.email}>")
        usable = end == len(person.email) + 2 and bool(path.domain)
    except AddressError:
        usable = False
    if not usable:
        raise Forbidden("the provider did not tell your e-mail address; allow it to be shared, and try again")
    if not person.verified:
        raise Forbidden("the provider does not confirm that this e-mail address is yours; verify it there first")
