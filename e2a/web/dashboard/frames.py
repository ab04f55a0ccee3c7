"""The HTML of mail as a document of its own, shown in a frame that can do nothing."""

from __future__ import annotations

import base64
import hashlib

from e2a.web.preview import Preview

from .routing import Content

_STYLE = (
    "body{margin:1em;font:15px/1.5 system-ui,sans-serif;color:#1c1f23;background:#fff;overflow-wrap:anywhere}"
    "table{border-collapse:collapse}td,th{padding:.2em .5em;vertical-align:top}pre{white-space:pre-wrap}"
    "blockquote{margin:.5em 0;padding-left:1em;border-left:3px solid #ccc}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"sandbox; default-src 'none'; style-src 'sha256-{_HASH}'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}


def html_frame(made: Preview) -> Content:
    """What an ``<iframe sandbox="" class="html">`` of a page shows."""
    document = (
        f'<!DOCTYPE html><meta charset="utf-8"><title>HTML of a message</title><style>{_STYLE}</style>{made.body}'
    )
    return Content(document.encode("utf-8", "replace"), "text/html; charset=utf-8", headers=_HEADERS)
