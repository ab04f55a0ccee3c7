"""Telling every process that something it may have cached has changed; sent when the transaction commits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from .rows import Cursor

#: What a change is about, and by which id: a key's, an agent's (its address), a domain's name, the organisation whose
#: signing secrets changed, the hex digest of a session's token, the id of a message on its way out.
Kind = Literal["key", "agent", "domain", "secret", "session", "outbound"]

_TELL = "SELECT pg_notify('e2a_changed', $1 || ' ' || id) FROM unnest($2) AS id"


async def tell(cur: Cursor, kind: Kind, ids: Iterable[str]) -> None:
    """Announce on ``e2a_changed``, as ``kind id``, that these rows changed or went."""
    await cur.later_prepared("tell", "text, text[]", _TELL, (kind, list(ids)))
