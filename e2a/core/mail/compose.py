"""From checked values to the bytes of a message (RFC 5322, 2045-2047, 2231).

Every line is ASCII and at most 998 octets long, so that any server takes it without extensions; header lines keep to
78 where words allow it. No value can add a field or a part: what is not plain is encoded, and a field that would hold a
line end of its own is refused.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote

from e2a.core.ids import RandomBytes

from .conversations import ID_HEADER, MAC_HEADER

#: RFC 5322 2.1.1.
_LINE = 78
_LONGEST_LINE = 998
#: RFC 2047 section 2: an encoded-word has at most 75 characters, a line that holds one 76.
_WORD = 75
#: Octets of base64 made at a time; a multiple of 57, which fill a line of 76.
_SLICE = 57 * 1024

_PLAIN_TEXT = re.compile(rb"[\t\r\n -~]*")
_LONG_LINE = re.compile(rb"[^\n]{998,}")
_LAST_FIELD = b"\r\nMIME-Version: 1.0\r\n"
_BREAK = re.compile(r"\r\n|\r|\n")
_UNSAFE = re.compile(rb"[^\t\r\n -~]|\r(?!\n[ \t])|(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment: :ivar content_type: the header's value, parameters included."""

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Letter:
    """Everything a message says. Bcc is no part of it.

    :ivar message_id: with its angle brackets.
    :ivar conversation_mac: proves that ``conversation_id`` is ours; ``""`` for none.
    :ivar auto_submitted: the value of that field (RFC 3834); ``""`` for none.
    :ivar entity: content composed before, which stands instead of ``text``, ``html`` and ``parts`` (``entity_of``).
    """

    from_address: str
    from_name: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    text: str
    html: str
    parts: tuple[Part, ...]
    message_id: str
    date: datetime
    reply_to: str = ""
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    conversation_id: str = ""
    conversation_mac: str = ""
    auto_submitted: str = ""
    entity: bytes = b""


def compose(letter: Letter, random: RandomBytes) -> bytes:
    """The message, ending in CRLF.

    :param random: for the delimiters between parts, which must not occur in any of them.
    """
    fields = [
        _field("From", _mailbox(letter.from_name, letter.from_address)),
        _field("To", _listed("To", letter.to)),
        _field("Cc", _listed("Cc", letter.cc)),
        _field("Reply-To", letter.reply_to),
        _field("Subject", unstructured("Subject", letter.subject)),
        _field("Date", format_datetime(letter.date)),
        _field("Message-ID", letter.message_id),
        _field("In-Reply-To", letter.in_reply_to),
        _field("References", _folded("References", letter.references)),
        _field("Auto-Submitted", letter.auto_submitted),
        _field(ID_HEADER, unstructured(ID_HEADER, letter.conversation_id)),
        _field(MAC_HEADER, letter.conversation_mac),
        _LAST_FIELD[2:],
    ]
    entity = letter.entity or _content(letter, random)
    return b"".join([*fields, entity if entity.endswith(b"\r\n") else entity + b"\r\n"])


def entity_of(raw: bytes) -> bytes:
    """The content of a message composed here, as it is: its Content-* fields, an empty line and the body.

    :raises ValueError: it was not composed here.
    """
    start = raw.find(_LAST_FIELD)
    if start < 0 or raw.find(b"\r\n\r\n") < start:
        raise ValueError("not a message composed here")
    return raw[start + len(_LAST_FIELD) :]


# --- header fields ----------------------------------------------------------------------------------------------------


def _field(name: str, value: str) -> bytes:
    """One field, or nothing when it has no value.

    :raises ValueError: it would end before its end.
    """
    if not value:
        return b""
    line = f"{name}: {value}".encode("ascii")
    if _UNSAFE.search(line) or len(max(line.split(b"\r\n"), key=len)) > _LONGEST_LINE:
        raise ValueError(f"{name} cannot be written")
    return line + b"\r\n"


def unstructured(name: str, text: str) -> str:
    """Header text, folded and, where it is not plain, in encoded-words, so that reading it gives ``text`` again."""
    if not text:
        return ""
    words = text.split(" ")
    plain = text.isascii() and text.isprintable() and "=?" not in text and all(words)
    if plain and max(map(len, words)) < _LINE:
        return _folded(name, words)
    return _encoded(text, len(name) + 2)


def _encoded(text: str, used: int) -> str:
    """The text as UTF-8 in encoded-words, one a line; a character is never divided.

    :param used: how much of the first line is taken.
    """
    words: list[str] = []
    octets, room = b"", 0
    for char in text:
        encoded = char.encode("utf-8")
        if len(octets) + len(encoded) > room:
            if octets:
                words.append(_encoded_word(octets))
            # "=?utf-8?b?" and "?=" take 12.
            free = min(_WORD, _LINE - 2 - (used if not words else 1)) - 12
            octets, room = b"", max(free // 4 * 3, 4)
        octets += encoded
    words.append(_encoded_word(octets))
    return "\r\n ".join(words)


def _encoded_word(octets: bytes) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(octets, newline=False).decode('ascii')}?="


def _mailbox(name: str, address: str) -> str:
    if not name:
        return address
    if name.isascii() and name.isprintable() and "=?" not in name:
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        if len(escaped) <= 2 * _LINE:
            return _folded("From", [f'"{escaped}"', f"<{address}>"])
    return f"{_encoded(name, len('From: '))}\r\n <{address}>"


