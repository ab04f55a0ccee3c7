"""What one run of the command works with: its options, the configuration, the server, the output."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .config import Config
from .errors import FAILED, INTERRUPTED, USAGE, CommandError
from .output import Output, one_line

if TYPE_CHECKING:
    import httpx

    from .server import Server

#: The variable that shows the traceback of a fault of the command.
TRACEBACK = "E2A_TRACEBACK"

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
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        coloured = "NO_COLOR" not in surroundings.environ
        self.out = Output(as_json=as_json, quiet=quiet, colour=coloured, columns=columns)
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
            _check_text(*args, url, key, *kwargs.values())
            session = Session(surroundings, as_json=as_json, quiet=quiet, url=url, key=key)
            try:
                return function(session, *args, **kwargs)
            except CommandError as error:
                error.as_json = as_json
                raise
            except (KeyboardInterrupt, click.Abort):
                click.echo("Interrupted.", err=True)
                context.exit(INTERRUPTED)
            except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
                raise
            except Exception as error:
                if surroundings.environ.get(TRACEBACK):
                    raise
                fault = _unforeseen(error)
                fault.as_json = as_json
                raise fault from error

        return group.command(name)(_common(run))

    return register


def _check_text(*given: Any) -> None:
    """:raises UsageError: an argument that is no text in the terminal's encoding."""
    for value in given:
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str) and any("\ud800" <= char <= "\udfff" for char in text):
                shown = text.encode("utf-8", "replace").decode()
                raise click.UsageError(f"{shown!r} holds octets that are no text in UTF-8.")


def _unforeseen(error: Exception) -> CommandError:
    """What to say instead of a traceback."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return CommandError(f"{where}{error.strerror or error}")
    return CommandError(
        f"the command does not understand the server's answer ({type(error).__name__}: {one_line(str(error))[:200]})",
        exit_code=FAILED,
        hint="Is the URL that of an e2a server? See: e2a config get api_url. "
        f"If it is, this is a fault of the command: {TRACEBACK}=1 shows where, for a report.",
    )


AGENT = click.option("--agent", metavar="EMAIL", help="The agent; else the configured one, else the only one.")
