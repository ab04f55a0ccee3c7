"""One scan over a message's header block: every later question reads this table, nobody parses headers again.

Bytes are never changed. Lines end with CRLF (RFC 5322 2.1); a bare CR or LF inside the block is read as a line end for
*display*, because that is what lenient readers downstream do, and is reported as a defect, because a strict reader (DKIM) sees
something else. A message with such a defect is never believed (``core.trust.verdict``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_SPLIT = re.compile(rb"\r\n|\r|\n")
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")


@dataclass(frozen=True, slots=True)
class Field:
    """A header field. ``key`` is the lower-case name, ``raw`` the exact bytes including folds and the final CRLF."""

    key: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """What follows the colon, exactly: leading space, folds and line ends included."""
        return self.raw[self.raw.index(b":") + 1 :]

    @property
    def unfolded(self) -> bytes:
        """The value on one line (RFC 5322 2.2.3), surrounding white space removed."""
        return _SPLIT.sub(b"", self.value).strip(b" \t")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The header fields in order of appearance.

    :ivar body_start: offset of the first body octet in the message; its length when there is no body.
    :ivar defects: machine words: ``bare_newline``, ``nul``, ``bad_field`` (a line that is neither field nor fold).
    """

    fields: tuple[Field, ...]
    body_start: int
    defects: tuple[str, ...] = ()

    def all(self, key: bytes) -> tuple[Field, ...]:
        """Every field of that lower-case name, top first."""
        return tuple(field for field in self.fields if field.key == key)

    def first(self, key: bytes) -> Field | None:
        """The topmost field of that lower-case name."""
        for field in self.fields:
            if field.key == key:
                return field
        return None


def scan(raw: bytes) -> HeaderBlock:
    """Split a message into header fields and body. Never raises: junk lines become defects, not errors."""
    if raw.startswith(b"\r\n"):
        return HeaderBlock((), 2)
    end = raw.find(b"\r\n\r\n")
    block, body_start = (raw, len(raw)) if end < 0 else (raw[: end + 2], end + 4)
    defects = []
    if _BARE.search(block):
        defects.append("bare_newline")
        lines = [line + b"\r\n" for line in _SPLIT.split(block)]
    else:
        lines = block.split(b"\r\n")
        lines = [line + b"\r\n" for line in lines]
    if b"\0" in block:
        defects.append("nul")
    fields: list[Field] = []
    current: list[bytes] = []
    key = b""
    bad = False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if current:
                current.append(line)
            else:
                bad = True
            continue
        if current:
            fields.append(Field(key, b"".join(current)))
            current = []
        if line == b"\r\n":
            continue
        match = _NAME.match(line)
        if match is None:
            bad = True
            continue
        key = match[1].lower()
        current = [line]
    if current:
        fields.append(Field(key, b"".join(current)))
    if bad:
        defects.append("bad_field")
    return HeaderBlock(tuple(fields), body_start, tuple(defects))
