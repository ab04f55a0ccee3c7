"""What the blocking and the asynchronous client share: checking webhooks, and how long to wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .inbound import Email, payload_of
from .webhooks import Secrets, body_is_signed, secrets_from

Checked = TypeVar("Checked", bound=Email)

#: Seconds that one long poll takes at most.
_POLL = 50
#: Seconds between two looks at a message that is being sent: the first, and the longest.
_LOOK, _LONGEST_LOOK = 1.0, 15.0
UNDECIDED = frozenset({"pending_approval", "queued"})


class Clock:
    """How much of a wait is left."""

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout
        self._look = _LOOK

    def poll(self) -> int | None:
        """Seconds for the next long poll; None when the time is up."""
        left = self._end - time.monotonic()
        return None if left <= 0 else max(1, min(_POLL, round(left)))

    def pause(self) -> float | None:
        """Seconds until the next look; None when the time is up."""
        left = self._end - time.monotonic()
        if left <= 0:
            return None
        pause, self._look = self._look, min(self._look * 1.5, _LONGEST_LOOK)
        return min(pause, left)


def checked(
    make: Callable[[Mapping[str, Any]], Checked],
    body: object,
    secret: Secrets | None,
    headers: Mapping[str, Any] | None,
) -> Checked:
    """A webhook body as an e-mail, made by ``make``, whose signature is right; see ``E2AClient.parse_webhook``."""
    secrets = secrets_from(secret)
    if headers is None:
        email = make(payload_of(body))
        if not email.verify_signature(secrets):
            raise PermissionError("the webhook's signature is wrong, or older than five minutes")
        return email
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise TypeError("to check the request's headers, pass the body as it was received, as bytes or str")
    if not body_is_signed(bytes(body), headers, secrets):
        raise PermissionError("the request's webhook-signature is missing or wrong, or older than five minutes")
    email = make(payload_of(body))
    email._accept()
    return email
