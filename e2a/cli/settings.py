"""``e2a config``: what is in ``~/.e2a/config.json``."""

from __future__ import annotations

import click

from .completion import words
from .config import KEYS, Config
from .errors import CommandError
from .session import Session, client_command
from .urls import checked_url


class _ConfigGroup(click.Group):
    """`e2a config` lists, and `e2a config KEY` is short for `e2a config get KEY`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["list", *args]
        elif args[0] in KEYS:
            args = ["get", *args]
        return super().parse_args(ctx, args)


@click.group("config", cls=_ConfigGroup)
def config() -> None:
    """The configuration file.

    It holds api_key, api_url, agent_email and shared_domain.
    """


@client_command(config, "list")
def list_values(session: Session) -> None:
    """Show every value that counts, the key cut short."""
    shown = {key: _short(key, session.config.get(key)) for key in KEYS}
    session.out.show(shown, *(f"{key}={value}" for key, value in shown.items()))
    session.out.hint(f"From {session.config.path} and the environment.")


@client_command(config, "get")
@click.argument("name", metavar="KEY", shell_complete=words(*KEYS))
def get(session: Session, name: str) -> None:
    """Print one value; nothing when it is not set."""
    _known(name)
    value = session.config.get(name)
    session.out.show({name: value}, *([value] if value else []))


@client_command(config, "set")
@click.argument("name", metavar="KEY", shell_complete=words(*KEYS))
@click.argument("value")
def set_value(session: Session, name: str, value: str) -> None:
    """Store one value; an empty one removes it."""
    _known(name)
    if name == "api_url" and value:
        value = checked_url(value)
    changed: Config = session.config
    changed.set(name, value)
    changed.save()
    session.out.show({name: _short(name, value)}, f"{name}={_short(name, value)}")
    variable = KEYS[name]
    if variable and session.surroundings.environ.get(variable):
        session.out.hint(f"{variable} is set and goes before it.")


def _known(key: str) -> None:
    if key not in KEYS:
        raise CommandError(f"there is no {key!r} in the configuration", hint=f"There are: {', '.join(KEYS)}")


def _short(key: str, value: str) -> str:
    return f"{value[:8]}…" if key == "api_key" and value else value
