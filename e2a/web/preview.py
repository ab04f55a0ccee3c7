"""HTML mail made fit to be looked at by the one who decides about it.

The result is shown in a frame of its own without scripts, forms, or anything loaded; styles are gone too, so what an
author had hidden is seen. Where links lead is listed, since a link's text can say anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import nh3

#: Characters, and places where a tag may begin, that are looked at: nesting makes the work grow with the square.
LONGEST = 200_000
MOST_TAGS = 10_000
#: Links that are listed.
MOST_LINKS = 100

_TAGS = nh3.ALLOWED_TAGS - {"area", "map", "img"} | {"font"}
_ATTRIBUTES = {"a": {"href"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto", "tel"}
_POLICY = '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'


@dataclass(frozen=True, slots=True)
class Preview:
    """:ivar body: HTML, harmless.
    :ivar links: where its links lead, each once, in order.
    :ivar complete: whether all of the mail's HTML was looked at.
    """

    body: str
    links: tuple[str, ...]
    complete: bool

    @property
    def document(self) -> str:
        """A whole HTML document."""
        return _POLICY + self.body


def preview(html: str) -> Preview:
    """Takes up to a second for hostile nesting, so it belongs into the CPU pool."""
    shown = _first(html)
    links: dict[str, None] = {}

    def noted(tag: str, attribute: str, value: str) -> str:
        if (tag, attribute) == ("a", "href"):
            links.setdefault(value)
        return value

    clean = nh3.clean(
        shown,
        tags=set(_TAGS),
        clean_content_tags={"script", "style", "title"},
        attributes=_ATTRIBUTES,
        attribute_filter=noted,
        url_schemes=_SCHEMES,
        link_rel=None,
    )
    return Preview(clean, tuple(links)[:MOST_LINKS], shown == html and len(links) <= MOST_LINKS)


def _first(html: str) -> str:
    """As much of it as can be looked at."""
    html = html[:LONGEST]
    place = -1
    for _ in range(MOST_TAGS):
        place = html.find("<", place + 1)
        if place < 0:
            return html
    return html[:place]
