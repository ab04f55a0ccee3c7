"""What a received message says, for the columns of its row; and the bytes that are kept of it.

Nothing here raises on junk: a message that cannot be understood is stored and delivered all the same, with its defects
named.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from . import words
from .addresses import mailboxes, usual_address
from .headers import Field, HeaderBlock

#: ``Received`` fields that make a loop (RFC 5321 6.3 asks for at least 100; real paths stay under 20).
MAX_HOPS = 100
#: Message-IDs looked up for threading, nearest ancestor first.
MAX_REFERENCES = 50
#: Longest identifier kept, the line limit of RFC 5322 2.1.1.
_LONGEST_ID = 998
#: An index entry holds at most a third of a page, so addresses beyond this are only in the raw message.
_MOST_ADDRESSES = 500

_RESULTS = b"authentication-results"
_MESSAGE_ID = re.compile(rb"<[^<>\s]+>")


class ParsedMessage(NamedTuple):
    """What the header says.

    :ivar to: bare addresses of every To field; likewise ``cc`` and ``reply_to``.
    :ivar email_message_id: the Message-ID with its angle brackets, "" when absent.
    :ivar references: ids of In-Reply-To and References, nearest ancestor first, without repeats.
    :ivar hops: number of Received fields.
    :ivar defects: machine words, see ``HeaderBlock``; ``no_header`` when there is none at all.
    """

    subject: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    reply_to: tuple[str, ...]
    email_message_id: str
    references: tuple[str, ...]
    hops: int
    defects: tuple[str, ...]


def parse(block: HeaderBlock) -> ParsedMessage:
    """Read the fields that a message row keeps. Never raises."""
    by_key = block.by_key
    subject = by_key.get(b"subject")
    return ParsedMessage(
        subject=words.decoded(subject[0].value) if subject else "",
        to=_addresses(by_key.get(b"to")),
        cc=_addresses(by_key.get(b"cc")),
        reply_to=_addresses(by_key.get(b"reply-to")),
        email_message_id=_message_id(by_key.get(b"message-id")),
        references=_references(by_key),
        hops=len(by_key.get(b"received", ())),
        defects=block.defects if block.fields else (*block.defects, "no_header"),
    )


def kept_bytes(raw: bytes, block: HeaderBlock, trace: bytes, authserv_id: str) -> bytes:
    """The bytes to store, hash and deliver: the message below our trace header, without fields that only we may write.

    Removed are ``X-E2A-*`` and Authentication-Results that name us anywhere, which includes all that bear our id (RFC
    8601 section 5), and fold lines that belong to no field at the very top, which would otherwise continue our own last
    line.

    :param trace: complete header lines of ours, each ending in CRLF.
    """
    ours = authserv_id.encode("ascii").lower()
    cuts = []
    if any(key.startswith(b"x-e2a-") or key == _RESULTS for key in block.by_key):
        cuts = [(field.start, field.end) for field in block.fields if _forged(field, ours)]
    orphan = 0
    while raw[orphan : orphan + 1] in (b" ", b"\t"):
        line_end = raw.find(b"\n", orphan)
        orphan = len(raw) if line_end < 0 else line_end + 1
    if orphan:
        cuts.insert(0, (0, orphan))
    if not cuts:
        return trace + raw
    pieces, position = [trace], 0
    for start, end in cuts:
        pieces.append(raw[position:start])
        position = end
    pieces.append(raw[position:])
    return b"".join(pieces)


def _forged(field: Field, ours: bytes) -> bool:
    if field.key.startswith(b"x-e2a-"):
        return True
    # Comments, quoting and escapes leave many ways to write whose results these are; none does without our name.
    return field.key == _RESULTS and ours in field.raw.lower().replace(b"\\", b"")


def _addresses(fields: list[Field] | None) -> tuple[str, ...]:
    if not fields:
        return ()
    if len(fields) == 1:
        address = usual_address(words.clean(fields[0].unfolded))
        if address:
            return (address,)
    found: list[Any] = []
    for field in fields:
        found += mailboxes(words.clean(field.unfolded))
    return tuple(dict.fromkeys(mailbox.address for mailbox in found[:_MOST_ADDRESSES]))


def _message_id(fields: list[Field] | None) -> str:
    if not fields:
        return ""
    value = fields[0].unfolded
    match = _MESSAGE_ID.search(value)
    return words.clean(match[0] if match else value)[:_LONGEST_ID]


def _references(by_key: dict[bytes, list[Field]]) -> tuple[str, ...]:
    if b"references" not in by_key and b"in-reply-to" not in by_key:
        return ()
    answered = [found for field in by_key.get(b"in-reply-to", ()) for found in _MESSAGE_ID.findall(field.unfolded)]
    chain = [found for field in by_key.get(b"references", ()) for found in _MESSAGE_ID.findall(field.unfolded)]
    nearest_first = dict.fromkeys(answered + chain[::-1])
    return tuple(words.clean(found) for found in list(nearest_first)[:MAX_REFERENCES] if len(found) <= _LONGEST_ID)
