"""e2a.store.database on a real server: each way in which a connection, a caller or a statement can go wrong."""

from __future__ import annotations

from typing import Any

import psycopg2
from psycopg2 import errors
from psycopg2.extensions import TRANSACTION_STATUS_IDLE
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from e2a.core.errors import NotFound, SettingsError, Unavailable
from e2a.store import database
from e2a.store.connection import Target
from e2a.store.database import Blocked, Database, StatementTimeout, Undone
from tests.support.postgres import DatabaseTestCase, ServerTestCase, drop_database, dsn_of, new_database, sql

IDLE = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'e2a'
"""


class Rows(DatabaseTestCase):
    """A table ``t (n)`` with unique values, empty for each test."""

    async def setUp(self) -> None:
        await super().setUp()
        sql("DROP TABLE IF EXISTS t; CREATE TABLE t (n integer UNIQUE)", self.dsn)

    def stored(self) -> list[int]:
        return [row[0] for row in sql("SELECT n FROM t ORDER BY n", self.dsn)]

    async def insert(self, cur: Any, *numbers: int) -> str:
        for number in numbers:
            await cur.execute("INSERT INTO t VALUES (%s)", (number,))
        return "done"

    async def assert_usable(self) -> None:
        """As many transactions as the pool has connections run at once, each on one of its own, and commit."""
        arrived: list[int] = []
        together: Deferred[None] = Deferred()

        async def work(cur: Any) -> int:
            await cur.execute("SELECT pg_backend_pid() AS pid")
            arrived.append(cur.fetchone().pid)
            if len(arrived) == self.pool_size:
                together.callback(None)
            while not together.called:
                await _turn()
            return 1

        runs = [Deferred.fromCoroutine(self.db.run("probe", work)) for _ in range(self.pool_size)]
        self.assertEqual(await gatherResults(runs, consumeErrors=True), [1] * self.pool_size)
        self.assertEqual(len(set(arrived)), self.pool_size)
        self.assertEqual(set(arrived), {connection.info.backend_pid for connection in self.db._open})


class TransactionTests(Rows):
    async def test_commits_what_a_coroutine_did(self) -> None:
        """The transaction of an async function is committed after its last statement, and its result handed back."""
        self.assertEqual(await self.db.run("insert", self.insert, 1, 2), "done")
        self.assertEqual(self.stored(), [1, 2])

    async def test_rolls_back_and_keeps_the_error(self) -> None:
        """A statement's own error reaches the caller with its type, and nothing of the transaction stays."""
        with self.assertRaises(errors.UniqueViolation):
            await self.db.run("insert", self.insert, 1, 2, 1)
        self.assertEqual(self.stored(), [])
        await self.assert_usable()

    async def test_rolls_back_on_any_exception(self) -> None:
        """What the work itself raises rolls back too."""

        async def work(cur: Any) -> None:
            await self.insert(cur, 1)
            raise LookupError("no")

        with self.assertRaises(LookupError):
            await self.db.run("insert", work)
        self.assertEqual(self.stored(), [])

    async def test_a_swallowed_error_is_not_success(self) -> None:
        """Work that swallows a statement's error is not told that its transaction was committed."""

        async def work(cur: Any) -> None:
            await self.insert(cur, 1)
            try:
                await cur.execute("SELECT 1/0")
            except errors.DivisionByZero:
                pass

        with self.assertRaises(Unavailable):
            await self.db.run("insert", work)
        self.assertEqual(self.stored(), [])

    async def test_later(self) -> None:
        """What is to run later runs in its place: before the next statement, or with the commit."""

        async def work(cur: Any) -> int:
            await cur.later_prepared("test_insert", "integer", "INSERT INTO t VALUES ($1)", (1,))
            cur.later("INSERT INTO t VALUES (%s + length(%s))", (1, "%s"))
            await cur.execute("SELECT count(*) AS n FROM t WHERE %s > 0", (1,))
            await cur.later_prepared("test_insert", "integer", "INSERT INTO t VALUES ($1)", (4,))
            return int(cur.fetchone().n)

        self.assertEqual(await self.db.run("later", work), 2)
        self.assertEqual(self.stored(), [1, 3, 4])

    async def test_only_later(self) -> None:
        """Work that leaves all to the commit is committed."""

        async def work(cur: Any) -> None:
            cur.later("INSERT INTO t VALUES (1)")

        await self.db.run("later", work)
        self.assertEqual(self.stored(), [1])

    async def test_later_fails(self) -> None:
        """A later statement that fails at the commit fails the transaction with its own error, and nothing stays."""

        async def work(cur: Any) -> None:
            await self.insert(cur, 1, 2)
            cur.later("INSERT INTO t VALUES (1)")
            cur.later("INSERT INTO t VALUES (3)")

        async def raising(cur: Any) -> None:
            await self.insert(cur, 1)
            cur.later("INSERT INTO t VALUES (2)")
            raise LookupError("no")

        with self.assertRaises(errors.UniqueViolation):
            await self.db.run("later", work)
        with self.assertRaises(LookupError):
            await self.db.run("later", raising)
        self.assertEqual(self.stored(), [])
        await self.assert_usable()

    async def test_read(self) -> None:
        """Reading takes no transaction, and an error in it leaves the connection usable."""

        async def work(cur: Any, number: int) -> tuple[int, int]:
            await cur.execute("SELECT 10 / %s AS n", (number,))
            return cur.fetchone().n, cur.connection.get_transaction_status()

        self.assertEqual(await self.db.read("read", work, 2), (5, TRANSACTION_STATUS_IDLE))
        with self.assertRaises(errors.DivisionByZero):
            await self.db.read("read", work, 0)
        await self.assert_usable()

    async def test_no_statement_no_transaction(self) -> None:
        """Work that asks the database nothing costs no round trip and leaves the connection usable."""

        async def work(cur: Any) -> int:
            return 7

        self.assertEqual(await self.db.run("nothing", work), 7)
        await self.assert_usable()

    async def test_nul_is_an_error_of_its_statement(self) -> None:
        """Text with NUL raises, and the connection stays usable."""

        async def work(cur: Any) -> None:
            await cur.execute("SELECT %s", ("a\0b",))

        with self.assertRaises(ValueError):
            await self.db.run("nul", work)
        await self.assert_usable()

    async def test_a_forgotten_statement_cannot_leak(self) -> None:
        """Work that returns while its statement still runs loses the connection, not the next transaction's sanity."""

        async def work(cur: Any) -> None:
            cur.execute("SELECT pg_sleep(10)").addErrback(lambda failure: None)
            raise LookupError("left early")

        with self.assertRaises(LookupError):
            await self.db.run("forgotten", work)
        await self.assert_usable()

    async def test_snapshot(self) -> None:
        """A snapshot sees one moment throughout and cannot write."""

        async def work(cur: Any) -> tuple[int, int]:
            await cur.execute("SELECT count(*) FROM t")
            before = cur.fetchone()[0]
            sql("INSERT INTO t VALUES (5)", self.dsn)
            await cur.execute("SELECT count(*) FROM t")
            return before, cur.fetchone()[0]

        self.assertEqual(await self.db.snapshot("count", work), (0, 0))
        with self.assertRaises(Unavailable):
            await self.db.snapshot("write", self.insert, 1)

    async def test_statement(self) -> None:
        """One statement alone is committed or nothing; a second one is refused, and the connection serves on."""
        await self.db.statement("insert", self.insert, 1)
        with self.assertRaises(psycopg2.IntegrityError):
            await self.db.statement("again", self.insert, 1)

        async def two(cur: Any) -> None:
            await self.insert(cur, 2)
            await self.insert(cur, 3)

        with self.assertRaises(RuntimeError):
            await self.db.statement("two", two)
        await self.assert_usable()
        self.assertEqual(self.stored(), [1, 2])

    async def test_session(self) -> None:
        """Each connection speaks UTC and UTF-8, has time limits and its name."""

        async def work(cur: Any) -> Any:
            await cur.execute(
                "SELECT current_setting('timezone') AS zone, current_setting('client_encoding') AS encoding,"
                " current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,"
                " current_setting('application_name') AS name"
            )
            return cur.fetchone()

        self.assertEqual(tuple(await self.db.run("settings", work)), ("UTC", "UTF8", "30s", "10s", "e2a"))


