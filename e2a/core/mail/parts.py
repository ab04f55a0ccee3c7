"""What a message says and carries: its text, its HTML and its attachments, from raw bytes (RFC 2045-2047, 2183, 2231).

Made for hostile input: it never raises, never recurses, and its work is bounded by ``MAX_DEPTH`` and ``MAX_PARTS``.
Nothing is lost to a bound or to broken structure: what cannot be split further is one attachment or text. A message of
25 MiB takes a few hundred milliseconds, so callers run big mail through ``flows.ports.Cpu``.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from encodings.aliases import aliases
from functools import lru_cache
from importlib import import_module

from e2a.core.entities import AttachmentInfo
from e2a.core.mail import words
from e2a.core.mail.headers import scan

#: Multiparts nested deeper are left unsplit.
MAX_DEPTH = 20
#: Parts after this many are left in one piece with the last.
MAX_PARTS = 1000
#: Octets of a header block that are read.
MAX_HEADER = 1_048_576
#: Octets of base64 that are decoded at a time, which takes about a millisecond.
BASE64_SLICE = 262_144
#: Octets that are searched at a time, which takes about a millisecond.
SEARCH_SLICE = 1_048_576
#: Octets of a header value that are read for parameters.
MAX_VALUE = 4096
#: Places in a message that look like a delimiter and are examined; after them nothing is split any more.
MAX_CANDIDATES = 100_000
#: Encoded octets of a text; a longer one is an attachment. Decoding holds the interpreter, also from a thread.
MAX_TEXT = 4_194_304

_MEDIA_TYPE = re.compile(r"\s*([a-z0-9!#$&^_.+-]{1,127})/([a-z0-9!#$&^_.+-]{1,127})\s*(?:;|$)")
# An open quotation runs to the end of the value: there is nothing to go back for, which keeps the scan linear.
_PARAMETER = re.compile(
    r";\s*([^\s=;\"*]{1,60})(?:\*([0-9]{1,3}))?(\*)?\s*=\s*(?:\"((?:[^\"\\]|\\.)*)(?:\"|\\?\Z)|([^;\s]*))", re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
# White space behind a delimiter (RFC 2046 5.1.1), within the longest line of RFC 5322.
_PADDING = re.compile(rb"[ \t]{0,998}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NOT_BASE64 = bytes(
    octet for octet in range(256) if octet not in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)
# Charsets are looked up in this table and not by codecs.lookup, which imports modules by a name the sender chose and
# remembers every miss for ever. Codecs that are no charset of mail are left out, and those that no browser reads: UTF-7
# has served to hide markup, and both it and UTF-32 take seconds for a hostile text.
_CHARSETS = {
    name: codec
    for name, codec in aliases.items()
    if codec
    not in ("base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec", "mbcs")
    and not codec.startswith(("utf_7", "utf_32"))
}
_CHARSETS |= {codec: codec for codec in set(_CHARSETS.values())}
_CHARSETS |= {name: name for name in ("koi8_t", "koi8_u", "cp720", "cp737", "cp856", "cp874", "cp1006", "utf_8_sig")}
_CHARSETS |= {"windows_874": "cp874", "iso_8859_8_i": "iso8859_8", "iso_8859_6_i": "iso8859_6", "x_sjis": "shift_jis"}


@dataclass(frozen=True, slots=True)
class Content:
    """:ivar text: the first text/plain part, "" when there is none; line ends as in the message.
    :ivar html: the first text/html part, likewise.
    :ivar attachments: everything else, in MIME order.
    """

    text: str
    html: str
    attachments: tuple[AttachmentInfo, ...]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A part that holds no parts. ``start`` and ``end`` bound its encoded body."""

    media_type: str
    charset: str
    disposition: str
    filename: str
    encoding: str
    content_id: str
    start: int
    end: int


def content(raw: bytes, longest: int = MAX_TEXT) -> Content:
    """The readable side of a message. Text is fit for PostgreSQL and JSON: no NUL, no lone surrogates.

    :param longest: encoded octets of a text; a longer one is an attachment.
    """
    text, html, leaves = _sorted(raw, longest)
    infos = (_info(index, leaf, _size(raw, leaf)) for index, leaf in enumerate(leaves))
    return Content(text, html, tuple(infos))


def attachment(raw: bytes, index: int) -> tuple[AttachmentInfo, bytes] | None:
    """One attachment with its decoded octets, by the index that ``content`` gave it; None when there is no such."""
    _, _, leaves = _sorted(raw, MAX_TEXT)
    if not 0 <= index < len(leaves):
        return None
    octets = _octets(raw, leaves[index])
    return _info(index, leaves[index], len(octets)), octets


