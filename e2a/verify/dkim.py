"""DKIM (RFC 6376, 8301, 8463): the signatures of one message, judged in two phases so that nothing waits inside.

``read`` parses the signatures and refuses what no key could mend; ``questions`` names the key records; ``judge`` checks hashes and
signatures against the answers. Header fields come from the one scan of ``core.mail.headers``. Canonicalisation is linear in the
message, whatever it holds: dkimpy's is quadratic in runs of spaces, which any domain owner can send. dkimpy parses the tag lists
here and is the oracle in the tests.

Stricter than the RFCs, always with the result ``policy``: ``l=`` (anybody may append text), rsa-sha1, RSA keys outside 1024-4096
bits, a header block that readers may split differently, a message without exactly one From field, a field that may occur once but occurs more often than the signature covers, and a
Reply-To or Subject that the signature does not cover. The last two are what a replayed message with added fields looks like.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from dkim.util import InvalidTagValueList, parse_tag_value

from e2a.core.mail.headers import Field, HeaderBlock
from e2a.core.trust.verdict import SINGLE_FIELDS, DkimResult, domain_of

from .questions import Answers, Question, ask

#: Signatures looked at, topmost first; the others are not counted (RFC 6376 section 6.1 allows a limit).
MAX_SIGNATURES = 5
#: Octets of one signature field; real ones stay under 4 KiB.
MAX_FIELD = 16_384
#: Seconds that clocks may differ when ``x=`` and ``t=`` are compared with now.
_LEEWAY = 300
_CHUNK = 65_536

_WSP = re.compile(rb"[ \t]+")
_B_TAG = re.compile(rb"(\A|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_SPACE = re.compile(rb"[ \t\r\n]+")
_BASE64 = re.compile(rb"[A-Za-z0-9+/]+={0,2}\Z")
_DIGITS = re.compile(rb"[0-9]{1,12}\Z")
_SELECTOR = re.compile(
    rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z"
)
_FIELD_NAME = re.compile(rb"[!-9;-~]+\Z")
_CANONICAL = {b"simple", b"relaxed"}
_PREHASHED = Prehashed(SHA256())
_PKCS1 = padding.PKCS1v15()

#: Fields whose uncovered presence makes a signature worthless to a reader who answers the mail.
_MUST_COVER = (b"reply-to", b"subject")


class Refused(Exception):
    """A signature or key that cannot pass. ``word`` is the RFC 8601 result, ``reason`` a few fixed words."""

    def __init__(self, word: str, reason: str) -> None:
        super().__init__(word, reason)
        self.word, self.reason = word, reason


class Key(Protocol):
    """A public key that a key record published."""

    def verify(self, signature: bytes, digest: bytes) -> None:
        """:param digest: SHA-256 of the signed octets.
        :raises InvalidSignature: they do not belong together.
        """


@dataclass(frozen=True, slots=True)
class RsaKey:
    public: rsa.RSAPublicKey
    kind = b"rsa"

    def verify(self, signature: bytes, digest: bytes) -> None:
        self.public.verify(signature, digest, _PKCS1, _PREHASHED)


@dataclass(frozen=True, slots=True)
class Ed25519Key:
    public: ed25519.Ed25519PublicKey
    kind = b"ed25519"

    def verify(self, signature: bytes, digest: bytes) -> None:
        self.public.verify(signature, digest)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A parsed key record. :ivar strict: ``t=s``: ``i=`` must name the very domain of ``d=``."""

    key: RsaKey | Ed25519Key
    strict: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """What a DKIM-Signature or ARC-Message-Signature says, syntax checked.

    :ivar headers, body: ``simple`` or ``relaxed``.
    :ivar covers: lower-case names from ``h=``, in order, repeated as often as named.
    """

    field: Field
    domain: str
    selector: str
    kind: bytes
    headers: bytes
    body: bytes
    covers: tuple[bytes, ...]
    body_hash: bytes
    value: bytes
    identity_domain: str
    expires: int | None = None
    signed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """A signature that is decided without a key."""

    result: DkimResult


