"""Reports about mail that could not be delivered: RFC 3464, and the older forms that are still met.

A report is a claim. What it may do is decided elsewhere (``flows.bounces``); here it is only read, and never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import parts, words
from .headers import HeaderBlock, scan

#: Recipients of one report that are read, and octets of each of its parts.
MOST_RECIPIENTS = 100
MOST_OCTETS = 65_536
_LONGEST_TEXT = 500
_LONGEST_ADDRESS = 320

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINAL_TYPES = frozenset({"message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"})
_TEXT_TYPES = frozenset({"text/plain"})

_BLANK_LINE = re.compile(rb"(?:\r?\n)[ \t]*\r?\n")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_STATUS = re.compile(r"(?<![0-9.])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?![0-9.])")
_CODE = re.compile(r"(?<![0-9.])([45][0-9]{2})(?=[ -])")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f<>\"@,;]+@[^\s\x00-\x1f\x7f<>\"@,;]+")
_MESSAGE_ID = re.compile(rb"<[^<>\s]+>")
_QUOTED_MESSAGE_ID = re.compile(rb"(?im)^message-id:[ \t]*(<[^<>\s]{1,996}>)")
# qmail and its heirs: https://cr.yp.to/proto/qsbmf.txt
_QSBMF = re.compile(rb"\s*Hi\. This is the ")
_QSBMF_PARAGRAPH = re.compile(r"<([^<>\s]{1,320})>:[ \t]*\n(.*)", re.DOTALL)
_QSBMF_BREAK = re.compile(r"\n[ \t]*\n")
_QSBMF_END = re.compile(r"(?m)^---")

#: Statuses that mean: this address will not work tomorrow either (RFC 3463, RFC 7505). 5.1.7 and 5.1.8 are about the
#: sender, 5.2.2 is a full mailbox, 5.7.x is policy: none of them says that the address is dead.
HARD = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4"})


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that was given up.

    :ivar addresses: what the report calls it, lower case: the original address first if it is told.
    :ivar status: enhanced status (RFC 3463), "" when none is told.
    :ivar code: the three digits of the reply that caused it, None when none is told.
    :ivar text: one line for people.
    """

    addresses: tuple[str, ...]
    status: str
    code: int | None
    text: str

    @property
    def hard(self) -> bool:
        """Whether there is no use in ever writing there again."""
        return self.status in HARD


@dataclass(frozen=True, slots=True)
class Report:
    """What a delivery report says.

    :ivar failures: recipients given up; empty when the report is only about delays or success.
    :ivar message_ids: Message-IDs of the message it is about, as far as it returns its header.
    """

    failures: tuple[Failure, ...]
    message_ids: tuple[str, ...]


def read(raw: bytes, block: HeaderBlock) -> Report | None:
    """The report that a message is; None when it is none."""
    statuses: list[bytes] = []
    originals: list[bytes] = []
    texts: list[bytes] = []
    for kind, body in parts.bodies(raw, _STATUS_TYPES | _ORIGINAL_TYPES | _TEXT_TYPES):
        (statuses if kind in _STATUS_TYPES else originals if kind in _ORIGINAL_TYPES else texts).append(
            body[:MOST_OCTETS]
        )
    message_ids = tuple(_message_ids(originals, texts))
    if statuses:
        return Report(tuple(_by_status(statuses))[:MOST_RECIPIENTS], message_ids)
    text = texts[0] if texts else b""
    failed = block.all(b"x-failed-recipients")
    if failed:
        names = words.clean(b",".join(field.unfolded for field in failed)[:MOST_OCTETS])
        return Report(tuple(_by_header(names, text))[:MOST_RECIPIENTS], message_ids)
    if _QSBMF.match(text):
        return Report(tuple(_by_paragraph(text))[:MOST_RECIPIENTS], message_ids)
    return None


