"""When a failed webhook delivery is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass

from e2a.core.entities import DeliveryStatus

#: Seconds to wait before each attempt, counted from the end of the one before: ten attempts over 75 hours.
SCHEDULE = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)

#: Share of a wait by which jitter may shorten or lengthen it, so that an outage's backlog does not return in one wave.
JITTER = 0.1

#: The longest wait that a receiver's Retry-After can ask for, in seconds.
MAX_RETRY_AFTER = 86_400.0


@dataclass(frozen=True, slots=True)
class Decision:
    """What an attempt's result means.

    :ivar delay: seconds until the next attempt; None unless ``status`` is ``pending``.
    :ivar error: one short phrase for the delivery log; "" when delivered.
    """

    status: DeliveryStatus
    delay: float | None
    error: str


def decide(attempt: int, status_code: int | None, error: str, retry_after: float | None, jitter: float) -> Decision:
    """Delivered on any 2xx; a redirect is a failure like any other; 410 Gone ends it at once.

    :param attempt: counts from 1.
    :param status_code: None when no HTTP answer came; then ``error`` says why.
    :param retry_after: seconds from a ``Retry-After`` header; honoured on 429 and 503 up to a day, and never undercut
        by jitter.
    :param jitter: a uniform random number in [0, 1).
    """
    if status_code is not None and 200 <= status_code < 300:
        return Decision("delivered", None, "")
    reason = error or f"HTTP {status_code}"
    if status_code == 410:
        return Decision("failed", None, "HTTP 410, the receiver is gone for good")
    if attempt >= len(SCHEDULE):
        return Decision("failed", None, reason)
    delay = SCHEDULE[max(attempt, 1)] * (1 - JITTER + 2 * JITTER * jitter)
    if status_code in (429, 503) and retry_after is not None:
        delay = max(delay, min(retry_after, MAX_RETRY_AFTER))
    return Decision("pending", delay, reason)
