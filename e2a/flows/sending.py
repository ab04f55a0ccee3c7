"""One attempt to send one message to one destination, from the claim to the record.

The right to transmit is a lease in the database with a fence. It is checked twice: in the transaction that opens DATA,
and by a clock that runs on while a process is stopped right before the final dot. A worker that wakes up after its
lease can therefore not send what another has taken over.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from e2a.core.errors import Unavailable
from e2a.core.rules import sending
from e2a.core.rules.sending import Attempt, Target, UnknownPolicy
from e2a.store import outbox, rawmail
from e2a.store.outbox import Held, Job, Outcome
from e2a.store.rows import Cursor

from .grouping import Grouped, Soon, at_once
from .ports import Cpu, Metrics, Now, Transactions, Transmission, Upstream

__all__ = ["LEASE", "Claim", "Held", "Lease", "Outcome", "SendingFlow"]

#: Seconds a claim is good for, and how many of them must be left for the final dot to be written.
LEASE = 60.0
MARGIN = 5.0
#: Messages over this many octets are worked on off the reactor's thread.
INLINE_OCTETS = 65_536
#: Jobs divided or given up for lost in one transaction.
BATCH = 100

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")

#: ``sign(raw, domain, at)``: the message with a DKIM signature of that domain and time, if there is a key.
Sign = Callable[[bytes, str, float], Awaitable[bytes]]
#: ``envelope(message_id, domain)``: the envelope sender, to which bounces of that message return.
EnvelopeSender = Callable[[str, str], str]


class Lease:
    """A job's lease as this process knows it; ``ports.Permit`` for the attempt.

    :ivar until: on the monotonic clock: the time of the last renewal's *start* and the lease's length.
    :ivar begun: phase ``data``.
    :ivar lost: somebody else has, or may have, taken the job.
    """

    __slots__ = ("_begin", "_monotonic", "begun", "held", "lost", "until")

    def __init__(
        self, held: Held, until: float, monotonic: Now, begin: Callable[[Lease], Awaitable[bool]], begun: bool = False
    ) -> None:
        self.held, self.until, self.begun, self.lost = held, until, begun, False
        self._monotonic, self._begin = monotonic, begin

    async def begin(self) -> bool:
        return not self.lost and await self._begin(self) and self.valid()

    def valid(self) -> bool:
        return not self.lost and self._monotonic() < self.until - MARGIN


class Claim:
    """A job with its lease."""

    __slots__ = ("job", "lease")

    def __init__(self, job: Job, lease: Lease) -> None:
        self.job, self.lease = job, lease


class SendingFlow:
    """What ``workers.outbox`` does with the rows.

    :param direct: destinations are recipient domains; otherwise one server takes all.
    :param policy: what follows a lost final answer.
    :param monotonic: seconds on a clock that nobody sets and that runs while the process, or the machine, is stopped.
    :param random: uniform in [0, 1), for jitter.
    :param soon: see ``Grouped``.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        upstream: Upstream,
        sign: Sign,
        envelope: EnvelopeSender,
        cpu: Cpu,
        metrics: Metrics,
        *,
        direct: bool,
        policy: UnknownPolicy,
        usage: bool,
        now: Now,
        monotonic: Now,
        random: Callable[[], float],
        soon: Soon = at_once,
    ) -> None:
        self._database, self._upstream, self._sign, self._envelope = database, upstream, sign, envelope
        self._cpu, self._metrics = cpu, metrics
        self._direct, self._policy, self._usage = direct, policy, usage
        self._now, self._monotonic, self._random = now, monotonic, random
        self._beginning: Grouped[Lease, bool] = Grouped(self._begin_all, soon)

    # --- claiming -----------------------------------------------------------------------------------------------------

    async def claim(self, limit: int, room: int, rooms: Mapping[str, int]) -> list[Claim]:
        """Take due jobs, see ``store.outbox.claim``.

        :raises Unavailable: the database cannot be asked now.
        """
        until = self._monotonic() + LEASE
        if self._direct:
            await self._database.statement("split outbox", outbox.split, BATCH)
        jobs = await self._database.statement("claim outbox", self._claim, limit, room, rooms)
        return [Claim(job, Lease(job.held, until, self._monotonic, self._begin)) for job in jobs]

    async def _claim(self, cur: Cursor, limit: int, room: int, rooms: Mapping[str, int]) -> list[Job]:
        return await outbox.claim(cur, limit=limit, lease=LEASE, room=room, rooms=rooms)

    async def recover(self) -> int:
        """Settle what processes left between DATA and the record: its outcome is unknown. Returns how many there were.

        :raises Unavailable: the database cannot be asked now.
        """
        found = await self._database.run("lost outbox", self._recover)
        if found:
            self._metrics.count("outbox_lost", found)
            self._log.warn("{count} messages were being sent when their process ended", count=found)
        return found

    async def _recover(self, cur: Cursor) -> int:
        jobs = await outbox.take_lost(cur, BATCH)
        if jobs:
            text = "the gateway stopped before the server answered"
            outcomes = [
                self._outcome(job, job.targets, dict.fromkeys(_addresses(job.targets), ("unknown", None, text)), True)
                for job in jobs
            ]
            await outbox.record(cur, outcomes, usage=self._usage)
        return len(jobs)

    # --- leases -------------------------------------------------------------------------------------------------------

    async def renew(self, leases: Sequence[Lease]) -> None:
        """Extend these; those that no longer stand are marked ``lost``.

        :raises Unavailable: the database cannot be asked now; the leases run on.
        """
        if not leases:
            return
        until = self._monotonic() + LEASE
        begun = [lease.held for lease in leases if lease.begun]
        held = [lease.held for lease in leases]
        stand = await self._database.statement("renew outbox", outbox.renew, held, begun, LEASE)
        for lease in leases:
            if lease.held in stand:
                lease.until = max(lease.until, until)
            else:
                lease.lost = True

    async def _begin(self, lease: Lease) -> bool:
        """Open DATA for one job, together with those that ask at the same time."""
        try:
            return await self._beginning.ask(lease)
        except Unavailable:
            return False
        except CancelledError:
            raise
        except Exception:
            self._log.failure("opening DATA")
            return False

    async def _begin_all(self, leases: Sequence[Lease]) -> list[bool | Exception]:
        until = self._monotonic() + LEASE
        held = [lease.held for lease in leases]
        stand = await self._database.statement("begin data", outbox.begin, held, LEASE)
        for lease in leases:
            if lease.held in stand:
                lease.begun, lease.until = True, until
        return [lease.held in stand for lease in leases]

    # --- attempts -----------------------------------------------------------------------------------------------------

    async def attempt(self, claim: Claim) -> tuple[Outcome | None, bool]:
        """Send once.

        :returns: what came of it, None when nothing was sent because of trouble on our side and the job is to be given
            back; and whether the destination could not be reached at all.
        """
        job = claim.job
        targets = sending.due(job.targets, job.unknowns, self._policy)
        if not targets:
            return self._outcome(job, (), {}), False
        addresses = _addresses(targets)
        if job.seconds_left <= 0:
            text = "nobody took the message in time"
            return self._outcome(job, targets, dict.fromkeys(addresses, ("deferred", None, text))), False
        started = self._now()
        try:
            raw = await self._bytes(job)
        except (Unavailable, CancelledError):
            return None, False
        except rawmail.RawGone:
            text = "the message is not stored any more"
            return self._outcome(job, targets, dict.fromkeys(addresses, ("refused", None, text))), False
        except Exception:
            # A message that cannot be signed must not be claimed again and again without end.
            self._log.failure("sending {message_id} failed on our side", message_id=job.message_id)
            text = "the gateway could not prepare the message"
            return self._outcome(job, targets, dict.fromkeys(addresses, ("deferred", None, text))), False
        envelope_from = self._envelope(job.message_id, _domain(job.sender))
        done: Transmission = await self._upstream.send(envelope_from, addresses, raw, claim.lease)
        self._metrics.observe("outbox_attempt_seconds", self._now() - started)
        if done.withheld:
            return None, False
        answers: dict[str, tuple[Attempt, int | None, str]] = {
            address: (answer.state, answer.code, answer.text) for address, answer in done.answers.items()
        }
        return self._outcome(job, targets, answers), done.unreachable

    async def _bytes(self, job: Job) -> bytes:
        """The message as it goes out, the same at each attempt: CRLF line ends throughout, signed."""
        if job.raw_id is None:
            raise rawmail.RawGone(job.message_id)
        raw = job.raw
        if raw is None:
            raw = await self._database.run("load raw", rawmail.load_raw, job.raw_id)
        if len(raw) > INLINE_OCTETS:
            raw = await self._cpu.run(_with_crlf, raw)
        else:
            raw = _with_crlf(raw)
        return await self._sign(raw, _domain(job.sender), job.created_at.timestamp())

    def _outcome(
        self,
        job: Job,
        targets: Sequence[Target],
        answers: Mapping[str, tuple[Attempt, int | None, str]],
        recovered: bool = False,
    ) -> Outcome:
        decision = sending.decide(
            targets,
            answers,
            attempt=job.attempt,
            unknowns=job.unknowns,
            seconds_left=job.seconds_left,
            policy=self._policy,
            jitter=self._random(),
        )
        for state in {answers[target.address][0] for target in targets}:
            self._metrics.count("outbox_attempts", outcome=state)
        if decision.error:
            self._log.info(
                "message {message_id}, attempt {attempt}: {error}",
                message_id=job.message_id,
                attempt=job.attempt,
                error=_without_addresses(decision.error),
            )
        states = {target.address: str(target.state) for target in job.targets}
        states |= {recipient.address: recipient.state for recipient in decision.recipients}
        words = (sending.provider_id(text, answers) for state, _, text in answers.values() if state == "sent")
        return Outcome(
            held=job.held,
            recipients=decision.recipients,
            delay=decision.delay,
            kept=decision.delay is None and self._policy == "hold" and "unknown" in states.values(),
            unknowns=decision.unknowns,
            recovered=recovered,
            error=decision.error,
            provider_id=next(filter(None, words), ""),
        )

    # --- the record ---------------------------------------------------------------------------------------------------

    async def record(self, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None:
        """Write outcomes, and give jobs back for ``delay`` seconds, in one transaction.

        :raises Unavailable: it is not known to be written; writing it again changes nothing.
        """
        await self._database.run("record outbox", self._record, outcomes, released, delay)

    async def _record(self, cur: Cursor, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None:
        if outcomes:
            await outbox.record(cur, outcomes, usage=self._usage)
        if released:
            await outbox.release(cur, released, delay)


def _addresses(targets: Sequence[Target]) -> list[str]:
    return [target.address for target in targets]


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


def _with_crlf(raw: bytes) -> bytes:
    """SMTP knows no other line end (RFC 5321 2.3.8), and servers that take a bare one for a line end can be tricked."""
    if raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r"):
        return raw
    return _BARE.sub(b"\r\n", raw)


def _without_addresses(text: str) -> str:
    return re.sub(r"[^\s<>]+@[^\s<>]+", "<address>", text)
