"""The certificate that STARTTLS shows."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509

from ...core.errors import SettingsError
from ...core.settings import Settings
from ..tls import server_context
from .report import Finding, fail, ok, skip, warn

_SOON_DAYS = 21


def certificate(settings: Settings, now: float) -> list[Finding]:
    """Whether it can be used, for how long, and for which name.

    :param now: Unix time.
    """
    name, smtp = "certificate", settings.smtp
    if not smtp.tls_cert:
        if settings.production:
            return [fail(name, "none is configured", "Set smtp.tls_cert and smtp.tls_key.")]
        return [skip(name, "none is configured: mail arrives without TLS", "Set smtp.tls_cert and smtp.tls_key.")]
    try:
        server_context(smtp.tls_cert, smtp.tls_key)
        chain = x509.load_pem_x509_certificates(Path(smtp.tls_cert).read_bytes())
    except SettingsError as error:
        return [fail(name, complaint) for complaint in error.complaints]
    except (OSError, ValueError):
        return [fail(name, f"{smtp.tls_cert} cannot be read")]
    return [_lifetime(chain[0], now), _names(chain[0], smtp.domain), _chain(chain), _key(smtp.tls_key)]


def _lifetime(leaf: x509.Certificate, now: float) -> Finding:
    moment = datetime.fromtimestamp(now, UTC)
    days = (leaf.not_valid_after_utc - moment).days
    hint = "Renew it, and restart the daemon, which reads it when it starts."
    if moment < leaf.not_valid_before_utc:
        return fail("certificate", f"not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC", hint)
    if moment >= leaf.not_valid_after_utc:
        return fail("certificate", f"expired on {leaf.not_valid_after_utc:%Y-%m-%d}", hint)
    if days < _SOON_DAYS:
        return warn("certificate", f"expires in {days} days", hint)
    return ok("certificate", f"valid for {days} more days")


def _names(leaf: x509.Certificate, host: str) -> Finding:
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = [text.lower() for text in extension.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        names = []
    if any(_matches(pattern, host.lower()) for pattern in names):
        return ok("certificate_name", f"it is for {host}")
    shown = ", ".join(names[:5]) or "no host name"
    return fail("certificate_name", f"it is for {shown}, not for {host}", "Get one for smtp.domain.")


def _matches(pattern: str, host: str) -> bool:
    """RFC 6125 6.4.3: a star stands for the leftmost label alone."""
    if pattern.startswith("*."):
        return pattern[2:] == host.partition(".")[2]
    return pattern == host


def _chain(chain: list[x509.Certificate]) -> Finding:
    leaf = chain[0]
    if leaf.issuer == leaf.subject:
        return warn("certificate_chain", "self-signed", "Senders that insist on a valid certificate will not deliver.")
    for below, above in pairwise(chain):
        if below.issuer != above.subject:
            return fail(
                "certificate_chain", "out of order", "The host's certificate first, then who issued it, and so on."
            )
    if len(chain) == 1:
        hint = "Use the file that holds the chain (often fullchain.pem)."
        return warn("certificate_chain", "the intermediate certificates are missing", hint)
    return ok("certificate_chain", f"{len(chain)} certificates")


def _key(path: str) -> Finding:
    mode = stat.S_IMODE(Path(path).stat().st_mode)
    if mode & 0o004:
        return warn("certificate_key", f"everybody on this machine may read {path}", f"Run: chmod o-r {path}")
    return ok("certificate_key", "belongs to the certificate")
