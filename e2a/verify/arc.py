"""ARC (RFC 8617 section 5.2): whether the chain of seals on a message is unbroken.

It shares signature syntax, keys and canonicalisation with ``dkim``. The newest ARC-Message-Signature and every
ARC-Seal must verify; older message signatures are expected to break and are not looked at. A chain is a statement of
forwarders about what they saw: it is reported, and nothing is believed because of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature

from e2a.core.mail.headers import Field, HeaderBlock
from e2a.core.trust.verdict import ArcResult

from .canonical import Selector, relaxed_field, unsigned_form
from .dkim import Signature, algorithm, header_digest, names, parse
from .keys import Refused, decode_base64, key_for, key_question, tag_list
from .questions import Answers, Question

#: RFC 8617 section 4.2.1.
MAX_INSTANCE = 50

_KINDS = (b"arc-authentication-results", b"arc-message-signature", b"arc-seal")
_NO_CHAIN = ArcResult("none")
_INSTANCE = re.compile(rb"(?:0*)([1-9][0-9]{0,2})\Z")
_AAR_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,6})[ \t\r\n]*;")


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal, syntax checked."""

    field: Field
    domain: str
    selector: str
    kind: bytes
    value: bytes
    chain: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain whose form is right: ``sets[0]`` is instance 1. ``newest`` is the message signature to check."""

    sets: tuple[tuple[Field, Field, Seal], ...]
    newest: Signature


def read(block: HeaderBlock) -> Chain | ArcResult:
    """Collect the sets and check all that needs no key. An ``ArcResult`` is final."""
    if block.by_key.keys().isdisjoint(_KINDS):
        return _NO_CHAIN
    fields = [field for field in block.fields if field.key in _KINDS]
    if len(fields) > len(_KINDS) * MAX_INSTANCE:
        return ArcResult("fail", MAX_INSTANCE)
    found: dict[tuple[int, bytes], tuple[Field, dict[bytes, bytes]]] = {}
    highest = 0
    try:
        if block.defects:
            raise Refused("fail", "malformed header block")
        for field in fields:
            tags: dict[bytes, bytes] = {}
            if field.key == _KINDS[0]:
                match = _AAR_INSTANCE.match(field.value)
            else:
                tags = tag_list(field.value)
                match = _INSTANCE.match(tags.get(b"i", b""))
            instance = int(match[1]) if match else 0
            if not 1 <= instance <= MAX_INSTANCE or (instance, field.key) in found:
                raise Refused("fail", "malformed instance")
            highest = max(highest, instance)
            found[instance, field.key] = field, tags
        if len(found) != highest * len(_KINDS):
            raise Refused("fail", "incomplete set")
        sets = []
        for instance in range(1, highest + 1):
            seal = _seal(*found[instance, b"arc-seal"])
            if seal.chain != (b"none" if instance == 1 else b"pass"):
                raise Refused("fail", "chain broken before")
            sets.append((found[instance, _KINDS[0]][0], found[instance, b"arc-message-signature"][0], seal))
        field, tags = found[highest, b"arc-message-signature"]
        # RFC 8617 section 4.1.2 leaves c= to DKIM's default, but names relaxed/relaxed where sealers say nothing.
        newest = parse(field, {b"c": b"relaxed/relaxed", **tags}, *names(tags))
        if b"arc-seal" in newest.covers:
            raise Refused("fail", "seal signed")
    except Refused:
        return ArcResult("fail", highest)
    return Chain(tuple(sets), newest)


def _seal(field: Field, tags: Mapping[bytes, bytes]) -> Seal:
    if b"h" in tags:
        raise Refused("fail", "h= in a seal")
    domain, selector = names(tags)
    return Seal(
        field, domain, selector, algorithm(tags), decode_base64(tags.get(b"b"), "b="), tags.get(b"cv", b"").lower()
    )


def questions(chain: Chain | ArcResult) -> tuple[Question, ...]:
    """The key records to ask for, each once."""
    if isinstance(chain, ArcResult):
        return ()
    signers = [(seal.domain, seal.selector) for _, _, seal in chain.sets] + [
        (chain.newest.domain, chain.newest.selector)
    ]
    return tuple(dict.fromkeys(key_question(domain, selector) for domain, selector in signers))


def judge(chain: Chain | ArcResult, answers: Answers, block: HeaderBlock, hashes: Mapping[bytes, bytes]) -> ArcResult:
    """The result of the chain. ``temperror`` when a key could not be had and nothing else is wrong."""
    if isinstance(chain, ArcResult):
        return chain
    count = len(chain.sets)
    word = "pass"
    newest = chain.newest
    for check in (lambda: _check_message(newest, answers, block, hashes), lambda: _check_seals(chain, answers)):
        try:
            check()
        except Refused as refused:
            if refused.word != "temperror":
                return ArcResult("fail", count)
            word = "temperror"
        except InvalidSignature:
            return ArcResult("fail", count)
    return ArcResult(word, count, chain.sets[-1][2].domain if word == "pass" else "")


def _check_message(signature: Signature, answers: Answers, block: HeaderBlock, hashes: Mapping[bytes, bytes]) -> None:
    if hashes[signature.body] != signature.body_hash:
        raise Refused("fail", "body hash mismatch")
    record = key_for(signature.domain, signature.selector, signature.kind, answers)
    record.key.verify(signature.value, header_digest(signature, Selector(block)))


def _check_seals(chain: Chain, answers: Answers) -> None:
    # Each seal covers all sets before it (RFC 8617 section 5.1.1), so one running hash serves them all.
    running = hashlib.sha256()
    for results, message, seal in chain.sets:
        for field in (results, message):
            running.update(relaxed_field(field.key, field.value))
        own = running.copy()
        own.update(unsigned_form(seal.field, b"relaxed"))
        key_for(seal.domain, seal.selector, seal.kind, answers).key.verify(seal.value, own.digest())
        running.update(relaxed_field(seal.field.key, seal.field.value))
