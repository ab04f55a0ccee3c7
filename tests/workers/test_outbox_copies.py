"""How many copies of a message go out, whatever happens to the gateways that send it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2a.core.rules.sending import UnknownPolicy
from e2a.flows.ports import Answer
from tests.support.outboxworld import Attempt, Line, Word, World
from tests.support.outgoing import AGENT
from tests.support.postgres import DatabaseTestCase, make_agent

#: Courses of events that each test tries.
EXAMPLES = int(os.environ.get("E2A_TEST_OUTBOX_EXAMPLES", "40"))
MESSAGES = {"msg_1": ("ann@a.test", "bob@b.test"), "msg_2": ("cy@a.test",)}

LINES: tuple[Line, ...] = ("up", "slow", "down", "mute")
WORDS: tuple[Word, ...] = ("sent", "taken", "", "deferred", "sent", "refused")
USUAL = ("go",) * 8 + ("tick",) * 3 + ("wait",)
#: Much of one kind of trouble finds more than a little of each.
TROUBLES = (("kill", "stop"), ("line", "line", "over"), ("stall",) * 3, ("kill", "line", "stall", "stop"))

#: What happens, to whom, and how.
Step = tuple[str, int, int]
#: Both attempts of a job that is claimed twice proceed while the line to the database fails and returns.
TAKEN_OVER: tuple[Step, ...] = (
    *(("go", which, 0) for which in (0, 0, 0, -1, -1, -1)),
    ("go", 0, 3),
    ("line", 0, 1),
    ("line", 0, 2),
    ("line", 0, 0),
    ("tick", 0, 1),
    ("over", 0, 0),
)
#: A process is stopped for longer than its leases last.
STOPPED: tuple[Step, ...] = (*(("go", which, 0) for which in (0, 0, 0, 0, -1, -1)), ("stall", 0, 0), ("wait", 0, 0))


def courses(trouble: tuple[str, ...]) -> Any:
    kinds = st.sampled_from(USUAL + trouble)
    return st.lists(st.tuples(kinds, st.integers(0, 2), st.integers(0, 5)), min_size=4, max_size=40)


def take(world: World, kind: str, which: int, how: int) -> None:
    """One step; some that are asked for cannot be taken now."""
    gateway = world.gateways[which % len(world.gateways)]
    match kind:
        case "go":
            under_way = [
                one for gateway in world.gateways if not gateway.stalled for one in gateway.attempts if one.step
            ]
            if under_way:
                proceed(under_way[which % len(under_way)], how)
        case "tick":
            world.tick((0.5, 1.0, 5.0, 10.0, 15.0, 20.0)[how])
        case "wait":
            world.wait()
        case "kill":
            world.kill(gateway, taken=how % 2 == 0)
        case "stop" if not gateway.stalled:
            world.stop(gateway)
        case "line" if not gateway.stalled:
            gateway.set_line(LINES[how % len(LINES)])
        case "stall":
            gateway.stalled = not gateway.stalled
            gateway.at_fault = True
        case "over":
            world.jump(120.0)
            world.tick(1.0)


def proceed(attempt: Attempt, how: int) -> None:
    """The server has its word."""
    first = attempt.recipients[0]
    match attempt.step:
        case "envelope":
            later, never = {first: Answer("deferred", 451, "later")}, {first: Answer("refused", 550, "no")}
            attempt.go(({}, {}, later, None, {}, never)[how])
        case "dot":
            attempt.go(how != 5)
        case "answer":
            attempt.go(WORDS[how])


#: What the server says when all else is well again.
ANSWERS: Any = st.lists(st.sampled_from(("taken", "deferred", "sent", "taken")), min_size=12, max_size=12)
POLICIES: Any = st.sampled_from(("retry", "retry", "hold"))


class Copies(DatabaseTestCase):
    """What holds in each: a copy whose answer was received is the last one; one of unknown outcome is followed by one
    more at most, a quarter of an hour later, or by none where the operator says so; and everybody's outcome is known,
    or known to be unknown, in the end."""

    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, AGENT)
        self.world = World(self.dsn)
        self.addCleanup(self.world.close)

    def run_course(self, steps: Sequence[Step], words: Sequence[Word], gateways: int) -> None:
        self.world.open(MESSAGES, gateways)
        for one in steps:
            take(self.world, *one)
            self.assertEqual(self.world.wrong, [], one)
        self.world.settle(words)
        self.assertEqual(self.world.wrong, [])

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(steps=st.sampled_from(TROUBLES).flatmap(courses), words=ANSWERS, direct=st.booleans(), policy=POLICIES)
    def test_any_course(self, steps: list[Step], words: list[Word], direct: bool, policy: UnknownPolicy) -> None:
        """The bound holds however two gateways end, stall, stop and lose the database, and whatever the server does."""
        self.world.begin(direct=direct, policy=policy)
        self.run_course(steps, words, 2)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(steps=st.permutations(TAKEN_OVER), words=ANSWERS, gateways=st.integers(1, 2), policy=POLICIES)
    def test_taken_over(self, steps: list[Step], words: list[Word], gateways: int, policy: UnknownPolicy) -> None:
        """The bound holds when a job is claimed while its former holder, or the same process, still works on it."""
        self.world.begin(policy=policy)
        self.run_course([("over", 0, 0), *steps], words, gateways)

    @settings(max_examples=EXAMPLES // 2, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(steps=st.permutations(STOPPED), words=ANSWERS, policy=POLICIES)
    def test_stopped(self, steps: list[Step], words: list[Word], policy: UnknownPolicy) -> None:
        """Whoever wakes up after its lease, at whatever step, sends nothing that another may have sent."""
        self.world.begin(policy=policy)
        self.run_course(steps, words, 2)
