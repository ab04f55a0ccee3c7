"""Attachments of mail as downloads."""

from __future__ import annotations

from e2a.core.entities import AttachmentInfo

from .routing import Content


def download(info: AttachmentInfo, octets: bytes) -> Content:
    """An attachment, which a browser saves and never shows, whatever it says that it is."""
    headers = {"Content-Security-Policy": "sandbox; default-src 'none'"}
    return Content(octets, "application/octet-stream", info.filename, headers)
