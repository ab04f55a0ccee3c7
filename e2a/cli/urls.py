"""Addresses of servers and of what is on them."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

from .errors import USAGE, CommandError

#: The commands that list what paths name, by the first segment; below an agent by the third.
_LISTS = {
    "agents": "agents list",
    "messages": "pending list --status all",
    "domains": "domains list",
    "keys": "keys list",
    "users": "secrets list",
    "suppressions": "suppressions list",
    "members": "members list",
    "invitations": "invitations list",
}
_OF_AGENTS = {"messages": "inbox", "conversations": "conversations list", "delegations": "delegations list"}


def path_of(*segments: str) -> str:
    """``/api/v1/…`` with every segment percent-encoded.

    :raises CommandError: a segment is empty or made of dots, which would name another resource.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise CommandError(f"{segment!r} is no address, name or id", exit_code=USAGE)
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def listing_of(path: str) -> str:
    """The command that lists the objects among which a path of :func:`path_of` names one; empty for no object."""
    segments = [unquote(segment) for segment in path.partition("?")[0].removeprefix("/api/").split("/")]
    kind, *names = segments[1:] if segments[0] == "v1" else segments
    if kind == "agents" and len(names) > 2 and names[1] in _OF_AGENTS:
        return f"e2a {_OF_AGENTS[names[1]]} --agent {names[0]}"
    return f"e2a {_LISTS[kind]}" if names and kind in _LISTS else ""


def checked_url(url: str) -> str:
    """A server's URL without its trailing slashes.

    :raises CommandError: it is none.
    """
    stripped = url.rstrip("/")
    try:
        parts = urlsplit(stripped)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        _ = parts.port
        (parts.hostname or "").encode("idna")
        valid = valid and not any(char.isspace() for char in stripped)
    except ValueError:
        valid = False
    if not valid:
        raise CommandError(
            f"{url!r} is not the URL of a server",
            exit_code=USAGE,
            hint="It looks like https://mail.example.com. Set it with: e2a config set api_url URL",
        )
    return stripped
