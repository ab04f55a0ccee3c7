"""``ports.Metrics`` on prometheus_client: own registry, no address or tenant labels, a bounded number of series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Seconds. The low end is a cache hit, the high end the longest deadline in the gateway.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)

#: Label names that would carry whose mail it is.
FORBIDDEN_LABELS = frozenset(
    (
        "account",
        "address",
        "agent",
        "domain",
        "email",
        "host",
        "ip",
        "key",
        "organisation",
        "recipient",
        "sender",
        "user",
    )
)

#: Observations that are numbers of things, not seconds.
COUNTED = frozenset(("intake_group_mails",))
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500)

_MAX_SERIES = 100
_PROBE_INTERVAL = 0.5

Labels = tuple[tuple[str, str], ...]


class _Registry(CollectorRegistry):
    """:param before: called before anything is read."""

    def __init__(self, before: Callable[[], None]) -> None:
        super().__init__()
        self._before = before

    def collect(self) -> Iterable[Metric]:
        self._before()
        return super().collect()


class PrometheusMetrics:
    """Counters and histograms that come into being at their first use, named ``e2a_<name>``.

    A label value is a word out of a small set. What goes beyond 100 series of one name is counted under ``other``, so
    that a mistake costs accuracy and never memory.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.registry = _Registry(self._settle)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._families: dict[str, Any] = {}
        self._series: dict[tuple[str, Labels], Any] = {}
        self._sizes: dict[str, int] = {}
        #: What was counted since the last scrape: the library's own counters cost more than what is counted.
        self._counted: dict[tuple[str, Labels], int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        """Add to the counter ``e2a_<name>_total``."""
        place = (name, tuple(labels.items()))
        counted = self._counted.get(place)
        if counted is None:
            self._find(Counter, name, labels).inc(amount)
            if place in self._series:
                self._counted[place] = 0
        else:
            self._counted[place] = counted + amount

    def _settle(self) -> None:
        for place, amount in self._counted.items():
            if amount:
                self._counted[place] = 0
                self._series[place].inc(amount)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Add one duration to the histogram ``e2a_<name>_seconds``, or one size to ``e2a_<name>`` (:data:`COUNTED`)."""
        if name in COUNTED:
            series = self._find(_size_histogram, name, labels)
        else:
            series = self._find(_histogram, f"{name.removesuffix('_seconds')}_seconds", labels)
        if series is not None:
            series.observe(seconds)

    def gauge(self, name: str, read: Callable[[], float], help: str = "") -> None:
        """Show ``read()`` as ``e2a_<name>`` at every scrape."""
        gauge = Gauge(f"e2a_{name}", help or name.replace("_", " "), registry=self.registry)
        gauge.set_function(read)

    def exposition(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def _find(self, kind: Callable[..., Any], name: str, labels: Mapping[str, str]) -> Any:
        place = (name, tuple(labels.items()))
        found = self._series.get(place)
        return found if found is not None else self._make(kind, name, labels, place)

    def _make(self, kind: Callable[..., Any], name: str, labels: Mapping[str, str], place: tuple[str, Labels]) -> Any:
        try:
            if FORBIDDEN_LABELS & labels.keys():
                raise ValueError(f"label {sorted(FORBIDDEN_LABELS & labels.keys())[0]}")
            family = self._families.get(name)
            if family is None:
                names = tuple(sorted(labels))
                family = self._families[name] = kind(
                    f"e2a_{name}", name.replace("_", " "), names, registry=self.registry
                )
            elif family._labelnames != tuple(sorted(labels)):
                raise ValueError("other labels than before")
            size = self._sizes.get(name, 0)
            if size >= _MAX_SERIES:
                return family.labels(**dict.fromkeys(labels, "other"))
            self._sizes[name] = size + 1
            self._series[place] = family.labels(**labels) if labels else family
        except ValueError as error:
            # A wrong use of metrics must not break what it measures.
            self._log.error("metric {name} cannot be recorded: {error}", name=name, error=str(error))
            self._series[place] = _Ignored()
        return self._series[place]


def _histogram(name: str, documentation: str, labels: tuple[str, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, documentation, labels, registry=registry, buckets=BUCKETS)


def _size_histogram(name: str, documentation: str, labels: tuple[str, ...], registry: CollectorRegistry) -> Histogram:
    return Histogram(name, documentation, labels, registry=registry, buckets=SIZES)


class _Ignored:
    def inc(self, amount: float) -> None: ...

    def observe(self, seconds: float) -> None: ...


class LagProbe:
    """How late the reactor runs what was due: the time that something kept it busy."""

    def __init__(self, clock: IReactorTime, metrics: PrometheusMetrics) -> None:
        self._clock, self._metrics = clock, metrics
        self._due = 0.0
        self._loop = LoopingCall(self._measure)
        self._loop.clock = clock

    def start(self) -> None:
        self._due = self._clock.seconds() + _PROBE_INTERVAL
        self._loop.start(_PROBE_INTERVAL, now=False)

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    def _measure(self) -> None:
        now = self._clock.seconds()
        self._metrics.observe("reactor_lag", max(0.0, now - self._due))
        self._due = now + _PROBE_INTERVAL
