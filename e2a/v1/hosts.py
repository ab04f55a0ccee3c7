"""Which servers are reached without a proxy."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

#: For ``httpx``: no proxy for any scheme, whatever the environment says.
_DIRECT: dict[str, None] = {"all://": None, "http://": None, "https://": None}


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def mounts_for(url: str) -> dict[str, None]:
    """What ``httpx`` clients mount for this server: a proxy of the environment is of no use for this machine."""
    return _DIRECT if is_loopback(url) else {}
