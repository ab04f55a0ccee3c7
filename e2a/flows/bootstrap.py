"""What must exist before the first request: the deployment's own domains, the operator's mailbox, the first user.

The operator is an organisation like any other, with a fixed id. The first user that ``bootstrap_user`` makes becomes
its owner, and has no personal organisation beside it: the key that is printed then reads the operator's mailbox with
the calls that read every mailbox. Later users get personal organisations.
"""

from __future__ import annotations

from twisted.logger import Logger

from e2a.core import ids
from e2a.core.entities import Principal, User
from e2a.core.errors import BadRequest, Conflict
from e2a.core.mail.addresses import AddressError, match_path
from e2a.core.rules.domains import OwnNames
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust.sealing import Sealer
from e2a.store import agents, audit, domains, organisations, users
from e2a.store.rows import Cursor

from .accounts import described, make_key, make_user
from .masterkey import require_readable
from .ports import Transactions
from .secrets import DEFAULT_NAME, make_secret

#: The organisation that owns the operator's mailbox.
OPERATOR = "org_operator"
#: Who did what the server's own command did, for the audit log.
BY = "e2a bootstrap"

_log = Logger()


def operator_address(own: OwnNames) -> str:
    """The operator's mailbox: postmaster of the mail server itself (RFC 5321 4.5.1)."""
    return f"postmaster@{own.smtp}"


async def ensure_start(database: Transactions, own: OwnNames, sealer: Sealer, random: ids.RandomBytes) -> None:
    """Make whatever is missing, once for all replicas; what exists stays.

    :param own: the configured names, in stored spelling (``core.rules.domains.system_name``).
    :raises SealingError: a deployment secret is missing that something is still sealed under.
    """
    await database.run("ensure start", _ensure_start, own, sealer, random)


async def _ensure_start(cur: Cursor, own: OwnNames, sealer: Sealer, random: ids.RandomBytes) -> None:
    await _ensure_operator(cur, sealer, random)
    if own.shared:
        # The operator's word counts for more than a claim, however old.
        taken = await domains.take_over(cur, own.shared)
        if taken is not None:
            _log.warn(
                "the shared domain {name} was the organisation {organisation}'s and now belongs to the deployment",
                name=taken.name,
                organisation=taken.organisation_id,
            )
        await domains.ensure_system_domain(cur, own.shared)
    if own.sender:
        await domains.ensure_system_domain(cur, own.sender)
    # An organisation may have proved the mail server's name before it was that; it keeps it, the mailbox is added.
    domain = await domains.ensure_system_domain(cur, own.smtp)
    await agents.add_agent(cur, operator_address(own), OPERATOR, domain.id, name="Postmaster", agent_mode="local")
    if await require_readable(cur, sealer):
        _log.warn("something is still sealed under a former deployment secret; run: e2a rotate-master-key")


async def _ensure_operator(cur: Cursor, sealer: Sealer, random: ids.RandomBytes) -> None:
    if await organisations.add_organisation(cur, OPERATOR, "operator", personal=False):
        await make_secret(cur, OPERATOR, DEFAULT_NAME, sealer, random)


async def bootstrap_user(
    database: Transactions, email: str, sealer: Sealer, random: ids.RandomBytes, *, another: bool = True
) -> tuple[User, str]:
    """Make the user, or find them whatever the case of the address, and mint one more key named ``bootstrap`` with
    every permission.

    :param another: False: a user who is there already gets no key.
    :returns: the user, and the key's text, empty without one.
    :raises BadRequest: not an e-mail address.
    """
    return await database.run("bootstrap", _bootstrap, _mailbox(email), sealer, random, another)


async def _bootstrap(
    cur: Cursor, email: str, sealer: Sealer, random: ids.RandomBytes, another: bool
) -> tuple[User, str]:
    await _ensure_operator(cur, sealer, random)
    # Two first users at once: one of them is the first.
    await organisations.lock_organisation(cur, OPERATOR)
    user = await users.find_user(cur, email)
    new = user is None
    if user is None:
        owned = await organisations.has_members(cur, OPERATOR)
        user = await make_user(
            cur,
            email,
            "bootstrap",
            issuer="bootstrap",
            organisation_id=None if owned else OPERATOR,
            sealer=sealer,
            random=random,
        )
    organisation = await organisations.organisation_of(cur, user.id)
    if organisation is None:
        raise Conflict("this user belongs to no organisation")
    # Whoever runs the command on the server has shown nobody who they are.
    operator = Principal(organisation.id, "", frozenset())
    if new:
        await audit.record(cur, operator, "user.created", "user", user.id, by=BY)
    if not (new or another):
        return user, ""
    key, text = await make_key(
        cur, organisation.id, user.id, name="bootstrap", permissions=ALL_PERMISSIONS, random=random
    )
    await audit.record(cur, operator, "key.created", "key", key.id, by=BY, **described(key))
    return user, text


def _mailbox(text: str) -> str:
    email = text.strip()
    try:
        path, end = match_path(f"<{email}>")
    except AddressError as error:
        raise BadRequest(f"{email!r} is not an e-mail address", field="email") from error
    if end != len(email) + 2 or not path.domain:
        raise BadRequest(f"{email!r} is not an e-mail address", field="email")
    return email
