"""Mail addresses: SMTP paths, header mailboxes, agent addresses.

Three readers with three temperaments. :func:`match_path` follows RFC 5321 4.1.2 for what SMTP commands carry.
:func:`mailboxes` makes the best of any From, To, Cc or Reply-To value and never raises. :func:`sole_from` decides what
the verdict may be about: it answers only when no two readers of the message could disagree about the author.

All patterns are linear in their input: repetition is possessive or bounded.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from e2a.core.errors import BadRequest

from .encodedwords import ENCODED_WORD, decode_words, octets_of
from .headers import Field, HeaderBlock

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_DOT_STRING = rf"{_ATEXT}++(?:\.{_ATEXT}++)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
# Underscores are no host name, yet live in envelope domains.
_ENVELOPE_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ENVELOPE_DOMAIN = rf"{_ENVELOPE_LABEL}(?:\.{_ENVELOPE_LABEL})*"

_PATH = re.compile(
    rf"<(?:(?:@{_ENVELOPE_DOMAIN},)*@{_ENVELOPE_DOMAIN}:)?"
    rf'(?:(?P<dot>{_DOT_STRING})|"(?P<quoted>(?:[ !#-\[\]-~]++|\\[ -~])*)")'
    rf"(?:@(?P<domain>{_ENVELOPE_DOMAIN}|\[[!-Z^-~]{{1,250}}\]))?>"
)
_IS_DOT_STRING = re.compile(_DOT_STRING)
_IS_DOMAIN = re.compile(_DOMAIN)
_AGENT_LOCAL = re.compile(r"[a-z0-9][a-z0-9_+-]*+(?:\.[a-z0-9_+-]++)*")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,38}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_UNQUOTE = re.compile(r"\\(.)", re.S)

#: Slugs nobody may take on the shared domain.
RESERVED_SLUGS = frozenset(
    {
        "admin",
        "postmaster",
        "abuse",
        "noreply",
        "no-reply",
        "mailer-daemon",
        "info",
        "help",
        "demo",
        "test",
        "www",
        "mail",
        "agent",
        "api",
        "system",
        "root",
    }
)

_MAX_PATH = 320
_MAX_DOMAIN = 253
_MAX_LOCAL = 64


class AddressError(BadRequest):
    """The text is no address of the kind asked for."""

    code, default = "bad_address", "not a valid e-mail address"
    smtp = (501, "5.1.3")


# --- SMTP paths -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Path:
    """A reverse-path or forward-path, source route dropped (RFC 5321 4.1.2 and appendix C).

    :ivar local: the local part without its quoting; case as sent.
    :ivar domain: lower-case domain, ``[literal]``, or ``""`` for a bare local part (``<postmaster>``).
    """

    local: str
    domain: str

    @property
    def address(self) -> str:
        """``local@domain``, the local part quoted only when it must be."""
        return join(self.local, self.domain)


def match_path(text: str, start: int = 0) -> tuple[Path, int]:
    """The ``<path>`` that begins at ``start``, and the offset behind its closing bracket.

    :raises AddressError: no path, one over its length, or one that is not ASCII. ``<>`` is the caller's business.
    """
    match = _PATH.match(text, start)
    if match is None or match.end() - start > _MAX_PATH:
        raise AddressError
    local = match["dot"]
    if local is None:
        local = _UNQUOTE.sub(r"\1", match["quoted"])
    return Path(local, (match["domain"] or "").lower()), match.end()


def join(local: str, domain: str) -> str:
    """An address from its parts; a local part that is no dot-string is quoted."""
    if not _IS_DOT_STRING.fullmatch(local):
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{local}@{domain}" if domain else local


def split(address: str) -> tuple[str, str]:
    """``(local part, domain)`` at the last ``@``; the domain is empty when there is none."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (address, "")


