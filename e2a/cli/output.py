"""What people and programs see: results on standard output, hints and progress on standard error."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

# Mail may hold anything: nothing that moves the cursor, changes colours, or reverses the reading order gets through.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = ("Mn", "Me", "Cf")
#: The same, but for what sets bold and colours.
_UNSTYLED = re.compile(r"\x1b(?!\[[0-9;]*m)|" + _CONTROL.pattern.replace("\\x1f", "\\x1a\\x1c-\\x1f"))
#: What JSON has to escape so that a terminal shows it as it is; and lone halves of characters, which no encoding has.
_RISKY = re.compile(_CONTROL.pattern[:-1] + "\u2028\u2029\ud800-\udfff]")
_FRACTION = re.compile(r"\A(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z\Z")
#: Columns that a terminal is asked to spare for a text that may be cut.
_LEAST = 12


def steady_streams() -> None:
    """Let no character end the command where the terminal or the pipe has another encoding than UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def json_text(data: Any, *, indent: int | None = None) -> str:
    """JSON that is read as the same data, and that moves no cursor on its way over a terminal."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
    separators = (",", ":") if indent is None else None
    text = json.dumps(data, ensure_ascii=not encoding.startswith("utf"), indent=indent, separators=separators)
    # Outside of strings JSON has no control characters but line ends, and those are not touched.
    return _RISKY.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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
    :param columns: of the terminal; None where there is none.
    """

    def __init__(self, *, as_json: bool, quiet: bool, colour: bool, columns: int | None = None) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self._colour = colour
        self._columns = columns

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
        click.echo(json_text(data, indent=2))

    def record(self, data: Any) -> None:
        """One object of a stream, on one line, written out at once."""
        click.echo(json_text(data))
        sys.stdout.flush()

    def line(self, text: str = "") -> None:
        """One line of the result, which may be styled."""
        click.echo(_UNSTYLED.sub("\N{REPLACEMENT CHARACTER}", text))

    def show(self, data: Any, *lines: str) -> None:
        """The result: as JSON, or as these lines."""
        if self.as_json:
            self.document(data)
            return
        for text in lines:
            self.line(clean(text))

    def hint(self, text: str) -> None:
        """What may help next; never part of the result."""
        if not self.quiet and not self.as_json:
            click.echo(clean(text), err=True)

    def warning(self, text: str) -> None:
        """Something went wrong and the command goes on."""
        click.echo(clean(text), err=True)

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], *, most: Mapping[str, int]) -> None:
        """Aligned columns, two spaces apart.

        On a terminal the columns of ``most`` are cut so that a row fits, and not at all where there is room; where
        there is too little for them they get a line of their own below the others.

        :param most: the widest that a column may become elsewhere; columns without an entry are never cut.
        """
        cells = [list(headers), *([_cell(text) for text in row] for row in rows)]
        widths = [max(width(text) for text in column) for column in zip(*cells, strict=True)]
        whole = [place for place, name in enumerate(headers) if name not in most]
        elastic = [place for place, name in enumerate(headers) if name in most]
        lines = [list(range(len(headers)))]
        if self._columns is None:
            for place in elastic:
                widths[place] = min(widths[place], max(most[headers[place]], width(headers[place])))
        else:
            room = self._columns - sum(widths[place] + 2 for place in whole) + 2 - 2 * len(elastic)
            if whole and elastic and room < sum(min(widths[place], _LEAST) for place in elastic):
                lines = [whole, elastic]
                room = self._columns - 2 * len(elastic)
            for place, size in zip(elastic, _shared([widths[place] for place in elastic], room), strict=True):
                widths[place] = size
        for index, row in enumerate(cells):
            for number, places in enumerate(lines):
                fitted = [fit(row[place], widths[place]) for place in places]
                padded = [
                    text + " " * (widths[place] - width(text)) for text, place in zip(fitted, places, strict=True)
                ]
                line = "  " * number + "  ".join(padded).rstrip()
                self.line(self.style(line, bold=True) if index == 0 else line)

    def fields(self, *pairs: tuple[str, str]) -> None:
        """Labelled lines, their values aligned."""
        longest = max(len(label) for label, _ in pairs) + 1
        for label, value in pairs:
            self.line(f"{label + ':':<{longest}} {_cell(value)}".rstrip())


def _cell(text: str) -> str:
    """One line; of a time the whole seconds, which are enough for people."""
    return _FRACTION.sub(r"\1Z", one_line(text))


def _shared(wanted: Sequence[int], room: int) -> list[int]:
    """Widths for columns that want these: what there is, with the widest giving way first."""
    left, sizes = max(room, 0), [0] * len(wanted)
    for rank, place in enumerate(sorted(range(len(wanted)), key=lambda place: wanted[place])):
        sizes[place] = max(1, min(wanted[place], left // (len(wanted) - rank)))
        left -= sizes[place]
    return sizes


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