class CancellationTests(Rows):
    async def test_hanging_up_never_stops_a_transaction(self) -> None:
        """A caller who leaves gets CancelledError at once; the transaction is committed whole and nothing is logged."""
        finished: Deferred[None] = Deferred()

        async def work(cur: Any) -> None:
            # An answer can be there at once, before the caller below has its name.
            await _turn()
            await self.insert(cur, 1)
            caller.cancel()
            await cur.execute("SELECT pg_sleep(0.01)")
            await self.insert(cur, 2)
            reactor.callLater(0, finished.callback, None)

        caller = Deferred.fromCoroutine(self.db.run("insert", work))
        with self.assertRaises(CancelledError):
            await caller
        await finished
        await self.assert_usable()
        self.assertEqual(self.stored(), [1, 2])

    async def logged_for_nobody(self, error: Exception) -> int:
        """How many errors are logged when a transaction fails that nobody waits for any more."""

        async def work(cur: Any) -> None:
            await _turn()
            caller.cancel()
            await cur.execute("SELECT 1")
            raise error

        caller = Deferred.fromCoroutine(self.db.run("fail", work))
        with self.assertRaises(CancelledError):
            await caller
        # Returns when the transaction has ended; a turn later everybody has heard of it.
        await self.db.stop()
        await _turn()
        return len(self.flushLoggedErrors())

    async def test_a_refusal_that_nobody_hears(self) -> None:
        """What a caller who left would have been told is nothing for the log."""
        self.assertEqual(await self.logged_for_nobody(NotFound()), 0)

    async def test_a_mistake_that_nobody_hears(self) -> None:
        """A mistake is logged, whether anybody waits or not."""
        self.assertEqual(await self.logged_for_nobody(ZeroDivisionError()), 1)

    async def test_hanging_up_in_the_queue_leaves_the_queue(self) -> None:
        """Who leaves before a connection was free has done nothing, and the next in the queue is served."""
        go: Deferred[None] = Deferred()

        async def hold(cur: Any) -> None:
            await cur.execute("SELECT 1")
            await go

        holders = [Deferred.fromCoroutine(self.db.run("hold", hold)) for _ in range(self.pool_size)]
        leaver = Deferred.fromCoroutine(self.db.run("leave", self.insert, 1))
        stayer = Deferred.fromCoroutine(self.db.run("stay", self.insert, 2))
        leaver.cancel()
        with self.assertRaises(CancelledError):
            await leaver
        go.callback(None)
        await gatherResults([*holders, stayer])
        self.assertEqual(self.stored(), [2])
        await self.assert_usable()

    async def test_the_queue_has_a_time_limit(self) -> None:
        """Who finds no free connection in the time allowed is told Unavailable."""
        self.patch(database, "WAIT_SECONDS", 0.02)
        go: Deferred[None] = Deferred()

        async def hold(cur: Any) -> None:
            await go

        holders = [Deferred.fromCoroutine(self.db.run("hold", hold)) for _ in range(self.pool_size)]
        with self.assertRaises(Unavailable):
            await self.db.run("wait", self.insert, 1)
        go.callback(None)
        await gatherResults(holders)
        await self.assert_usable()