def bodies(raw: bytes, media_types: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """The decoded octets of every part of these types, in MIME order, with its type."""
    for leaf in _leaves(raw):
        if leaf.media_type in media_types:
            yield leaf.media_type, _octets(raw, leaf)


def attachments(raw: bytes, longest: int = MAX_TEXT) -> Iterator[tuple[AttachmentInfo, bytes]]:
    """Every attachment with its decoded octets, in the order and with the indexes of ``content``."""
    _, _, leaves = _sorted(raw, longest)
    for index, leaf in enumerate(leaves):
        octets = _octets(raw, leaf)
        yield _info(index, leaf, len(octets)), octets


def _sorted(raw: bytes, longest: int) -> tuple[str, str, list[_Leaf]]:
    """The text, the HTML and what is left: parts after the first text of a kind are attachments, so that none hides."""
    bodies = {"text/plain": "", "text/html": ""}
    others = []
    for leaf in _leaves(raw):
        if leaf.end - leaf.start <= longest and _is_body(leaf):
            if bodies.get(leaf.media_type) == "":
                text = _text(raw, leaf)
                bodies[leaf.media_type] = text if text.strip() else ""
                continue
            if not raw[leaf.start : leaf.end].strip():
                continue
        others.append(leaf)
    return bodies["text/plain"], bodies["text/html"], others


def _is_body(leaf: _Leaf) -> bool:
    return leaf.media_type.startswith("text/") and leaf.disposition != "attachment" and not leaf.filename


def _info(index: int, leaf: _Leaf, size: int) -> AttachmentInfo:
    return AttachmentInfo(index, leaf.filename or "unnamed", leaf.media_type, size, leaf.content_id)


def _leaves(raw: bytes) -> Iterator[_Leaf]:
    """Every part without parts, in order. Each multipart is split when it is met; the stack replaces recursion."""
    stack = [(0, len(raw), "text/plain", 0)]
    tries = iter(range(MAX_CANDIDATES))
    seen = 0
    while stack:
        start, end, default, depth = stack.pop()
        leaf, boundary = _entity(raw, start, end, default)
        whole = depth >= MAX_DEPTH or seen >= MAX_PARTS
        if boundary and not whole:
            spans = _split(raw, leaf.start, leaf.end, boundary, MAX_PARTS - seen, tries)
            if spans:
                seen += len(spans)
                kind = "message/rfc822" if leaf.media_type == "multipart/digest" else "text/plain"
                stack.extend((first, last, kind, depth + 1) for first, last in reversed(spans))
                continue
        if leaf.media_type.startswith("multipart/"):
            # No boundary, or one that never occurs: a reader would see text.
            kind = "application/octet-stream" if boundary and whole else "text/plain"
            leaf = _Leaf(kind, "", "", "", "", "", leaf.start, leaf.end)
        yield leaf


def _entity(raw: bytes, start: int, end: int, default: str) -> tuple[_Leaf, str]:
    """Read one entity's header; returns it with the boundary when it is a multipart."""
    if raw.startswith((b"\r\n", b"\n"), start, end):
        head, body = b"", start + (2 if raw[start] == 13 else 1)
    else:
        body = _body_start(raw, start, end)
        head = raw[start : min(body, start + MAX_HEADER)]
    block = scan(head)

    def value(name: bytes) -> str:
        field = block.first(name)
        return words.clean(field.unfolded[:MAX_VALUE]) if field is not None else ""

    content_type = value(b"content-type")
    match = _MEDIA_TYPE.match(content_type.lower())
    media_type = f"{match[1]}/{match[2]}" if match else default
    parameters = _parameters(content_type)
    disposition = value(b"content-disposition")
    filename = _parameters(disposition).get("filename") or parameters.get("name", "")
    if "=?" in filename:
        # Not allowed inside a quoted string (RFC 2047 5), and common all the same.
        filename = words.decoded(filename.encode("utf-8"))
    leaf = _Leaf(
        media_type=media_type,
        charset=parameters.get("charset", ""),
        disposition=disposition.partition(";")[0].strip().lower(),
        filename=_safe_name(filename),
        encoding=value(b"content-transfer-encoding").partition(";")[0].strip().lower(),
        content_id=_CONTROL.sub("", value(b"content-id").strip().removeprefix("<").removesuffix(">"))[:255],
        start=body,
        end=end,
    )
    return leaf, parameters.get("boundary", "") if media_type.startswith("multipart/") else ""


def _body_start(raw: bytes, start: int, end: int) -> int:
    """The offset after the first empty line, however its lines end; ``end`` when there is none."""
    for blank in (b"\n\r\n", b"\n\n", b"\r\r"):
        found = raw.find(blank, start, end)
        if found >= 0:
            end = found + len(blank)
    return end


def _split(raw: bytes, start: int, end: int, boundary: str, most: int, tries: Iterator[int]) -> list[tuple[int, int]]:
    """The spans of a multipart's parts (RFC 2046 5.1.1); a missing final delimiter ends at the end.

    :param tries: one is taken for each place that looks like the delimiter.
    """
    delimiter = b"--" + boundary.encode("utf-8")
    spans: list[tuple[int, int]] = []
    opened = -1
    position = start
    for _ in tries:
        found = _find(raw, delimiter, position, end)
        if found < 0:
            break
        position = found + len(delimiter)
        if found > start and raw[found - 1] not in b"\r\n":
            continue
        after = position
        final = raw.startswith(b"--", after, end)
        after += 2 if final else 0
        padding = _PADDING.match(raw, after, end)
        after = padding.end() if padding is not None else after
        if raw.startswith(b"\r\n", after, end):
            after += 2
        elif after < end and raw[after] in b"\r\n":
            after += 1
        elif after < end:
            continue
        if opened >= 0:
            # The line end before a delimiter belongs to the delimiter.
            last = found - (2 if raw.endswith(b"\r\n", opened, found) else 1 if found > opened else 0)
            spans.append((opened, max(opened, last)))
        opened = -1 if final else after
        position = after
        if final or len(spans) + 1 >= most:
            break
    if opened >= 0:
        spans.append((opened, end))
    return spans


def _find(raw: bytes, wanted: bytes, start: int, end: int) -> int:
    """``raw.find(wanted, start, end)`` in slices, so that other threads get their turn between them."""
    for place in range(start, end, SEARCH_SLICE):
        found = raw.find(wanted, place, min(place + SEARCH_SLICE + len(wanted) - 1, end))
        if found >= 0:
            return found
    return -1


def _octets(raw: bytes, leaf: _Leaf) -> bytes:
    if leaf.encoding == "base64":
        return b"".join(_base64(raw, leaf.start, leaf.end))
    body = raw[leaf.start : leaf.end]
    if leaf.encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    return body


def _size(raw: bytes, leaf: _Leaf) -> int:
    if leaf.encoding == "base64":
        return sum(map(len, _base64(raw, leaf.start, leaf.end)))
    return len(_octets(raw, leaf))


def _base64(raw: bytes, start: int, end: int) -> Iterator[bytes]:
    """What can be decoded of ``raw[start:end]``, in pieces.

    One call over megabytes would hold the interpreter, also from a thread.
    """
    # Padding ends the data; what follows it was appended by someone who did not look.
    padding = _find(raw, b"=", start, end)
    end = end if padding < 0 else padding
    left = b""
    for place in range(start, end, BASE64_SLICE):
        piece = left + raw[place : min(place + BASE64_SLICE, end)].translate(None, _NOT_BASE64)
        whole = len(piece) - len(piece) % 4
        yield binascii.a2b_base64(piece[:whole])
        left = piece[whole:]
    if len(left) > 1:
        yield binascii.a2b_base64(left + b"=" * (4 - len(left)))


def _text(raw: bytes, leaf: _Leaf) -> str:
    return words.clean(_decode(_octets(raw, leaf), leaf.charset))


def _decode(octets: bytes, charset: str) -> str:
    """Octets by their declared charset; undeclared and unknown ones as UTF-8 if they are that, else as Windows-1252."""
    codec = _CHARSETS.get(re.sub(r"[^a-z0-9.]+", "_", charset.lower()), "")
    if codec and codec != "ascii":
        try:
            table = _table(codec)
            if table:
                return codecs.charmap_decode(octets, "strict", table)[0]
            # One error costs as much as a hundred characters here, and a text with errors is hardly ever UTF-16.
            return octets.decode(codec, "strict" if codec.startswith("utf_16") else "replace")
        except (LookupError, ValueError):
            pass
    try:
        return octets.decode("utf-8")
    except ValueError:
        return octets.decode("cp1252", "replace")


@lru_cache(len(_CHARSETS))
def _table(codec: str) -> str:
    """What the octets of a single-byte charset stand for, without gaps: decoding with "replace" takes a hundred times
    as long for octets that mean nothing. "" for other charsets."""
    table: str = getattr(import_module("encodings." + codec), "decoding_table", "")
    return table.replace("\ufffe", "\ufffd")


def _parameters(value: str) -> dict[str, str]:
    """A MIME value's parameters, continued and extended ones joined (RFC 2231)."""
    plain: dict[str, str] = {}
    pieces: dict[str, dict[int, tuple[bool, str]]] = {}
    for match in _PARAMETER.finditer(value):
        name = match[1].lower()
        text = _ESCAPE.sub(r"\1", match[4]) if match[4] is not None else match[5]
        if match[2] is None and match[3] is None:
            plain.setdefault(name, text)
        else:
            pieces.setdefault(name, {}).setdefault(int(match[2] or 0), (match[3] is not None, text))
    return plain | {name: _joined(numbered) for name, numbered in pieces.items()}


def _joined(numbered: dict[int, tuple[bool, str]]) -> str:
    charset = ""
    octets = bytearray()
    for number in sorted(numbered):
        extended, text = numbered[number]
        if extended and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        encoded = text.encode("utf-8")
        octets += _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), encoded) if extended else encoded
    return _decode(bytes(octets), charset)


def _safe_name(name: str) -> str:
    """A file name that is one path component and shows as what it is: no separators, controls or direction marks."""
    name = _UNSTORABLE.sub("\ufffd", _CONTROL.sub("", name)).replace("/", "_").replace("\\", "_").strip()
    return "" if name in (".", "..") else name[:255]
