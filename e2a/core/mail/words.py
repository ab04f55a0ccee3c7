"""Header text for people: RFC 2047 words decoded, and always storable (no NUL, no invalid UTF-8)."""

from __future__ import annotations

import re

from .encodedwords import decode_words

_BREAKS = re.compile(r"[\r\n]+[ \t]*")


def clean(value: bytes | str) -> str:
    """Text that PostgreSQL and UTF-8 can hold: invalid sequences and NUL become U+FFFD, lone surrogates ``?``."""
    if isinstance(value, str):
        value = value.encode("utf-8", "replace")
    return value.decode("utf-8", "replace").replace("\0", "\ufffd")


def decoded(value: bytes) -> str:
    """A header value on one line with its encoded words decoded (RFC 2047). Never raises.

    :param value: the raw value; folds are undone. Words in an unknown or broken encoding stay as they were written.
    """
    text = _BREAKS.sub(" ", clean(value)).strip(" \t")
    if "=?" not in text:
        return text
    return _BREAKS.sub(" ", clean(decode_words(text)))
