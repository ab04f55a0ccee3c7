"""What was answered 250 is there, once, whatever dies.

``E2A_FAULT_ROUNDS=200 trial tests.system.test_faults`` kills more often, ``E2A_FAULT_SEED`` repeats a run.
"""

from __future__ import annotations

import os
import random
import signal
import time

from tests.support.daemon import Daemon
from tests.support.pgserver import PostgresServer
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpclient import RetryingSender
from tests.system.case import NO_SERVER, SystemCase, entries

ROUNDS = int(os.environ.get("E2A_FAULT_ROUNDS", "4"))
SEED = int(os.environ.get("E2A_FAULT_SEED", "1"))
SENDER = "ana@sender.test"


class KilledDaemonTests(SystemCase):
    def test_kill(self) -> None:
        """A daemon killed at random points under load loses nothing that it answered 250, and doubles nothing."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agents = (api.agent("one"), api.agent("two"))
        chance = random.Random(SEED)
        sender = RetryingSender(daemon.smtp_port, entries(ROUNDS * 300, SENDER, agents))
        sender.start()
        for number in range(ROUNDS):
            sender.wait_until_accepted(min(sender.accepted + chance.randrange(1, 150), len(sender.ledger) - 1), 120)
            # The wait above ends right after an answer; a little more reaches the moments between two answers.
            time.sleep(chance.random() * 0.02)
            daemon.kill()
            self.assert_stored_once(sender.ledger)
            if number == ROUNDS - 1:
                # Nothing may be running while the last books are compared but the remaining work itself.
                self.assertFalse(all(entry.accepted for entry in sender.ledger), "the load ended before the last kill")
            daemon.start()
        self.assertTrue(sender.wait(240), f"{sender.accepted} of {len(sender.ledger)} accepted")
        self.assertLessEqual(sender.answers(), {250, 421, 451, None})
        self.assert_stored_once(sender.ledger)
        self._check_mailboxes(len(sender.ledger))

    def _check_mailboxes(self, count: int) -> None:
        """Every mailbox has its mail at positions that no two messages share and none is above the next one."""
        rows = sql(
            "SELECT count(*), count(DISTINCT uid), max(uid) < max(uid_next) FROM messages"
            " JOIN mailboxes USING (agent_id) GROUP BY agent_id",
            self.dsn,
        )
        self.assertEqual(rows, [(count, count, True)] * 2)


class LostDatabaseTests(SystemCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        self.server = PostgresServer().start()
        self.addCleanup(self.server.destroy)

    def _interrupt(self, how: signal.Signals) -> None:
        dsn = self.server.create("e2a")
        daemon = self.daemon(dsn=dsn).start()
        api = self.owner(daemon)
        agents = (api.agent("one"), api.agent("two"))
        sender = RetryingSender(daemon.smtp_port, entries(300, SENDER, agents))
        sender.start()
        sender.wait_until_accepted(50, 60)
        self.server.stop(how)
        wait_until(lambda: sender.answers() - {250} != set(), 60, lambda: "nobody noticed")
        self.assertIsNone(daemon.process and daemon.process.poll(), daemon.log()[-2000:])
        self.server.start()
        self.assertTrue(sender.wait(60), f"{sender.accepted} of {len(sender.ledger)} accepted; {sender.answers()}")
        self.assertLessEqual(sender.answers(), {250, 421, 451})
        self.assert_stored_once(sender.ledger, dsn)
        daemon.wait_ready(60)

    def test_restart(self) -> None:
        """While the database restarts senders are told to try again; nothing is lost, doubled or refused for good."""
        self._interrupt(signal.SIGINT)

    def test_crash(self) -> None:
        """The same when the database crashes and has to recover."""
        self._interrupt(signal.SIGQUIT)

    def test_late_database(self) -> None:
        """A daemon started without its database waits for it, not ready, answering SMTP with 421."""
        dsn = self.server.create("e2a")
        self.server.stop()
        daemon: Daemon = self.daemon(dsn=dsn)
        daemon.launch()
        sender = RetryingSender(daemon.smtp_port, entries(1, SENDER, ("nobody@agents.test",)), sessions=1)
        sender.start()
        wait_until(lambda: bool(sender.answers() - {None}), 60, lambda: f"no answer\n{daemon.log()[-2000:]}")
        self.assertEqual(sender.answers() - {None}, {421})
        sender.wait(0)
        self.server.start()
        daemon.wait_ready(60)
