"""DKIM signatures of our own (RFC 6376, 8301): rsa-sha256, relaxed/relaxed, over the canonical forms that the verifier
uses.

dkimpy is the oracle in the tests. It does not sign at runtime: its RSA is Python, 13 ms a signature against 0.5 ms
here, and holds the interpreter for as long.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from e2a.core.mail.headers import Field, HeaderBlock, scan

from .canonical import Selector, body_hashes, unsigned_form

#: RFC 8301 section 3.2: at least 2048 bits; more would not fit a key record into one UDP answer.
BITS = 2048

#: Named once more often than they occur, so that nobody can add one: readers would show or answer that.
_SEALED = (
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
#: Signed where they are. Lists and relays on the way may add their own.
_SIGNED = (
    "Sender",
    "Auto-Submitted",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
)
_WIDTH = 72
_PKCS1 = padding.PKCS1v15()
_PREHASHED = Prehashed(SHA256())


class Unsignable(ValueError):
    """Readers may split this message's header differently, so a signature would not say what was signed."""


def make_key() -> tuple[str, str]:
    """A new key pair: the private key as PEM, the public one as the ``p=`` of its key record. Takes some 100 ms."""
    key = rsa.generate_private_key(65_537, BITS)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private, base64.b64encode(public).decode("ascii")


def load_key(pem: str) -> rsa.RSAPrivateKey:
    """:raises ValueError: not an RSA private key."""
    key = load_pem_private_key(pem.encode("ascii"), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


def signed(raw: bytes, domain: str, selector: str, key: rsa.RSAPrivateKey, now: float) -> bytes:
    """The message with a DKIM-Signature on top.

    :param now: Unix time, for ``t=``.
    :raises Unsignable: the header block is malformed, or has not one From field.
    """
    block = scan(raw)
    if block.defects or len(block.all(b"from")) != 1:
        raise Unsignable(", ".join(block.defects) or "not one From field")
    body_hash = base64.b64encode(body_hashes(raw, block.body_start, [b"relaxed"])[b"relaxed"]).decode("ascii")
    covers = _covers(block)
    text = (
        f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};\r\n"
        f"\ts={selector}; t={int(now)};\r\n"
        f"\th={_folded(covers)};\r\n"
        f"\tbh={body_hash};\r\n"
        "\tb="
    )
    digest = _digest(block, covers, text.encode("ascii"))
    value = base64.b64encode(key.sign(digest, _PKCS1, _PREHASHED)).decode("ascii")
    lines = "\r\n\t ".join(value[start : start + _WIDTH] for start in range(0, len(value), _WIDTH))
    return text.encode("ascii") + lines.encode("ascii") + b"\r\n" + raw


def _covers(block: HeaderBlock) -> list[str]:
    """The names for ``h=``, each as often as it is to be covered."""
    present = Counter(field.key for field in block.fields)
    covers: list[str] = []
    for name in _SEALED:
        covers += [name] * (present[name.lower().encode()] + 1)
    for name in _SIGNED:
        covers += [name] * present[name.lower().encode()]
    return covers


def _folded(names: list[str]) -> str:
    lines = [""]
    for name in names:
        part = f":{name}" if lines != [""] else name
        if len(lines[-1]) + len(part) > _WIDTH:
            lines.append("")
        lines[-1] += part
    return "\r\n\t ".join(lines)


def _digest(block: HeaderBlock, covers: list[str], unsigned: bytes) -> bytes:
    """:param unsigned: the signature field up to its empty ``b=``."""
    selector = Selector(block)
    hasher = hashlib.sha256()
    for field in selector.pick([name.lower().encode() for name in covers]):
        hasher.update(selector.relaxed(field))
    hasher.update(unsigned_form(Field(b"dkim-signature", unsigned + b"\r\n"), b"relaxed"))
    return hasher.digest()
