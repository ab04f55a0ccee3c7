"""The trace header that a receiving server adds (RFC 5321 4.4)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from e2a.core.entities import Envelope

_UNPRINTABLE = re.compile(r"[^!-~]")
_UNSAFE_HELO = re.compile(r"[^A-Za-z0-9.:\[\]_-]")


def trace_header(envelope: Envelope, hostname: str, authentication_results: str) -> bytes:
    """``Return-Path``, ``Received`` and ``Authentication-Results``, complete lines, ready to stand above the message.

    :param authentication_results: the field's value (``core.trust.verdict``), without control characters.
    """
    helo = _UNSAFE_HELO.sub("?", envelope.helo)[:255] or "unknown"
    literal = f"IPv6:{envelope.client_ip}" if ":" in envelope.client_ip else envelope.client_ip
    sender = _UNPRINTABLE.sub("?", envelope.mail_from)
    return (
        f"Return-Path: <{sender}>\r\n"
        f"Authentication-Results: {authentication_results}\r\n"
        f"Received: from {helo} ([{literal}])\r\n"
        f"\tby {hostname} with {envelope.protocol} id {envelope.session_id};\r\n"
        f"\t{_date(int(envelope.received_at))}\r\n"
    ).encode("ascii", "replace")


@lru_cache(1)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))
