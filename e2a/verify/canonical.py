"""Canonical forms of header fields and bodies (RFC 6376 section 3.4), in time linear in the message, whatever it holds.

dkimpy's own forms are quadratic in runs of spaces, which any domain owner can send; they are the oracle in the tests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from e2a.core.mail.headers import Field, HeaderBlock

#: Octets hashed at a time.
_CHUNK = 65_536

_CRLFS = b"\r\n" * 4096
_SPACES = re.compile(rb" {2,}")
_TWO_SPACES = re.compile(rb"  ")
_B_TAG_FIRST = re.compile(rb"[ \t\r\n]*b[ \t\r\n]*=")
_B_TAG = re.compile(rb";[ \t\r\n]*b[ \t\r\n]*=")


class Selector:
    """Picks header fields for ``h=`` and remembers their relaxed forms, so that several signatures cost one
    conversion."""

    def __init__(self, block: HeaderBlock) -> None:
        self._by_key = block.by_key
        self._relaxed: dict[int, bytes] = {}

    def pick(self, covers: Collection[bytes]) -> list[Field]:
        """The fields that ``h=`` names: of equal names the lowest first; a name without a field left stands for
        nothing."""
        by_key = self._by_key
        used: dict[bytes, int] = {}
        picked = []
        for key in covers:
            fields = by_key.get(key)
            if fields is not None:
                nth = used.get(key, 0)
                if nth < len(fields):
                    picked.append(fields[-1 - nth])
                    used[key] = nth + 1
        return picked

    def relaxed(self, field: Field) -> bytes:
        form = self._relaxed.get(id(field))
        if form is None:
            value = field.raw.replace(b"\r\n", b"").partition(b":")[2]
            form = self._relaxed[id(field)] = field.key + b":" + _collapse(value).strip(b" ") + b"\r\n"
        return form


def relaxed_field(key: bytes, value: bytes) -> bytes:
    """A header field in relaxed form, CRLF included."""
    return key + b":" + _collapse(value.replace(b"\r\n", b"")).strip(b" ") + b"\r\n"


def unsigned_form(field: Field, headers: bytes) -> bytes:
    """The signature field itself as it was signed: ``b=`` empty, no CRLF at the end."""
    raw = field.raw
    colon = raw.index(b":") + 1
    tag = _B_TAG_FIRST.match(raw, colon) or _B_TAG.search(raw, colon)
    value = raw[colon:]
    if tag is not None:
        end = raw.find(b";", tag.end())
        value = raw[colon : tag.end()] + (raw[end:] if end >= 0 else b"")
    if headers == b"relaxed":
        return relaxed_field(field.key, value)[:-2]
    return raw[:colon] + value.removesuffix(b"\r\n")


def body_hashes(raw: bytes, start: int, wanted: Collection[bytes]) -> dict[bytes, bytes]:
    """SHA-256 of the body by canonicalisation; every octet is read once for each, in slices, so threads can take
    turns."""
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
    return _relaxed_whole(raw[start:]) if len(raw) - start <= _CHUNK else _relaxed_slices(raw, start)


def _relaxed_whole(body: bytes) -> bytes:
    text = _collapse(body).replace(b" \r\n", b"\r\n")
    final = _final_crlfs(text)
    if final:
        # Nothing but empty lines is an empty body.
        text = text[: len(text) - 2 * (final - 1)] if 2 * final < len(text) else b""
    elif text:
        text += b"\r\n"
    return hashlib.sha256(text).digest()


def _relaxed_slices(raw: bytes, start: int) -> bytes:
    hasher = hashlib.sha256()
    carry = b""
    # Empty lines seen but not hashed yet: they count only if text follows.
    empty = 0
    wrote = False
    position, size = start, len(raw)
    while position < size:
        chunk = carry + raw[position : position + _CHUNK] if carry else raw[position : position + _CHUNK]
        position += _CHUNK
        chunk = _collapse(chunk).replace(b" \r\n", b"\r\n")
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


def _collapse(text: bytes) -> bytes:
    """Runs of white space as one space each. Most texts hold none to change, and are not copied."""
    if b"\t" in text:
        text = text.replace(b"\t", b" ")
    # The pattern finds two spaces faster than "in" where there are many single ones, and slower where there are none.
    return _SPACES.sub(b" ", text) if b" " in text and _TWO_SPACES.search(text) else text


def _final_crlfs(text: bytes) -> int:
    """How many CRLFs end a text, in linear time and in steps that let other threads have their turn."""
    end = len(text)
    for step in (_CRLFS, b"\r\n"):
        while text.endswith(step, 0, end):
            end -= len(step)
    return (len(text) - end) // 2