def split_tag(address: str) -> tuple[str, str]:
    """``("bot@x", "tag")`` for ``bot+tag@x``: cut at the first plus behind a base; ``""`` when there is no tag."""
    local, domain = split(address)
    base, _, tag = local.partition("+")
    return (f"{base}@{domain}" if domain else base, tag) if base else (address, "")


# --- domains and agent addresses ------------------------------------------------------------------


def normal_domain(text: str) -> str:
    """A domain name in its one spelling: lower case, A-labels, no final dot.

    U-labels are converted only where IDNA 2003 and 2008 agree, that is where conversion and back gives the same text.

    :raises AddressError: not a domain name of at least two labels, or an IP address.
    """
    name = text.strip().removesuffix(".").lower()
    if not name.isascii():
        name = ".".join(_a_label(label) for label in unicodedata.normalize("NFC", name).split("."))
    if len(name) > _MAX_DOMAIN or "." not in name or not _IS_DOMAIN.fullmatch(name):
        raise AddressError("not a valid domain name", field="domain")
    if name.rpartition(".")[2].isdigit():
        raise AddressError("not a valid domain name", field="domain")
    return name


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    # The codec is quadratic in its input; a label that long cannot fit 63 octets anyway.
    if len(label) > 63:
        raise AddressError("not a valid domain name", field="domain")
    try:
        encoded = label.encode("idna")
        if encoded.decode("idna") != label:
            raise AddressError("not a valid domain name", field="domain")
    except UnicodeError as error:
        raise AddressError("not a valid domain name", field="domain") from error
    return encoded.decode("ascii")


def agent_address(text: str) -> str:
    """An agent's full address, lower-cased and checked: letters, digits, ``. _ - +`` before the ``@``.

    :raises AddressError: anything else; ``field`` is ``email``.
    """
    local, domain = split(text.strip().lower())
    if len(local) > _MAX_LOCAL or not _AGENT_LOCAL.fullmatch(local):
        raise AddressError(field="email")
    try:
        return f"{local}@{normal_domain(domain)}"
    except AddressError as error:
        raise AddressError(field="email") from error


def slug(text: str) -> str:
    """A slug, lower-cased and checked: 2 to 40 of ``a-z 0-9 -``, first and last alphanumeric, not reserved.

    :raises BadRequest: ``field`` is ``slug``.
    """
    name = text.strip().lower()
    if not _SLUG.fullmatch(name):
        raise BadRequest("a slug has 2 to 40 letters, digits or hyphens", field="slug")
    if name in RESERVED_SLUGS:
        raise BadRequest("this slug is reserved", field="slug")
    return name


# --- header mailboxes, leniently ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mailbox:
    """:ivar name: the display name, decoded; ``""`` when there is none.
    :ivar address: ``local@domain``, the domain lower-case."""

    name: str
    address: str


_USUAL = re.compile(
    rf"[ \t]*+(?:\"?([A-Za-z0-9 .'_-]*+)\"?[ \t]*<({_DOT_STRING})@({_DOMAIN})>|({_DOT_STRING})@({_DOMAIN}))[ \t]*+"
)
_TOKEN = re.compile(
    r'[ \t\r\n]++|"(?P<quoted>(?:[^"\\]++|\\.)*)(?:"|\\?$)|(?P<literal>\[[^\[\]]*+\])'
    r"|(?P<special>[<>,:;@()\[\]\\])|(?P<atom>[^ \t\r\n\"<>,:;@()\[\]\\]++)",
    re.S,
)
_COMMENT_STOP = re.compile(r"[()]|\\.?", re.S)
_LENIENT_DOMAIN = re.compile(r"[^\x00-\x20\x7f-\xa0\"<>,:;@()\[\]\\]{1,253}|\[[^\[\]\s]{1,250}\]")


