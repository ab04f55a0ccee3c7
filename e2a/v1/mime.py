"""What a raw message says, for receivers: subject, text, HTML, attachments.

Python's own parser, with the rules that programs written for this client rely on:

* a part with a ``Content-Disposition`` of attachment or inline is an attachment, and so is a part that is no text;
* the first ``text/plain`` that is not empty is the text, the first ``text/html`` the HTML; other texts are dropped;
* a message of one part is all text or all HTML, unless it is no text at all: then it is an attachment;
* line ends stay as they came; nothing raises;
* a message with so many multiparts that reading it would take long is one attachment.

Where all of the text is marked inline, as some mail programs do, the first such part without a file name is the text
as well.
"""

from __future__ import annotations

import email.parser
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import Message

_CRLF = email.policy.compat32.clone(linesep="\r\n")
_FOLDS = re.compile(r"[\r\n]+")
#: Lines times declared multiparts, at most. The parser compares every line with the boundary of every multipart that
#: is open, 0.1 microseconds each: one small hostile mail would take minutes. Mail of 25 MiB has 330,000 lines.
_MOST_COMPARISONS = 30_000_000


@dataclass(slots=True)
class Attachment:
    """A file of a received message, or one to send.

    :ivar data: its octets, decoded.
    :ivar size: of the data; counted when not given.
    """

    filename: str
    content_type: str
    data: bytes
    size: int = 0

    def __post_init__(self) -> None:
        self.size = self.size or len(self.data)


@dataclass(slots=True)
class Content:
    """:ivar subject: None when the message has none."""

    subject: str | None = None
    text: str = ""
    html: str | None = None
    attachments: list[Attachment] = field(default_factory=list)


def content_of(raw: bytes) -> Content:
    """Read a raw message. Never raises: what cannot be read is empty."""
    found = Content()
    try:
        message = email.parser.BytesParser().parsebytes(raw, headersonly=_is_too_deep(raw))
        subject = message.get("Subject")
        found.subject = None if subject is None else _decoded(subject)
        if message.is_multipart():
            _collect(message, found)
        elif message.get_content_maintype() != "text":
            found.attachments.append(_attachment(message))
        elif message.get_content_subtype() == "html":
            found.html = _text(message)
        else:
            found.text = _text(message)
    except Exception:
        # Deeply nested mail exhausts the parser's stack, and the parser's own defects surface as any exception.
        return found
    return found


def _is_too_deep(raw: bytes) -> bool:
    lines = max(raw.count(b"\n"), raw.count(b"\r"))
    return lines * raw.lower().count(b"boundary") > _MOST_COMPARISONS


def _collect(message: Message, found: Content) -> None:
    inline = ""
    for part in _leaves(message):
        disposition = part.get_content_disposition()
        kind = part.get_content_type()
        if disposition in ("attachment", "inline"):
            found.attachments.append(_attachment(part))
            if kind == "text/plain" and disposition == "inline" and not inline and part.get_filename() is None:
                inline = _text(part)
        elif kind == "text/plain":
            found.text = found.text or _text(part)
        elif kind == "text/html":
            found.html = _text(part) if found.html is None else found.html
        elif part.get_content_maintype() != "text":
            found.attachments.append(_attachment(part))
    if not found.text and found.html is None:
        found.text = inline


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that are not containers; an enclosed message is one part."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        if part.is_multipart() and part.get_content_maintype() == "multipart":
            waiting.extend(reversed(_inner(part)))
        else:
            yield part


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _attachment(part: Message) -> Attachment:
    return Attachment(_decoded(part.get_filename() or "unnamed"), part.get_content_type(), _octets(part))


def _octets(part: Message) -> bytes:
    if part.is_multipart():
        return b"".join(inner.as_bytes(policy=_CRLF) for inner in _inner(part))
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    octets = _octets(part)
    try:
        return octets.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")


def _decoded(value: object) -> str:
    """A header value with its encoded words read (RFC 2047)."""
    text = _FOLDS.sub("", str(value))
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        return text
