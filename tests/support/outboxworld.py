"""Several gateways that send from one outbox, in a world whose every step the test takes.

The workers, their flows and the statements are the real ones, on a real PostgreSQL. Simulated are what surrounds them:
time (the reactors', the monotonic clocks and ``now()`` of the database, each of which can go its own way), the line to
the database, the server that takes the mail, and the end of a process. Whatever waits, waits for the next step, so that
the same steps always lead to the same end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import psycopg2
from psycopg2.extras import NamedTupleCursor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from e2a.core.errors import Unavailable
from e2a.core.rules.sending import UNKNOWN_SECONDS, UnknownPolicy
from e2a.flows.ports import Answer, Permit, Transmission
from e2a.flows.sending import Held, SendingFlow
from e2a.store.connection import SESSION
from e2a.workers.outbox import Outbox
from tests.support.cpu import QuickCpu
from tests.support.metrics import NoMetrics
from tests.support.outgoing import AGENT, RAW
from tests.support.postgres import ORGANISATION

#: The database's clock is a table: ``clock.now()`` stands in front of the real one, except in the defaults of columns,
#: which are therefore in the past.
CLOCK = """
    CREATE SCHEMA IF NOT EXISTS clock;
    CREATE TABLE IF NOT EXISTS clock.moment (at timestamptz);
    DELETE FROM clock.moment;
    INSERT INTO clock.moment VALUES ('2100-01-01 00:00Z');
    CREATE OR REPLACE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM clock.moment';
"""
_EMPTY = "DELETE FROM usage_events; DELETE FROM messages; DELETE FROM raw_messages"
_MESSAGE = """
    INSERT INTO raw_messages (id, size, data) VALUES ('raw_' || %(name)s, %(size)s, %(raw)s);
    INSERT INTO messages (id, agent_id, organisation_id, direction, status, raw_id, size, sender)
    VALUES (%(name)s, %(agent)s, %(organisation)s, 'outbound', 'queued', 'raw_' || %(name)s, %(size)s, %(agent)s);
    INSERT INTO outbound_recipients (message_id, address, kind, route)
    SELECT %(name)s, unnest(%(people)s), 'to', 'smtp';
    INSERT INTO outbox (message_id, next_attempt_at, gives_up_at, created_at)
    VALUES (%(name)s, now(), now() + interval '5 days', now())
