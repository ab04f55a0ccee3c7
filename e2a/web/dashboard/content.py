"""What a page gives that others wrote: parts of mail, as documents of their own or as downloads."""

from __future__ import annotations

from e2a.core.entities import AttachmentInfo

from .routing import Content

#: For a frame of ours: nothing runs, nothing is loaded, nothing is sent, and nobody else may frame it.
_SANDBOX = "sandbox; default-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"


def framed(document: str) -> Content:
    """Harmless HTML (``web.preview``) for an ``<iframe sandbox="">``."""
    headers = {"Content-Security-Policy": _SANDBOX, "X-Frame-Options": "SAMEORIGIN"}
    return Content(document.encode("utf-8", "replace"), "text/html; charset=utf-8", headers=headers)


def download(info: AttachmentInfo, octets: bytes) -> Content:
    """An attachment, which a browser saves and never shows."""
    headers = {"Content-Security-Policy": _SANDBOX}
    return Content(octets, "application/octet-stream", info.filename, headers)
