"""Which secrets a receiver holds, and whether a webhook was signed with one of them."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.trust import webhooksignature

#: One secret, or several during a rotation.
Secrets = str | Sequence[str]

_warned = False


def secrets_from(secret: Secrets | None) -> tuple[str, ...]:
    """The secrets to try: the given ones, else those of ``E2A_WEBHOOK_SECRET``, which may hold several, separated by
    commas or spaces. ``E2A_HMAC_SECRET`` is an older name of that variable.

    :raises ValueError: there is none, which must never look like a failed check.
    """
    global _warned
    if secret is None:
        text = os.environ.get("E2A_WEBHOOK_SECRET", "")
        if not text.strip():
            text = os.environ.get("E2A_HMAC_SECRET", "")
            if text.strip() and not _warned:
                _warned = True
                warnings.warn(
                    "E2A_HMAC_SECRET is the old name: set E2A_WEBHOOK_SECRET", DeprecationWarning, stacklevel=4
                )
        secret = re.split(r"[,\s]+", text)
    found = tuple(one for one in ((secret,) if isinstance(secret, str) else secret) if one)
    if not found:
        raise ValueError("a signing secret is needed: pass secret, or set E2A_WEBHOOK_SECRET")
    return found


def body_is_signed(body: bytes, headers: Mapping[str, Any], secrets: Sequence[str]) -> bool:
    """Whether the Standard Webhooks headers vouch for exactly this body, now."""
    presented = {str(name): value for name, value in headers.items() if isinstance(value, str)}
    return webhooksignature.verify(presented, body, secrets, time.time())
