"""Export and deletion with everything real: a big mailbox, a slow client, a socket that is open, mail that comes."""

from __future__ import annotations

import base64
import io
import json
import time
import zipfile
from pathlib import Path

import httpx

from tests.support.daemon import Api, Daemon
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpclient import send
from tests.system.case import SystemCase, mail

BOT = "bot@agents.test"
#: Messages of the big mailbox, and octets of each.
MESSAGES, OCTETS = 1000, 40_000


class RightsTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.one = self.daemon().start()
        self.api = self.user(self.one)
        self.api.agent("bot")

    def user(self, daemon: Daemon) -> Api:
        """An owner who is not the operator."""
        daemon.bootstrap("operator@example.test")
        api = daemon.api(daemon.bootstrap("owner@example.test"))
        self.addCleanup(api.close)
        return api

    def fill(self) -> None:
        sql(
            f"INSERT INTO raw_messages (id, size, data)"
            f" SELECT 'raw' || n, {OCTETS}, convert_to(repeat(md5(n::text), {OCTETS // 32}), 'UTF8')"
            f" FROM generate_series(1, {MESSAGES}) AS n",
            self.dsn,
        )
        sql(
            f"INSERT INTO messages (id, agent_id, direction, uid, raw_id, inbox_status)"
            f" SELECT 'msg_' || n, '{BOT}', 'inbound', 1000 + n, 'raw' || n, 'read'"
            f" FROM generate_series(1, {MESSAGES}) AS n",
            self.dsn,
        )

    def peak(self) -> int:
        """The most memory that the daemon has had, in octets."""
        process = self.one.process
        assert process is not None
        status = Path(f"/proc/{process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def test_big_mailbox(self) -> None:
        """A big mailbox comes whole, as JSON and as an archive; the daemon's memory does not grow with it, and a client
        that does not read holds no transaction."""
        self.assertEqual(send(self.one.smtp_port, "ana@corp.test", [BOT], mail("m1", "ana@corp.test", BOT)).code, 250)
        self.api.get("/api/v1/users/me/export")
        before = self.peak()
        self.fill()
        with httpx.stream(
            "GET", f"{self.one.url}/api/v1/users/me/export", headers={"Authorization": f"Bearer {self.api.key}"}
        ) as answer:
            chunks = answer.iter_raw()
            text = next(chunks)
            wait_until(lambda: not self.transactions(), 60, lambda: "a transaction is held for the client")
            text += b"".join(chunks)
        found = {one["id"]: one for one in json.loads(text)["messages"]}
        self.assertEqual(len(found), MESSAGES + 1)
        self.assertEqual(len(base64.b64decode(found["msg_7"]["raw_message"])), OCTETS)
        archive = self.api.request("GET", "/api/v1/users/me/export?format=zip").content
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            self.assertEqual(len(files.namelist()), MESSAGES + 2)
            self.assertEqual(len(files.read(f"mail/{BOT}/msg_7.eml")), OCTETS)
        self.assertLess(self.peak() - before, MESSAGES * OCTETS // 2)

    def transactions(self) -> int:
        return int(
            sql(
                "SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()"
                " AND datname = current_database() AND now() - xact_start > interval '0.2 seconds'",
                self.dsn,
            )[0][0]
        )

    def test_deletion(self) -> None:
        """When the account goes, on every replica its key is dead, its socket is closed and its address is nobody's,
        within seconds."""
        two = self.daemon(name="two").start()
        socket = self.api.live(BOT)
        self.addCleanup(socket.stop)
        other = two.api(self.api.key)
        self.addCleanup(other.close)
        other.get("/api/v1/agents")
        counts = self.api.request("DELETE", "/api/v1/users/me?confirm=DELETE").json()
        self.assertEqual((counts["agents_deleted"], counts["user_deleted"]), (1, True))
        begun = time.monotonic()
        for daemon in (self.one, two):
            wait_until(lambda daemon=daemon: self.refused(daemon), 60, lambda: "the key still works")
            reply = send(daemon.smtp_port, "ana@corp.test", [BOT], mail("m2", "ana@corp.test", BOT))
            self.assertEqual(reply.code, 550)
        socket.wait_closed()
        self.assertLess(time.monotonic() - begun, 20)

    def refused(self, daemon: Daemon) -> bool:
        headers = {"Authorization": f"Bearer {self.api.key}"}
        return httpx.get(f"{daemon.url}/api/v1/agents", headers=headers, trust_env=False).status_code == 401
