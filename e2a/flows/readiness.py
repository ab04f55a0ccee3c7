"""Whether this process can do its work now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.logger import Logger

from e2a.store import schema

from .answers import Answers
from .ports import Now, Transactions

#: Seconds for which an answer is kept: the question is public, and each answer costs a transaction.
FRESH = 1.0
#: Seconds without a sign of life after which a worker counts as stuck.
STUCK = 60.0


class Readiness:
    """Asks the parts that work depends on.

    A backlog is not among the questions: a dead webhook endpoint makes one, and must not take the service away from
    everybody else.

    :param listening: whether notifications arrive (``Listener.connected``).
    :param idle: by the name of each worker, how many seconds ago it last showed a sign of life.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        listening: Callable[[], bool],
        idle: Mapping[str, Callable[[], float]],
        *,
        now: Now,
    ) -> None:
        self._database = database
        self._listening = listening
        self._idle = dict(idle)
        self._answers: Answers[dict[str, str]] = Answers(now, FRESH, 1)

    async def failing(self) -> Mapping[str, str]:
        """What is wrong, one phrase by the name of each part; empty when ready. Who asks at the same time shares one
        look.
        """
        return await self._answers.find("failing", self._look) or {}

    async def _look(self) -> dict[str, str]:
        found: dict[str, str] = {}
        try:
            if missing := await self._database.run("readiness", schema.missing):
                found["schema"] = f"{missing} migrations are not applied"
        except Exception as exc:
            # The cause may name hosts and tables.
            self._log.warn("the database is not ready: {error!r}", error=exc)
            found["database"] = "not reachable"
        if not self._listening():
            found["listener"] = "not connected"
        found.update({name: "stuck" for name, seconds in self._idle.items() if seconds() > STUCK})
        return found
