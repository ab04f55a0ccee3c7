"""The commands that need the daemon's own code, which is imported only when they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..service.bootstrap import Made

_MISSING = (
    "this command needs the daemon's libraries ({name} is missing): install e2a with its extras [server,embedded]"
)


@contextmanager
def server_installed() -> Iterator[None]:
    """Where the daemon's code is imported: a missing library ends the command with what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "e2a":
            raise
        raise click.ClickException(_MISSING.format(name=error.name)) from error


def serve(config: str | None) -> None:
    """Run the daemon until it is told to stop; does not return before."""
    with server_installed():
        from twisted.scripts.twistd import run

        from ..service import tap  # noqa: F401 - a missing library is reported before twistd starts
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "e2a", *(["--config", config] if config else [])]
    run()


def key_for(email: str) -> str:
    """A new key of a user, who is made if missing, with the configuration that the daemon finds here.

    :raises ClickException: that failed.
    """
    return _made(email, None, sign_in_link=False).key


def bootstrap(email: str, config: str | None, sign_in_link: bool | None = None) -> None:
    """Print the user and what was made to standard output; the process ends with 1 when that fails.

    :param sign_in_link: whether to make and print a link that signs the user in; None: in development only, and beside
        the output, which programs may read.
    """
    made = _made(email, config, sign_in_link)
    click.echo(f"User:    {made.email} (id={made.user_id})")
    if made.key:
        click.echo(f"API key: {made.key}")
    if made.link:
        click.echo(f"Sign in: {made.link}", err=not sign_in_link)
        click.echo("The link signs in once, within 15 minutes.", err=True)
    if made.key:
        click.echo("Keep the key now: it is stored hashed and cannot be shown again.", err=True)


def _made(email: str, config: str | None, sign_in_link: bool | None = None) -> Made:
    with server_installed():
        from ..service.bootstrap import run
        from ..service.options import settings_or_exit
    made = run(settings_or_exit(config), email, sign_in_link)
    if made.error:
        raise click.ClickException(made.error)
    return made