def read(block: HeaderBlock, now: float) -> tuple[Signature | Unusable, ...]:
    """The first signatures of a message, each either usable or decided."""
    found: list[Signature | Unusable] = []
    fields = block.all(b"dkim-signature")[:MAX_SIGNATURES]
    present = Counter(field.key for field in block.fields if field.key in SINGLE_FIELDS) if fields else Counter()
    for field in fields:
        domain = selector = ""
        try:
            tags = tag_list(field)
            domain, selector = names(tags)
            signature = parse(field, tags, domain, selector)
            _check_policy(signature, tags, block, present, now)
            found.append(signature)
        except Refused as refused:
            found.append(Unusable(DkimResult(refused.word, domain, selector, reason=refused.reason)))
    return tuple(found)


def questions(signatures: Sequence[Signature | Unusable]) -> tuple[Question, ...]:
    """The key records to ask for, each once."""
    return tuple(dict.fromkeys(key_question(one) for one in signatures if isinstance(one, Signature)))


def judge(
    signatures: Sequence[Signature | Unusable], answers: Answers, block: HeaderBlock, hashes: Mapping[bytes, bytes]
) -> tuple[DkimResult, ...]:
    """The result of every signature.

    :param hashes: SHA-256 of the body by canonicalisation, see ``body_hashes``.
    """
    if not signatures:
        return ()
    selector = Selector(block)
    return tuple(
        one.result if isinstance(one, Unusable) else _judge_one(one, answers, selector, hashes) for one in signatures
    )


def _judge_one(signature: Signature, answers: Answers, selector: Selector, hashes: Mapping[bytes, bytes]) -> DkimResult:
    try:
        record = key_for(signature.domain, signature.selector, signature.kind, answers)
        if record.strict and signature.identity_domain != signature.domain:
            raise Refused("permerror", "i= outside d=")
        if hashes[signature.body] != signature.body_hash:
            raise Refused("fail", "body hash mismatch")
        digest = header_digest(signature, selector)
        try:
            record.key.verify(signature.value, digest)
        except InvalidSignature:
            raise Refused("fail", "signature mismatch") from None
    except Refused as refused:
        return DkimResult(refused.word, signature.domain, signature.selector, reason=refused.reason)
    return DkimResult("pass", signature.domain, signature.selector)


# The signature field


def tag_list(field: Field) -> dict[bytes, bytes]:
    """:raises Refused: not a tag list (RFC 6376 section 3.2), or of absurd size."""
    if len(field.raw) > MAX_FIELD:
        raise Refused("permerror", "signature field too long")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(field.value)
    except InvalidTagValueList:
        raise Refused("permerror", "malformed tag list") from None
    return tags


def names(tags: Mapping[bytes, bytes]) -> tuple[str, str]:
    """``d=`` and ``s=``, lower-case. Anything but plain DNS names is refused: NUL, quotes and the like have fooled verifiers."""
    domain, selector = tags.get(b"d", b""), tags.get(b"s", b"")
    if not domain.isascii() or not domain_of("@" + domain.decode("ascii")):
        raise Refused("permerror", "malformed d=")
    if len(selector) > 150 or not _SELECTOR.match(selector):
        raise Refused("permerror", "malformed s=")
    return domain.decode("ascii").lower(), selector.decode("ascii").lower()


def parse(field: Field, tags: Mapping[bytes, bytes], domain: str, selector: str) -> Signature:
    """Check the syntax of everything that DKIM-Signature and ARC-Message-Signature have in common."""
    kind = algorithm(tags)
    headers, _, body = tags.get(b"c", b"simple/simple").partition(b"/")
    body = body or b"simple"
    if headers not in _CANONICAL or body not in _CANONICAL:
        raise Refused("permerror", "unknown canonicalization")
    covers = tuple(name.strip(b" \t\r\n").lower() for name in tags.get(b"h", b"").split(b":"))
    if not all(map(_FIELD_NAME.match, covers)):
        raise Refused("permerror", "malformed h=")
    body_hash = decode_base64(tags.get(b"bh"), "bh=")
    value = decode_base64(tags.get(b"b"), "b=")
    signed_at, expires = _moment(tags, b"t"), _moment(tags, b"x")
    if signed_at is not None and expires is not None and expires < signed_at:
        raise Refused("permerror", "x= before t=")
    identity = tags.get(b"i", b"@" + domain.encode()).rpartition(b"@")[2].decode("ascii", "replace").lower()
    return Signature(
        field, domain, selector, kind, headers, body, covers, body_hash, value, identity, expires, signed_at
    )