def _by_status(statuses: list[bytes]) -> Iterator[Failure]:
    """RFC 3464 section 2.3: groups of fields between blank lines, one for each recipient."""
    for body in statuses:
        for group in _BLANK_LINE.split(body):
            fields = scan(_LINE_END.sub(b"\r\n", group.strip(b"\r\n")) + b"\r\n\r\n")

            def value(key: bytes, fields: HeaderBlock = fields) -> str:
                field = fields.first(key)
                return words.decoded(field.value)[:2000] if field is not None else ""

            names = (_typed(value(b"original-recipient"), xtext=True), _typed(value(b"final-recipient")))
            addresses = tuple(dict.fromkeys(name for name in names if name))
            action = value(b"action").lower().split(" ")[0]
            status = _STATUS.search(value(b"status"))
            given = status is not None and status[1] == "5"
            if addresses and (action == "failed" or (not action and given)):
                yield _failure(addresses, value(b"status"), value(b"diagnostic-code"))


def _by_header(names: str, text: bytes) -> Iterator[Failure]:
    """``X-Failed-Recipients``: the addresses stand in the header, the reason only in the text, which is about one of
    them or another: it is believed where there is but one."""
    addresses = [one for one in dict.fromkeys(_ADDRESS.findall(names.lower())) if len(one) <= _LONGEST_ADDRESS]
    reason = words.clean(text)
    matches = (_CODE.search(reason), _STATUS.search(reason)) if len(addresses) == 1 else ()
    diagnostic = " ".join(match[0] for match in matches if match is not None)
    for address in addresses:
        yield _failure((address,), "", diagnostic)


def _by_paragraph(text: bytes) -> Iterator[Failure]:
    """The qmail-send bounce message format: ``<address>:`` and the reason, a paragraph each."""
    body = words.clean(_LINE_END.sub(b"\n", text))
    end = _QSBMF_END.search(body)
    for paragraph in _QSBMF_BREAK.split(body[: end.start()] if end else body):
        match = _QSBMF_PARAGRAPH.match(paragraph.strip("\n"))
        if match and _ADDRESS.fullmatch(match[1]):
            yield _failure((match[1].lower(),), "", match[2])


def _failure(addresses: tuple[str, ...], status: str, diagnostic: str) -> Failure:
    told, found = _STATUS.search(status), _STATUS.search(diagnostic)
    # Many servers say 5.0.0 where the reply they quote says more.
    if told is None or (told[2] == told[3] == "0" and found is not None and found[1] == told[1]):
        told = found
    code = _CODE.search(diagnostic)
    text = " ".join(diagnostic.split()) or status
    return Failure(
        addresses=addresses,
        status=".".join(str(int(part)) for part in told.groups()) if told else "",
        code=int(code[1]) if code else None,
        text=text[:_LONGEST_TEXT],
    )


def _typed(value: str, xtext: bool = False) -> str:
    """The address of ``rfc822; address``; "" for another kind of address."""
    kind, semicolon, name = value.partition(";")
    if not semicolon or kind.strip().lower() not in ("rfc822", "utf-8"):
        return ""
    name = name.strip().removeprefix("<").removesuffix(">").strip()
    if xtext:
        name = _XTEXT.sub(lambda match: chr(int(match[1], 16)), name)
    return name.lower() if _ADDRESS.fullmatch(name) and len(name) <= _LONGEST_ADDRESS else ""


def _message_ids(originals: list[bytes], texts: list[bytes]) -> Iterator[str]:
    """From returned headers; where none are returned as a part, from a copy inside the text."""
    found: dict[str, None] = {}
    for original in originals:
        field = scan(original).first(b"message-id")
        match = _MESSAGE_ID.search(field.unfolded) if field is not None else None
        if match is not None and len(match[0]) <= 998:
            found.setdefault(words.clean(match[0]))
    if not originals:
        for text in texts[:1]:
            for match in _QUOTED_MESSAGE_ID.finditer(text):
                found.setdefault(words.clean(match[1]))
    yield from list(found)[:10]
