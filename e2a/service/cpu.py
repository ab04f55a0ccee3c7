"""Threads for work that computes. They are not the reactor's own, which resolve names and must never be all busy."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class ThreadedCpu:
    """``ports.Cpu`` on a pool of as many threads as there are cores.

    :param size: number of threads; more than the cores only adds switching.
    """

    def __init__(self, reactor: IReactorFromThreads, size: int | None = None) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, size or min(os.cpu_count() or 1, 8), name="e2a-cpu")
        self._running = False

    def start(self) -> None:
        self._pool.start()
        self._running = True

    def stop(self) -> None:
        """Waits for the work in hand."""
        if self._running:
            self._running = False
            self._pool.stop()

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """``work(*args)``'s result, computed in a thread."""
        return await cast("Deferred[T]", deferToThreadPool(self._reactor, self._pool, work, *args))
