"""``e2a rotate-master-key``: sealing everything under the current deployment secret, beside running daemons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import SettingsError, Unavailable
from ..core.settings import Settings
from ..flows.masterkey import Rotated, Seal, examine, reseal
from ..store import schema
from ..store.database import Database
from .once import on_database
from .options import sealer_of, with_secret


@dataclass(frozen=True, slots=True)
class Rotation:
    """:ivar rotated: what was sealed anew; empty when that was not asked for.
    :ivar seals: what is sealed under which deployment secret, afterwards.
    :ivar error: why nothing could be done or said; ``""`` when all is well.
    """

    rotated: Sequence[Rotated] = ()
    seals: Sequence[Seal] = ()
    error: str = ""

    @property
    def complete(self) -> bool:
        """Whether everything is under the current deployment secret: the former ones may go."""
        return not self.error and all(seal.state == "current" for seal in self.seals)


def run(settings: Settings, *, check: bool) -> Rotation:
    """Runs the reactor, so it works once per process.

    :param check: only look.
    """
    from twisted.internet import reactor

    try:
        settings = with_secret(settings)
        sealer = sealer_of(settings)

        async def work(database: Database) -> Rotation:
            if missing := await database.run("schema", schema.missing):
                return Rotation(
                    error=f"the database lacks {missing} migrations: start this version of the daemon first"
                )
            rotated = [] if check else await reseal(database, sealer)
            return Rotation(rotated, await database.run("examine seals", examine, sealer))

        return on_database(reactor, settings, work)
    except SettingsError as error:
        return Rotation(error="; ".join(error.complaints))
    except Unavailable as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        return Rotation(error=f"the database cannot be reached: {reason}; what was done stays done, run it again")
