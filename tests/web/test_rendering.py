"""From values to pages: what is said of times, what text can do, how much room HTML gets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jinja2 import DictLoader
from twisted.trial.unittest import SynchronousTestCase

from e2a.web.dashboard.frames import blank, height, html_frame
from e2a.web.dashboard.rendering import Templates, ago, static_files
from e2a.web.preview import preview

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TURNED = "Invoice \u202egpj.exe"


def rendered(template: str, **values: object) -> str:
    templates = Templates(static_files(), NOW.timestamp)
    templates._environment.loader = DictLoader({"it": template})
    return templates.render("it", values).decode()


class TextTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Nothing that is shown turns text around, whatever passes it on; what a form gets back is as it was."""
        self.assertEqual(rendered("{{ it }}", it=TURNED), "Invoice gpj.exe")
        self.assertEqual(
            rendered("{% macro m(x) %}<b>{{ x }}</b>{% endmacro %}{{ m(it) }}", it=TURNED).count("\u202e"), 0
        )
        self.assertEqual(rendered("{{ [it]|join(', ') }}", it=TURNED), "Invoice gpj.exe")
        self.assertEqual(rendered("{{ it|exact }}", it=TURNED + "<"), TURNED + "&lt;")

    def test_escaped(self) -> None:
        """Everything is escaped, also what is given back exactly."""
        for template in ("{{ it }}", "{{ it|exact }}"):
            self.assertEqual(rendered(template, it="<b>&'\""), "&lt;b&gt;&amp;&#39;&#34;")


class TimeTests(SynchronousTestCase):
    def test_ago(self) -> None:
        """Times near by are told as how long ago or from now, others as the day."""
        for seconds, said in (
            (0, "just now"),
            (59, "just now"),
            (60, "1 min ago"),
            (3_599, "59 min ago"),
            (3_600, "1 h ago"),
            (86_399, "23 h ago"),
            (86_400, "1 day ago"),
            (7 * 86_400 - 1, "6 days ago"),
            (7 * 86_400, "14 Nov 2026"),
            (-1, "in a moment"),
            (-60, "in 1 min"),
            (-90_000, "in 1 day"),
            (-30 * 86_400, "21 Dec 2026"),
        ):
            self.assertEqual(ago(NOW - timedelta(seconds=seconds), NOW.timestamp()), said, seconds)

    def test_shown(self) -> None:
        """A time in a list says how long ago, and the whole time to whoever points at it."""
        found = rendered("{% from macros import at %}{{ at(it) }}", it=NOW, macros=_macros())
        self.assertEqual(
            found, '<time class="ago" datetime="2026-11-21T12:00:00Z" title="21 Nov 2026, 12:00 UTC">just now</time>'
        )


def _macros() -> object:
    templates = Templates(static_files(), NOW.timestamp)
    return templates._environment.get_template("parts.html")


class FrameTests(SynchronousTestCase):
    def test_height(self) -> None:
        """Short HTML gets little room, long HTML much."""
        self.assertEqual(height(preview("<p>Hello</p>")), "low")
        self.assertEqual(height(preview("<p>Hello</p>" * 20)), "")
        self.assertEqual(height(preview("word " * 200)), "")
        self.assertEqual(height(preview("<tr><td>x</td></tr><br>" * 100)), "tall")

    def test_blank(self) -> None:
        """HTML of pictures alone leaves nothing to be seen."""
        self.assertTrue(blank(preview("<img src=x><p>&nbsp; </p><style>p{}</style>")))
        self.assertFalse(blank(preview("<p>x</p>")))

    def test_links(self) -> None:
        """A link says where it leads, and does not lead there."""
        document = html_frame(
            preview('<a href="https://a.test/?x=1&amp;y=&quot;2">here</a> &lt;a href=')
        ).octets.decode()
        self.assertIn('<a title="https://a.test/?x=1&amp;y=&quot;2">here</a> &lt;a href=', document)
        self.assertNotIn("<a href", document)
