"""API keys and session tokens: ``e2a_`` and 64 hex digits, stored as a hash only.

Both carry 256 random bits, so a plain SHA-256 suffices: there is nothing to guess, and salt or stretching would only
slow the lookup.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from e2a.core import ids

PREFIX = "e2a_"
_FORM = re.compile(r"e2a_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment at which it is known whole.

    :ivar text: the key, to be shown once.
    :ivar prefix: its first 12 characters, by which people recognise it.
    :ivar digest: what is stored.
    """

    text: str
    prefix: str
    digest: bytes


def mint(random: ids.RandomBytes) -> NewKey:
    text = PREFIX + ids.token(random)
    return NewKey(text, text[:12], digest(text))


def well_formed(text: str) -> bool:
    """Whether this could be a key at all; anything else is refused without asking the database."""
    return _FORM.fullmatch(text) is not None


def digest(text: str) -> bytes:
    """SHA-256 of the whole key."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def matches(text: str, stored: bytes) -> bool:
    """Whether ``stored`` is the digest of this key, in constant time."""
    return hmac.compare_digest(digest(text), stored)