class TimeLimitTests(Rows):
    async def test_statement_timeout(self) -> None:
        """A statement over its time limit is StatementTimeout, a kind of Unavailable; the connection stays usable."""

        async def work(cur: Any) -> None:
            await cur.execute("SET LOCAL statement_timeout = 20")
            await cur.execute("SELECT pg_sleep(10)")

        with self.assertRaises(StatementTimeout):
            await self.db.run("slow", work)
        self.assertTrue(issubclass(StatementTimeout, Unavailable))
        await self.assert_usable()

    async def test_lock_timeout(self) -> None:
        """Who cannot get a lock in time is told so, by a kind of Unavailable that says that nothing was done."""

        async def second(cur: Any) -> None:
            await cur.execute("SET LOCAL lock_timeout = 20")
            await cur.execute("LOCK TABLE t")

        async def first(cur: Any) -> None:
            await cur.execute("LOCK TABLE t")
            with self.assertRaises(Blocked):
                await self.db.run("second", second)

        await self.db.run("first", first)
        self.assertTrue(issubclass(Blocked, Undone) and issubclass(Undone, Unavailable))
        await self.assert_usable()


class LossTests(Rows):
    def kill(self) -> None:
        """End every backend of the pool."""
        sql(f"SELECT pg_terminate_backend(pid) FROM ({IDLE}) AS pool", self.dsn)

    async def test_killed_while_idle(self) -> None:
        """Idle connections that die are replaced, and nothing is logged as an error."""
        dead = set(self.db._open)
        self.kill()
        while dead & self.db._open:
            await _turn()
        await self.assert_usable()

    async def test_killed_before_anyone_noticed(self) -> None:
        """Calls made right after all backends were killed either run or are Unavailable; afterwards all is well."""
        self.kill()
        runs = [Deferred.fromCoroutine(self.db.run("insert", self.insert, number)) for number in range(6)]
        outcomes = [await run.addErrback(lambda failure: failure.trap(Unavailable)) for run in runs]
        kept = [number for number, outcome in enumerate(outcomes) if outcome == "done"]
        self.assertEqual(self.stored(), kept)
        await self.assert_usable()

    async def test_killed_inside_a_transaction(self) -> None:
        """A connection killed between two statements is Unavailable, nothing stays, nothing is logged."""

        async def work(cur: Any) -> None:
            await self.insert(cur, 1)
            sql(f"SELECT pg_terminate_backend({cur.connection.info.backend_pid})")
            await self.insert(cur, 2)

        with self.assertRaises(Unavailable):
            await self.db.run("killed", work)
        await self.assert_usable()
        self.assertEqual(self.stored(), [])

    async def test_killed_inside_a_statement(self) -> None:
        """A connection killed while its statement runs is Unavailable, and nothing is logged."""

        async def work(cur: Any) -> None:
            await cur.execute("SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)")

        with self.assertRaises(Unavailable):
            await self.db.run("killed", work)
        await self.assert_usable()

    async def test_killed_at_commit(self) -> None:
        """A commit whose answer never came is Unavailable, never success."""
        sql(
            """
            CREATE OR REPLACE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER end_me AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION end_me();
            """,
            self.dsn,
        )
        with self.assertRaises(Unavailable):
            await self.db.run("killed", self.insert, 1)
        await self.assert_usable()

    async def test_waits_for_the_database_to_come_back(self) -> None:
        """A call made while no connection can be had waits, and runs as soon as the database is there again."""
        name = sql("SELECT current_database()", self.dsn)[0][0]
        sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        while self.db.connected:
            await _turn()
        run = Deferred.fromCoroutine(self.db.run("insert", self.insert, 1))
        sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        self.assertEqual(await run, "done")
        await self.assert_usable()


