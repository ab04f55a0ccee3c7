"""Figures, targets, the table and the JSON document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.measure import summary

_COLUMNS = "{:<20} {:<34} {:<7} {:>30} {:>22} {:>6} {:>10} {:>6} {:<22} {}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to reach.

    :ivar text: for the table.
    :ivar holds: gets the median, the floor (0 when there is none) and the peer's median (0 without a peer).
    :ivar must: whether missing it fails the scenario; otherwise it is an aim.
    """

    text: str
    holds: Callable[[float, float, float], bool]
    must: bool = True


def at_least(value: float, *, must: bool = True) -> Target:
    return Target(f">= {value:g}", lambda ours, floor, peer: ours >= value, must)


def at_most(value: float, *, must: bool = True) -> Target:
    return Target(f"<= {value:g}", lambda ours, floor, peer: ours <= value, must)


def share_of_floor(share: float, *, must: bool = True) -> Target:
    return Target(f">= {share:.0%} of floor", lambda ours, floor, peer: ours >= share * floor, must)


def times_floor(factor: float, *, must: bool = True) -> Target:
    return Target(f"<= {factor:g} x floor", lambda ours, floor, peer: ours <= factor * floor, must)


@dataclass(slots=True)
class Figure:
    """One line of the table: a metric, its value in each run, and what it is compared with."""

    metric: str
    unit: str
    ours: list[float]
    floor: float = 0.0
    target: Target | None = None
    peer: list[float] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if self.target is None or not self.ours:
            return "n/a"
        ours = summary(self.ours)["median"]
        peer = summary(self.peer)["median"] if self.peer else 0.0
        if self.target.holds(ours, self.floor, peer):
            return "PASS"
        return "FAIL" if self.target.must else "short of aim"


@dataclass(slots=True)
class Outcome:
    """What a scenario found.

    :ivar runs: everything measured, run by run, for the JSON document.
    :ivar faults: what must never happen and did: lost, doubled, unsigned mail, refused requests.
    """

    scenario: str
    params: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, metric: str, unit: str, ours: Sequence[float], **options: Any) -> None:
        self.figures.append(Figure(metric, unit, list(ours), **options))

    @property
    def passed(self) -> bool:
        return not self.faults and all(figure.verdict != "FAIL" for figure in self.figures)

    def document(self, host: dict[str, Any], revision: str) -> dict[str, Any]:
        """The JSON document."""
        return {
            "schema": 1,
            "scenario": self.scenario,
            "params": self.params,
            "host": host,
            "revision": revision,
            "limits": self.limits,
            "figures": [
                {
                    "metric": figure.metric,
                    "unit": figure.unit,
                    "ours": figure.ours,
                    "peer": figure.peer,
                    "floor": figure.floor or None,
                    "target": figure.target.text if figure.target else None,
                    "verdict": figure.verdict,
                }
                for figure in self.figures
            ],
            "runs": self.runs,
            "faults": self.faults,
            "verdict": "PASS" if self.passed else "FAIL",
        }

    def table(self) -> str:
        """The lines for people."""
        lines = [
            _COLUMNS.format(
                "scenario", "metric", "unit", "ours", "peer", "ratio", "floor", "share", "target", "verdict"
            ).rstrip()
        ]
        for figure in self.figures:
            ours = summary(figure.ours)["median"] if figure.ours else 0.0
            peer = summary(figure.peer)["median"] if figure.peer else 0.0
            lines.append(
                _COLUMNS.format(
                    self.scenario,
                    figure.metric,
                    figure.unit,
                    _spread(figure.ours),
                    _spread(figure.peer),
                    f"{ours / peer:.2f}" if peer else "",
                    _number(figure.floor) if figure.floor else "",
                    f"{ours / figure.floor:.2f}" if figure.floor else "",
                    figure.target.text if figure.target else "",
                    figure.verdict,
                )
            )
        lines += [f"{self.scenario}: limit {name} = {_number(value)}" for name, value in self.limits.items()]
        lines += [f"{self.scenario}: FAULT {fault}" for fault in self.faults]
        noisy = sum(bool(run.get("noisy")) for run in self.runs)
        if noisy:
            lines.append(
                f"{self.scenario}: {noisy} of {len(self.runs)} runs noisy (other work used over 5 % of the CPU)"
            )
        return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    found = summary(values)
    if len(values) == 1:
        return _number(found["median"])
    return f"{_number(found['median'])} ({_number(found['min'])}..{_number(found['max'])})"
