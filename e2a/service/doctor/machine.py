"""What can be said without asking anybody else: the settings, the secret, this machine."""

from __future__ import annotations

import ipaddress
import math
import os
import resource
import shutil
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ...core.settingchecks import local_host, weak_secret
from ...core.settings import Settings
from .report import Finding, fail, ok, skip, warn

#: Bits below which a secret is called weak although it passes for random.
_ENOUGH_BITS = 128
_MEBIBYTE = 2**20
#: Files that a daemon has open beside its connections: sockets for DNS, WebSockets, webhooks, HTTP clients, the log.
_OTHER_FILES = 1000
#: Networks larger than these are no list of proxies.
_LARGEST_IPV4, _LARGEST_IPV6 = 8, 32


def bits(secret: str) -> float:
    """An upper estimate of a secret's entropy: how evenly its characters are spread, over its shortest period."""
    period = (secret + secret).find(secret, 1)
    counts = Counter(secret[:period])
    return -sum(count * math.log2(count / period) for count in counts.values()) if period > 0 else 0.0


def deployment_secret(settings: Settings) -> list[Finding]:
    """Its strength; in development, the one that the daemon made and keeps."""
    secret, name = settings.signing.hmac_secret, "secret"
    kept = ""
    if not secret:
        path = Path(settings.data_dir, "hmac_secret")
        try:
            secret = path.read_text(encoding="ascii").strip()
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            return [skip(name, "not made yet", f"The daemon makes one in {path} when it starts.")]
        except (OSError, ValueError) as error:
            return [fail(name, f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not text'}")]
        kept = f", kept in {path}"
        if mode & 0o077:
            return [fail(name, f"{path} can be read by others (mode {mode:03o})", f"Run: chmod 600 {path}")]
    hint = "Make one with `openssl rand -hex 32`, and see `Changing the deployment secret` in docs/operations.md."
    weakness = weak_secret(secret)
    estimate = int(bits(secret))
    if weakness:
        return [fail(name, f"the deployment secret {weakness}{kept}", hint)]
    if estimate < _ENOUGH_BITS:
        return [warn(name, f"the deployment secret has no more than {estimate} bits{kept}", hint)]
    if secret in settings.signing.old_hmac_secrets:
        return [warn(name, "the deployment secret is also listed as a former one", "Remove it from old_hmac_secrets.")]
    return [ok(name, f"{len(secret.encode())} bytes, up to {estimate} bits{kept}")]


def data_directory(settings: Settings) -> list[Finding]:
    """Whether it is there and private, and the room that is left for it."""
    name, path = "data_directory", Path(settings.data_dir)
    found: list[Finding] = []
    if not path.exists():
        found.append(skip(name, f"{path} does not exist", "The daemon makes it when it needs it."))
    elif not path.is_dir():
        found.append(fail(name, f"{path} is not a directory"))
    else:
        state = path.stat()
        if state.st_mode & 0o022:
            found.append(warn(name, f"others may write into {path}", f"Run: chmod 700 {path}"))
        elif state.st_uid != os.geteuid():
            found.append(ok(name, f"{path} belongs to user {state.st_uid}; this is user {os.geteuid()}"))
        else:
            found.append(ok(name, f"{path} is there"))
    while not path.exists():
        path = path.parent
    usage = shutil.disk_usage(path)
    text = f"{usage.free // _MEBIBYTE} MiB free of {usage.total // _MEBIBYTE} MiB"
    if usage.free < 100 * _MEBIBYTE:
        found.append(fail("disk", text, f"Make room on the file system of {path}."))
    elif usage.free < 1024 * _MEBIBYTE or usage.free * 20 < usage.total:
        found.append(warn("disk", text, f"Make room on the file system of {path}."))
    else:
        found.append(ok("disk", text))
    return found


def descriptors(settings: Settings) -> list[Finding]:
    """Whether a process started like this one may open as many files as the settings allow connections."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.smtp.max_connections + settings.database.pool_size + settings.outbound_smtp.connections
    needed += _OTHER_FILES
    if allowed == resource.RLIM_INFINITY or allowed >= needed:
        return [ok("descriptors", f"a process started like this one may open {_limit(allowed)} files")]
    hint = f"Set LimitNOFILE={max(65_536, needed)} in the systemd unit, or lower smtp.max_connections."
    text = f"a process started like this one may open {allowed} files; these settings may need {needed}"
    return [warn("descriptors", text, hint)]


def _limit(number: int) -> str:
    return "any number of" if number == resource.RLIM_INFINITY else str(number)


def metrics_listener(settings: Settings) -> list[Finding]:
    """Metrics have no authentication."""
    address = settings.metrics.listen_addr
    if not address:
        return [skip("metrics", "off")]
    host = address.rpartition(":")[0].strip("[]")
    try:
        private = local_host(host) or (bool(host) and ipaddress.ip_address(host).is_private and host not in _EVERYWHERE)
    except ValueError:
        return [
            skip("metrics", f"the endpoint {address} cannot be judged", "Keep it private: it asks for no password.")
        ]
    if private:
        return [ok("metrics", f"on {address}")]
    return [warn("metrics", f"on {address}, without authentication", "Bind it to a private address: 127.0.0.1:9464.")]


_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


def proxies(settings: Settings) -> list[Finding]:
    """Whether addresses of clients can be believed."""
    name, trusted = "proxies", settings.http.trusted_proxies
    networks = [ipaddress.ip_network(text) for text in trusted]
    wide = [
        str(network)
        for network in networks
        if network.prefixlen < (_LARGEST_IPV4 if network.version == 4 else _LARGEST_IPV6)
    ]
    if wide:
        hint = "Anybody there can claim any address in X-Forwarded-For: list the proxies alone."
        return [fail(name, f"http.trusted_proxies believes {', '.join(wide)}", hint)]
    if not trusted and settings.http.public_url.startswith("https://"):
        hint = "Set http.trusted_proxies to the address of the proxy that speaks TLS for this daemon."
        return [warn(name, "no proxy is trusted: limits by client address count all clients as one", hint)]
    return [ok(name, f"{len(trusted)} trusted" if trusted else "none")]


def local_findings(settings: Settings) -> Sequence[Finding]:
    """Everything that needs neither network nor database."""
    found: list[Finding] = []
    for warning in settings.warnings:
        found.append(warn("configuration", warning))
    if not found:
        found.append(ok("configuration", f"readable, env is {settings.env}"))
    for look in (deployment_secret, data_directory, descriptors, metrics_listener, proxies):
        found += look(settings)
    return found
