"""A held message as a text to edit, and the edits back out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_HELP = (
    "# Change what you like, save and leave the editor: the message is sent as it then stands.",
    "# Several addresses are parted by commas. An empty file leaves the message held.",
    "# Lines that start with # above the first empty line are ignored; below it everything is the text.",
)
_ADDRESSES = ("To", "Cc", "Bcc")


@dataclass(frozen=True, slots=True)
class Edited:
    """What the form says."""

    subject: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    body: str


def form(message: dict[str, Any]) -> str:
    """The text to edit for a held message."""
    lines = [*_HELP, f"Subject: {message['subject']}"]
    lines += [f"{name}: {', '.join(message.get(name.lower()) or [])}".rstrip() for name in _ADDRESSES]
    if message.get("body_html"):
        lines.insert(3, "# The message has an HTML part too. It is dropped when the text is changed.")
    return "\n".join([*lines, "", _lines(message.get("body_text") or "").rstrip("\n")]) + "\n"


def parsed(text: str) -> Edited:
    """:raises ValueError: a line above the text that is no ``Name: value``, or not one of the form's."""
    found = {"Subject": "", **dict.fromkeys(_ADDRESSES, "")}
    head, _, body = _lines(text).partition("\n\n")
    for line in head.split("\n"):
        if line.startswith("#") or not line.strip():
            continue
        name, colon, value = line.partition(":")
        name = name.strip().capitalize()
        if not colon or name not in found:
            raise ValueError(f"the form has a line that it cannot have: {line[:60]!r}")
        found[name] = value.strip()
    to, cc, bcc = ([part.strip() for part in found[name].split(",") if part.strip()] for name in _ADDRESSES)
    return Edited(found["Subject"], to, cc, bcc, body)


def changes(message: dict[str, Any], edited: Edited) -> dict[str, Any]:
    """The members of an approval for what differs; empty when nothing does."""
    wanted: dict[str, Any] = {}
    if edited.subject != message["subject"].strip():
        wanted["subject"] = edited.subject
    for name in ("to", "cc", "bcc"):
        now = getattr(edited, name)
        if now != (message.get(name) or []):
            wanted[name] = now
    # Editors end a file with a line end, whether the text had one or not.
    if edited.body.rstrip("\n") != _lines(message.get("body_text") or "").rstrip("\n"):
        wanted["body_text"] = edited.body
        if message.get("body_html"):
            wanted["body_html"] = ""
    return wanted


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