class LifeTests(ServerTestCase):
    def setUp(self) -> None:
        super().setUp()
        name = new_database()
        self.addCleanup(drop_database, name)
        self.dsn = dsn_of(name)

    async def test_start_without_a_server(self) -> None:
        """Starting without a server is Unavailable with the cause kept, and leaves nothing behind."""
        db = Database(reactor, f"host={self.mktemp()} dbname=x")
        with self.assertRaises(Unavailable) as caught:
            await db.start()
        self.assertIsNotNone(caught.exception.__cause__)
        with self.assertRaises(Unavailable):
            await db.run("nothing", lambda cur: cur.execute("SELECT 1"))

    async def test_stop_lets_running_transactions_finish(self) -> None:
        """Stopping waits for the transaction that runs, and refuses what comes later."""
        db = Database(reactor, self.dsn, size=2)
        await db.start()
        order: list[str] = []

        async def work(cur: Any) -> None:
            await cur.execute("CREATE TABLE kept (); SELECT pg_sleep(0.02)")
            order.append("worked")

        run = Deferred.fromCoroutine(db.run("work", work))
        stopping = Deferred.fromCoroutine(db.stop()).addCallback(lambda _: order.append("stopped"))
        with self.assertRaises(Unavailable):
            await db.run("late", work)
        await run
        await stopping
        self.assertEqual(order, ["worked", "stopped"])
        self.assertEqual(sql("SELECT to_regclass('kept') IS NOT NULL", self.dsn), [(True,)])

    async def test_stop_gives_up_on_a_stuck_transaction(self) -> None:
        """A transaction that does not end in the time allowed is cut off: Unavailable, rolled back."""
        self.patch(database, "DRAIN_SECONDS", 0.02)
        db = Database(reactor, self.dsn, size=1)
        await db.start()

        async def work(cur: Any) -> None:
            await cur.execute("CREATE TABLE lost (); SELECT pg_sleep(10)")

        run = Deferred.fromCoroutine(db.run("stuck", work))
        await db.stop()
        with self.assertRaises(Unavailable):
            await run
        self.assertEqual(sql("SELECT to_regclass('lost') IS NULL", self.dsn), [(True,)])

    async def test_stop_leaves_no_connection(self) -> None:
        """After stopping, the server has no session of the pool's left, also when connections were lost meanwhile."""
        db = Database(reactor, self.dsn, size=2)
        await db.start()
        sql(f"SELECT pg_terminate_backend(pid) FROM ({IDLE} LIMIT 1) AS one", self.dsn)
        before = set(db._open)
        while before <= db._open:
            await _turn()
        await db.stop()
        while sql(IDLE, self.dsn):
            await _turn()
        self.assertFalse(db.connected)

    async def test_metrics(self) -> None:
        """Each transaction's time is observed under its name."""
        seen: list[tuple[str, dict[str, str]]] = []

        class Metrics:
            def count(self, name: str, amount: int = 1, **labels: str) -> None:
                seen.append((name, labels))

            def observe(self, name: str, seconds: float, **labels: str) -> None:
                seen.append((name, labels))

        db = Database(reactor, self.dsn, size=1, metrics=Metrics())
        await db.start()
        self.addCleanup(db.stop)
        await db.run("probe", lambda cur: cur.execute("SELECT 1"))
        self.assertEqual(seen, [("database_transaction_seconds", {"transaction": "probe"})])


