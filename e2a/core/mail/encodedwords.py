"""RFC 2047 encoded-words, for display names and other short header text.

The standard library's decoder takes time quadratic in hostile input; this one is linear and never raises.
"""

from __future__ import annotations

import binascii
import codecs
import re

ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9_.:+-]{1,40})(?:\*[A-Za-z0-9-]{0,40})?\?([QqBb])\?([^?\s]{0,4000})\?=")
_Q_OCTET = re.compile(rb"=([0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# Python's own codecs that are no charset of mail; some of them are slow on hostile input.
_NOT_CHARSETS = frozenset(
    {"unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined", "utf-7", "mbcs", "oem"}
)


def decode_words(text: str) -> str:
    """Encoded-words replaced by what they say (RFC 2047), control characters by spaces. Never raises."""
    if "=?" not in text:
        return _CONTROL.sub(" ", text)
    out: list[str] = []
    octets, charset, end = b"", "", 0
    for match in ENCODED_WORD.finditer(text):
        gap = text[end : match.start()]
        adjacent = bool(charset) and not gap.strip(" \t\r\n")
        # A character may be split between neighbours of one charset, so their octets are joined first.
        if not (adjacent and match[1].lower() == charset):
            out.append(_decode(octets, charset))
            octets = b""
        if not adjacent:
            out.append(gap)
        octets += octets_of(match[2], match[3])
        charset, end = match[1].lower(), match.end()
    out += (_decode(octets, charset), text[end:])
    return _CONTROL.sub(" ", "".join(out))


def octets_of(encoding: str, text: str) -> bytes:
    """The octets of one encoded-word: ``encoding`` is B or Q, ``text`` its third part. Broken base64 is U+FFFD."""
    raw = text.encode("utf-8", "replace")
    if encoding in "Qq":
        return _Q_OCTET.sub(lambda match: bytes((int(match[1], 16),)), raw.replace(b"_", b" "))
    try:
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return b"\xef\xbf\xbd"


def _decode(octets: bytes, charset: str) -> str:
    if not octets:
        return ""
    try:
        if codecs.lookup(charset).name.replace("_", "-") in _NOT_CHARSETS:
            charset = "latin-1"
        return octets.decode(charset, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")
