"""What may happen around a sign-in: whose request a browser's is, where it may lead, who may make an account."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from e2a.core.errors import BadRequest, Forbidden

#: The cookie that holds a session's token, and the one that ties a sign-in under way to its browser.
SESSION_COOKIE = "e2a_session"
STATE_COOKIE = "e2a_oauth_state"
#: Where a person is after signing in.
HOME = "/dashboard"
#: Characters of a path to go on to, and of the two parameters of the command line's hand-off.
LONGEST_NEXT = 2000
LONGEST_CALLBACK = 200
LONGEST_CLI_STATE = 512

# Visible ASCII without the quotation mark, and without the backslash, which browsers read as a slash.
_PATH = re.compile(r"/[!#-\[\]-~]*")


def cookie(name: str, value: str, seconds: int, *, secure: bool) -> str:
    """A ``Set-Cookie`` value (RFC 6265 4.1). :param seconds: 0 removes the cookie."""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"


def same_origin(header: Callable[[str], str | None], origin: str, *, required: bool = False) -> bool:
    """Whether a browser's request comes from a page of ours. Without any sign of a browser it does.

    :param header: a request header by lower-case name.
    :param origin: the deployment's own, as ``https://host``, "" when it is not known.
    :param required: whether the absence of any sign means no.
    """
    site = header("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    given = header("origin")
    if given is None:
        return not required
    host = header("host") or ""
    return given == origin or (bool(host) and given in (f"https://{host}", f"http://{host}"))


def require_same_origin(header: Callable[[str], str | None], origin: str, *, required: bool = False) -> None:
    """:raises Forbidden: see ``same_origin``."""
    if not same_origin(header, origin, required=required):
        raise Forbidden("this request comes from another site")


def safe_next(path: str) -> str:
    """Where to go on after sign-in: a path of this site, or ``HOME`` when it is anything else."""
    if len(path) > LONGEST_NEXT or not _PATH.fullmatch(path) or path.startswith("//"):
        return HOME
    return path


def cli_callback(callback: str, state: str) -> None:
    """Check where the command line wants its key: at a port of the person's own computer.

    :raises BadRequest: anything else; ``field`` says which parameter.
    """
    if not callback or not state:
        missing = "cli_state" if callback else "cli_callback"
        raise BadRequest(f"{missing} is missing: cli_callback and cli_state go together", field=missing)
    if len(state) > LONGEST_CLI_STATE:
        raise BadRequest("cli_state is too long", field="cli_state")
    problem = BadRequest(
        "cli_callback must be an http URL of this computer, such as http://127.0.0.1:12345/callback",
        field="cli_callback",
    )
    if len(callback) > LONGEST_CALLBACK or not re.fullmatch(r"[!-~]+", callback):
        raise problem
    # A character that ends a token of a Content-Security-Policy or an attribute has no place in such a URL.
    if re.search(r"[;,'\"<>\\`{}|^#]", callback):
        raise problem
    try:
        parts = urlsplit(callback)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise problem from None
    if parts.scheme != "http" or "@" in parts.netloc or port == 0 or not _local(host):
        raise problem


def callback_origin(callback: str) -> str:
    """Scheme, host and port of a checked callback."""
    parts = urlsplit(callback)
    return f"{parts.scheme}://{parts.netloc}"


def may_sign_up(email: str, *, invited: bool, open_to_all: bool, domains: Collection[str]) -> bool:
    """Whether somebody without an account may make one.

    Invited people may. If domains are named, so may everybody with an address in one of them, and nobody else;
    otherwise it depends on whether sign-up is open.
    """
    if invited:
        return True
    if domains:
        return email.rpartition("@")[2].lower() in domains
    return open_to_all


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
