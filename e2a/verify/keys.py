"""DKIM public keys: key records (RFC 6376 section 3.6.1, RFC 8463), parsed once and remembered by their text."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from .questions import Answers, Question, ask

#: Octets of a signature field or a key record; real ones stay under 4 KiB.
MAX_TEXT = 16_384
#: Bits of an RSA key's public exponent.
MAX_EXPONENT = 64

_WHITE = b" \t\r\n"
_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9_]*\Z")
#: Tags that need no look at their letters: those of RFC 6376 and 8617.
_USUAL_TAGS = frozenset(b"a b bh c cv d h i k l n p q s t v x z".split())
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}\Z")
_PREHASHED = Prehashed(SHA256())
_PKCS1 = padding.PKCS1v15()


class Refused(Exception):
    """A signature or key that cannot pass. ``word`` is the RFC 8601 result, ``reason`` a few fixed words."""

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(word, reason)
        self.word, self.reason = word, reason


@dataclass(frozen=True, slots=True)
class RsaKey:
    """``verify`` takes SHA-256 of the signed octets and raises ``InvalidSignature``."""

    public: rsa.RSAPublicKey
    kind: ClassVar[bytes] = b"rsa"

    def verify(self, signature: bytes, digest: bytes) -> None:
        self.public.verify(signature, digest, _PKCS1, _PREHASHED)


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    """As ``RsaKey``; here the hash is what is signed (RFC 8463 section 3)."""

    public: ed25519.Ed25519PublicKey
    kind: ClassVar[bytes] = b"ed25519"

    def verify(self, signature: bytes, digest: bytes) -> None:
        self.public.verify(signature, digest)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A parsed key record. :ivar strict: ``t=s``: ``i=`` must name the very domain of ``d=``."""

    key: RsaKey | Ed25519Key
    strict: bool


def tag_list(text: bytes) -> dict[bytes, bytes]:
    """A tag list (RFC 6376 section 3.2): values by tag, in order, without the white space around them.

    :raises Refused: not a tag list, a tag given twice, or an absurd size.
    """
    if len(text) > MAX_TEXT:
        raise Refused("permerror", "tag list too long")
    tags: dict[bytes, bytes] = {}
    parts = text.split(b";")
    if not parts[-1].strip(_WHITE):
        parts.pop()
    for part in parts:
        tag, equals, value = part.partition(b"=")
        tag = tag.strip(_WHITE)
        if not equals or tag in tags or not (tag in _USUAL_TAGS or _TAG.match(tag)):
            raise Refused("permerror", "malformed tag list")
        tags[tag] = value.strip(_WHITE)
    return tags


def decode_base64(text: bytes | None, tag: str) -> bytes:
    """:raises Refused: missing, or not base64 once white space is gone."""
    text = (text or b"").translate(None, _WHITE)
    if not text:
        raise Refused("permerror", "malformed " + tag)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        return _decode_loosely(text, tag)


def _decode_loosely(text: bytes, tag: str) -> bytes:
    # A second "=" behind complete text does no harm.
    if not _BASE64.match(text):
        raise Refused("permerror", "malformed " + tag)
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise Refused("permerror", "malformed " + tag) from None


@lru_cache(4096)
def key_question(domain: str, selector: str) -> Question:
    return ask(f"{selector}._domainkey.{domain}", "TXT")


def key_for(domain: str, selector: str, kind: bytes, answers: Answers) -> KeyRecord:
    """The key for a signature.

    :raises Refused: ``temperror`` when the DNS gave no answer, ``permerror`` or ``policy`` when there is no usable key.
    """
    answer = answers[key_question(domain, selector)]
    if answer.failure:
        raise Refused("temperror", "key unavailable")
    if not answer.records:
        raise Refused("permerror", "no key")
    if len(answer.records) > 1:
        raise Refused("permerror", "several key records")
    record = read_key(answer.records[0])
    if isinstance(record, tuple):
        raise Refused(*record)
    if record.key.kind != kind:
        raise Refused("permerror", "key of another type")
    return record


@lru_cache(4096)
def read_key(text: bytes) -> KeyRecord | tuple[str, str]:
    """A key record (RFC 6376 section 3.6.1), or the word and reason for refusing it. Cached by its text: parsing costs
    more than verifying."""
    try:
        return _read_key(text)
    except Refused as refused:
        return refused.word, refused.reason


def _read_key(text: bytes) -> KeyRecord:
    tags = tag_list(text)
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or (b"v" in tags and next(iter(tags)) != b"v"):
        raise Refused("permerror", "unknown key version")
    if b"p" not in tags:
        raise Refused("permerror", "malformed key record")
    if not tags[b"p"].translate(None, _WHITE):
        raise Refused("permerror", "key revoked")
    if b"h" in tags and b"sha256" not in _list(tags[b"h"]):
        raise Refused("permerror", "key not for sha256")
    if not {b"*", b"email"}.intersection(_list(tags.get(b"s", b"*"))):
        raise Refused("permerror", "key not for e-mail")
    strict = b"s" in _list(tags.get(b"t", b""))
    data = decode_base64(tags[b"p"], "key record")
    kind = tags.get(b"k", b"rsa").lower()
    try:
        if kind == b"ed25519":
            return KeyRecord(Ed25519Key(ed25519.Ed25519PublicKey.from_public_bytes(data)), strict)
        if kind == b"rsa":
            public = load_der_public_key(data)
            if isinstance(public, rsa.RSAPublicKey):
                if not 1024 <= public.key_size <= 4096:
                    raise Refused("policy", "key size")
                # Verifying takes time in proportion to it; every key in use has 17 bits.
                if public.public_numbers().e.bit_length() > MAX_EXPONENT:
                    raise Refused("policy", "key exponent")
                return KeyRecord(RsaKey(public), strict)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("permerror", "malformed key record") from None
    raise Refused("permerror", "unknown key type")


def _list(text: bytes) -> list[bytes]:
    return [one.strip(_WHITE).lower() for one in text.split(b":")]