"""
_LOST = "SELECT message_id, destination, fence FROM outbox WHERE phase = 'data' AND next_attempt_at <= now()"
_MINE = "SELECT 1 AS n FROM outbox WHERE message_id = %s AND destination = %s AND fence = %s AND phase = 'data'"
_WAITING = "SELECT count(*) AS jobs FROM outbox WHERE next_attempt_at IS NOT NULL"
_STATES = (
    "SELECT message_id, address, r.state, m.status FROM outbound_recipients r JOIN messages m ON m.id = message_id"
)

Line = Literal["up", "down", "mute", "slow"]
#: What the server says of a message; "": the connection is lost before it has taken it, "taken": afterwards.
Word = Literal["sent", "deferred", "refused", "", "taken"]


@dataclass(slots=True, eq=False)
class Copy:
    """What the server has taken, for good.

    :ivar at: when its final dot was written, by the database's clock without its jumps.
    :ivar written: its answer was read and given to the database.
    :ivar unknowable: the answer was lost, or whoever read it.
    """

    held: Held
    recipients: tuple[str, ...]
    at: float
    sender: Gateway
    written: bool = False
    unknowable: bool = False


class Attempt:
    """One call of the route out. ``step``: what the next ``go`` decides."""

    def __init__(self, held: Held, recipients: Sequence[str]) -> None:
        self.held, self.recipients = held, tuple(recipients)
        self.step: Literal["envelope", "dot", "answer", ""] = ""
        self.dot_at = 0.0
        self._waiting: Deferred[Any] | None = None

    async def wait(self, step: Literal["envelope", "dot", "answer"]) -> Any:
        self.step, self._waiting = step, Deferred()
        try:
            return await self._waiting
        finally:
            self.step = ""

    def go(self, choice: Any) -> None:
        assert self._waiting is not None
        self._waiting.callback(choice)


class Gateway:
    """A process.

    :ivar line: its line to the database. ``down``: nothing gets there. ``mute``: everything does, no answer returns.
        ``slow``: transactions wait until it is up again.
    :ivar stalled: the process does not run; monotonic time does.
    :ivar at_fault: it was stalled or had trouble with the database.
    """

    def __init__(self, world: World) -> None:
        self.world, self.clock = world, Clock()
        self.line: Line = "up"
        self.stalled = self.at_fault = False
        self.attempts: list[Attempt] = []
        self.held: set[Held] = set()
        self.stopping: Deferred[None] | None = None
        self._slow: list[Deferred[None]] = []
        flow = SendingFlow(
            self,
            self,
            _unsigned,
            lambda message_id, domain: f"bounce+{message_id}@{domain}",
            QuickCpu(),
            NoMetrics(),
            direct=world.direct,
            policy=world.policy,
            usage=True,
            now=lambda: world.time,
            monotonic=lambda: world.time,
            random=lambda: 0.0,
        )
        self.worker = Outbox(flow, self.clock)
        self.worker.start()

    # --- the database -------------------------------------------------------------------------------------------------

    async def run(self, name: str, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        if self.line == "down":
            raise Unavailable
        if self.line == "slow":
            waiting: Deferred[None] = Deferred()
            self._slow.append(waiting)
            await waiting
        result = self.world.transact(self, name, work, args)
        if self.line == "mute":
            raise Unavailable
        return result

    statement = read = run

    def set_line(self, line: Line) -> None:
        self.line = line
        self.at_fault = self.at_fault or line != "up"
        if line != "slow":
            slow, self._slow = self._slow, []
            # The last one first: connections do not keep an order among each other.
            for waiting in reversed(slow):
                waiting.callback(None)

    # --- the way out --------------------------------------------------------------------------------------------------

    async def send(self, envelope_from: str, recipients: Sequence[str], data: bytes, permit: Permit) -> Transmission:
        held: Held = permit.held  # type: ignore[attr-defined]
        attempt = Attempt(held, recipients)
        self.attempts.append(attempt)
        self.held.add(held)
        try:
            return await self._transmit(attempt, permit)
        except CancelledError:
            if not attempt.dot_at:
                return Transmission({}, withheld=True)
            self.world.take(self, attempt, answered=False)
            return _all(attempt.recipients, "unknown")
        finally:
            self.attempts.remove(attempt)

    async def _transmit(self, attempt: Attempt, permit: Permit) -> Transmission:
        answers: Mapping[str, Answer] | None = await attempt.wait("envelope")
        if answers is None:
            return Transmission(_all(attempt.recipients, "deferred").answers, unreachable=True)
        attempt.recipients = tuple(one for one in attempt.recipients if one not in answers)
        if not attempt.recipients:
            return Transmission(answers)
        if not await permit.begin():
            return Transmission({}, withheld=True)
        if not await attempt.wait("dot"):
            return Transmission({**answers, **_all(attempt.recipients, "deferred").answers})
        if not permit.valid():
            return Transmission({}, withheld=True)
        self.world.ending(attempt)
        word: Word = await attempt.wait("answer")
        if word in ("sent", "taken"):
            self.world.take(self, attempt, answered=word == "sent")
        said = _all(attempt.recipients, "unknown" if word in ("", "taken") else word)
        return Transmission({**answers, **said.answers})

    def close(self) -> None:
        """Nothing is kept."""


class World:
    """:ivar time: seconds, as every clock sees them that nobody sets.
    :ivar jumped: the database's clock was set forward.
    :ivar wrong: promises that were broken, in words.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn, cursor_factory=NamedTupleCursor)
        self._prepared: set[str] = set()
        self.sql(SESSION + ";" + CLOCK)
        self.sql("SET search_path = clock, public, pg_catalog")
        self.begin()

    def begin(self, *, direct: bool = False, policy: UnknownPolicy = "retry") -> None:
        """Forget everything; for new gateways, mail goes out so."""
        self.direct, self.policy = direct, policy
        self.time = 1000.0
        self.jumped = False
        self.gateways: list[Gateway] = []
        self.copies: list[Copy] = []
        self.wrong: list[str] = []
        self._taken_for_lost: set[Held] = set()
        self._ended: list[Gateway] = []

    def open(self, messages: Mapping[str, Sequence[str]], gateways: int) -> None:
        """Start gateways, with these messages to these people in the outbox."""
        self.sql(_EMPTY)
        for name, people in messages.items():
            values = {"name": name, "people": list(people), "raw": RAW, "size": len(RAW)}
            self.sql(_MESSAGE, values | {"agent": AGENT, "organisation": ORGANISATION})
        for _ in range(gateways):
            self.gateways.append(Gateway(self))

    def close(self) -> None:
        self._connection.close()

    def sql(self, statement: str, values: Any = None) -> list[Any]:
        with self._connection, self._connection.cursor() as cur:
            cur.execute(statement, values)
            return list(cur.fetchall()) if cur.description else []

    def transact(self, gateway: Gateway, name: str, work: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
        lost = {Held(*row) for row in self.sql(_LOST)} if name == "lost outbox" else set()
        with self._connection, self._connection.cursor() as real:
            cur = _Cursor(real, self._prepared)
            result = _at_once(work(cur, *args))
            cur.flush()
        self._taken_for_lost |= lost
        for copy in self.copies:
            copy.unknowable = copy.unknowable or (copy.held in lost and not copy.written)
            if name == "record outbox" and copy.held in {outcome.held for outcome in args[0]}:
                copy.written = True
        for one in self.gateways:
            if lost & one.held and not (one.at_fault or self.jumped):
                self.wrong.append("taken for lost from a gateway that was well")
        return result

    def ending(self, attempt: Attempt) -> None:
        """The final dot of a message is written."""
        attempt.dot_at = self.time
        held = attempt.held
        mine = self.sql(_MINE, (held.message_id, held.destination, held.fence))
        if not (mine or self.jumped):
            self.wrong.append("sent by a gateway that had lost the right to")

    def take(self, gateway: Gateway, attempt: Attempt, *, answered: bool) -> None:
        """The server takes a message."""
        unknowable = not answered or attempt.held in self._taken_for_lost
        self.copies.append(Copy(attempt.held, attempt.recipients, attempt.dot_at, gateway, unknowable=unknowable))
        for address in attempt.recipients:
            there = [copy for copy in self.copies if address in copy.recipients]
            if len(there) > (2 if self.policy == "retry" else 1):
                self.wrong.append(f"{len(there)} copies for {address}")
            if len([copy for copy in there if not copy.unknowable]) > 1:
                self.wrong.append(f"{address} was sent to again although the answer was known")
            times = sorted(copy.at for copy in there)
            if not self.jumped and any(after - before < UNKNOWN_SECONDS for before, after in pairwise(times)):
                self.wrong.append(f"{address} was sent to again at once")

    # --- what happens -------------------------------------------------------------------------------------------------

    def tick(self, seconds: float) -> None:
        """Time goes by, for everybody."""
        self.time += seconds
        self.sql("UPDATE clock.moment SET at = at + make_interval(secs => %s)", (seconds,))
        for gateway in list(self.gateways):
            if not gateway.stalled:
                gateway.clock.advance(seconds)

    def wait(self) -> None:
        """What waits for a lost answer has waited long enough. Nobody's lease ends by this."""
        if any(gateway.attempts or gateway.line != "up" for gateway in self.gateways):
            for _ in range(31):
                self.tick(30.0)
        else:
            self.tick(1000.0)

    def jump(self, seconds: float) -> None:
        """Somebody sets the database's clock."""
        self.jumped = True
        self.sql("UPDATE clock.moment SET at = at + make_interval(secs => %s)", (seconds,))

    def kill(self, gateway: Gateway, taken: bool) -> None:
        """A process ends, another starts.

        :param taken: what was transmitted whole arrives all the same.
        """
        for attempt in gateway.attempts:
            if attempt.dot_at and taken:
                self.take(gateway, attempt, answered=False)
        for copy in self.copies:
            if copy.sender is gateway and not copy.written:
                copy.unknowable = True
        self._replace(gateway)

    def stop(self, gateway: Gateway) -> None:
        """A process is asked to end."""
        if gateway.stopping is None:
            gateway.stopping = Deferred.fromCoroutine(gateway.worker.stop())
            gateway.stopping.addCallback(lambda _: self._replace(gateway))

    def _replace(self, gateway: Gateway) -> None:
        # Kept, lest what it was about to do is ended in an orderly way.
        self._ended.append(gateway)
        self.gateways.remove(gateway)
        self.gateways.append(Gateway(self))

    def settle(self, words: Sequence[Word]) -> None:
        """The gateways are well from now on: everything comes to its end, which is looked at.

        :param words: what the server still says, before it takes everything.
        """
        for gateway in list(self.gateways):
            gateway.stalled = False
            gateway.set_line("up")
        says = iter(words)
        for turn in range(100):
            for gateway in list(self.gateways):
                for attempt in list(gateway.attempts):
                    while attempt.step:
                        word = next(says, "sent")
                        later = {attempt.recipients[-1]: Answer("deferred", 451, "later")} if word == "deferred" else {}
                        attempt.go({"envelope": later, "dot": True, "answer": word}[attempt.step])
            if any(gateway.attempts for gateway in self.gateways):
                continue
            if self.sql(_WAITING)[0].jobs == 0:
                break
            self.tick(100.0 if turn < 20 else 20_000.0)
        else:
            self.wrong.append("there is no end")
        for row in self.sql(_STATES):
            there = [copy for copy in self.copies if row.address in copy.recipients]
            known = any(not copy.unknowable for copy in there)
            fits = {"sent": bool(there), "failed": not there, "unknown": not known, "pending": False}
            if not fits[row.state] or row.status == "queued":
                self.wrong.append(f"{row.address} is {row.state}, the message {row.status}, with {len(there)} copies")


class _Cursor:
    """``store.connection.Cursor`` without a reactor."""

    def __init__(self, real: Any, prepared: set[str]) -> None:
        self._real, self._prepared = real, prepared
        self._later: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def execute(self, query: str, params: Any = None) -> None:
        self.flush()
        self._real.execute(query, params)

    def later(self, query: str, params: Any = None) -> None:
        self._later.append((query, params))

    async def execute_prepared(self, name: str, types: str, query: str, params: Sequence[Any]) -> None:
        await self.execute(self._call(name, types, query, params), params)

    async def later_prepared(self, name: str, types: str, query: str, params: Sequence[Any]) -> None:
        self.later(self._call(name, types, query, params), params)

    def flush(self) -> None:
        later, self._later = self._later, []
        for query, params in later:
            self._real.execute(query, params)

    def _call(self, name: str, types: str, query: str, params: Sequence[Any]) -> str:
        if name not in self._prepared:
            self._real.execute(f"PREPARE {name} ({types}) AS {query}")
            self._prepared.add(name)
        return f"EXECUTE {name} ({', '.join(['%s'] * len(params))})"


def _at_once(work: Any) -> Any:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


async def _unsigned(raw: bytes, domain: str, at: float) -> bytes:
    return raw


def _all(recipients: Sequence[str], state: Any) -> Transmission:
    return Transmission({recipient: Answer(state, None, state) for recipient in recipients})
