"""Addresses of servers and of what is on them."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from .errors import USAGE, CommandError


def path_of(*segments: str) -> str:
    """``/api/v1/…`` with every segment percent-encoded.

    :raises CommandError: a segment is empty or made of dots, which would name another resource.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise CommandError(f"{segment!r} is no address, name or id", exit_code=USAGE)
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def checked_url(url: str) -> str:
    """A server's URL without its trailing slashes.

    :raises CommandError: it is none.
    """
    stripped = url.rstrip("/")
    try:
        parts = urlsplit(stripped)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise CommandError(
            f"{url!r} is not the URL of a server",
            exit_code=USAGE,
            hint="It looks like https://mail.example.com. Set it with: e2a config set api_url URL",
        )
    return stripped


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
