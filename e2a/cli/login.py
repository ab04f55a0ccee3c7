"""``e2a login``: a key for this machine, from the browser or from hand.

The hand-off: the command listens on a port of 127.0.0.1 and opens the server's sign-in page with that address and a
random state. After sign-in the browser posts the new key there, form-encoded, together with the state.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import click

from .errors import NOT_AUTHENTICATED, ApiError, CommandError
from .output import one_line
from .session import Session, client_command
from .urls import path_of

if TYPE_CHECKING:
    from .server import Server

#: Seconds that the browser has.
PATIENCE = 120.0
#: Octets of a posted form that are read; the real one has about 300.
_MOST = 16_384
KEY_PREFIX = "e2a_"
#: What the server calls the key that it hands over (``flows.handoff``).
KEY_NAME = "CLI login"


@dataclass(frozen=True, slots=True)
class HandOff:
    """What the browser posted. ``error`` is why there is no key; empty when there is one."""

    key: str = ""
    agent: str = ""
    error: str = ""


class CallbackServer:
    """Waits on the loopback address for one hand-off.

    :param state: what the hand-off has to repeat.
    """

    def __init__(self, state: str) -> None:
        self.state = state
        self._found: HandOff | None = None
        self._arrived = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                found, status, text = outer._judged(self._form())
                # The page first: once the command knows, it may end at any moment.
                self._answer(status, text)
                outer._settle(found)

            def do_GET(self) -> None:
                self._answer(405, "Only POST is answered here.")

            do_HEAD = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = do_GET

            def _form(self) -> dict[str, str]:
                length = self.headers.get("Content-Length", "0")
                wanted = int(length) if length.isascii() and length.isdecimal() and len(length) < 9 else 0
                text = self.rfile.read(min(wanted, _MOST)).decode("utf-8", "replace")
                return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}

            def _answer(self, status: int, text: str) -> None:
                page = f"<!doctype html><meta charset=utf-8><title>e2a</title><p>{text}</p>".encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(page)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Connection", "close")
                if status == 405:
                    self.send_header("Allow", "POST")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(page)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the request's address is a secret of this run."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/callback"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.1})

    def __enter__(self) -> CallbackServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> HandOff | None:
        """What the browser posted; None when it did not in time."""
        self._arrived.wait(seconds)
        return self._found

    def _judged(self, form: dict[str, str]) -> tuple[HandOff, int, str]:
        """A posted form, with the status and the text that answer it."""
        key = form.get("api_key", "")
        given = form.get("cli_state", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, self.state.encode("ascii")):
            outcome = HandOff(error="the browser's answer does not belong to this sign-in (its state differs)")
        elif form.get("error"):
            outcome = HandOff(error=form["error"])
        elif not key.startswith(KEY_PREFIX):
            outcome = HandOff(error="the server handed over something that is no API key")
        else:
            outcome = HandOff(key=key, agent=form.get("agent_email", ""))
        if outcome.error:
            return outcome, 400, "Signing in failed. The terminal says why."
        return outcome, 200, "You are signed in. You can close this window and go back to the terminal."

    def _settle(self, outcome: HandOff) -> None:
        if self._found is None:
            self._found = outcome
            self._arrived.set()


def commands(group: click.Group) -> None:
    """Register the commands."""

    @client_command(group, "login")
    @click.option("--no-browser", is_flag=True, help="Only print the address, for a browser of your own.")
    @click.option("--with-key", is_flag=True, help="Take a key from the prompt, or from standard input.")
    def login(session: Session, no_browser: bool, with_key: bool) -> None:
        """Sign in with the browser, and keep the key.

        On another machine over SSH the browser must reach this one's loopback address: sign in with --no-browser
        through a forwarded port, or bring a key with --with-key.
        """
        server = session.server_with("")
        try:
            shared_domain = str(server.info().get("shared_domain", ""))
        finally:
            server.close()
        browse = None if no_browser else webbrowser.open
        found = _given(session) if with_key else _from_browser(session, browse)
        _keep(session, found, shared_domain)

    @client_command(group, "logout")
    @click.option("--keep-key", is_flag=True, help="Only forget the key on this machine; it stays valid.")
    def logout(session: Session, keep_key: bool) -> None:
        """Sign out, and end the key that e2a login got.

        The key and the agent are forgotten on this machine. A key that was brought with --with-key may be in use
        elsewhere: it stays valid.
        """
        revoked = False if keep_key else _revoked(session)
        session.config.set("api_key", "")
        session.config.set("agent_email", "")
        session.config.save()
        said = "Logged out. The key is revoked." if revoked else "Logged out."
        session.out.show({"logged_out": True, "key_revoked": revoked}, said)
        if session.surroundings.environ.get("E2A_API_KEY"):
            session.out.hint("E2A_API_KEY is still set.")


def _revoked(session: Session) -> bool:
    """End the configured key, if it came from the browser; says whether it has ended.

    :raises CommandError: the server cannot be asked; nothing was changed.
    """
    key = session.config.stored.get("api_key")
    if not isinstance(key, str) or not key:
        return False
    server = session.server_with(key)
    try:
        mine = server.get(path_of("me"))["key"]
        if mine["name"] != KEY_NAME:
            return False
        server.delete(f"/api/keys/{mine['id']}")
        return True
    except ApiError as error:
        if error.status == 401:
            return True
        # A server of before this question knows no key that ends itself.
        if error.status == 404:
            return False
        raise _still_valid(error) from error
    except CommandError as error:
        raise _still_valid(error) from error
    finally:
        server.close()


def _still_valid(error: CommandError) -> CommandError:
    return CommandError(
        f"the key could not be revoked, and nothing was changed: {error.message}",
        exit_code=error.exit_code,
        hint="Run e2a logout again; or only forget the key on this machine: e2a logout --keep-key",
    )


def _given(session: Session) -> HandOff:
    key = click.prompt("API key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    key = key.strip()
    if not key.startswith(KEY_PREFIX):
        raise CommandError(f"that is no API key: it starts with {KEY_PREFIX}", exit_code=NOT_AUTHENTICATED)
    server = session.server_with(key)
    try:
        agents = _agents(server)
    finally:
        server.close()
    return HandOff(key=key, agent=agents[0] if len(agents) == 1 else "")


def _from_browser(session: Session, browse: Callable[[str], bool] | None) -> HandOff:
    state = secrets.token_hex(16)
    parts = urlsplit(session.url)
    with CallbackServer(state) as server:
        query = urlencode({"cli_callback": server.url, "cli_state": state})
        address = f"{parts.scheme}://{parts.netloc}/api/auth/login?{query}"
        # Not a hint: without it nobody can sign in where no browser opens.
        click.echo(f"Sign in here:\n\n  {address}\n", err=True)
        if browse is not None and not browse(address):
            session.out.hint("No browser could be opened; open the address yourself.")
        found = server.wait(PATIENCE)
    if found is None:
        raise CommandError(
            "nobody signed in within two minutes",
            exit_code=NOT_AUTHENTICATED,
            hint="Run e2a login again; or make a key on the dashboard and use: e2a login --with-key",
        )
    if found.error:
        raise CommandError(one_line(found.error), exit_code=NOT_AUTHENTICATED, hint="Run e2a login again.")
    return found


def _keep(session: Session, found: HandOff, shared_domain: str) -> None:
    config = session.config
    config.set("api_key", found.key)
    config.set("agent_email", found.agent)
    if session.url != config.get("api_url"):
        config.set("api_url", session.url.rstrip("/"))
    config.discovered("shared_domain", shared_domain)
    config.save()
    host = urlsplit(session.url).netloc
    shown = {
        "server": session.url,
        "shared_domain": shared_domain,
        "config": str(config.path),
        "agent_email": found.agent,
    }
    lines = [f"Logged in to {host}."]
    if shared_domain:
        lines.append(f"Shared domain: {shared_domain}")
    lines.append(f"Configuration: {config.path}")
    lines.append(f"Active agent: {found.agent or 'none'}")
    session.out.show(shown, *lines)
    if session.surroundings.environ.get("E2A_API_KEY"):
        session.out.hint("E2A_API_KEY is set and goes before the new key.")
    if not found.agent:
        session.out.hint("Choose one: e2a agents list, then e2a config set agent_email ADDRESS")


def _agents(server: Server) -> list[str]:
    """The agents that a key sees.

    :raises CommandError: the server does not know the key.
    """
    try:
        return [str(each["email"]) for each in server.get(path_of("agents"))["agents"]]
    except ApiError as error:
        # A key that may not list agents is a key all the same.
        if error.status == 403:
            return []
        raise