def algorithm(tags: Mapping[bytes, bytes]) -> bytes:
    """The key type that ``a=`` asks for."""
    name = tags.get(b"a", b"").lower()
    if name == b"rsa-sha256":
        return b"rsa"
    if name == b"ed25519-sha256":
        return b"ed25519"
    if name == b"rsa-sha1":
        raise Refused("policy", "rsa-sha1")
    raise Refused("permerror", "unknown algorithm")


def decode_base64(text: bytes | None, tag: str) -> bytes:
    """:raises Refused: missing, or not base64 once white space is gone."""
    text = _SPACE.sub(b"", text or b"")
    if not _BASE64.match(text):
        raise Refused("permerror", "malformed " + tag)
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        raise Refused("permerror", "malformed " + tag) from None


def _moment(tags: Mapping[bytes, bytes], tag: bytes) -> int | None:
    text = tags.get(tag)
    if text is None:
        return None
    if not _DIGITS.match(text):
        raise Refused("permerror", f"malformed {tag.decode()}=")
    return int(text)


def _check_policy(
    signature: Signature, tags: Mapping[bytes, bytes], block: HeaderBlock, present: Mapping[bytes, int], now: float
) -> None:
    """What only DKIM-Signature must meet. :param present: how often each field of ``SINGLE_FIELDS`` occurs."""
    if tags.get(b"v") != b"1":
        raise Refused("permerror", "unknown version")
    if b"dns/txt" not in [one.strip(b" \t\r\n").lower() for one in tags.get(b"q", b"dns/txt").split(b":")]:
        raise Refused("permerror", "unknown query method")
    if signature.identity_domain != signature.domain and not signature.identity_domain.endswith("." + signature.domain):
        raise Refused("permerror", "i= outside d=")
    if b"from" not in signature.covers:
        raise Refused("permerror", "From not signed")
    if b"l" in tags:
        raise Refused("policy", "body length limit")
    if signature.expires is not None and signature.expires < now - _LEEWAY:
        raise Refused("fail", "signature expired")
    if signature.signed_at is not None and signature.signed_at > now + _LEEWAY:
        raise Refused("policy", "signed in the future")
    if block.defects:
        # Lenient and strict readers see different fields here, so nobody can say what was signed.
        raise Refused("policy", "malformed header block")
    if present.get(b"from") != 1:
        raise Refused("policy", "not one From field")
    for key, count in present.items():
        if (count > 1 or key in _MUST_COVER) and signature.covers.count(key) < count:
            raise Refused("policy", "unsigned field added")


# The key


def key_question(signature: Signature) -> Question:
    return ask(f"{signature.selector}._domainkey.{signature.domain}", "TXT")


def key_for(domain: str, selector: str, kind: bytes, answers: Answers) -> KeyRecord:
    """The key for a signature.

    :raises Refused: ``temperror`` when the DNS gave no answer, ``permerror`` or ``policy`` when there is no usable key.
    """
    answer = answers[ask(f"{selector}._domainkey.{domain}", "TXT")]
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
    """A key record (RFC 6376 section 3.6.1), or the word and reason for refusing it. Cached by its text: parsing costs more than
    verifying."""
    try:
        return _read_key(text)
    except Refused as refused:
        return refused.word, refused.reason


def _read_key(text: bytes) -> KeyRecord:
    if len(text) > MAX_FIELD:
        raise Refused("permerror", "malformed key record")
    try:
        tags: dict[bytes, bytes] = parse_tag_value(text)
    except (InvalidTagValueList, IndexError):
        raise Refused("permerror", "malformed key record") from None
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or (b"v" in tags and next(iter(tags)) != b"v"):
        raise Refused("permerror", "unknown key version")
    if b"p" not in tags:
        raise Refused("permerror", "malformed key record")
    if not _SPACE.sub(b"", tags[b"p"]):
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
                return KeyRecord(RsaKey(public), strict)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refused("permerror", "malformed key record") from None
    raise Refused("permerror", "unknown key type")


def _list(text: bytes) -> list[bytes]:
    return [one.strip(b" \t\r\n").lower() for one in text.split(b":")]


# Canonicalisation (RFC 6376 section 3.4)


