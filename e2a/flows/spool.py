"""A file between those who make a long answer and the client who takes it.

What is made goes to disk at once, so that it never waits for a slow client with a transaction open; the client gets it
while the rest is being made. Neither side holds more in memory than what is in its hands. The file has no name: it is
gone with the process, however that ends.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from .ports import Cpu

#: Octets read at a time.
SLICE = 196_608


class Abandoned(Exception):
    """Nobody wants the rest."""


class Spool:
    """An asynchronous iterator over what is being written. All work on the file happens in ``cpu``'s threads.

    :param directory: where the file is; None: where the system has temporary files.
    """

    def __init__(self, cpu: Cpu, directory: str | None = None) -> None:
        self._cpu = cpu
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._end = 0
        self._place = 0
        self._finished = False
        self._reading = True
        self._busy = False
        self._failure: Failure | None = None
        self._waiting: Deferred[None] | None = None

    # --- writing ------------------------------------------------------------------------------------------------------

    async def fill(self, make: Callable[[], Awaitable[object]]) -> None:
        """Let ``make`` write everything, by ``put``; never raises, readers hear of what went wrong."""
        try:
            self._file = await self._cpu.run(_open, self._directory)
            await make()
        except Exception:
            self._failure = Failure()
        self._finished = True
        self._tell()
        self._release()

    async def put(self, work: Callable[[IO[bytes]], object]) -> None:
        """Let ``work(file)`` append to the file, in a thread.

        :raises Abandoned: nobody reads any more.
        """
        if not self._reading or self._file is None:
            raise Abandoned
        self._end = await self._cpu.run(_append, self._file, work)
        self._tell()

    # --- reading ------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Returns when there is something to read.

        :raises Exception: what ``make`` raised before it wrote anything; the spool is closed.
        """
        try:
            while not self._end and not self._finished:
                await self._wait()
        except CancelledError:
            self.close()
            raise
        if self._failure is not None and not self._end:
            self.close()
            self._failure.raiseException()

    def __aiter__(self) -> Spool:
        return self

    async def __anext__(self) -> bytes:
        while self._place == self._end:
            if self._failure is not None:
                self._failure.raiseException()
            if self._finished:
                raise StopAsyncIteration
            await self._wait()
        if self._file is None:
            raise Abandoned
        self._busy = True
        try:
            wanted = min(SLICE, self._end - self._place)
            chunk = await self._cpu.run(os.pread, self._file.fileno(), wanted, self._place)
        finally:
            self._busy = False
            self._release()
        self._place += len(chunk)
        return chunk

    def close(self) -> None:
        """Nothing more is wanted; what is being made ends soon."""
        self._reading = False
        self._release()

    async def _wait(self) -> None:
        self._waiting = Deferred()
        await self._waiting

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)

    def _release(self) -> None:
        if self._finished and not self._reading and not self._busy and self._file is not None:
            file, self._file = self._file, None
            file.close()


def _open(directory: str | None) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=directory)
    except OSError:
        if directory is None:
            raise
        return tempfile.TemporaryFile()


def _append(file: IO[bytes], work: Callable[[IO[bytes]], Any]) -> int:
    work(file)
    file.flush()
    return os.fstat(file.fileno()).st_size
