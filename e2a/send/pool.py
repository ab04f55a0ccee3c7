"""Sessions with one server, kept for reuse: as many at a time as it may have, idle ones closed after a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from .protocol import Client, SessionError

#: Messages over one session: servers count, and a fresh session also finds a fresh server behind a balancer.
MOST_MESSAGES = 100


class Pool:
    """:param dial: opens a session, ready for MAIL; raises ``SessionError``.
    :param size: sessions at a time.
    :param idle: seconds that an unused session is kept.
    """

    def __init__(
        self, dial: Callable[[], Awaitable[Client]], clock: IReactorTime, size: int, idle: float = 30.0
    ) -> None:
        self._dial, self._clock, self._size, self._idle_seconds = dial, clock, size, idle
        self._open = 0
        self._idle: dict[Client, IDelayedCall] = {}
        self._waiting: deque[Deferred[None]] = deque()
        self._closed = False

    async def acquire(self, fresh: bool = False) -> Client:
        """A session with no transaction open; ``release`` must follow.

        :param fresh: not one that was used before.
        :raises SessionError: there can be none now.
        """
        while True:
            if self._closed:
                raise SessionError("the gateway is stopping")
            while self._idle and not fresh:
                client, timer = self._idle.popitem()
                timer.cancel()
                ready = False
                try:
                    ready = await self._ready(client)
                finally:
                    if not ready:
                        self._leave(client)
                if ready:
                    return client
            if self._open < self._size:
                break
            if fresh and self._idle:
                client = next(iter(self._idle))
                self._idle.pop(client).cancel()
                self._leave(client)
                continue
            waiter: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiter)
            await waiter
        self._open += 1
        try:
            client = await self._dial()
        except BaseException:
            self._open -= 1
            self._wake()
            raise
        return client

    def release(self, client: Client) -> None:
        """Give a session back, whatever state it is in."""
        if self._closed or not client.usable or client.used >= MOST_MESSAGES:
            self._leave(client)
            return
        client.on_lost = self._lost
        self._idle[client] = self._clock.callLater(self._idle_seconds, self._lost, client)
        self._wake()

    def close(self) -> None:
        """Close idle sessions now and the others as they are released."""
        self._closed = True
        for client in list(self._idle):
            self._lost(client)
        while self._waiting:
            self._wake()

    async def _ready(self, client: Client) -> bool:
        client.on_lost = None
        if not client.usable:
            return False
        if not client.clean:
            try:
                await client.reset()
            except SessionError:
                return False
        return True

    def _lost(self, client: Client) -> None:
        """An idle session that ended, or is not to be kept."""
        timer = self._idle.pop(client, None)
        if timer is not None:
            if timer.active():
                timer.cancel()
            self._leave(client)

    def _leave(self, client: Client) -> None:
        client.on_lost = None
        self._open -= 1
        client.quit()
        self._wake()

    def _wake(self) -> None:
        if self._waiting:
            self._waiting.popleft().callback(None)