class TargetTests(ServerTestCase):
    def test_a_bad_dsn_is_refused_without_being_quoted(self) -> None:
        """What is neither a URL nor a connection string is a configuration fault, and the text does not leak."""
        for dsn in ("postgresql://u:hunter2@h/x?nonsense=1", "hunter2", "host=h pass word=hunter2"):
            with self.assertRaises(SettingsError) as caught:
                Database(reactor, dsn)
            self.assertNotIn("hunter2", str(caught.exception))
            self.assertIsNone(caught.exception.__cause__)

    async def test_names_are_looked_up_off_the_reactor(self) -> None:
        """A host name reaches libpq with its addresses and ports beside it, so that libpq never looks it up."""
        target = Target(reactor, "postgresql://u@db.test:5433,127.0.0.9:5434/x")

        async def addresses(name: str) -> list[str]:
            return {"db.test": ["192.0.2.1", "2001:db8::1"]}[name]

        self.patch(target, "_addresses", addresses)
        parameters = await target._resolved()
        self.assertEqual(parameters["host"], "db.test,db.test,127.0.0.9")
        self.assertEqual(parameters["hostaddr"], "192.0.2.1,2001:db8::1,127.0.0.9")
        self.assertEqual(parameters["port"], "5433,5433,5434")

    async def test_the_system_is_asked(self) -> None:
        """``localhost`` is found through the system's own resolver."""
        self.assertTrue({"127.0.0.1", "::1"} & set(await Target(reactor, "host=localhost")._addresses("localhost")))

    async def test_sockets_and_addresses_need_no_lookup(self) -> None:
        """A socket directory, an address, or a given hostaddr is left as it is."""
        for dsn in ("host=/run/postgresql", "host=127.0.0.1", "dbname=x", "host=db.test hostaddr=192.0.2.1"):
            parameters = await Target(reactor, dsn)._resolved()
            self.assertEqual(parameters.get("hostaddr"), "192.0.2.1" if "hostaddr" in dsn else None)


def _turn() -> Deferred[None]:
    """One turn of the reactor."""
    turned: Deferred[None] = Deferred()
    reactor.callLater(0, turned.callback, None)
    return turned