class Selector:
    """Picks header fields for ``h=`` and remembers their relaxed forms, so that several signatures cost one conversion."""

    def __init__(self, block: HeaderBlock) -> None:
        self._by_key: dict[bytes, list[Field]] = {}
        for field in block.fields:
            self._by_key.setdefault(field.key, []).append(field)
        self._relaxed: dict[int, bytes] = {}

    def pick(self, covers: Collection[bytes]) -> list[Field]:
        """The fields that ``h=`` names: of equal names the lowest first; a name without a field left stands for nothing."""
        used: dict[bytes, int] = {}
        picked = []
        for key in covers:
            fields = self._by_key.get(key, [])
            nth = used.get(key, 0)
            if nth < len(fields):
                picked.append(fields[-1 - nth])
                used[key] = nth + 1
        return picked

    def relaxed(self, field: Field) -> bytes:
        form = self._relaxed.get(id(field))
        if form is None:
            form = self._relaxed[id(field)] = relaxed_field(field.key, field.value)
        return form


def relaxed_field(key: bytes, value: bytes) -> bytes:
    """A header field in relaxed form, CRLF included."""
    return key + b":" + _WSP.sub(b" ", value.replace(b"\r\n", b"")).strip(b" ") + b"\r\n"


def unsigned_form(field: Field, headers: bytes) -> bytes:
    """The signature field itself as it was signed: ``b=`` empty, no CRLF at the end."""
    colon = field.raw.index(b":") + 1
    value = _B_TAG.sub(rb"\1\2", field.raw[colon:], count=1)
    if headers == b"relaxed":
        return relaxed_field(field.key, value)[:-2]
    return field.raw[:colon] + value.removesuffix(b"\r\n")


def header_digest(signature: Signature, selector: Selector) -> bytes:
    """SHA-256 of the covered header fields and the signature field."""
    hasher = hashlib.sha256()
    relaxed = signature.headers == b"relaxed"
    for field in selector.pick(signature.covers):
        hasher.update(selector.relaxed(field) if relaxed else field.raw)
    hasher.update(unsigned_form(signature.field, signature.headers))
    return hasher.digest()


def wanted_hashes(signatures: Sequence[Signature | Unusable]) -> frozenset[bytes]:
    """The body canonicalisations that the usable signatures need."""
    return frozenset(one.body for one in signatures if isinstance(one, Signature))


def body_hashes(raw: bytes, start: int, wanted: Collection[bytes]) -> dict[bytes, bytes]:
    """SHA-256 of the body by canonicalisation; every octet is read once for each, in slices, so threads can take turns."""
    return {name: (_simple_hash if name == b"simple" else _relaxed_hash)(raw, start) for name in wanted}


def _simple_hash(raw: bytes, start: int) -> bytes:
    end = len(raw)
    if raw.endswith(b"\r\n\r\n"):
        end -= 2 * (_final_crlfs(raw) - 1)
    end = max(end, start)
    hasher = hashlib.sha256(memoryview(raw)[start:end])
    if end == start or not raw.endswith(b"\r\n", start, end):
        hasher.update(b"\r\n")
    return hasher.digest()


def _relaxed_hash(raw: bytes, start: int) -> bytes:
    hasher = hashlib.sha256()
    carry = b""
    # Empty lines seen but not hashed yet: they count only if text follows.
    empty = 0
    wrote = False
    position, size = start, len(raw)
    while position < size:
        chunk = carry + raw[position : position + _CHUNK] if carry else raw[position : position + _CHUNK]
        position += _CHUNK
        if b" " in chunk or b"\t" in chunk:
            chunk = _WSP.sub(b" ", chunk).replace(b" \r\n", b"\r\n")
        carry = b""
        if position < size:
            # What the next slice may still change: a space before CRLF, half a CRLF.
            for tail in (b" \r", b" ", b"\r"):
                if chunk.endswith(tail):
                    carry, chunk = tail, chunk[: -len(tail)]
                    break
        if not chunk:
            continue
        # A CRLF that ends a line of text is held back like the empty lines behind it.
        final = _final_crlfs(chunk)
        text = chunk[: len(chunk) - 2 * final] if final else chunk
        if text:
            if empty:
                hasher.update(b"\r\n" * empty)
            hasher.update(text)
            wrote, empty = True, final
        else:
            empty += final
    if wrote:
        hasher.update(b"\r\n")
    return hasher.digest()


def _final_crlfs(text: bytes) -> int:
    """How many CRLFs end a text, in linear time."""
    if not text.endswith(b"\r\n"):
        return 0
    tail = text[len(text.rstrip(b"\r\n")) :][::-1]
    match = re.match(rb"(?:\n\r)*", tail)
    return match.end() // 2 if match else 0
