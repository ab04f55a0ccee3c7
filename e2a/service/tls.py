"""The certificate that STARTTLS shows, and whose certificates are believed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions

from ..core.errors import SettingsError
from ..deliver.safeagent import load_trust_root

_END = b"-----END CERTIFICATE-----"


def server_context(certificate: str, key: str) -> CertificateOptions:
    """TLS 1.2 or newer, with a certificate chain and its private key.

    :param certificate: PEM file: the host's certificate first, then the intermediate ones.
    :param key: PEM file with the unencrypted key.
    :raises SettingsError: a file cannot be read or understood, or the two do not belong together.
    """
    chain = _chain(certificate)
    try:
        private = crypto.load_privatekey(crypto.FILETYPE_PEM, _read("smtp.tls_key", key), b"")
    except (crypto.Error, ValueError, TypeError) as error:
        raise SettingsError([f"smtp.tls_key: {key} holds no unencrypted private key"]) from error
    try:
        options = CertificateOptions(privateKey=private, certificate=chain[0], extraCertChain=chain[1:])
        options.getContext().check_privatekey()
    except (SSL.Error, ValueError) as error:
        raise SettingsError([f"smtp.tls_key: {key} is not the key of {certificate}"]) from error
    return options


def trust_root(setting: str, ca_file: str) -> Any:
    """The authorities in a PEM file; None, the platform's, without a file.

    :param setting: names the file in the settings.
    :raises SettingsError: it cannot be read, or holds none.
    """
    try:
        return load_trust_root(Path(ca_file).read_bytes()) if ca_file else None
    except (OSError, ValueError) as error:
        raise SettingsError([f"{setting}: {ca_file} cannot be used: {error}"]) from error


def _chain(path: str) -> list[Any]:
    blocks = [block + _END for block in _read("smtp.tls_cert", path).split(_END)[:-1]]
    try:
        chain = [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks]
    except crypto.Error as error:
        raise SettingsError([f"smtp.tls_cert: {path} holds a damaged certificate"]) from error
    if not chain:
        raise SettingsError([f"smtp.tls_cert: {path} holds no certificate"])
    return chain


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError([f"{name}: {path} cannot be read: {error.strerror}"]) from error
