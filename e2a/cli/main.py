"""The ``e2a`` command."""

from __future__ import annotations

import click

from .. import __version__
from . import account, deliveries, demo, inbox, listen, login, operator, writing
from .agents import agents, delegations
from .completion import completion
from .credentials import keys, secrets
from .domains import domains
from .errors import EXIT_CODES
from .output import steady_streams
from .pending import pending
from .settings import config as config_group

_CONFIG = click.option(
    "--config",
    "-c",
    metavar="FILE",
    help="The YAML configuration file (default: ./config.yaml, /etc/e2a/config.yaml, or none).",
)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    invoke_without_command=True,
    epilog="Exit codes: e2a help exit-codes",
)
@click.version_option(__version__, "-v", "--version", prog_name="e2a", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """An authenticated e-mail gateway for AI agents."""
    steady_streams()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, or the exit codes."""
    if words == ("exit-codes",):
        for code, meaning in EXIT_CODES:
            click.echo(f"{code:>3}  {meaning}")
        return
    here = context.find_root()
    for word in words:
        command = here.command
        found = command.get_command(here, word) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"No such command {' '.join(words)!r}.")
        here = click.Context(found, parent=here, info_name=word)
    click.echo(here.get_help())


@main.command()
@_CONFIG
def serve(config: str | None) -> None:
    """Run the daemon in the foreground.

    The same as `twistd -n e2a`.
    """
    from . import serve as daemon

    daemon.serve(config)


@main.command()
@click.argument("email")
@_CONFIG
@click.option(
    "--sign-in-link/--no-sign-in-link",
    default=None,
    help="Print a link that signs the user in to the dashboard, once, within 15 minutes (default: in development).",
)
def bootstrap(email: str, config: str | None, sign_in_link: bool | None) -> None:
    """Make a user with an API key.

    The daemon may run or not. An existing user keeps everything and gets one more key; with
    --sign-in-link the link only.
    """
    from . import serve as daemon

    daemon.bootstrap(email, config, sign_in_link)


for each in (account, deliveries, demo, inbox, listen, login, operator, writing):
    each.commands(main)
for command in (agents, delegations, completion, keys, secrets, domains, pending, config_group):
    main.add_command(command)
