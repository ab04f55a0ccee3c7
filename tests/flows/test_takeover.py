"""Jobs that pass from one holder to another, or back to a process that had lost them: only the latest claim counts."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.flows.sending import Claim
from tests.flows.test_sending import DEFERRED, Case
from tests.support.outgoing import jobs, make_due, queue_message, states, status


class Twice(Case):
    """A process whose lease ended, by the database's clock, claims its own job again while the first attempt runs."""

    async def claim_twice(self) -> tuple[Claim, Claim]:
        await queue_message(self.db, "m1", "ann@people.test", "bob@people.test")
        (old,) = await self.claim()
        await make_due(self.db)
        (new,) = await self.claim()
        return old, new

    async def test_begin(self) -> None:
        """Of both, asking together, the new one alone may transmit."""
        old, new = await self.claim_twice()
        await queue_message(self.db, "m2")
        (other,) = await self.claim()
        # The first occupies the database; the others ask in one transaction.
        asked = [Deferred.fromCoroutine(claim.lease.begin()) for claim in (other, old, new)]
        self.assertEqual(await gatherResults(asked), [True, False, True])
        self.assertEqual((old.lease.begun, new.lease.begun), (False, True))

    async def test_renew(self) -> None:
        """The old one learns with the next renewal that it is lost."""
        old, new = await self.claim_twice()
        await self.flow.renew([old.lease, new.lease])
        self.assertEqual((old.lease.lost, new.lease.lost), (True, False))

    async def test_record(self) -> None:
        """What came of the old attempt is not mixed with what came of the new one, in whatever order they are written
        together."""
        for turn in (1, -1):
            old, new = await self.claim_twice()
            late = self.flow._outcome(
                old.job, old.job.targets, dict.fromkeys(["ann@people.test", "bob@people.test"], DEFERRED)
            )
            self.upstream.script = {"bob@people.test": DEFERRED}
            fresh, _ = await self.flow.attempt(new)
            assert fresh is not None
            await self.flow.record([late, fresh][::turn], [], 0.0)
            self.assertEqual(await states(self.db), {"ann@people.test": "sent", "bob@people.test": "pending"})
            await make_due(self.db)
            self.upstream.script = {}
            await self.run_due()
            self.assertEqual([one[1] for one in self.upstream.transmitted][1:], [("bob@people.test",)])
            self.assertEqual((await status(self.db), await jobs(self.db)), ("sent", []))
            self.upstream.transmitted.clear()
            await self.db.run("again", _forget)


class Released(Case):
    async def test_late_begin(self) -> None:
        """A job that was given back is nobody's, though its holder's request to transmit arrives later."""
        await queue_message(self.db)
        (claim,) = await self.claim()
        await self.flow.record([], [claim.job.held], 30.0)
        self.assertFalse(await claim.lease.begin())
        (job,) = await jobs(self.db)
        self.assertEqual((job.phase, job.attempts), ("ready", 0))
        self.assertTrue(29 < job.due_in <= 30)

    async def test_written_again(self) -> None:
        """Giving back once more, after an answer of the database was lost, changes nothing."""
        await queue_message(self.db)
        (first,) = await self.claim()
        await self.flow.record(
            [self.flow._outcome(first.job, first.job.targets, {"ann@people.test": DEFERRED})], [], 0.0
        )
        await make_due(self.db)
        (claim,) = await self.claim()
        for delay in (300.0, 0.0):
            await self.flow.record([], [claim.job.held], delay)
            (job,) = await jobs(self.db)
            self.assertEqual((job.attempts, job.due_in > 290), (1, True))


class Parts(Case):
    async def test_renewed_each(self) -> None:
        """While a message is transmitted to one domain its other domains' attempts keep their leases."""
        flow = self.make_flow(direct=True)
        await queue_message(self.db, "m1", "ann@people.test", "cy@other.test")
        sending, waiting = await self.claim(flow)
        self.assertTrue(await sending.lease.begin())
        await flow.renew([sending.lease, waiting.lease])
        self.assertEqual((sending.lease.lost, waiting.lease.lost), (False, False))
        outcome, _ = await flow.attempt(waiting)
        assert outcome is not None
        self.assertEqual({one.state for one in outcome.recipients}, {"sent"})


async def _forget(cur: Any) -> None:
    await cur.execute("DELETE FROM messages; DELETE FROM raw_messages")
