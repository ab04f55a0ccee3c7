"""One scan over a message's header block: every later question reads this table, nobody parses headers again.

Bytes are never changed. Lines end with CRLF (RFC 5322 2.1); a bare CR or LF inside the block is taken for a line end
as well, because lenient readers downstream do so, and is reported as a defect, because a strict reader (DKIM) sees
something else. A message with such a defect is never believed (``core.trust.verdict``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")
# Possessive where nothing is to be gained by going back, and begun at line starts only: time stays in proportion to the
# length, whatever the bytes.
_FIELD = re.compile(rb"(?<![^\n])(([!-9;-~]++)[ \t]*+:[^\r\n]*+(?:\r\n[ \t][^\r\n]*+)*\r\n)")
_NAME = re.compile(rb"([!-9;-~]++)[ \t]*+:")


class Field(NamedTuple):
    """A header field.

    :ivar key: the lower-case name.
    :ivar raw: the exact bytes with folds and the line end (CRLF is supplied where the message ends without one).
    :ivar start: offset of the first octet in the message.
    :ivar end: offset after the last.
    """

    key: bytes
    raw: bytes
    start: int = 0
    end: int = 0

    @property
    def value(self) -> bytes:
        """What follows the colon, exactly: leading space, folds and line ends included."""
        return self.raw[self.raw.index(b":") + 1 :]

    @property
    def unfolded(self) -> bytes:
        """The value on one line (RFC 5322 2.2.3), surrounding white space removed."""
        return self.value.translate(None, b"\r\n").strip(b" \t")


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The header fields in order of appearance.

    :ivar body_start: offset of the first body octet in the message; its length when there is no body.
    :ivar defects: machine words: ``bare_newline``, ``nul``, ``bad_field`` (a line that is neither field nor fold).
    :ivar by_key: the fields of each lower-case name, top first.
    """

    fields: tuple[Field, ...]
    body_start: int
    defects: tuple[str, ...] = ()
    by_key: dict[bytes, list[Field]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_key: dict[bytes, list[Field]] = {}
        for one in self.fields:
            found = by_key.get(one.key)
            if found is None:
                by_key[one.key] = [one]
            else:
                found.append(one)
        object.__setattr__(self, "by_key", by_key)

    def all(self, key: bytes) -> tuple[Field, ...]:
        """Every field of that lower-case name, top first."""
        return tuple(self.by_key.get(key, ()))

    def first(self, key: bytes) -> Field | None:
        """The topmost field of that lower-case name."""
        found = self.by_key.get(key)
        return found[0] if found else None


def header_size(raw: bytes) -> int:
    """Octets of the header block, the whole message when no empty line ends it."""
    end = raw.find(b"\r\n\r\n")
    return len(raw) if end < 0 else end + 2


def scan(raw: bytes) -> HeaderBlock:
    """Split a message into header fields and body. Never raises: junk lines become defects, not errors."""
    if raw.startswith(b"\r\n"):
        return HeaderBlock((), 2)
    end = raw.find(b"\r\n\r\n")
    block, body_start = (raw, len(raw)) if end < 0 else (raw[: end + 2], end + 4)
    found: list[tuple[bytes, bytes]] = _FIELD.findall(block)
    raws = [text for text, _ in found]
    ends = list(accumulate(map(len, raws)))
    if found and ends[-1] == len(block):
        # Nothing stands before, between and behind them.
        keys = [name.lower() for _, name in found]
        fields = tuple(map(Field, keys, raws, [0, *ends], ends))
        defects: tuple[str, ...] = ()
    else:
        fields, defects = _scan_odd(block)
    return HeaderBlock(fields, body_start, (*defects, "nul") if b"\0" in block else defects)


def _scan_odd(block: bytes) -> tuple[tuple[Field, ...], tuple[str, ...]]:
    """The fields and defects of a block that is not fields alone, one line at a time."""
    fields: list[Field] = []
    key, start, position, bad = b"", -1, 0, False

    def close() -> None:
        if start >= 0:
            text = block[start:position]
            fields.append(Field(key, text if text[-1:] in b"\r\n" else text + b"\r\n", start, position))

    for line in _LINE.findall(block):
        if line[:1] in (b" ", b"\t"):
            bad = bad or start < 0
        else:
            close()
            start = -1
            match = _NAME.match(line)
            if match is not None:
                key, start = match[1].lower(), position
            elif line.strip(b"\r\n"):
                bad = True
        position += len(line)
    close()
    crlf = block.count(b"\r\n")
    bare = block.count(b"\n") != crlf or block.count(b"\r") != crlf
    return tuple(fields), ("bare_newline",) * bare + ("bad_field",) * bad