def mailboxes(value: str, limit: int = 1000) -> list[Mailbox]:
    """Every mailbox of an address-list value, groups expanded, junk skipped. Never raises.

    :param value: the unfolded field value as text.
    :param limit: reading stops after that many mailboxes.
    """
    match = _USUAL.fullmatch(value)
    if match is not None:
        return [Mailbox(" ".join((match[1] or "").split()), _address_of(match))]
    found: list[Mailbox] = []
    element = _Element()
    position, angle = 0, False
    while position < len(value) and len(found) < limit:
        token = _TOKEN.match(value, position)
        if token is None:
            position += 1
            continue
        position = token.end()
        special = token["special"]
        if special is None:
            element.add(token, angle)
        elif special == "(":
            comment, position = _comment(value, position)
            element.comments.append(comment)
        elif special == "<" and not angle:
            angle, element.angle = True, []
        elif special == ">":
            angle = False
        elif special in ",;" and not (angle and (element.angle or [""])[0] == "@"):
            angle = False
            element.finish(found)
            element = _Element()
        elif special == ":":
            # The end of a group's name, or of a source route.
            if angle:
                element.angle = []
            else:
                element = _Element()
        else:
            element.add(token, angle)
    element.finish(found)
    return found[:limit]


def usual_address(value: str) -> str:
    """The address of a value that holds one mailbox, as nearly every program writes it; else ``""``."""
    match = _USUAL.fullmatch(value)
    return "" if match is None else _address_of(match)


def _address_of(usual: re.Match[str]) -> str:
    _, local, domain, bare_local, bare_domain = usual.groups()
    return f"{bare_local}@{bare_domain.lower()}" if local is None else f"{local}@{domain.lower()}"


class _Element:
    """One member of an address list while it is being read."""

    __slots__ = ("angle", "comments", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self.angle: list[str] | None = None
        self.comments: list[str] = []

    def add(self, token: re.Match[str], angle: bool) -> None:
        quoted = token["quoted"]
        word = token[0] if quoted is None else _UNQUOTE.sub(r"\1", quoted)
        if quoted is None and not word.strip(" \t\r\n"):
            return
        if not angle:
            self.words.append(word)
        elif self.angle is not None:
            self.angle.append(word)

    def finish(self, found: list[Mailbox]) -> None:
        parts = self.words[-3:] if self.angle is None else self.angle
        if len(parts) != 3 or parts[1] != "@" or not parts[0] or not _LENIENT_DOMAIN.fullmatch(parts[2]):
            return
        local = _CONTROL.sub("", parts[0])
        if self.angle is not None:
            name = decode_words(" ".join(self.words).replace(" @ ", "@"))
        else:
            name = decode_words(" ".join(self.words[:-3]) or " ".join(self.comments))
        found.append(Mailbox(" ".join(name.split()), join(local, parts[2].lower())))


def _comment(value: str, position: int) -> tuple[str, int]:
    """The text of the comment that was opened just before ``position``, and the offset behind it (RFC 5322 3.2.2)."""
    depth, start = 1, position
    for stop in _COMMENT_STOP.finditer(value, position):
        depth += {"(": 1, ")": -1}.get(stop[0], 0)
        if depth == 0:
            return _UNQUOTE.sub(r"\1", value[start : stop.start()]), stop.end()
    return value[start:], len(value)


# --- the author, strictly -------------------------------------------------------------------------

_STRICT_FROM = re.compile(
    # A display name of words and quoted strings; nothing in it may open another reading.
    rf"[ \t]*+(?:(?P<phrase>(?:[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~. \t\u00a0-\U0010ffff-]++|\"(?:[^\"\\]++|\\[ -~])*\")*)"
    rf"<(?P<angle>{_DOT_STRING}|\"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~. -]++\")@(?P<domain>{_DOMAIN})>"
    rf"|(?P<bare>{_DOT_STRING})@(?P<bare_domain>{_DOMAIN})(?:[ \t]++\((?P<comment>[^()\\\"<>@,:;]*+)\))?)[ \t]*+"
)
_FROM_NAME = re.compile(rb"[Ff][Rr][Oo][Mm]:")
# What nearly every program writes; what it matches is accepted by everything below as well.
_USUAL_FROM = re.compile(
    rb"From: ([A-Za-z0-9 .'_-]*+<)?(?P<local>[A-Za-z0-9_+-]++(?:\.[A-Za-z0-9_+-]++)*)"
    rb"@(?P<domain>(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)"
    rb"(?(1)>)\r\n"
)
_BLANK_FOLD = re.compile(rb"\r\n[ \t]*+\r\n")
# The look-behind lets a match begin only where a word begins, which keeps the search linear.
_WORD = r"[^\s<>\"'()\[\],:;@]"
_ADDRESS_LIKE = re.compile(rf"(?<!{_WORD}){_WORD}++\s?@\s?{_WORD}*\.{_WORD}*")
_LONGEST_FROM = 4096
# NUL, LF and CR; ESC is at home in ISO-2022-JP.
_BREAKING = frozenset(b"\0\n\r")
# Charsets that some readers decode and others show as they are.
_UNSHOWN = frozenset({"utf-7", "utf7", "unicode-1-1-utf-7", "csunicode11utf7", "x-unicode-2-0-utf-7"})
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})


