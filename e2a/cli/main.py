"""The ``e2a`` command."""

from __future__ import annotations

import click

from .. import __version__

_CONFIG = click.option(
    "--config",
    "-c",
    metavar="FILE",
    help="The YAML configuration file (default: ./config.yaml, /etc/e2a/config.yaml, or none).",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="e2a", message="%(prog)s %(version)s")
def main() -> None:
    """An authenticated e-mail gateway for AI agents."""


@main.command()
@_CONFIG
def serve(config: str | None) -> None:
    """Run the daemon in the foreground, as `twistd -n e2a` does."""
    from . import serve as daemon

    daemon.serve(config)


@main.command()
@click.argument("email")
@_CONFIG
def bootstrap(email: str, config: str | None) -> None:
    """Make a user with an API key, whether the daemon runs or not.

    An existing user keeps everything and gets one more key.
    """
    from . import serve as daemon

    daemon.bootstrap(email, config)
