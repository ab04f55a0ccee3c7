"""What a caller may ask to be sent: every value is checked before anything is stored, and one error names the field."""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from e2a.core.entities import InboundMessage, MessageType, RecipientKind
from e2a.core.errors import BadRequest
from e2a.core.mail.addresses import AddressError, mailboxes, match_path, normal_domain, split
from e2a.core.mail.conversations import LONGEST_ID, valid_id
from e2a.core.mail.headers import HeaderBlock
from e2a.core.mail.message import MAX_REFERENCES
from e2a.core.mail.words import clean

MOST_RECIPIENTS = 100
LONGEST_SUBJECT = 998
MOST_ATTACHMENTS = 100
LONGEST_FILENAME = 255
#: RFC 5321 4.5.3.1.1 and 4.5.3.1.3, the latter without its brackets.
_LONGEST_LOCAL = 64
_LONGEST_ADDRESS = 254
#: Characters of one entry of a recipient list, display name included.
_LONGEST_ENTRY = 1000
#: Base64 characters that are decoded at a time, which takes about a millisecond.
_BASE64_SLICE = 262_144

_NAME = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_CONTENT_TYPE = re.compile(
    rf"({_NAME})/({_NAME})((?:[ ]?;[ ]?{_NAME}=(?:[A-Za-z0-9!#$&^_.+/:-]{{1,127}}|\"[ !#-\[\]-~]{{0,127}}\"))*)"
)
_REFERENCE = re.compile(rb"<[!-;=?-~]{1,900}>")
_BREAKING = frozenset({"Cc", "Zl", "Zp", "Cs"})
_RE = re.compile(r"re: ", re.I)
_FORWARDED = re.compile(r"(?:fwd?|wg|tr): ", re.I)

#: A value of ``Auto-Submitted`` (RFC 3834 section 5); ``""`` for none, which means: by a person.
Auto = Literal["", "auto-generated", "auto-replied"]


@dataclass(frozen=True, slots=True)
class File:
    """An attachment.

    :ivar content_type: type, subtype and parameters, as they go into the header.
    """

    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class AskedFile:
    """An attachment as it was asked for. ``data`` is base64 (RFC 4648 section 4)."""

    filename: str
    content_type: str
    data: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants sent, unchecked.

    :ivar auto: whether a program wants it, with no person behind it.
    :ivar on_behalf_of: the person for whom the agent acts, ``""`` to name none.
    """

    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    subject: str = ""
    body: str = ""
    html_body: str = ""
    attachments: Sequence[AskedFile] = ()
    conversation_id: str | None = None
    auto: bool = False
    on_behalf_of: str = ""


@dataclass(frozen=True, slots=True)
class Recipients:
    """Canonical addresses, each once, those of ``to`` before those of ``cc`` before those of ``bcc``."""

    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()

    def envelope(self) -> tuple[tuple[str, RecipientKind], ...]:
        """Every recipient with its kind."""
        kinds: tuple[tuple[RecipientKind, tuple[str, ...]], ...] = (("to", self.to), ("cc", self.cc), ("bcc", self.bcc))
        return tuple((address, kind) for kind, addresses in kinds for address in addresses)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may be sent as it is.

    :ivar conversation_id: None: a new conversation begins.
    :ivar in_reply_to: the Message-ID it answers; ``""`` when it answers none.
    :ivar references: every ancestor's Message-ID, oldest first (RFC 5322 3.6.4).
    :ivar answers: our id of the received message it answers; it joins the conversation unless it has one.
    :ivar entity: content composed before, which stands instead of ``text``, ``html`` and ``files``.
    """

    message_type: MessageType
    recipients: Recipients
    subject: str
    text: str = ""
    html: str = ""
    files: tuple[File, ...] = ()
    conversation_id: str | None = None
    in_reply_to: str = ""
    references: tuple[str, ...] = ()
    auto: Auto = ""
    on_behalf_of: str = ""
    answers: str = ""
    entity: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Original:
    """The received message that is answered or forwarded.

    :ivar block: its header fields.
    """

    message: InboundMessage
    block: HeaderBlock = field(repr=False)


