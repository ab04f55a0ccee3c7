"""What one run of the command works with: its options, the configuration, the server, the output."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .config import Config
from .errors import INTERRUPTED, USAGE, CommandError
from .output import Output

if TYPE_CHECKING:
    import httpx

    from .server import Server

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Surroundings:
    """What comes from outside; tests hand in their own.

    :ivar transport: instead of the network.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    config_path: Path | None = None
    transport: httpx.BaseTransport | None = None


class Session:
    """Made once for each command that is run."""

    def __init__(self, surroundings: Surroundings, *, as_json: bool, quiet: bool, url: str | None, key: str | None):
        self.surroundings = surroundings
        self.out = Output(as_json=as_json, quiet=quiet, colour="NO_COLOR" not in surroundings.environ)
        self._url, self._key = url, key
        self._server: Server | None = None

    @functools.cached_property
    def config(self) -> Config:
        return Config.load(self.surroundings.environ, self.surroundings.config_path)

    @property
    def url(self) -> str:
        return self._url or self.config.get("api_url")

    @property
    def key(self) -> str:
        return self._key or self.config.get("api_key")

    @property
    def server(self) -> Server:
        if self._server is None:
            self._server = self.server_with(self.key)
            click.get_current_context().call_on_close(self._server.close)
        return self._server

    def server_with(self, key: str, url: str = "") -> Server:
        """The server seen with another key. The caller closes it."""
        # The HTTP library is half of the start-up time; help and completion do without it.
        from .server import Server

        return Server(url or self.url, key, transport=self.surroundings.transport)

    def agent(self, given: str | None) -> str:
        """The address of the agent that is meant: named, configured, or the only one there is.

        :raises CommandError: none is named, and there is none or a choice.
        """
        if given:
            return self.address(given)
        if self.config.agent:
            return self.address(self.config.agent)
        found = self.server.get("/api/v1/agents")["agents"]
        if len(found) == 1:
            return str(found[0]["email"])
        if not found:
            raise CommandError(
                "this account has no agent", exit_code=USAGE, hint="Make one: e2a agents register NAME@DOMAIN"
            )
        raise CommandError(
            "which agent? The account has several",
            exit_code=USAGE,
            hint="Name one with --agent, or for good: e2a config set agent_email ADDRESS",
        )

    def address(self, name: str) -> str:
        """An agent's address; a bare slug is one of the shared domain.

        :raises CommandError: a slug, and the deployment has no shared domain.
        """
        if "@" in name:
            return name
        domain = self.config.get("shared_domain") or self.server.info().get("shared_domain", "")
        if not domain:
            raise CommandError(
                f"{name!r} is no address, and this server has no shared domain",
                exit_code=USAGE,
                hint="Write name@domain.",
            )
        return f"{name}@{domain}"


def _common(function: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON document; for streams one object per line."),
        click.option("--quiet", "-q", is_flag=True, help="No hints and no progress on standard error."),
        click.option("--url", metavar="URL", help="The server (else E2A_URL, else the configuration)."),
        click.option("--key", metavar="KEY", help="The API key (better: E2A_API_KEY or the configuration)."),
    ):
        function = option(function)
    return function


def client_command(group: click.Group, name: str | None = None) -> Callable[[F], click.Command]:
    """Register ``function(session, …)`` as a command with the options that all commands have in common."""

    def register(function: F) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, quiet: bool, url: str | None, key: str | None, **kwargs: Any) -> Any:
            context = click.get_current_context()
            surroundings = context.find_object(Surroundings) or Surroundings()
            session = Session(surroundings, as_json=as_json, quiet=quiet, url=url, key=key)
            try:
                return function(session, *args, **kwargs)
            except CommandError as error:
                error.as_json = as_json
                raise
            except (KeyboardInterrupt, click.Abort):
                click.echo("Interrupted.", err=True)
                context.exit(INTERRUPTED)

        return group.command(name)(_common(run))

    return register


AGENT = click.option("--agent", metavar="EMAIL", help="The agent; else the configured one, else the only one.")
