"""From a template and its values to a page, and the files that every page loads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

#: What the line at the top of a page says after something was done, by the word in ``?notice=``.
NOTICES = {
    "saved": "Saved.",
    "deleted": "Deleted.",
    "revoked": "Revoked.",
    "sent": "Sent.",
    "approved": "Approved: the message is on its way.",
    "rejected": "Rejected: the message will not be sent.",
    "approved-next": "The message before was approved and is on its way. This is the next one.",
    "rejected-next": "The message before was rejected and will not be sent. This is the next one.",
    "queued": "Queued: it will be sent as soon as possible.",
    "redelivered": "It is delivered once more.",
    "invited": "Invited.",
    "verified": "The domain is verified.",
    "added": "Added.",
    "read": "Marked as read.",
    "made": "The agent is ready to receive mail.",
    "held": "Taken in: it waits for review.",
    "asked": "Asked: the person gets a mail with a link, by which they agree or decline.",
    "ended": "Ended.",
    "joined": "You have joined the organisation.",
    "left": "You have left the organisation.",
    "switched": "You are in the other organisation now.",
    "removed": "Removed.",
    "thanks": "Thank you. Your feedback is on its way.",
    "retired": "The secret does not count any more.",
}

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    content_type: str


def static_files() -> dict[str, File]:
    """The files under ``static``, by a name that changes with their content, so that browsers may keep them."""
    found = {}
    for path in sorted(files("e2a.web").joinpath("static").iterdir(), key=lambda path: path.name):
        stem, _, kind = path.name.rpartition(".")
        if kind in _TYPES:
            content = path.read_bytes()
            found[f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}.{kind}"] = File(content, _TYPES[kind])
    return found


class Templates:
    """Everything in a template is escaped unless the template says otherwise, and an unknown name is an error."""

    def __init__(self, static: Mapping[str, File]) -> None:
        self._environment = Environment(
            loader=PackageLoader("e2a.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        named = {f"{name.split('.')[0]}.{name.rpartition('.')[2]}": f"/static/{name}" for name in static}
        self._environment.globals["static"] = named.__getitem__
        self._environment.filters.update(moment=moment, short=short, day=day, iso=iso, octets=octets, segment=segment)

    def render(self, template: str, values: Mapping[str, Any]) -> bytes:
        return self._environment.get_template(template).render(values).encode("utf-8", "replace")


def iso(value: datetime) -> str:
    """For ``<time datetime>``."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(value: datetime) -> str:
    """``21 Nov 2026, 14:03 UTC``"""
    value = value.astimezone(UTC)
    return f"{value.day} {value:%b %Y, %H:%M} UTC"


def short(value: datetime) -> str:
    """``21 Nov, 14:03``, for what is kept for weeks."""
    value = value.astimezone(UTC)
    return f"{value.day} {value:%b, %H:%M}"


def day(value: datetime) -> str:
    """``21 Nov 2026``"""
    value = value.astimezone(UTC)
    return f"{value.day} {value:%b %Y}"


def lasting(seconds: float) -> str:
    """How long, for people, in the two largest units: ``6 days 3 hours``; ``no time`` when it is over."""
    if seconds <= 0:
        return "no time"
    words = []
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        number, seconds = divmod(int(seconds), length)
        if number:
            words.append(f"{number} {unit}{'' if number == 1 else 's'}")
        elif words:
            break
    return " ".join(words[:2]) or "less than a minute"


def octets(size: int) -> str:
    """A size for people, in powers of 1024."""
    for unit, width in (("GB", 2**30), ("MB", 2**20), ("kB", 2**10)):
        if size >= width:
            return f"{size / width:.1f} {unit}"
    return f"{size} bytes"


def segment(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="@")
