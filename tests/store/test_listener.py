"""e2a.store.listener on a real server."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from e2a.store.listener import CHANGED, MAIL, Listener
from tests.support.postgres import DatabaseTestCase, sql


class Heard:
    """What an observer heard, and a way to wait for the next of it."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self._next: Deferred[None] = Deferred()

    def __call__(self, payload: str = "") -> None:
        self.payloads.append(payload)
        arrived, self._next = self._next, Deferred()
        arrived.callback(None)

    async def until(self, count: int) -> None:
        while len(self.payloads) < count:
            await self._next


class ListenerTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.listener = Listener(reactor, self.dsn)
        self.mail, self.changed, self.gaps = Heard(), Heard(), Heard()
        self.listener.observe(MAIL, self.mail)
        self.listener.observe(CHANGED, self.changed)
        self.listener.on_gap(self.gaps)
        self.addCleanup(self.listener.stop)
        await self.listener.start()

    async def notify(self, channel: str, *payloads: str) -> None:
        async def work(cur: Any) -> None:
            for payload in payloads:
                await cur.execute("SELECT pg_notify(%s, %s)", (channel, payload))

        await self.db.run("notify", work)

    def kill(self) -> None:
        sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'", self.dsn)

    async def test_delivers_by_channel_in_order(self) -> None:
        """An observer gets each announcement of its channel once, in the order of the commits, and none of another."""
        await self.notify(MAIL, "a 1", "b 2")
        await self.notify(CHANGED, "key k")
        await self.notify(MAIL, "c 3")
        await self.mail.until(3)
        self.assertEqual(self.mail.payloads, ["a 1", "b 2", "c 3"])
        self.assertEqual(self.changed.payloads, ["key k"])
        self.assertEqual(self.gaps.payloads, [])

    async def test_a_failing_observer_does_not_silence_the_others(self) -> None:
        """What one observer raises is logged, and the others still hear."""
        second = Heard()
        self.listener.observe(MAIL, lambda payload: 1 / 0)
        self.listener.observe(MAIL, second)
        await self.notify(MAIL, "a 1")
        await second.until(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_listens_again_after_a_loss_and_says_so(self) -> None:
        """A killed connection comes back by itself, the gap is announced once, and later announcements arrive."""
        self.kill()
        await self.gaps.until(1)
        self.assertTrue(self.listener.connected)
        await self.notify(MAIL, "a 1")
        await self.mail.until(1)
        self.assertEqual(self.mail.payloads, ["a 1"])
        self.assertEqual(len(self.gaps.payloads), 1)

    async def test_stop_while_the_database_is_away(self) -> None:
        """Stopping while it tries to come back ends the attempts at once and leaves nothing behind."""
        name = self.dsn.rpartition("dbname=")[2].split()[0]
        sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        lost: Deferred[None] = Deferred()
        connection = self.listener._connection
        assert connection is not None
        forward = connection.on_lost

        def on_lost(which: Any) -> None:
            assert forward is not None
            forward(which)
            lost.callback(None)

        connection.on_lost = on_lost
        try:
            sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            await lost
            self.assertFalse(self.listener.connected)
            await self.listener.stop()
        finally:
            sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        self.assertEqual(self.gaps.payloads, [])