# --- whole drafts -----------------------------------------------------------------------------------------------------


def new_message(asked: Asked, own: frozenset[str], in_reply_to: str = "") -> Draft:
    """:param own: the addresses that lead back to the sending agent.
    :param in_reply_to: the Message-ID it answers, if the caller knows one.
    :raises BadRequest: ``field`` names the first value that cannot be used.
    """
    subject = checked_subject(asked.subject)
    if not subject:
        raise BadRequest("subject is required", field="subject")
    parent = checked_reference(in_reply_to)
    return Draft(
        message_type="send",
        recipients=checked_recipients(asked.to, asked.cc, asked.bcc, own),
        subject=subject,
        in_reply_to=parent,
        references=(parent,) if parent else (),
        auto="auto-generated" if asked.auto else "",
        **_content(asked),
    )


def answer(asked: Asked, original: Original, own: frozenset[str], *, reply_all: bool) -> Draft:
    """A reply: to whom the message says, in its conversation, under its subject.

    :raises BadRequest: as for ``new_message``; or there is nobody to answer.
    """
    message, block = original.message, original.block
    to = usable(answer_to(original))
    cc = usable((*message.to, *message.cc)) if reply_all else []
    given = checked_recipients([], asked.cc, asked.bcc, own, visible=False)
    recipients = merged(to, [*cc, *given.cc], given.bcc, own)
    if not recipients.to and not recipients.cc:
        raise BadRequest("the message has no address that can be answered")
    _count(recipients)
    content = _content(asked)
    content["conversation_id"] = asked.conversation_id and checked_conversation(asked.conversation_id)
    content["conversation_id"] = content["conversation_id"] or message.conversation_id
    references = ancestors(block)
    return Draft(
        message_type="reply",
        recipients=recipients,
        subject=answer_subject(message.subject),
        in_reply_to=references[-1] if references else "",
        references=references,
        auto="auto-replied" if asked.auto else "",
        answers=message.id,
        **content,
    )


def forwarded(asked: Asked, original: Original, own: frozenset[str], files: Sequence[File], quote: str = "") -> Draft:
    """The message sent on to others, in a conversation of its own.

    :param files: what is carried along: its attachments, or the message itself.
    :param quote: what is shown of it below the caller's words.
    :raises BadRequest: as for ``new_message``.
    """
    content = _content(asked, required=False)
    content["files"] = (*content["files"], *files)
    if quote:
        if content["html"]:
            content["html"] += f"<hr><pre>{html.escape(quote)}</pre>"
        if content["text"] or not content["html"]:
            content["text"] = f"{content['text']}\r\n\r\n{quote}" if content["text"] else quote
    return Draft(
        message_type="forward",
        recipients=checked_recipients(asked.to, asked.cc, asked.bcc, own),
        subject=checked_subject(asked.subject) or forward_subject(original.message.subject),
        auto="auto-generated" if asked.auto else "",
        **content,
    )


def _content(asked: Asked, *, required: bool = True) -> dict[str, Any]:
    files = checked_files(asked.attachments)
    if required and not asked.body and not asked.html_body:
        raise BadRequest("body or html_body is required", field="body")
    return {
        "text": checked_text(asked.body, "body"),
        "html": checked_text(asked.html_body, "html_body"),
        "files": files,
        "conversation_id": None if asked.conversation_id is None else checked_conversation(asked.conversation_id),
        "on_behalf_of": address(asked.on_behalf_of, "on_behalf_of") if asked.on_behalf_of else "",
    }


# --- recipients -------------------------------------------------------------------------------------------------------


def address(text: str, field: str) -> str:
    """One mailbox, reduced to its bare lower-case address; a display name is dropped.

    :raises AddressError: it is none, or one that SMTP without extensions cannot carry.
    """
    entry = text.strip()
    if len(entry) > _LONGEST_ENTRY or not entry:
        raise AddressError(f"{field} is not a valid e-mail address", field=field)
    found = _canonical(entry)
    if found is None:
        # Only a mailbox with a display name can be more than the address itself.
        several = mailboxes(entry, 2)
        angle = entry.endswith(">") and len(several) == 1
        found = _canonical(several[0].address) if angle else None
    if found is None:
        raise AddressError(f"{field} is not a valid e-mail address", field=field)
    return found


