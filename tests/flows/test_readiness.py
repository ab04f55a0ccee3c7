"""What is asked before the service calls itself ready."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.errors import Unavailable
from e2a.flows.readiness import FRESH, STUCK, Readiness


class ScriptedDatabase:
    """Answers how many migrations are missing."""

    def __init__(self) -> None:
        self.missing = 0
        self.away = False
        self.asked = 0

    async def run(self, name: str, work: Any, *args: Any) -> Any:
        self.asked += 1
        if self.away:
            raise Unavailable("10.1.2.3 refused")
        return self.missing


class ReadinessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.database = ScriptedDatabase()
        self.listening = True
        self.idle = 0.0
        workers = {"deliveries": lambda: self.idle}
        self.readiness = Readiness(self.database, lambda: self.listening, workers, now=self.clock.seconds)

    def failing(self) -> Any:
        self.clock.advance(FRESH)
        return self.successResultOf(self.readiness.failing())

    def test_ready(self) -> None:
        """Nothing fails when everything works."""
        self.assertEqual(self.failing(), {})

    def test_database(self) -> None:
        """A database that is away is named, its address is not."""
        self.database.away = True
        self.assertEqual(self.failing(), {"database": "not reachable"})

    def test_schema(self) -> None:
        """A database that lacks migrations is not ready."""
        self.database.missing = 2
        self.assertEqual(list(self.failing()), ["schema"])

    def test_listener(self) -> None:
        """Without notifications live sockets would fall silent."""
        self.listening = False
        self.assertEqual(self.failing(), {"listener": "not connected"})

    def test_worker(self) -> None:
        """A worker without a sign of life is stuck."""
        self.idle = STUCK + 1
        self.assertEqual(self.failing(), {"deliveries": "stuck"})

    def test_cost(self) -> None:
        """However often it is asked, the database is asked once in a while only, and a change shows soon after."""
        self.failing()
        for _ in range(50):
            self.successResultOf(self.readiness.failing())
        self.assertEqual(self.database.asked, 1)
        self.database.away = True
        self.assertEqual(list(self.failing()), ["database"])

    def test_one_look(self) -> None:
        """However many ask while the database takes its time, it is asked once."""
        answer: Deferred[int] = Deferred()

        async def slow(name: str, work: Any, *args: Any) -> Any:
            self.database.asked += 1
            return await answer

        self.patch(self.database, "run", slow)
        asking = [Deferred.fromCoroutine(self.readiness.failing()) for _ in range(50)]
        asking[0].cancel()
        self.failureResultOf(asking[0], CancelledError)
        answer.callback(0)
        self.assertEqual([self.successResultOf(each) for each in asking[1:]], [{}] * 49)
        self.assertEqual(self.database.asked, 1)