def _listed(name: str, addresses: Sequence[str]) -> str:
    return _folded(name, [f"{one}," for one in addresses[:-1]] + list(addresses[-1:]))


def _folded(name: str, words: Sequence[str]) -> str:
    """Words with a space between them, on lines of at most 78 where no single word is longer."""
    lines: list[str] = []
    line, used = "", len(name) + 2
    for word in words:
        if line and used + len(line) + 1 + len(word) > _LINE:
            lines.append(line)
            line, used = word, 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


# --- content ----------------------------------------------------------------------------------------------------------


def _content(letter: Letter, random: RandomBytes) -> bytes:
    """The entity of the whole message: its Content-* fields, an empty line and the body."""
    bodies = [_text(kind, text) for kind, text in (("plain", letter.text), ("html", letter.html)) if text]
    if not bodies:
        bodies = [_text("plain", "")]
    body = bodies[0] if len(bodies) == 1 else _multipart("alternative", bodies, random)
    if not letter.parts:
        return body
    return _multipart("mixed", [body, *map(_attached, letter.parts)], random)


def _multipart(subtype: str, entities: Iterable[bytes], random: RandomBytes) -> bytes:
    boundary = f"e2a_{random(16).hex()}".encode("ascii")
    pieces = [b'Content-Type: multipart/%s;\r\n boundary="%s"\r\n\r\n' % (subtype.encode("ascii"), boundary)]
    for entity in entities:
        pieces += (b"--%s\r\n" % boundary, entity, b"\r\n")
    pieces.append(b"--%s--\r\n" % boundary)
    return b"".join(pieces)


def _text(subtype: str, text: str) -> bytes:
    """A text part in whichever encoding is safe and shortest; line ends become CRLF."""
    lines = _BREAK.sub("\n", text)
    octets = lines.encode("utf-8", "replace")
    if _PLAIN_TEXT.fullmatch(octets) and not _LONG_LINE.search(octets):
        encoding, body = b"7bit", octets.replace(b"\n", b"\r\n")
    elif _mostly_ascii(octets):
        encoding, body = b"quoted-printable", quoted_printable(octets)
    else:
        encoding, body = b"base64", base64_lines(octets.replace(b"\n", b"\r\n"))
    charset = b"us-ascii" if encoding == b"7bit" else b"utf-8"
    return b"Content-Type: text/%s; charset=%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s" % (
        subtype.encode("ascii"),
        charset,
        encoding,
        body,
    )


def _mostly_ascii(octets: bytes) -> bool:
    """Whether quoted-printable, three octets for each that is not plain, is shorter than base64."""
    return len(octets) - len(octets.translate(None, bytes(range(128, 256)))) < len(octets) / 6


def quoted_printable(octets: bytes) -> bytes:
    """RFC 2045 6.7. :param octets: with line ends LF."""
    return binascii.b2a_qp(octets, quotetabs=False, istext=True).replace(b"\n", b"\r\n")


def base64_lines(octets: bytes) -> bytes:
    """RFC 2045 6.8: lines of 76, without a line end at the end."""
    lines = []
    view = memoryview(octets)
    for start in range(0, len(octets), _SLICE):
        text = binascii.b2a_base64(view[start : start + _SLICE], newline=False)
        lines += [text[place : place + 76] for place in range(0, len(text), 76)]
    return b"\r\n".join(lines)


def _attached(part: Part) -> bytes:
    """An attachment. A message within the message may not be encoded (RFC 2046 5.2.1): where it needs to be, it is a
    file like any other."""
    content_type = part.content_type
    if content_type.partition(";")[0].strip().lower().startswith("message/"):
        if _carried_as_is(part.data):
            body, encoding = part.data, "7bit"
        else:
            body, encoding = base64_lines(part.data), "base64"
            content_type = "application/octet-stream"
    else:
        body, encoding = base64_lines(part.data), "base64"
    return b"".join(
        [
            _field("Content-Type", content_type),
            _field("Content-Transfer-Encoding", encoding),
            _field("Content-Disposition", _disposition(part.filename)),
            b"\r\n",
            body,
        ]
    )


def _carried_as_is(data: bytes) -> bool:
    """Whether the octets are lines that every server passes on unchanged."""
    crlf = data.count(b"\r\n")
    return (
        _PLAIN_TEXT.fullmatch(data) is not None
        and data.count(b"\n") == crlf == data.count(b"\r")
        and not _LONG_LINE.search(data)
    )


def _disposition(filename: str) -> str:
    """``attachment`` with the name: plainly when it is short ASCII, else in numbered pieces (RFC 2231)."""
    if filename.isascii() and filename.isprintable() and len(filename) <= 50 and "=?" not in filename:
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return _folded("Content-Disposition", ["attachment;", f'filename="{escaped}"'])
    encoded = f"utf-8''{quote(filename, safe='', errors='replace')}"
    # A piece must not end within an escape.
    pieces = re.findall(r"(?:%[0-9A-F]{2}|[^%]){1,20}", encoded)
    if len(pieces) == 1:
        return f"attachment;\r\n filename*={encoded}"
    numbered = [f"filename*{number}*={piece};" for number, piece in enumerate(pieces)]
    return "\r\n ".join(["attachment;", *numbered])[:-1]
