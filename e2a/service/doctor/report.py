"""What an examination found, and what it is worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from twisted.internet.defer import Deferred, TimeoutError, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

Status = Literal["ok", "warn", "fail", "skip"]

#: Exit codes beside 0: something is doubtful, something does not work.
WARNINGS = 10
FAILURES = 11

#: Seconds that one check may take.
SECONDS = 10.0

_log = Logger()


@dataclass(frozen=True, slots=True)
class Finding:
    """:ivar check: a stable name of what was looked at.
    :ivar found: what is the case; never a secret.
    :ivar hint: what to do, "" when nothing is.
    """

    check: str
    status: Status
    found: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """:ivar examine: answers at least one finding; it may raise."""

    name: str
    examine: Callable[[], Awaitable[Sequence[Finding]]]


def ok(check: str, found: str, hint: str = "") -> Finding:
    return Finding(check, "ok", found, hint)


def warn(check: str, found: str, hint: str = "") -> Finding:
    return Finding(check, "warn", found, hint)


def fail(check: str, found: str, hint: str = "") -> Finding:
    return Finding(check, "fail", found, hint)


def skip(check: str, found: str, hint: str = "") -> Finding:
    return Finding(check, "skip", found, hint)


async def carry_out(clock: IReactorTime, checks: Iterable[Check], seconds: float = SECONDS) -> list[Finding]:
    """The findings of all checks, which run at the same time, in the order of the checks."""

    async def one(check: Check) -> Sequence[Finding]:
        work: Deferred[Sequence[Finding]] = Deferred.fromCoroutine(_examined(check))
        try:
            return await work.addTimeout(seconds, clock)
        except TimeoutError:
            return [fail(check.name, f"no answer within {seconds:g} seconds", "The log of what it asks may tell more.")]
        except Exception as error:
            _log.failure("the check {check} failed", check=check.name)
            return [fail(check.name, f"the check could not be carried out: {type(error).__name__}")]

    waiting = [Deferred.fromCoroutine(one(check)) for check in checks]
    found: list[Sequence[Finding]] = await gatherResults(waiting)
    return [finding for findings in found for finding in findings]


async def _examined(check: Check) -> Sequence[Finding]:
    return await check.examine()


def exit_code(findings: Iterable[Finding]) -> int:
    """0, :data:`WARNINGS` or :data:`FAILURES`. What was skipped does not count."""
    states = {finding.status for finding in findings}
    return FAILURES if "fail" in states else WARNINGS if "warn" in states else 0


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """The examination as JSON."""
    return {
        "status": {0: "ok", WARNINGS: "warn", FAILURES: "fail"}[exit_code(findings)],
        "checks": [
            {"check": each.check, "status": each.status, "found": each.found, "hint": each.hint} for each in findings
        ],
    }
