"""e2a.store.retention: what goes, what stays, and what two replicas may do at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from e2a.store import retention
from tests.support.postgres import ORGANISATION, USER, sql

from .test_intake import BOT, NOW, OTHER, IntakeCase, a_mail, a_row, turn

EXPIRED = NOW


class RetentionTests(IntakeCase):
    def raws(self) -> list[str]:
        return [row[0] for row in sql("SELECT id FROM raw_messages ORDER BY id", self.dsn)]

    async def test_expired_messages_go_in_batches(self) -> None:
        """Expired mail goes batch by batch with its bytes and deliveries; the rest stays."""
        await self.store(*[a_mail(a_row(expires_at=EXPIRED), raw=b"x" * (2**20 + 1)) for _ in range(3)])
        kept = a_mail()
        await self.store(kept)
        counts = [await self.db.run("forget", retention.forget_expired_messages, 2) for _ in range(3)]
        self.assertEqual(counts, [2, 1, 0])
        self.assertEqual(self.raws(), [kept.raw_id])
        self.assertEqual((self.count("messages"), self.count("raw_parts")), (1, 0))

    async def test_bytes_stay_with_the_last_copy(self) -> None:
        """Bytes that another copy still needs stay until that goes too."""
        mail = a_mail(a_row(BOT, expires_at=EXPIRED), a_row(OTHER))
        await self.store(mail)
        await self.db.run("forget", retention.forget_expired_messages)
        self.assertEqual(self.raws(), [mail.raw_id])
        await self.db.run("forget", retention.forget_agent, OTHER)
        self.assertEqual(self.raws(), [])

    async def test_two_replicas_remove_the_last_two_copies(self) -> None:
        """When two transactions remove the two last copies at once, the bytes do not stay behind."""
        await self.store(a_mail(a_row(BOT), a_row(OTHER)))
        removed: Deferred[None] = Deferred()
        go_on: Deferred[None] = Deferred()

        async def slow(cur: Any) -> None:
            await retention.forget_agent(cur, BOT)
            removed.callback(None)
            await go_on

        first = Deferred.fromCoroutine(self.db.run("slow", slow))
        await removed
        second = Deferred.fromCoroutine(self.db.run("forget", retention.forget_agent, OTHER))
        while not second.called and not self.waiting():
            await turn()
        go_on.callback(None)
        await first
        await second
        self.assertEqual(self.raws(), [])

    async def test_two_replicas_share_the_work(self) -> None:
        """A batch that another replica has taken is passed over, not waited for."""
        await self.store(*[a_mail(a_row(expires_at=EXPIRED)) for _ in range(3)])

        async def inner(cur: Any) -> tuple[int, int]:
            mine = await retention.forget_expired_messages(cur, 2)
            return mine, await self.db.run("forget", retention.forget_expired_messages, 9)

        self.assertEqual(await self.db.run("forget", inner), (2, 1))

    async def test_forget_agent_leaves_the_others(self) -> None:
        """An agent's mail goes with its bytes, in as many batches as it takes; other agents' mail stays."""
        self.patch(retention, "BATCH", 2)
        await self.store(*[a_mail(a_row(BOT)) for _ in range(5)])
        kept = a_mail(a_row(OTHER))
        await self.store(kept)
        self.assertEqual(await self.db.run("forget", retention.forget_agent, BOT), 5)
        self.assertEqual(self.raws(), [kept.raw_id])

    async def test_sweep_walks_over_everything(self) -> None:
        """A walk over all stored bytes removes what a cascade left without a copy, and ends."""
        mails = [a_mail(a_row(BOT if number % 2 else OTHER)) for number in range(5)]
        await self.store(*mails)
        sql(f"DELETE FROM messages WHERE agent_id = '{BOT}'", self.dsn)
        walk, removed, steps = "", 0, 0
        while walk or not steps:
            walk, count = await self.db.run("sweep", retention.sweep_raws, walk, 2)
            removed += count
            steps += 1
        self.assertEqual((removed, steps), (2, 3))
        self.assertEqual(self.raws(), [mail.raw_id for mail in mails[::2]])

    async def test_fingerprints_and_sessions(self) -> None:
        """Fingerprints over eight days old and expired sessions go; younger and living ones stay."""
        await self.store(a_mail(), a_mail())
        sql(
            "UPDATE fingerprints SET seen_at = now() - interval '8 days 1 hour'"
            " WHERE message_id = (SELECT min(message_id) FROM fingerprints)",
            self.dsn,
        )
        sql(
            "INSERT INTO user_sessions (token_hash, user_id, organisation_id, expires_at) VALUES"
            f" ('\\x01', '{USER}', '{ORGANISATION}', now()),"
            f" ('\\x02', '{USER}', '{ORGANISATION}', now() + interval '1 hour')",
            self.dsn,
        )
        for work in (retention.forget_fingerprints, retention.forget_sessions):
            self.assertEqual([await self.db.run("forget", work) for _ in range(2)], [1, 0])
        self.assertEqual((self.count("fingerprints"), self.count("user_sessions")), (1, 1))
