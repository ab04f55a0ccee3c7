"""The way out as it is put together."""

from __future__ import annotations

import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from e2a.service.sending import uninterrupted


class Clocks(SynchronousTestCase):
    def test_sleep(self) -> None:
        """A lease goes on while the machine sleeps: whoever wakes up after it may not send."""
        clocks = {time.CLOCK_BOOTTIME: 500.0, time.CLOCK_MONOTONIC: 5.0}
        self.patch(time, "clock_gettime", clocks.__getitem__)
        self.assertEqual(uninterrupted(), 500.0)

    if sys.platform != "linux":
        test_sleep.skip = "only Linux has such a clock"  # type: ignore[attr-defined]
