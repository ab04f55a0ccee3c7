"""What the garbage collector still does after a start."""

from __future__ import annotations

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from e2a.service.memory import YOUNG, settle


class _Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.self = self


class SettleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        settle()

    def test_what_stands_is_left_alone(self) -> None:
        """What was there at the end of the start is not looked at again."""
        self.assertGreater(gc.get_freeze_count(), 10_000)
        self.assertEqual(gc.get_threshold()[0], YOUNG)

    def test_cycles_are_freed(self) -> None:
        """What refers to itself is freed without being asked, once enough was made after it."""
        knot = weakref.ref(_Knot())
        kept: list[list[None]] = [[] for _ in range(2 * YOUNG)]
        self.assertTrue(kept)
        self.assertIsNone(knot())
