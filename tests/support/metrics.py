"""Metrics for parts whose counting is not what a test looks at."""

from __future__ import annotations


class NoMetrics:
    """``ports.Metrics`` that keeps nothing."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...
