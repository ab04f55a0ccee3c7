"""SMTP commands and replies as text (RFC 5321 4.1.1 and 4.2, RFC 1870, RFC 3030, RFC 6152, RFC 2034).

Parsers raise :class:`CommandError`, which carries the reply to send.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from e2a.core.errors import BadRequest

from .addresses import AddressError, Path, match_path

#: Longest command line accepted, CRLF included. RFC 5321 4.5.3.1.4 asks for 512 and extensions add to it.
MAX_COMMAND = 2048

_MAX_SIZE_DIGITS = 20
_UNPRINTABLE = re.compile(r"[^ -~]+")
_HELO = re.compile(rb"[!-~]{1,255}")
_UNSAFE_HELO = re.compile(r"[^A-Za-z0-9.:\[\]_-]")
# What nearly every client sends, with SIZE or without; what it matches means the same to the full grammar.
_USUAL = re.compile(
    rb"<([A-Za-z0-9_+=-]++(?:\.[A-Za-z0-9_+=-]++)*)"
    rb"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)>"
    rb"(?: SIZE=([0-9]{1,20}))?"
)
# Where such a path ends at the latest, the command's keyword counted.
_USUAL_PATH = 300
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?")
_CHUNK = re.compile(rb"([0-9]{1,20})(?: +(LAST))?", re.I)
# Understood, but belonging to extensions that are not offered.
_NOT_OFFERED = frozenset(
    {"SMTPUTF8", "RET", "ENVID", "NOTIFY", "ORCPT", "REQUIRETLS", "AUTH", "MT-PRIORITY", "HOLDFOR"}
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply of a single line.

    :ivar enhanced: the RFC 3463 code, ``""`` where a reply has none (220, 221 greetings, EHLO, 354).
    """

    code: int
    enhanced: str
    text: str

    @property
    def wire(self) -> bytes:
        """The octets to send. Whatever is not printable ASCII in the text becomes a question mark."""
        text = self.text
        if not (text.isascii() and text.isprintable()):
            text = _UNPRINTABLE.sub("?", text)
        text = text[:450]
        enhanced = f"{self.enhanced} " if self.enhanced else ""
        return f"{self.code} {enhanced}{text}\r\n".encode("ascii")


class CommandError(BadRequest):
    """A command that cannot be obeyed as written; ``reply`` says why."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


@dataclass(frozen=True, slots=True)
class MailCommand:
    """:ivar reverse_path: the sender's address, ``""`` for ``<>``.
    :ivar size: the declared size in octets, None when not declared.
    :ivar body: what the BODY parameter said."""

    reverse_path: str
    size: int | None = None
    body: Literal["7BIT", "8BITMIME"] = "7BIT"


def split_command(line: bytes) -> tuple[bytes, bytes]:
    """``(VERB, argument)`` of a command line without its CRLF; white space around the argument is dropped."""
    verb, _, argument = line.rstrip(b" \t").partition(b" ")
    return verb.upper(), argument.strip(b" \t")


def parse_helo(argument: bytes) -> str:
    """The client's name as it gave it, except that characters with a meaning in header fields become ``?``."""
    if not _HELO.fullmatch(argument):
        raise CommandError(501, "5.5.4", "a host name or address literal is required")
    return _UNSAFE_HELO.sub("?", argument.decode("ascii"))


def parse_mail(argument: bytes) -> MailCommand:
    """What follows ``MAIL``: ``FROM:<path> [SIZE=n] [BODY=7BIT|8BITMIME]``."""
    usual = _USUAL.fullmatch(argument, 5) if argument[:5].upper() == b"FROM:" else None
    if usual is not None and usual.end(2) <= _USUAL_PATH:
        size = None if usual[3] is None else int(usual[3])
        return MailCommand(f"{usual[1].decode('ascii')}@{usual[2].decode('ascii').lower()}", size)
    return _any_mail(argument)


def _any_mail(argument: bytes) -> MailCommand:
    path, parameters = _path_and_parameters(argument, b"FROM:")
    if path is not None and not path.domain:
        raise CommandError(553, "5.1.7", "the sender address needs a domain")
    size: int | None = None
    body: Literal["7BIT", "8BITMIME"] = "7BIT"
    for name, value in parameters.items():
        if name == "SIZE":
            if not value.isdigit() or len(value) > _MAX_SIZE_DIGITS:
                raise CommandError(501, "5.5.4", "SIZE is a number of octets")
            size = int(value)
        elif name == "BODY":
            wanted = value.upper()
            if wanted == "8BITMIME":
                body = "8BITMIME"
            elif wanted != "7BIT":
                raise CommandError(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
        else:
            raise _unknown_parameter(name)
    return MailCommand("" if path is None else path.address, size, body)


def parse_rcpt(argument: bytes) -> Path:
    """What follows ``RCPT``: ``TO:<path>``. The domain is empty for ``<postmaster>`` (RFC 5321 4.1.1.3)."""
    usual = _USUAL.fullmatch(argument, 3) if argument[:3].upper() == b"TO:" else None
    if usual is not None and usual[3] is None and usual.end(2) <= _USUAL_PATH:
        return Path(usual[1].decode("ascii"), usual[2].decode("ascii").lower())
    return _any_rcpt(argument)


def _any_rcpt(argument: bytes) -> Path:
    path, parameters = _path_and_parameters(argument, b"TO:")
    if path is None:
        raise CommandError(501, "5.1.3", "a recipient is required")
    for name in parameters:
        raise _unknown_parameter(name)
    return path


def parse_bdat(argument: bytes) -> tuple[int, bool]:
    """What follows ``BDAT``: the chunk's size in octets, and whether it is the last."""
    match = _CHUNK.fullmatch(argument)
    if match is None:
        raise CommandError(501, "5.5.4", "use BDAT size [LAST]")
    return int(match[1]), match[2] is not None


def _path_and_parameters(argument: bytes, keyword: bytes) -> tuple[Path | None, dict[str, str]]:
    if argument[: len(keyword)].upper() != keyword:
        raise CommandError(501, "5.5.4", f"use {keyword.decode()}<address>")
    try:
        text = argument[len(keyword) :].lstrip(b" ").decode("ascii")
    except UnicodeDecodeError as error:
        raise CommandError(553, "5.6.7", "addresses are ASCII here") from error
    path: Path | None = None
    if text.startswith("<>"):
        end = 2
    else:
        try:
            path, end = match_path(text)
        except AddressError as error:
            raise CommandError(501, "5.1.3", "the address is not valid") from error
    if text[end : end + 1] not in ("", " "):
        raise CommandError(501, "5.5.4", "the parameters are not valid")
    parameters: dict[str, str] = {}
    for word in text[end:].split():
        match = _PARAMETER.fullmatch(word)
        if match is None or match[1].upper() in parameters:
            raise CommandError(501, "5.5.4", "the parameters are not valid")
        parameters[match[1].upper()] = match[2] or ""
    return path, parameters


def _unknown_parameter(name: str) -> CommandError:
    if name in _NOT_OFFERED:
        return CommandError(504, "5.5.4", f"{name} is not offered")
    return CommandError(555, "5.5.4", "a parameter is not known")
