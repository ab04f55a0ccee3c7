"""DKIM (RFC 6376, 8301, 8463): the signatures of one message, judged in two phases so that nothing waits inside.

``read`` parses the signatures and refuses what no key could mend; ``questions`` names the key records; ``judge`` checks
hashes and signatures against the answers. Header fields come from
the one scan of ``core.mail.headers``. dkimpy is the oracle in the tests.

Stricter than the RFCs, always with the result ``policy``: ``l=`` (anybody may append text), rsa-sha1, RSA keys outside
1024-4096 bits, a header block that readers may split differently, a message without exactly one From field, a field
that may occur once but occurs more often than the signature covers, and a Reply-To or Subject that the signature does
not cover. The last two are what a replayed message with added fields looks like.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature

from e2a.core.mail.headers import Field, HeaderBlock
from e2a.core.trust.verdict import SINGLE_FIELDS, DkimResult, domain_of

from .canonical import Selector, unsigned_form
from .keys import Refused, decode_base64, key_for, key_question, tag_list
from .questions import Answers, Question

#: Signatures looked at, topmost first; the others are not counted (RFC 6376 section 6.1 allows a limit).
MAX_SIGNATURES = 5
#: Seconds that clocks may differ when ``x=`` and ``t=`` are compared with now.
_LEEWAY = 300

_DIGITS = re.compile(rb"[0-9]{1,12}\Z")
_SELECTOR = re.compile(
    rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z"
)
_FIELD_NAME = re.compile(rb"[!-9;-~]+\Z")
#: Forms of header and body by ``c=``; the second word is simple where it is missing (RFC 6376 section 3.5).
_CANONICAL = {
    words: (head, body)
    for head in (b"simple", b"relaxed")
    for body in (b"simple", b"relaxed")
    for words in (head + b"/" + body, *([head, head + b"/"] if body == b"simple" else []))
}

#: Fields whose uncovered presence makes a signature worthless to a reader who answers the mail.
_MUST_COVER = (b"reply-to", b"subject")


class Signature(NamedTuple):
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
    fields = block.by_key.get(b"dkim-signature")
    if fields is None:
        return ()
    found: list[Signature | Unusable] = []
    present = {key: len(found) for key, found in block.by_key.items() if key in SINGLE_FIELDS}
    for field in fields[:MAX_SIGNATURES]:
        domain = selector = ""
        try:
            tags = tag_list(field.value)
            domain, selector = names(tags)
            signature = parse(field, tags, domain, selector)
            _check_policy(signature, tags, block, present, now)
            found.append(signature)
        except Refused as refused:
            found.append(Unusable(DkimResult(refused.word, domain, selector, reason=refused.reason)))
    return tuple(found)


def questions(signatures: Sequence[Signature | Unusable]) -> tuple[Question, ...]:
    """The key records to ask for, each once."""
    return tuple(
        dict.fromkeys(key_question(one.domain, one.selector) for one in signatures if isinstance(one, Signature))
    )


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


def names(tags: Mapping[bytes, bytes]) -> tuple[str, str]:
    """``d=`` and ``s=``, lower-case. Anything but plain DNS names is refused: NUL, quotes and the like have fooled
    verifiers."""
    return _names(tags.get(b"d", b""), tags.get(b"s", b""))


@lru_cache(4096)
def _names(domain: bytes, selector: bytes) -> tuple[str, str]:
    if not domain.isascii() or not domain_of("@" + domain.decode("ascii")):
        raise Refused("permerror", "malformed d=")
    if len(selector) > 150 or not _SELECTOR.match(selector):
        raise Refused("permerror", "malformed s=")
    return domain.decode("ascii").lower(), selector.decode("ascii").lower()


def parse(field: Field, tags: Mapping[bytes, bytes], domain: str, selector: str) -> Signature:
    """Check the syntax of everything that DKIM-Signature and ARC-Message-Signature have in common."""
    kind = algorithm(tags)
    forms = _CANONICAL.get(tags.get(b"c", b"simple/simple"))
    if forms is None:
        raise Refused("permerror", "unknown canonicalization")
    headers, body = forms
    covers = _covers(tags.get(b"h", b""))
    if covers is None:
        raise Refused("permerror", "malformed h=")
    body_hash = decode_base64(tags.get(b"bh"), "bh=")
    value = decode_base64(tags.get(b"b"), "b=")
    signed_at, expires = _moment(tags, b"t"), _moment(tags, b"x")
    if signed_at is not None and expires is not None and expires < signed_at:
        raise Refused("permerror", "x= before t=")
    identity = domain
    if b"i" in tags:
        identity = tags[b"i"].rpartition(b"@")[2].decode("ascii", "replace").lower()
    return Signature(
        field, domain, selector, kind, headers, body, covers, body_hash, value, identity, expires, signed_at
    )


@lru_cache(1024)
def _covers(text: bytes) -> tuple[bytes, ...] | None:
    """The names in ``h=``; None when one is no field name. A signer hardly ever writes but one list."""
    names = tuple(name.strip(b" \t\r\n").lower() for name in text.split(b":"))
    return names if all(map(_FIELD_NAME.match, names)) else None


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
    if b"q" in tags and b"dns/txt" not in [one.strip(b" \t\r\n").lower() for one in tags[b"q"].split(b":")]:
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


def header_digest(signature: Signature, selector: Selector) -> bytes:
    """SHA-256 of the covered header fields and the signature field."""
    picked = selector.pick(signature.covers)
    relaxed = signature.headers == b"relaxed"
    signed = list(map(selector.relaxed, picked)) if relaxed else [field.raw for field in picked]
    signed.append(unsigned_form(signature.field, signature.headers))
    return hashlib.sha256(b"".join(signed)).digest()


def wanted_hashes(signatures: Sequence[Signature | Unusable]) -> frozenset[bytes]:
    """The body canonicalisations that the usable signatures need."""
    return frozenset(one.body for one in signatures if isinstance(one, Signature))
