"""The first user and key, made by a process of its own beside a running daemon or without one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime

from ..core.errors import E2AError, SettingsError, Unavailable
from ..core.settingchecks import port
from ..core.settings import Settings
from ..flows.bootstrap import bootstrap_user
from ..flows.signin import LINK, make_link
from ..store import schema
from ..store.database import Database
from .once import on_database
from .options import sealer_of, with_secret


@dataclass(frozen=True, slots=True)
class Made:
    """:ivar key: "" when none was made.
    :ivar link: signs the user in once; "" when none was made.
    :ivar error: why nothing was made; ``""`` when all is well.
    """

    email: str = ""
    user_id: str = ""
    key: str = ""
    link: str = ""
    error: str = ""


def run(settings: Settings, email: str, sign_in_link: bool | None = None) -> Made:
    """Make or find the user and mint a key named ``bootstrap``. Runs the reactor, so it works once per process.

    :param sign_in_link: whether to make a link that signs the user in; None: in development only. Who asks for one gets
        it without one more key, unless the user is new.
    """
    from twisted.internet import reactor

    try:
        settings = with_secret(settings)
        return on_database(reactor, settings, lambda database: make(database, settings, email, sign_in_link))
    except SettingsError as error:
        return Made(error="; ".join(error.complaints))
    except E2AError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        return Made(error=f"the database cannot be reached: {reason}" if isinstance(error, Unavailable) else reason)


async def make(database: Database, settings: Settings, email: str, sign_in_link: bool | None) -> Made:
    """The same on a database that is open.

    :raises E2AError: the database cannot be reached, or ``email`` is no address.
    """
    await schema.apply(database)
    user, key = await bootstrap_user(database, email, sealer_of(settings), os.urandom, another=not sign_in_link)
    link = ""
    if sign_in_link or (sign_in_link is None and not settings.production):
        token = await database.run("sign-in link", make_link, user.id, datetime.now(UTC), os.urandom)
        link = f"{_address(settings)}{LINK}?token={token}"
    return Made(user.email, user.id, key, link)


def _address(settings: Settings) -> str:
    """Where a browser on this machine finds the daemon, without a trailing slash."""
    if settings.http.public_url:
        return settings.http.public_url.rstrip("/")
    return f"http://localhost:{port(settings.http.listen_addr) or 8080}"
