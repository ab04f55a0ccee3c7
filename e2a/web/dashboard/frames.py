"""The HTML of mail as a document of its own, shown in a frame that can do nothing."""

from __future__ import annotations

import base64
import hashlib
import re

from e2a.web.preview import Preview

from .routing import Content

_STYLE = (
    "body{margin:1em;font:15px/1.5 system-ui,sans-serif;color:#1c1f23;background:#fff;overflow-wrap:anywhere}"
    "table{border-collapse:collapse}td,th{padding:.2em .5em;vertical-align:top}pre{white-space:pre-wrap}"
    "blockquote{margin:.5em 0;padding-left:1em;border-left:3px solid #ccc}"
    "a{color:#1d56b8;text-decoration:underline;cursor:help}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"sandbox; default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}

#: As the sanitiser writes it.
_LINK = re.compile("<a href=")
#: Tags that begin a line.
_LINES = re.compile(r"<(?:p|br|tr|li|div|h[1-6]|hr|blockquote|pre)\b")
_TAGS = re.compile(r"<[^>]*>")
_LINE = 80


def html_frame(made: Preview) -> Content:
    """What an ``<iframe sandbox="" class="html">`` of a page shows. Its links say where they lead, and do not lead."""
    body = _LINK.sub("<a title=", made.body)
    document = f'<!DOCTYPE html><meta charset="utf-8"><title>HTML of a message</title><style>{_STYLE}</style>{body}'
    return Content(document.encode("utf-8", "replace"), "text/html; charset=utf-8", headers=_HEADERS)


def blank(made: Preview) -> bool:
    """Whether nothing is left to be seen."""
    return not _TAGS.sub("", made.body).replace("&nbsp;", "").strip()


def height(made: Preview) -> str:
    """How much room it gets: ``low``, ``tall``, or "" between them. A frame that can do nothing cannot tell its height,
    and a page must not jump when it is known.
    """
    lines = len(_LINES.findall(made.body)) + len(_TAGS.sub("", made.body)) // _LINE
    return "low" if lines <= 6 else "tall" if lines > 50 else ""
