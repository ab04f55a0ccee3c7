"""What people and programs see: results on standard output, hints and progress on standard error."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

# Mail may hold anything: nothing that moves the cursor, changes colours, or reverses the reading order gets through.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = ("Mn", "Me", "Cf")


def clean(text: str) -> str:
    """Text of several lines, fit for a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Text on one line, fit for a terminal."""
    return clean(" ".join(text.split()))


def width(text: str) -> int:
    """Columns that a terminal gives the text."""
    return sum(
        0 if unicodedata.category(char) in _INVISIBLE else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def fit(text: str, columns: int) -> str:
    """The text in that many columns at most, with an ellipsis where it was cut."""
    if width(text) <= columns:
        return text
    kept, used = "", 1
    for char in text:
        used += width(char)
        if used > columns:
            break
        kept += char
    return kept + "…"


def remaining(until: str, now: datetime) -> str:
    """How long until an RFC 3339 time, as ``1h 59m``; ``expired``; ``—`` for none."""
    if not until:
        return "—"
    try:
        seconds = int((datetime.fromisoformat(until) - now).total_seconds())
    except (ValueError, TypeError):
        return "—"
    return "expired" if seconds <= 0 else "in " + duration(seconds)


def duration(seconds: int) -> str:
    """The two largest units: ``6d 23h``, ``1h 59m``, ``4m 10s``, ``8s``."""
    units = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
    parts: list[str] = []
    for name, length in units:
        count, seconds = divmod(seconds, length)
        if count or parts or name == "s":
            parts.append(f"{count}{name}")
        if len(parts) == 2:
            break
    return " ".join(parts)


def octets(count: int) -> str:
    """``812 B``, ``1.4 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{int(size)} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""


class Output:
    """:param as_json: one JSON document, or one object a line for streams, instead of text.
    :param quiet: no hints and no progress.
    :param colour: whether colours are wanted at all; they appear on a terminal only.
    """

    def __init__(self, *, as_json: bool, quiet: bool, colour: bool) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._colour = colour

    def now(self) -> datetime:
        return datetime.now(UTC)

    def style(self, text: str, **style: Any) -> str:
        return click.style(text, **style) if self._colour else text

    def good(self, text: str) -> str:
        return self.style(text, fg="green")

    def warn(self, text: str) -> str:
        return self.style(text, fg="yellow")

    def document(self, data: Any) -> None:
        """The one JSON document of a command."""
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))

    def record(self, data: Any) -> None:
        """One object of a stream, on one line, written out at once."""
        click.echo(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        click.echo(text)

    def show(self, data: Any, *lines: str) -> None:
        """The result: as JSON, or as these lines."""
        if self.as_json:
            self.document(data)
            return
        for text in lines:
            self.line(text)

    def hint(self, text: str) -> None:
        """What may help next; never part of the result."""
        if not self.quiet and not self.as_json:
            click.echo(text, err=True)

    def warning(self, text: str) -> None:
        """Something went wrong and the command goes on."""
        click.echo(text, err=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, most: Mapping[str, int]) -> None:
        """Aligned columns, two spaces apart.

        :param most: the widest that a column may become; columns without an entry are never cut.
        """
        cells = [
            [fit(one_line(text), most.get(name, 10_000)) for name, text in zip(headers, row, strict=True)]
            for row in rows
        ]
        widths = [max(width(text) for text in column) for column in zip(headers, *cells, strict=True)]
        for index, row in enumerate([list(headers), *cells]):
            padded = [text + " " * (size - width(text)) for text, size in zip(row, widths, strict=True)]
            line = "  ".join(padded).rstrip()
            self.line(self.style(line, bold=True) if index == 0 else line)

    def fields(self, *pairs: tuple[str, str]) -> None:
        """Labelled lines, their values aligned."""
        longest = max(len(label) for label, _ in pairs) + 1
        for label, value in pairs:
            self.line(f"{label + ':':<{longest}} {one_line(value)}".rstrip())


class Progress:
    """A counter of octets on standard error, for a terminal only."""

    def __init__(self, out: Output, what: str) -> None:
        self._what = what
        self._shown = not out.quiet and sys.stderr.isatty()
        self._octets = self._last = 0

    def add(self, count: int) -> None:
        self._octets += count
        if self._shown and self._octets - self._last >= 262_144:
            self._last = self._octets
            click.echo(f"\r{self._what} {octets(self._octets)} ", err=True, nl=False)

    def done(self) -> None:
        if self._shown and self._last:
            click.echo("\r\x1b[K", err=True, nl=False)