def _canonical(text: str) -> str | None:
    """The address as the envelope carries it: ASCII, lower case, its domain a host name; None when it cannot be."""
    local, domain = split(text)
    try:
        name = normal_domain(domain)
        path, end = match_path(f"<{local}@{name}>")
    except AddressError:
        return None
    canonical = path.address.lower()
    too_long = len(canonical) > _LONGEST_ADDRESS or len(split(canonical)[0]) > _LONGEST_LOCAL
    return None if too_long or end != len(local) + len(name) + 3 or "=?" in canonical else canonical


def checked_recipients(
    to: Sequence[str], cc: Sequence[str], bcc: Sequence[str], own: frozenset[str], *, visible: bool = True
) -> Recipients:
    """Canonical addresses: each once, To before Cc before Bcc, none that lead back to the sender.

    :param visible: whether To or Cc must name somebody.
    :raises BadRequest: ``field`` names the entry, or ``to`` when nobody is left.
    """
    given = {
        name: [address(entry, f"{name}[{index}]") for index, entry in enumerate(entries) if entry.strip()]
        for name, entries in (("to", to), ("cc", cc), ("bcc", bcc))
    }
    recipients = merged(given["to"], given["cc"], given["bcc"], own)
    if visible and not recipients.to and not recipients.cc:
        raise BadRequest("to or cc must name somebody other than the sender", field="to")
    _count(recipients)
    return recipients


def merged(to: Iterable[str], cc: Iterable[str], bcc: Iterable[str], own: frozenset[str]) -> Recipients:
    """Each address once, in the first list that has it; ``own`` in none."""
    seen = set(own)
    lists = []
    for addresses in (to, cc, bcc):
        fresh = [one for one in dict.fromkeys(addresses) if one not in seen]
        seen.update(fresh)
        lists.append(tuple(fresh))
    return Recipients(*lists)


def usable(addresses: Iterable[str]) -> list[str]:
    """Those of a received message's addresses that can be written to, canonical."""
    return [found for found in map(_canonical, addresses) if found is not None]


def _count(recipients: Recipients) -> None:
    if len(recipients.envelope()) > MOST_RECIPIENTS:
        raise BadRequest(f"a message can have at most {MOST_RECIPIENTS} recipients", field="to")


# --- answering --------------------------------------------------------------------------------------------------------


def answer_to(original: Original) -> list[str]:
    """Whom an answer goes to: Reply-To, else From, else the stored sender. Nobody, when that is the null sender."""
    if original.message.reply_to:
        return list(original.message.reply_to)
    authors = [
        mailbox.address
        for author in original.block.all(b"from")
        for mailbox in mailboxes(clean(author.unfolded), MOST_RECIPIENTS)
    ]
    return authors or [original.message.sender]


def ancestors(block: HeaderBlock) -> tuple[str, ...]:
    """The References of an answer: those of the message, else its In-Reply-To, and then its own id (RFC 5322 3.6.4).

    Of a long chain the first and the nearest are kept. Ids that no header of ours can carry are left out.
    """
    chain = [found for line in block.all(b"references") for found in _REFERENCE.findall(line.unfolded)]
    if not chain:
        answered = [found for line in block.all(b"in-reply-to") for found in _REFERENCE.findall(line.unfolded)]
        chain = answered if len(answered) == 1 else []
    own = block.first(b"message-id")
    chain += _REFERENCE.findall(own.unfolded)[:1] if own is not None else []
    # Of an id that is there twice the last place counts: the nearest comes last.
    unique = list(dict.fromkeys(reversed(chain)))[::-1]
    if len(unique) > MAX_REFERENCES:
        unique = unique[:1] + unique[1 - MAX_REFERENCES :]
    return tuple(found.decode("ascii") for found in unique)


