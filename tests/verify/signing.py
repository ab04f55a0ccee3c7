"""Keys and signed messages for tests, made by dkimpy."""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from .zone import Zone


@cache
def rsa_key(bits: int = 1024, number: int = 0) -> tuple[bytes, bytes]:
    """A private key as dkimpy reads it, and its key record. Equal arguments give the same key within a run."""
    key = rsa.generate_private_key(65537, bits)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


@cache
def ed25519_key() -> tuple[bytes, bytes]:
    key = ed25519.Ed25519PrivateKey.generate()
    private = base64.b64encode(key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return private, b"v=DKIM1; k=ed25519; p=" + base64.b64encode(public)


def message(body: bytes = b"Hello.\r\n", **fields: str) -> bytes:
    """A message with the usual fields; keywords replace them (underscores stand for hyphens), ``None`` drops one."""
    headers: dict[str, Any] = {
        "From": "Ann <ann@a.test>",
        "To": "bot@agents.test",
        "Subject": "Hi",
        "Date": "Fri, 20 Nov 2026 10:00:00 +0000",
        "Message-ID": "<1@a.test>",
    }
    headers.update({name.replace("_", "-"): value for name, value in fields.items()})
    return (
        "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None).encode()
        + b"\r\n"
        + body
    )


def signed(
    raw: bytes,
    zone: Zone,
    domain: str = "a.test",
    selector: str = "s",
    *,
    key: tuple[bytes, bytes] | None = None,
    **options: Any,
) -> bytes:
    """The message with a DKIM-Signature on top, its key published in the zone."""
    algorithm = options.get("signature_algorithm", b"rsa-sha256")
    private, record = key or (ed25519_key() if algorithm == b"ed25519-sha256" else rsa_key())
    zone.put(f"{selector}._domainkey.{domain}", "TXT", record)
    options.setdefault("include_headers", [b"from", b"to", b"subject", b"date", b"message-id"])
    options.setdefault("canonicalize", (b"relaxed", b"relaxed"))
    return bytes(dkim.sign(raw, selector.encode(), domain.encode(), private, **options)) + raw
