"""What people see of text that strangers wrote."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from e2a.cli import output


class Texts(TestCase):
    def test_terminal(self) -> None:
        """No escape sequence, carriage return or change of reading order reaches the terminal."""
        for hostile in ("\x1b[2J", "\x9b31m", "a\rb", "\x07", "\u202e", "\u2067", "\x7f"):
            self.assertNotIn(hostile, output.clean(hostile))
            self.assertNotIn(hostile, output.one_line(hostile))
        self.assertEqual(output.clean("a\r\nb\tc\n"), "a\nb\tc\n")
        self.assertEqual(output.one_line("a\nb\t c"), "a b c")

    @given(st.text())
    def test_one_line(self, text: str) -> None:
        """Whatever the text, it becomes one line."""
        self.assertLessEqual(len(output.one_line(text).splitlines()), 1)

    def test_width(self) -> None:
        """Characters count as the columns that they take."""
        self.assertEqual([output.width(text) for text in ("abc", "日本", "e\u0301", "")], [3, 4, 1, 0])

    @given(st.text(), st.integers(1, 40))
    def test_fit(self, text: str, columns: int) -> None:
        """What was cut fits, says that it was cut, and what fits is left alone."""
        fitted = output.fit(text, columns)
        self.assertLessEqual(output.width(fitted), max(columns, 1))
        self.assertTrue(fitted == text or fitted.endswith("…"))

    def test_line(self) -> None:
        """A line keeps its style, and nothing else that a terminal obeys."""
        out, found = output.Output(as_json=False, quiet=False, colour=True), []
        with mock.patch("click.echo", found.append):
            out.line(out.good("verified") + " \x1b]0;x\x07\x1b[2J\x9b1m\u202e\r")
        gone = "\N{REPLACEMENT CHARACTER}"
        self.assertEqual(found, [f"\x1b[32mverified\x1b[0m {gone}]0;x{gone}{gone}[2J{gone}1m{gone}{gone}"])

    def test_json(self) -> None:
        """JSON holds no character that moves a terminal's cursor, and is read as the same data."""
        hostile = {"a\x9b": "\x1b[2J \x7f \u202e \u2028 \ud800 \N{GRINNING FACE} é\n", "b": [1, None]}
        for indent in (None, 2):
            text = output.json_text(hostile, indent=indent)
            self.assertEqual(json.loads(text), hostile)
            self.assertFalse(set(text.replace("\n", "")) & set("\x1b\x7f\x9b\u202e\u2028\ud800"))
        self.assertIn("\N{GRINNING FACE} é", output.json_text(hostile))

    def test_durations(self) -> None:
        """The two largest units say how long."""
        shown = [output.duration(seconds) for seconds in (0, 8, 250, 7140, 604_799, 86_400)]
        self.assertEqual(shown, ["0s", "8s", "4m 10s", "1h 59m", "6d 23h", "1d 0h"])
        now = datetime(2026, 1, 1, tzinfo=UTC)
        for until, text in (
            ("2026-01-01T01:59:30Z", "in 1h 59m"),
            ("2026-01-01T00:00:00Z", "expired"),
            ("", "—"),
            ("soon", "—"),
        ):
            self.assertEqual(output.remaining(until, now), text)

    def test_octets(self) -> None:
        """Sizes are given in the unit that reads best."""
        self.assertEqual(
            [output.octets(size) for size in (0, 999, 1400, 25_000_000)], ["0 B", "999 B", "1.4 kB", "25.0 MB"]
        )


class Tables(TestCase):
    HEADERS = ("ID", "FROM", "SUBJECT", "TIME")
    ROWS = (
        ("msg_" + "1" * 20, "ana@corp.test", "\u65e5\u672c\u8a9e" * 12, "2026-01-31"),
        (
            "msg_" + "2" * 20,
            "a-very-long-local-part@long-domain.test",
            "e\u0301 \N{GRINNING FACE}",
            "2026-01-31",
        ),
    )
    MOST = {"FROM": 25, "SUBJECT": 30}

    def lines(self, columns: int | None) -> list[str]:
        found: list[str] = []
        out = output.Output(as_json=False, quiet=False, colour=False, columns=columns)
        with mock.patch.object(out, "line", found.append):
            out.table(self.HEADERS, self.ROWS, most=self.MOST)
        return found

    def test_pipe(self) -> None:
        """Without a terminal the widths are the documented ones, whatever the environment."""
        lines = self.lines(None)
        places = {output.width(line[: line.index("2026")]) for line in lines[1:]}
        self.assertEqual(places, {24 + 2 + 25 + 2 + 30 + 2})

    def test_terminal(self) -> None:
        """On a terminal no line is longer than it, columns stand below each other, and nothing is cut without need."""
        for columns in (50, 60, 80, 100, 200):
            lines = self.lines(columns)
            self.assertLessEqual(max(output.width(line) for line in lines), columns)
            self.assertEqual(len(lines), 6 if columns < 70 else 3)
            fields = [line for line in lines if "2026" in line]
            self.assertEqual(len({output.width(line[: line.index("2026")]) for line in fields}), 1)
        self.assertNotIn("…", "".join(self.lines(200)))
        self.assertIn("ana@corp.test", self.lines(80)[1])
