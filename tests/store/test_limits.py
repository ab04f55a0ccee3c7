"""Rate limits and repeatable requests on a real database, under competition."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.python.failure import Failure

from e2a.core.errors import BadRequest, KeyReuse, TooManyRequests
from e2a.core.rules.idempotency import Once, once
from e2a.core.rules.limits import Limit
from e2a.store import idempotency, limits
from tests.support.postgres import ORGANISATION, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

FIVE = Limit("test", 5, 60)


class LimitTests(DatabaseTestCase):
    pool_size = 8

    async def charge(self, whom: str = "ana", limit: Limit = FIVE) -> None:
        await self.db.run("charge", limits.charge, limit, whom)

    async def age(self, seconds: float) -> None:
        """Let time pass for what was counted."""
        await execute(self.db, "UPDATE rate_events SET at = at - %s * interval '1 second'", seconds)

    async def test_exact_under_competition(self) -> None:
        """Of many at one time exactly as many pass as may, whoever is first."""
        wanted = [Deferred.fromCoroutine(self.charge()) for _ in range(40)]
        outcomes = await DeferredList(wanted, consumeErrors=True)
        self.assertEqual(sum(1 for passed, _ in outcomes if passed), 5)
        for passed, failure in outcomes:
            if not passed and isinstance(failure, Failure):
                self.assertTrue(failure.check(TooManyRequests))
                self.assertIn(failure.value.retry_after, (59, 60))

    async def test_window_slides(self) -> None:
        """Each event counts for exactly the window, and the wait is until the oldest leaves it."""
        for _ in range(5):
            await self.charge()
            await self.age(10)
        with self.assertRaises(TooManyRequests) as caught:
            await self.charge()
        self.assertIn(caught.exception.retry_after, (9, 10))
        await self.age(10)
        await self.charge()
        with self.assertRaises(TooManyRequests):
            await self.charge()

    async def test_others(self) -> None:
        """One's events do not count for another, nor for another limit."""
        for _ in range(5):
            await self.charge()
        await self.charge("bo")
        await self.charge("ana", Limit("other", 5, 60))
        await self.charge("x" * 5000)

    async def test_counted_alone(self) -> None:
        """Counting and nothing else is one statement, as exact as the rest, and says what is left."""
        wanted = [Deferred.fromCoroutine(self.db.statement("count", limits.count, FIVE, "ana")) for _ in range(20)]
        outcomes = await DeferredList(wanted, consumeErrors=True)
        passed = [result for success, result in outcomes if success]
        self.assertEqual(sorted(one.remaining for one in passed), [0, 1, 2, 3, 4])
        for one in passed:
            self.assertTrue(55 < one.resets <= 60, one.resets)

    async def test_look(self) -> None:
        """Looking says how one stands and counts nothing; the oldest event is the first that leaves."""
        await self.charge()
        await self.age(40)
        await self.charge()
        other = Limit("other", 1, 60)
        for _ in range(2):
            first, second = await self.db.read("look", limits.look, [(FIVE, "ana"), (other, "ana")])
            self.assertEqual((first.used, first.remaining), (2, 3))
            self.assertTrue(15 < first.resets <= 20, first.resets)
            self.assertEqual((second.used, second.remaining, second.resets), (0, 1, 0.0))

    async def test_rolled_back(self) -> None:
        """What had no effect is not counted."""

        async def work(cur: Any) -> None:
            await limits.charge(cur, FIVE, "ana")
            raise BadRequest

        for _ in range(10):
            with self.assertRaises(BadRequest):
                await self.db.run("charge", work)
        await self.charge()

    async def test_forgotten(self) -> None:
        """Events leave the table when their window is over, or a day later when nobody asks again."""
        for _ in range(5):
            await self.charge()
        await self.age(61)
        await self.charge()
        self.assertEqual([row.n for row in await rows(self.db, "SELECT count(*) AS n FROM rate_events")], [1])
        await self.age(25 * 3600)
        self.assertEqual(await self.db.run("forget", limits.forget_events), 1)


class OnceTests(DatabaseTestCase):
    pool_size = 8

    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db)

    def request(self, key: str = "k", body: bytes = b"1", route: str = "send") -> Once:
        return once(ORGANISATION, route, key, body)

    async def claim(self, request: Once, made: str) -> str | None:
        return await self.db.run("claim", idempotency.claim, request, made)

    async def test_claimed_once(self) -> None:
        """Of many equal claims at one time one is the first, and the others learn what it made."""
        wanted = [Deferred.fromCoroutine(self.claim(self.request(), f"msg_{number}")) for number in range(20)]
        found = await gatherResults(wanted, consumeErrors=True)
        self.assertEqual(found.count(None), 1)
        self.assertEqual({made for made in found if made is not None}, {f"msg_{found.index(None)}"})

    async def test_reuse(self) -> None:
        """Another request under the same key is refused; another operation or key is another matter."""
        await self.claim(self.request(), "msg_1")
        with self.assertRaises(KeyReuse):
            await self.claim(self.request(body=b"2"), "msg_2")
        with self.assertRaises(KeyReuse):
            await self.db.run("find", idempotency.find, self.request(body=b"2"))
        self.assertEqual(await self.db.run("find", idempotency.find, self.request()), "msg_1")
        self.assertIsNone(await self.claim(self.request(route="reply", body=b"2"), "msg_3"))
        self.assertIsNone(await self.claim(self.request("k2", b"2"), "msg_4"))

    async def test_forgotten(self) -> None:
        """After a day a key is free, and an hour later its row is gone."""
        await self.claim(self.request(), "msg_1")
        await execute(self.db, "UPDATE idempotency_keys SET created_at = now() - interval '24 hours'")
        self.assertIsNone(await self.db.run("find", idempotency.find, self.request()))
        self.assertEqual(await self.db.run("forget", idempotency.forget), 0)
        self.assertIsNone(await self.claim(self.request(body=b"2"), "msg_2"))
        await execute(self.db, "UPDATE idempotency_keys SET created_at = now() - interval '26 hours'")
        self.assertEqual(await self.db.run("forget", idempotency.forget), 1)

    def test_keys(self) -> None:
        """A key is 1 to 255 printable ASCII characters, and parts of a request cannot be moved between each other."""
        for key in ("", " ", "k ", "ü", "a\tb", "x" * 256):
            with self.assertRaises(BadRequest) as caught:
                once(ORGANISATION, "send", key)
            self.assertEqual(caught.exception.field, "Idempotency-Key")
        self.assertEqual(len(once(ORGANISATION, "send", "x" * 255).digest), 32)
        self.assertNotEqual(once("o", "r", "k", b"ab", b"c").digest, once("o", "r", "k", b"a", b"bc").digest)
