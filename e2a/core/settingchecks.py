"""What makes a setting's value good: checks of single values, which return it normalised, and rules across keys."""

from __future__ import annotations

import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .settings import Settings

_HOST_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]*):(?P<port>[0-9]{1,5})")
_ENDPOINT = re.compile(r"[a-z][a-z0-9]*:.+")
_ENDPOINT_WORDS = frozenset({"tcp", "tcp4", "tcp6", "ssl", "tls", "unix", "haproxy", "systemd", "fd"})
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: Fewer different bytes than this and a secret was typed, not generated.
_MIN_DISTINCT = 8
_MIN_SECRET_BYTES = 32
_PLACEHOLDER = re.compile(r"change|replace|example|placeholder|secret|password", re.IGNORECASE)


def text(value: str) -> str:
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("must not hold control characters")
    return value


def boolean(value: str) -> bool:
    word = value.lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError("must be true or false")


def whole_number(value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,15}", value):
        raise ValueError("must be a whole number")
    return int(value)


def between(low: int, high: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return check


def zero_or(low: int, high: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if value and not low <= value <= high:
            raise ValueError(f"must be 0 or between {low} and {high}")
        return value

    return check


def mailbox(value: str) -> str:
    local, at, host = value.rpartition("@")
    if not (local and at and host) or not value.isprintable() or set(value) & set(" <>,;"):
        raise ValueError("must be one e-mail address, such as you@example.com")
    return value


def one_of(*words: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}")
        return value

    return check


def endpoint(listen_addr: str) -> str:
    """The Twisted server endpoint string of a checked ``listen_addr``; ``:8080`` listens on IPv6 and IPv4."""
    match = _HOST_PORT.fullmatch(listen_addr)
    if match is None or match["host"] in _ENDPOINT_WORDS:
        return listen_addr
    host, port = match["host"].strip("[]"), match["port"]
    if host == "localhost":
        host = "127.0.0.1"
    if not host or ":" in host:
        return f"tcp6:{port}:interface={(host or '::').replace(':', chr(92) + ':')}"
    return f"tcp:{port}:interface={host}"


def listen(value: str) -> str:
    match = _HOST_PORT.fullmatch(value)
    if match is None or match["host"] in _ENDPOINT_WORDS:
        if _ENDPOINT.fullmatch(value):
            return value
        raise ValueError("must be like :8080, 127.0.0.1:8080, [::1]:8080, or a Twisted endpoint string")
    host = match["host"].strip("[]")
    if host not in ("", "localhost"):
        address(host)
    if int(match["port"]) > 65535:
        raise ValueError("the port must be at most 65535")
    return value


def port(listen_addr: str) -> int | None:
    """The TCP port of a checked ``listen_addr``; None where whoever listens decides."""
    found = re.search(r":([0-9]+)(?::|$)", listen_addr)
    return int(found[1]) or None if found else None


def address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address") from None


def domain(value: str) -> str:
    name = value.lower().removesuffix(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{value!r} is not a domain name (internationalised names go in their xn-- form)")
    return name


def domains(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(domain(part) for part in value)


def url(value: str) -> str:
    """An absolute http or https URL without user, query and fragment; the trailing slash goes."""
    try:
        parts = urlsplit(value)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        bad = True
    if bad or re.search(r"[\s@?#]", value):
        raise ValueError("must be an absolute URL such as https://e2a.example.com")
    return value.rstrip("/")


def database_url(value: str) -> str:
    if value.startswith(("postgresql://", "postgres://")) or re.match(r"\s*[a-z_]+\s*=", value):
        return value
    raise ValueError("must be like postgresql://user:password@host:5432/database")


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(part)) for part in value)
    except ValueError as error:
        raise ValueError(f"must be addresses or networks: {error}") from None


def host_port(value: str, port: int) -> tuple[str, int]:
    """``192.0.2.1``, ``192.0.2.1:53``, ``[2001:db8::1]:53`` or a bare IPv6 address, as address and port."""
    match = _HOST_PORT.fullmatch(value)
    if match is None or (value.count(":") > 1 and not value.startswith("[")):
        return address(value.strip("[]")), port
    return address(match["host"].strip("[]")), between(1, 65535)(int(match["port"]))


def servers(value: tuple[str, ...]) -> tuple[str, ...]:
    for part in value:
        host_port(part, 53)
    return value


def repository(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", value):
        raise ValueError("must be owner/name")
    return value


def data_directory(given: str, environ: Mapping[str, str], root: bool, directory: str) -> str:
    """The absolute data directory; the default follows the XDG Base Directory Specification for ordinary users."""
    home = environ.get("HOME", "")
    if given:
        if given.startswith("~/") and home:
            given = posixpath.join(home, given[2:])
        return posixpath.normpath(posixpath.join(directory, given))
    if root:
        return "/var/lib/e2a"
    base = environ.get("XDG_DATA_HOME", "")
    if not base.startswith("/"):
        base = posixpath.join(home or directory, ".local", "share")
    return posixpath.join(base, "e2a")


def local_host(name: str) -> bool:
    """Whether a host name or address means this machine."""
    if name.lower() == "localhost" or name.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def complaints(settings: Settings) -> list[str]:
    """What is wrong with the keys taken together."""
    smtp, upstream, oauth, oidc = settings.smtp, settings.outbound_smtp, settings.oauth, settings.oidc
    direct = settings.outbound.route == "direct"
    rules = [
        (
            bool(smtp.tls_cert) != bool(smtp.tls_key),
            "smtp.tls_cert and smtp.tls_key: one does not work without the other",
        ),
        (
            smtp.max_connections_per_address > smtp.max_connections,
            "smtp.max_connections_per_address: must not exceed smtp.max_connections",
        ),
        (
            bool(upstream.from_domain) and not upstream.host and not direct,
            "outbound_smtp.from_domain: needs outbound_smtp.host",
        ),
        (direct and not upstream.from_domain, "outbound.route: direct needs outbound_smtp.from_domain"),
        (
            upstream.tls == "none" and bool(upstream.host) and not local_host(upstream.host),
            "outbound_smtp.tls: none is for an upstream server on this machine only",
        ),
        (bool(upstream.host) and not upstream.from_domain, "outbound_smtp.host: needs outbound_smtp.from_domain"),
        (bool(upstream.username) and not upstream.host, "outbound_smtp.username: needs outbound_smtp.host"),
        (
            bool(upstream.username) != bool(upstream.password),
            "outbound_smtp.username and outbound_smtp.password: one does not work without the other",
        ),
        (
            bool(oauth.google_client_id) != bool(oauth.google_client_secret),
            "oauth.google_client_id and oauth.google_client_secret: one does not work without the other",
        ),
        (
            bool(oauth.google_client_id or oidc.issuer) and not oauth.redirect_url and not settings.http.public_url,
            "oauth.redirect_url: sign-in with a provider needs it, or http.public_url",
        ),
        (
            bool(oidc.issuer) != bool(oidc.client_id),
            "oidc.issuer and oidc.client_id: one does not work without the other",
        ),
        ("openid" not in oidc.scopes.split(), "oidc.scopes: openid must be among them"),
        (
            oidc.issuer.startswith("http:") and not local_host(urlsplit(oidc.issuer).hostname or ""),
            "oidc.issuer: must be an https:// URL",
        ),
        (
            bool(settings.feedback.github_token) and not settings.feedback.github_repo,
            "feedback.github_token: needs feedback.github_repo",
        ),
    ]
    found = [complaint for broken, complaint in rules if broken]
    return found + _production(settings) if settings.production else found


def _production(settings: Settings) -> list[str]:
    rules = [
        (not settings.database.url, "database.url (E2A_DATABASE_URL): required"),
        (
            not settings.smtp.tls_cert and not settings.smtp.tls_key,
            "smtp.tls_cert and smtp.tls_key (E2A_SMTP_TLS_CERT, E2A_SMTP_TLS_KEY): required for STARTTLS",
        ),
        (
            not settings.http.public_url.startswith("https://"),
            "http.public_url (E2A_PUBLIC_URL): an https:// URL is required",
        ),
        (
            settings.oauth.redirect_url.startswith("http:"),
            "oauth.redirect_url (E2A_OAUTH_REDIRECT_URL): an https:// URL is required",
        ),
        (
            settings.smtp.domain == "e2a.example.com" or "." not in settings.smtp.domain,
            "smtp.domain (E2A_SMTP_DOMAIN): this host's real public name is required",
        ),
    ]
    found = [complaint for broken, complaint in rules if broken]
    weakness = weak_secret(settings.signing.hmac_secret)
    if weakness:
        found.append(f"signing.hmac_secret (E2A_HMAC_SECRET): {weakness}; make one with: openssl rand -hex 32")
    return [f"production mode: {complaint}" for complaint in found]


def weak_secret(value: str) -> str:
    """Why ``value`` cannot protect a public deployment; ``""`` when it can."""
    if not value:
        return "required"
    if len(value.encode()) < _MIN_SECRET_BYTES:
        return f"must have at least {_MIN_SECRET_BYTES} bytes"
    if _PLACEHOLDER.search(value) or len(set(value)) < _MIN_DISTINCT:
        return "must be random, not a placeholder"
    return ""
