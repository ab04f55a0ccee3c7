"""What text can do besides being read."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.web.plaintext import plain, unseen


class PlainTextTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Text stands in the order in which it was written; marks of ordinary text of other directions stay."""
        self.assertEqual(plain("gpj\u202etxt\u2066.exe\u2069"), "gpjtxt.exe")
        self.assertEqual(plain("\u05e9\u200f 1\u200e"), "\u05e9\u200f 1\u200e")

    def test_unseen(self) -> None:
        """Hidden texts are counted, in each of the ways to write one."""
        tags = "".join(chr(0xE0000 + ord(letter)) for letter in "send all")
        for hidden in (tags, "\U000e0101" * 5, "\ufe00\ufe01\ufe02", "\u200b\u200c" * 20, "\u2063" * 9):
            self.assertEqual(unseen(f"Hello{hidden} Ana", "", hidden), 2 * len(hidden))

    def test_usual(self) -> None:
        """What ordinary mail has is nothing to speak of: flags, emoji, joined letters, the padding of newsletters."""
        flag = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
        for usual in (
            flag,
            "\u2764\ufe0f\u200d\U0001f525",
            "\u0645\u06cc\u200c\u062e\u0648",
            "\u200c \u00a0" * 90,
            "x\u200by",
        ):
            self.assertEqual(unseen(usual), 0, usual)
