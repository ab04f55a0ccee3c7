"""HTML of strangers, made harmless."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.web.preview import LONGEST, MOST_TAGS, preview

EVIL = """
<script>alert(1)</script><style>body{display:none}</style><img src="https://spy.test/x.png">
<p onclick="x()" style="color:#fff;font-size:0">hidden words</p><form action="https://evil.test"><input></form>
<iframe src="https://evil.test"></iframe><meta http-equiv="refresh" content="0;url=https://evil.test">
<svg><script>alert(2)</script></svg><base href="https://evil.test"><link rel="stylesheet" href="https://evil.test/c">
<a href="https://evil.test/pay?a=1&amp;b=2">https://bank.test</a><a href="javascript:alert(3)">x</a>
<a href="https://evil.test/pay?a=1&amp;b=2">again</a>
"""


class PreviewTests(SynchronousTestCase):
    def test_harmless(self) -> None:
        """Nothing that runs, loads, hides or sends is left; the words are."""
        made = preview(EVIL)
        for part in ("<script", "alert", "<style", "style=", "onclick", "<img", "spy.test", "<form", "<input", "<svg"):
            self.assertNotIn(part, made.document)
        for part in ("<iframe", "refresh", "<base", "<link", "javascript:"):
            self.assertNotIn(part, made.document)
        self.assertIn("hidden words", made.document)
        self.assertIn("default-src 'none'", made.document)

    def test_links(self) -> None:
        """Where links really lead is listed, each place once."""
        made = preview(EVIL)
        self.assertEqual(made.links, ("https://evil.test/pay?a=1&b=2",))
        self.assertTrue(made.complete)

    def test_long(self) -> None:
        """Of long or tag-laden HTML a part is looked at, and that is said."""
        self.assertFalse(preview("x" * (LONGEST + 1)).complete)
        self.assertFalse(preview("<b>" * (MOST_TAGS + 1)).complete)
        self.assertFalse(preview("".join(f'<a href="https://x.test/{n}">x</a>' for n in range(200))).complete)
        self.assertTrue(preview("<p>x</p>" * 100).complete)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.sampled_from(["<", ">", "script", "/", '"', "a href=", "javascript:", "x", " ", "<!--", "on="])))
    def test_junk(self, pieces: list[str]) -> None:
        """No scramble of markup leaves a script."""
        self.assertNotRegex(preview("".join(pieces)).document, r"(?i)<\s*script|<[^>]*(=\"?\s*javascript:|\son=)")
