"""How much of what callers want is done: so often for each of them, and so much at one time in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from e2a.core.errors import Busy, TooManyRequests
from e2a.core.rules.limits import COUNTED_BY, Allowance, LimitName

from .routing import Load, Route

#: Seconds, about, after which it makes sense to come again when too much is under way.
COME_BACK = {"work": 2, "wait": 15}


class Limiter(Protocol):
    """``flows.limits.RateLimits`` as the API sees it."""

    async def count(self, name: LimitName, whom: str) -> Allowance | None:
        """:raises TooManyRequests: the limit is reached."""
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """How many requests of one kind may be under way: in all, and for one organisation."""

    total: int
    each: int


#: What one process takes on unless it is told otherwise.
ROOMS: dict[Load, Room] = {"work": Room(500, 100), "wait": Room(5000, 1000)}


class Concurrency:
    """Counts what is under way. Each process counts for itself: what it protects is its own memory and reactor.

    :param jitter: a number from 0 to 1, so that those who were sent away do not all return at once.
    """

    def __init__(self, jitter: Callable[[], float], rooms: dict[Load, Room] | None = None) -> None:
        self._jitter = jitter
        self._rooms = rooms or ROOMS
        self._total: Counter[Load] = Counter()
        self._each: Counter[tuple[Load, str]] = Counter()

    def under_way(self, load: Load) -> int:
        return self._total[load]

    @contextmanager
    def place(self, load: Load | None, organisation_id: str) -> Iterator[None]:
        """A place for one request, until the ``with`` block ends.

        :param load: None takes no place.
        :raises TooManyRequests: the organisation has as many under way as it may.
        :raises Busy: everybody together has.
        """
        if load is None:
            yield
            return
        room, own = self._rooms[load], (load, organisation_id)
        if self._each[own] >= room.each:
            raise TooManyRequests("too many requests of this account are under way", retry_after=self._later(load))
        if self._total[load] >= room.total:
            raise Busy(retry_after=self._later(load))
        self._total[load] += 1
        self._each[own] += 1
        try:
            yield
        finally:
            self._total[load] -= 1
            self._each[own] -= 1
            if not self._each[own]:
                del self._each[own]

    def _later(self, load: Load) -> int:
        return ceil(COME_BACK[load] * (0.5 + self._jitter()))


def counts_client(route: Route) -> bool:
    """Whether the route is limited by client address, which is counted before anything else is looked at."""
    return route.limit is not None and COUNTED_BY[route.limit] == "client"


def counts_user(route: Route) -> bool:
    """Whether the route is limited by user, who is counted as soon as it is known who it is."""
    return route.limit is not None and COUNTED_BY[route.limit] == "user"


def headers(allowance: Allowance, now: float) -> dict[str, str]:
    """How the caller stands, for the answer.

    :param now: Unix time.
    """
    return _headers(allowance.limit.most, allowance.remaining, now + allowance.resets)


def refused(error: TooManyRequests, now: float) -> dict[str, str]:
    """The same for a refusal; nothing when no rate limit is behind it."""
    return {} if error.most is None else _headers(error.most, 0, now + error.retry_after)


def _headers(most: int, remaining: int, resets: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(most),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(ceil(resets)),
    }
