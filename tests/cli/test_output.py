"""What people see of text that strangers wrote."""

from __future__ import annotations

from datetime import UTC, datetime

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
