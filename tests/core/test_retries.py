"""The webhook retry schedule."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.rules.retries import SCHEDULE, decide


class DecisionTests(SynchronousTestCase):
    def test_schedule(self) -> None:
        """An endpoint that never answers is tried ten times, at the published intervals, over at least 72 hours."""
        waits = [0.0]
        attempt = 1
        while True:
            decision = decide(attempt, None, "timed out", None, 0.5)
            if decision.status == "failed":
                break
            assert decision.delay is not None
            waits.append(decision.delay)
            attempt += 1
        for wait, published in zip(waits, SCHEDULE, strict=True):
            self.assertAlmostEqual(wait, published)
        self.assertEqual(SCHEDULE, (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400))
        self.assertGreaterEqual(sum(waits), 72 * 3600)
        self.assertEqual(decision.error, "timed out")

    @settings(deadline=None, max_examples=100)
    @given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
    def test_jitter(self, attempt: int, jitter: float) -> None:
        """Jitter moves a retry by at most a tenth either way."""
        decision = decide(attempt, 500, "", None, jitter)
        assert decision.delay is not None
        self.assertLessEqual(abs(decision.delay - SCHEDULE[attempt]), SCHEDULE[attempt] * 0.1 + 1e-6)

    def test_success_is_any_2xx(self) -> None:
        """200 to 299 end the delivery with success, on the last attempt too."""
        for code in (200, 202, 204, 299):
            self.assertEqual(decide(10, code, "", None, 0.5).status, "delivered")

    def test_redirects_and_errors_are_retried(self) -> None:
        """1xx, 3xx, 4xx and 5xx are failures that are tried again."""
        for code in (199, 300, 302, 400, 404, 500, 599):
            decision = decide(1, code, "", None, 0.5)
            self.assertEqual((decision.status, decision.error), ("pending", f"HTTP {code}"))

    def test_gone_stops(self) -> None:
        """410 ends the delivery at the first attempt."""
        decision = decide(1, 410, "", 5.0, 0.5)
        self.assertEqual((decision.status, decision.delay), ("failed", None))

    def test_retry_after(self) -> None:
        """429 and 503 wait at least as long as asked, whatever the jitter, and at most a day more than scheduled."""
        for code in (429, 503):
            self.assertEqual(decide(1, code, "", 60.0, 0.0).delay, 60.0)
            self.assertEqual(decide(1, code, "", 1e9, 0.0).delay, 86400.0)
            self.assertEqual(decide(3, code, "", 60.0, 0.5).delay, 1800.0)
            self.assertEqual(decide(1, code, "", -5.0, 0.5).delay, 5.0)
        self.assertEqual(decide(1, 500, "", 60.0, 0.5).delay, 5.0)