def sole_from(block: HeaderBlock) -> str | None:
    """The author's address, when every reader of the message must see the same one; None otherwise.

    None is the answer to: no From field or several; a header block with defects; a group, several mailboxes, source
    routes, comments anywhere but behind a bare address; encoded-words, ``@``, controls or escapes in the local part; a
    domain that is no plain ASCII host name; octets that are not UTF-8; a display name that shows another address or
    hides characters. Returned with the local part as sent and the domain lower-case.
    """
    fields = block.by_key.get(b"from", ())
    if len(fields) != 1 or block.defects:
        return None
    return _usual_from(fields[0]) or _strict_from(fields[0])


def _usual_from(field: Field) -> str | None:
    match = _USUAL_FROM.fullmatch(field.raw) if len(field.raw) <= _LONGEST_FROM else None
    if match is None:
        return None
    local, domain = match["local"], match["domain"]
    if len(local) > _MAX_LOCAL or len(domain) > _MAX_DOMAIN:
        return None
    return f"{local.decode('ascii')}@{domain.decode('ascii').lower()}"


def _strict_from(field: Field) -> str | None:
    if len(field.raw) > 2 * _LONGEST_FROM or not _FROM_NAME.match(field.raw) or _BLANK_FOLD.search(field.raw):
        return None
    try:
        value = field.unfolded.decode("utf-8")
    except UnicodeDecodeError:
        return None
    # Some readers end a line at the likes of VT and FS.
    if len(value) > _LONGEST_FROM or _CONTROL.search(value.replace("\t", " ")):
        return None
    match = _STRICT_FROM.fullmatch(value)
    if match is None:
        return None
    local = (match["angle"] or match["bare"]).strip('"')
    domain = (match["domain"] or match["bare_domain"]).lower()
    if len(local) > _MAX_LOCAL or "=?" in local:
        return None
    try:
        if normal_domain(domain) != domain:
            return None
    except AddressError:
        return None
    address = join(local, domain)
    shown = _display_text(match["phrase"] or match["comment"] or "")
    if shown is None:
        return None
    for other in _ADDRESS_LIKE.findall(shown):
        if other.replace(" ", "").strip(".").lower() != address.lower():
            return None
    return address


def _display_text(phrase: str) -> str | None:
    """What a mail reader shows of a display name, look-alike forms folded; None when it hides something."""
    if "=?" in phrase:
        for match in ENCODED_WORD.finditer(phrase):
            if match[1].lower() in _UNSHOWN or not _BREAKING.isdisjoint(octets_of(match[2], match[3])):
                return None
    shown = unicodedata.normalize("NFKC", decode_words(phrase.replace("\t", " ")))
    # Lenient readers decode what is not quite an encoded-word, or twice.
    if "=?" in shown:
        return None
    if any(unicodedata.category(char) in _INVISIBLE and char not in "\u200c\u200d" for char in shown):
        return None
    return shown
