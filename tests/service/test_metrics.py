"""Metrics, probes and the threads for computing."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from twisted.web.test.requesthelper import DummyRequest

from e2a.service.admin import AdminResource
from e2a.service.cpu import ThreadedCpu
from e2a.service.metrics import FORBIDDEN_LABELS, LagProbe, PrometheusMetrics

ROOT = Path(__file__).resolve().parents[2]


class Recording(TestCase):
    def setUp(self) -> None:
        self.metrics = PrometheusMetrics()

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    def test_counters(self) -> None:
        """Counts add up per set of labels."""
        self.metrics.count("mails", outcome="stored")
        self.metrics.count("mails", 2, outcome="stored")
        self.metrics.count("mails", outcome="refused")
        self.assertEqual(self.value("e2a_mails_total", outcome="stored"), 3)
        self.assertEqual(self.value("e2a_mails_total", outcome="refused"), 1)

    def test_durations(self) -> None:
        """Durations become histograms in seconds, whatever way they are named."""
        self.metrics.observe("commit", 0.003)
        self.metrics.observe("commit_seconds", 0.3)
        self.assertEqual(self.value("e2a_commit_seconds_count"), 2)
        self.assertEqual(self.value("e2a_commit_seconds_bucket", le="0.005"), 1)

    def test_label_order(self) -> None:
        """The order in which labels are given does not matter."""
        self.metrics.count("x", a="1", b="2")
        self.metrics.count("x", b="2", a="1")
        self.assertEqual(self.value("e2a_x_total", a="1", b="2"), 2)

    def test_private_labels(self) -> None:
        """Labels that would tell whose mail it is are refused, without disturbing the caller."""
        for name in FORBIDDEN_LABELS:
            self.metrics.count("y", **{name: "bot@agents.example.org"})
        self.flushLoggedErrors()
        self.assertNotIn(b"bot@agents", self.metrics.exposition())

    def test_bounded(self) -> None:
        """However many label values there are, the number of series stays small."""
        for number in range(1000):
            self.metrics.count("z", word=str(number))
        self.assertLess(self.metrics.exposition().count(b"e2a_z_total{"), 110)
        self.assertEqual(self.value("e2a_z_total", word="other"), 900)

    def test_wrong_labels(self) -> None:
        """A name used with different labels is reported once and does not raise."""
        self.metrics.count("w", a="1")
        self.metrics.count("w")
        self.metrics.count("w", b="1")
        self.assertEqual(self.value("e2a_w_total", a="1"), 1)

    def test_gauges(self) -> None:
        """A gauge shows what its function says at the scrape."""
        self.metrics.gauge("sessions", lambda: 7)
        self.assertIn(b"e2a_sessions 7.0", self.metrics.exposition())

    def test_lag(self) -> None:
        """A reactor that was busy for a second shows a lag of a second."""
        clock = Clock()
        probe = LagProbe(clock, self.metrics)
        probe.start()
        clock.advance(0.5)
        clock.advance(1.5)
        probe.stop()
        self.assertEqual(self.value("e2a_reactor_lag_seconds_count"), 2)
        self.assertEqual(self.value("e2a_reactor_lag_seconds_sum"), 1.0)
        self.assertFalse(clock.getDelayedCalls())


class Documented(TestCase):
    def test_every_name(self) -> None:
        """docs/operations.md lists every metric that the code records."""
        documented = (ROOT / "docs" / "operations.md").read_text()
        names = {
            call.args[0].value
            for path in (ROOT / "e2a").rglob("*.py")
            for call in ast.walk(ast.parse(path.read_text()))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and call.func.attr in ("count", "observe", "gauge")
            and "metrics" in ast.unparse(call.func.value)
            and call.args
            and isinstance(call.args[0], ast.Constant)
        }
        self.assertIn("reactor_lag", names)
        self.assertEqual([name for name in sorted(names) if f"`e2a_{name}" not in documented], [])


class Probes(TestCase):
    def get(self, path: bytes, waiting: tuple[str, ...] = ()) -> tuple[int, bytes]:
        request = DummyRequest([])
        request.path = path
        body = AdminResource(PrometheusMetrics(), lambda: waiting).render_GET(request)
        return request.responseCode or 200, body

    def test_metrics(self) -> None:
        """/metrics answers in Prometheus' format."""
        status, body = self.get(b"/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"# HELP process_", body)

    def test_live_and_ready(self) -> None:
        """/livez says that the process lives, /readyz what is still missing."""
        self.assertEqual(self.get(b"/livez", ("database",))[0], 200)
        self.assertEqual(self.get(b"/readyz")[0], 200)
        self.assertEqual(self.get(b"/readyz", ("database",)), (503, b"not ready: database\n"))

    def test_nothing_else(self) -> None:
        """There is nothing else."""
        self.assertEqual(self.get(b"/")[0], 404)


class Cpu(TestCase):
    async def test_threads(self) -> None:
        """Work runs in a named thread apart from the reactor's, and its result or error comes back."""
        cpu = ThreadedCpu(reactor, 1)
        cpu.start()
        self.addCleanup(cpu.stop)
        self.assertIn("e2a-cpu", await cpu.run(lambda: threading.current_thread().name))
        with self.assertRaises(ZeroDivisionError):
            await cpu.run(lambda: 1 // 0)

    def test_stop_without_start(self) -> None:
        """Stopping what never started does nothing."""
        ThreadedCpu(reactor).stop()
