"""Where a webhook may go: rules for its URL and for every address its name resolves to.

A tenant chooses the URL, the daemon connects from inside the operator's network: without these rules it would be a
proxy to metadata services and neighbours (server-side request forgery). URLs are judged at registration, at update and
again at every attempt; addresses at the moment of connecting, and the judged address is the one dialled.

Production: ``https``, a fully qualified host name, public addresses. Development also allows ``http``, literal
addresses and loopback.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_URL = 2048

_V4_REFUSED = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarking (RFC 2544)
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only 2000::/3 is handed out as global unicast: everything outside is refused without naming it, IPv4-mapped addresses
# included.
_V6_GLOBAL = ipaddress.IPv6Network("2000::/3")
_V6_REFUSED = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID and others (RFC 2928)
        "2001:db8::/32",
        "2002::/16",  # 6to4: embeds any IPv4 address (RFC 3056)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# The well-known NAT64 prefix reaches the IPv4 address in its last 32 bits, which is judged instead; the local-use
# prefix 64:ff9b:1::/48 (RFC 8215) lies outside 2000::/3 and stays refused.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """What a webhook URL connects to.

    :ivar host: lower case, without a final dot and without brackets.
    :ivar literal: whether ``host`` is an address and not a name.
    """

    scheme: str
    host: str
    port: int
    literal: bool

    @property
    def receiver(self) -> str:
        """Host and port: who answers, as far as a URL tells."""
        return f"{self.host}:{self.port}"


def check_url(url: str, production: bool) -> list[str]:
    """Everything that is wrong with a webhook URL, one sentence each; empty for a good one. Asks no DNS."""
    try:
        target = parse(url)
    except ValueError as error:
        return [str(error)]
    complaints = []
    if production and target.scheme != "https":
        complaints.append("webhook_url must begin with https://")
    if target.literal:
        if production:
            complaints.append("webhook_url must name a host, not an address")
        elif not may_connect(target.host, production):
            complaints.append("webhook_url must not point to a private or reserved address")
    elif is_local_name(target.host):
        if production:
            complaints.append("webhook_url must name a public host")
    elif production and "." not in target.host:
        complaints.append("webhook_url must name a fully qualified host")
    return complaints


def parse(url: str) -> Target:
    """Take a webhook URL apart.

    :raises ValueError: it is no usable http or https URL; the text is one sentence for the caller.
    """
    if len(url) > MAX_URL:
        raise ValueError(f"webhook_url is longer than {MAX_URL} characters")
    # urlsplit drops tabs and line ends without a word, and a backslash is a slash to some readers and not to others.
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ValueError("webhook_url must be an absolute URL in ASCII (percent-encoded, the host in its xn-- form)")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").lower()
    except ValueError:
        raise ValueError("webhook_url is not a valid URL") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("webhook_url must begin with https://")
    if "@" in parts.netloc:
        raise ValueError("webhook_url must not hold a user name or password")
    if port == 0:
        raise ValueError("webhook_url has an impossible port")
    host = host.removesuffix(".")
    if not host:
        raise ValueError("webhook_url names no host")
    literal = parts.netloc.startswith("[") or _ends_in_number(host)
    if literal:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise ValueError("webhook_url has a malformed address as its host") from None
        if "%" in host:
            raise ValueError("webhook_url must not name a network interface")
        host = str(address)
    elif len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("webhook_url has a malformed host name")
    return Target(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), literal)


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is global unicast. Zone ids, embeddings of refused addresses and junk are not."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            return False
        if parsed not in _NAT64:
            return parsed in _V6_GLOBAL and not any(parsed in network for network in _V6_REFUSED)
        parsed = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
    return not any(parsed in network for network in _V4_REFUSED)


def may_connect(address: str, production: bool) -> bool:
    """Whether a webhook connection to this address is allowed: public, in development also loopback."""
    return is_public(address) or (not production and is_loopback(address))


def is_loopback(address: str) -> bool:
    """127.0.0.0/8 and ::1 themselves, no embedding of them."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_loopback
    return parsed == ipaddress.IPv6Address(1)


def is_local_name(host: str) -> bool:
    """``localhost`` and names below it always mean loopback and are never asked of DNS (RFC 6761 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def _ends_in_number(host: str) -> bool:
    """Whether a resolver may read the host as an IPv4 address, old spellings (``127.1``, ``0x7f000001``) included."""
    return _NUMBER.fullmatch(host.rpartition(".")[2]) is not None
