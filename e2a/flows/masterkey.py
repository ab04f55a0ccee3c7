"""Changing the deployment secret: what is still sealed under a former one, and sealing it anew.

Everything works beside running daemons: a batch is a short transaction, and whoever knows both deployment secrets reads
a value before and after. What was done stays done when it is interrupted; running it again goes on with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from e2a.core.trust.sealing import Sealer, SealingError, UnknownKey
from e2a.store import sealed as store
from e2a.store.rows import Cursor
from e2a.store.sealed import SealedTable

from .ports import Transactions

#: Values that one transaction seals anew.
BATCH = 200

State = Literal["current", "old", "unknown"]


@dataclass(frozen=True, slots=True)
class Seal:
    """What is sealed under one deployment secret.

    :ivar what: which values, as ``signing secrets``.
    :ivar state: ``current``, ``old`` (it opens), or ``unknown``: none of the configured deployment secrets opens it.
    :ivar count: how many values; 0 when they were not counted.
    """

    what: str
    state: State
    count: int = 0


@dataclass(frozen=True, slots=True)
class Rotated:
    """:ivar what: which values.
    :ivar resealed: how many are now under the current deployment secret and were not.
    :ivar damaged: the ids of those that do not open although their deployment secret is known.
    """

    what: str
    resealed: int = 0
    damaged: tuple[str, ...] = ()


async def seals(cur: Cursor, sealer: Sealer) -> list[Seal]:
    """Which deployment secrets are in use, without counting."""
    return [
        Seal(table.what, _state(sealer, seal_id))
        for table in store.TABLES
        for seal_id in await store.seal_ids(cur, table)
    ]


async def require_readable(cur: Cursor, sealer: Sealer) -> bool:
    """Make sure that everything sealed can be opened; answers whether some of it is under a former secret.

    :raises UnknownKey: a deployment secret is missing that something is still sealed under.
    """
    found = await seals(cur, sealer)
    for seal in found:
        if seal.state == "unknown":
            raise UnknownKey(f"{seal.what} are sealed under a deployment secret that is not configured")
    return any(seal.state == "old" for seal in found)


async def examine(cur: Cursor, sealer: Sealer) -> list[Seal]:
    """Which deployment secrets are in use and for how much."""
    return [
        Seal(table.what, _state(sealer, seal_id), await store.count_sealed(cur, table, seal_id))
        for table in store.TABLES
        for seal_id in await store.seal_ids(cur, table)
    ]


def _state(sealer: Sealer, seal_id: bytes) -> State:
    if seal_id not in sealer.known_ids:
        return "unknown"
    return "current" if seal_id == sealer.current_id else "old"


async def reseal(database: Transactions, sealer: Sealer, batch: int = BATCH) -> list[Rotated]:
    """Seal everything under the current deployment secret that one of the old ones opens.

    :raises Unavailable: the database went away; what was done stays done.
    """
    return [await _reseal_table(database, sealer, table, batch) for table in store.TABLES]


async def _reseal_table(database: Transactions, sealer: Sealer, table: SealedTable, batch: int) -> Rotated:
    resealed = 0
    damaged: list[str] = []
    for seal_id in sealer.known_ids[1:]:
        after: Sequence[Any] | None = None
        while True:
            done, failed, after = await database.run("reseal", _reseal_batch, sealer, table, seal_id, after, batch)
            resealed += done
            damaged += failed
            if after is None:
                break
    return Rotated(table.what, resealed, tuple(damaged))


async def _reseal_batch(
    cur: Cursor, sealer: Sealer, table: SealedTable, seal_id: bytes, after: Sequence[Any] | None, batch: int
) -> tuple[int, list[str], Sequence[Any] | None]:
    """How many were sealed anew, which cannot be, and the last key; None after the last batch."""
    values = await store.lock_sealed(cur, table, seal_id, after, batch)
    failed: list[str] = []
    for value in values:
        try:
            text = sealer.open(value.row_id, value.sealed)
        except SealingError:
            failed.append(value.row_id)
        else:
            await store.replace_sealed(cur, table, value.key, sealer.seal(value.row_id, text))
    return len(values) - len(failed), failed, values[-1].key if len(values) == batch else None
