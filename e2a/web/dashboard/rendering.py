"""From a template and its values to a page, and the files that every page loads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from e2a.web.plaintext import plain

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


class Exact(str):
    """Text that a form gets back as it was."""

    __slots__ = ()


def shown(value: Any) -> Any:
    """What a template shows, in the order in which it was written."""
    # What is HTML already was shown before it became part of it.
    if isinstance(value, str) and not isinstance(value, Exact) and not hasattr(value, "__html__"):
        return plain(value)
    return value


class Templates:
    """Everything in a template is escaped unless the template says otherwise, and an unknown name is an error.

    Nothing that a page shows can turn text around; what a form must get back unchanged passes ``|exact``.

    :param now: seconds since the epoch, for what is said as "5 min ago".
    """

    def __init__(self, static: Mapping[str, File], now: Callable[[], float]) -> None:
        self._now = now
        self._environment = Environment(
            loader=PackageLoader("e2a.web"),
            autoescape=True,
            finalize=shown,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        named = {f"{name.split('.')[0]}.{name.rpartition('.')[2]}": f"/static/{name}" for name in static}
        self._environment.globals["static"] = named.__getitem__
        self._environment.filters.update(
            moment=moment, ago=self._ago, iso=iso, octets=octets, segment=segment, exact=Exact, plain=plain
        )

    def render(self, template: str, values: Mapping[str, Any]) -> bytes:
        return self._environment.get_template(template).render(values).encode("utf-8", "replace")

    def _ago(self, value: datetime) -> str:
        return ago(value, self._now())


def iso(value: datetime) -> str:
    """For ``<time datetime>``."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(value: datetime) -> str:
    """``21 Nov 2026, 14:03 UTC``"""
    value = value.astimezone(UTC)
    return f"{value.day} {value:%b %Y, %H:%M} UTC"


def ago(value: datetime, now: float) -> str:
    """How long before or after ``now``, in seconds since the epoch: ``5 min ago``, ``in 3 h``; the day alone when that
    is more than six days off. The script says the same while a page is open.
    """
    away = now - value.timestamp()
    if abs(away) < 60:
        return "just now" if away >= 0 else "in a moment"
    for unit, length, most in (("min", 60, 3600), ("h", 3600, 86_400), ("day", 86_400, 7 * 86_400)):
        if abs(away) < most:
            number = int(abs(away) // length)
            words = f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''}"
            return f"{words} ago" if away > 0 else f"in {words}"
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
    return f"{size} byte{'' if size == 1 else 's'}"


def segment(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="@")