def answer_subject(subject: str) -> str:
    """``Re: `` and the subject, unless it begins so already."""
    subject = _one_line(subject)
    if not subject:
        return "Re: your message"
    return subject if _RE.match(subject) else f"Re: {subject}"[:LONGEST_SUBJECT]


def forward_subject(subject: str) -> str:
    """``Fwd: `` and the subject, unless it begins so already."""
    subject = _one_line(subject)
    return subject if _FORWARDED.match(subject) else f"Fwd: {subject}".strip()[:LONGEST_SUBJECT]


def _one_line(subject: str) -> str:
    """A received subject as one of ours may be."""
    shown = "".join(" " if unicodedata.category(char) in _BREAKING else char for char in subject)
    return shown.strip()[:LONGEST_SUBJECT]


# --- single values ----------------------------------------------------------------------------------------------------


def checked_subject(text: str) -> str:
    """:raises BadRequest: over 998 characters, or with line ends or other control characters."""
    if len(text) > LONGEST_SUBJECT:
        raise BadRequest(f"subject can have at most {LONGEST_SUBJECT} characters", field="subject")
    _plain(text, "subject")
    return text


def checked_text(text: str, field: str) -> str:
    """:raises BadRequest: NUL, or half a surrogate pair, which no encoding has."""
    if "\0" in text or not _encodable(text):
        raise BadRequest(f"{field} must be text without NUL characters", field=field)
    return text


def checked_conversation(text: str) -> str:
    """:raises BadRequest: not 1 to 256 printable characters without a space at either end."""
    if not valid_id(text):
        raise BadRequest(
            f"conversation_id must be 1 to {LONGEST_ID} printable characters, no space first or last",
            field="conversation_id",
        )
    return text


def checked_reference(text: str) -> str:
    """A Message-ID with its brackets, or ``""``.

    :raises BadRequest: it is none.
    """
    text = text.strip()
    if text and not (text.isascii() and _REFERENCE.fullmatch(text.encode("ascii"))):
        raise BadRequest(
            "reply_to_message_id must be a Message-ID such as <id@example.com>", field="reply_to_message_id"
        )
    return text


def checked_files(asked: Sequence[AskedFile]) -> tuple[File, ...]:
    """:raises BadRequest: ``field`` is such as ``attachments[2].data``."""
    if len(asked) > MOST_ATTACHMENTS:
        raise BadRequest(f"a message can have at most {MOST_ATTACHMENTS} attachments", field="attachments")
    return tuple(_file(one, f"attachments[{index}]") for index, one in enumerate(asked))


def _file(asked: AskedFile, place: str) -> File:
    name = asked.filename.strip()
    if not 0 < len(name) <= LONGEST_FILENAME:
        raise BadRequest(f"{place}.filename must have 1 to {LONGEST_FILENAME} characters", field=f"{place}.filename")
    _plain(name, f"{place}.filename")
    content_type = asked.content_type.strip() or "application/octet-stream"
    match = _CONTENT_TYPE.fullmatch(content_type) if len(content_type) <= LONGEST_FILENAME else None
    if match is None or match[1].lower() == "multipart":
        raise BadRequest(
            f"{place}.content_type must be a media type such as application/pdf", field=f"{place}.content_type"
        )
    return File(name, content_type, _octets(asked.data, f"{place}.data"))


def _octets(text: str, field: str) -> bytes:
    """Strictly decoded base64: no other characters, no line ends, complete padding and nothing behind it."""
    wrong = BadRequest(f"{field} must be base64 without line breaks", field=field)
    if len(text) % 4 or not text.isascii() or "=" in text[:-2]:
        raise wrong
    try:
        return b"".join(
            binascii.a2b_base64(text[start : start + _BASE64_SLICE], strict_mode=True)
            for start in range(0, len(text), _BASE64_SLICE)
        )
    except (binascii.Error, ValueError) as error:
        raise wrong from error


def _plain(text: str, field: str) -> None:
    if any(unicodedata.category(char) in _BREAKING for char in text):
        raise BadRequest(f"{field} must not contain line breaks or control characters", field=field)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
