"""Header text for people: RFC 2047 words decoded, and always storable (no NUL, no invalid UTF-8)."""

from __future__ import annotations

import re
from email.header import decode_header

_BREAKS = re.compile(r"[\r\n]+[ \t]*")
#: Beyond this a value is shown as written: the decoder's time grows with the square of what it is given.
_LONGEST = 2048


def clean(value: bytes | str) -> str:
    """Text that PostgreSQL and UTF-8 can hold: invalid sequences, lone surrogates and NUL become U+FFFD."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    return value.decode("utf-8", "replace").replace("\0", "\ufffd")


def decoded(value: bytes) -> str:
    """A header value on one line with its encoded words decoded (RFC 2047). Never raises.

    :param value: the raw value; folds are undone. Words in an unknown or broken encoding stay as they were written.
    """
    text = _BREAKS.sub(" ", clean(value)).strip(" \t")
    if "=?" not in text or len(text) > _LONGEST:
        return text
    try:
        pieces = decode_header(text)
    except Exception:  # the standard library raises several types on broken base64
        return text
    return _BREAKS.sub(" ", "".join(_piece(data, charset) for data, charset in pieces))


def _piece(data: bytes | str, charset: str | None) -> str:
    if isinstance(data, str):
        return data
    try:
        return clean(data.decode(charset or "utf-8", "replace"))
    except (LookupError, ValueError, UnicodeError):
        return clean(data)
