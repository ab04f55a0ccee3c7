"""Requests that may be repeated: the ``Idempotency-Key`` header and what ties a key to one request."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from e2a.core.errors import BadRequest

#: The request header, and the response header that marks an answer given before.
HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

_KEY = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?")


@dataclass(frozen=True, slots=True)
class Once:
    """A request that has its effect at most once within 24 hours.

    :ivar route: names the operation; a key means something within one operation only.
    :ivar digest: SHA-256 of everything that makes the request what it is.
    """

    organisation_id: str
    route: str
    key: str
    digest: bytes


def once(organisation_id: str, route: str, key: str, *parts: bytes) -> Once:
    """:param key: the header's value.
    :param parts: everything that makes the request what it is: its path, who asks, its body's digest.
    :raises BadRequest: the key is not 1 to 255 printable ASCII characters.
    """
    if not _KEY.fullmatch(key):
        raise BadRequest(f"{HEADER} must be 1 to 255 printable ASCII characters", field=HEADER)
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return Once(organisation_id, route, key, digest.digest())
