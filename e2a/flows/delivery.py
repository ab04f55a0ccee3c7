"""One webhook delivery attempt: load, shape, sign, post, and what the result means.

Every attempt is signed anew, so that its timestamp is within the receiver's window however late it is. The message's
bytes and facts never change, and the webhook's URL is the agent's current one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from e2a.core import payloads
from e2a.core.entities import ClaimedDelivery, InboundMessage
from e2a.core.errors import Unavailable
from e2a.core.mail import parts
from e2a.core.rules import retries
from e2a.core.trust import signing, webhooksignature
from e2a.store import deliveries, rawmail
from e2a.store.deliveries import Claim, Outcome
from e2a.store.rows import Cursor

from .ports import Cpu, Metrics, Now, Transactions, WebhookRequest, WebhookResult, Webhooks

__all__ = ["Claim", "DeliveryFlow", "Held", "Outcome", "compose"]

#: Messages over this many octets are taken apart and encoded off the reactor thread.
INLINE_OCTETS = 65_536


class Secrets(Protocol):
    """``flows.secrets.SecretBook``."""

    async def signers(self, organisation_id: str, attempt: int = 1) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Held:
    """A claim without its bytes: enough to give it back."""

    message_id: str
    fence: int


class DeliveryFlow:
    """What ``workers.deliveries`` does with the rows.

    :param encode: a payload as JSON text.
    :param random: uniform in [0, 1), for jitter.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        webhooks: Webhooks,
        secrets: Secrets,
        cpu: Cpu,
        encode: Callable[[dict[str, Any]], bytes],
        now: Now,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._database = database
        self._webhooks = webhooks
        self._secrets = secrets
        self._cpu = cpu
        self._encode = encode
        self._now = now
        self._random = random
        self._metrics = metrics

    async def claim(
        self, limit: int, lease: float, room: int, rooms: Mapping[str, int], ids: Sequence[str] | None
    ) -> list[Claim]:
        """Take due deliveries, see ``store.deliveries.claim``.

        :raises Unavailable: the database cannot be asked now.
        """
        return await self._database.statement("claim deliveries", _claim, limit, lease, room, rooms, ids)

    async def record(self, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None:
        """Write outcomes, and give claims back for ``delay`` seconds, in one transaction.

        :raises Unavailable: it is not known to be written; writing it again changes nothing.
        """
        await self._database.run("record deliveries", _record, outcomes, released, delay)

    async def attempt(self, claim: Claim) -> Outcome | None:
        """Post once.

        :returns: what came of it; None when nothing was posted because of trouble on our side: to be given back.
        """
        started = self._now()
        try:
            result = await self._post(claim)
        except Unavailable:
            return None
        except CancelledError:
            raise
        except Exception:
            # A message that cannot be shaped or signed must not be claimed again and again without end.
            self._log.failure("delivery of {message_id} failed on our side", message_id=claim.delivery.message.id)
            result = WebhookResult(None, "the gateway could not make the request")
        return self._outcome(claim.delivery, result, started)

    async def _post(self, claim: Claim) -> WebhookResult:
        delivery = claim.delivery
        message = delivery.message
        if not delivery.webhook_url:
            return WebhookResult(410)
        raw = claim.raw
        if raw is None:
            raw = await self._database.run("load raw", rawmail.load_raw, message.raw_id)
        secrets = await self._secrets.signers(delivery.organisation_id, delivery.attempt)
        arguments = (message, raw, secrets, self._now(), self._encode)
        if len(raw) > INLINE_OCTETS:
            headers, body = await self._cpu.run(compose, *arguments)
        else:
            headers, body = compose(*arguments)
        del raw, claim, arguments
        started = self._now()
        result = await self._webhooks.post(WebhookRequest(delivery.webhook_url, headers, body))
        self._metrics.observe("webhook_request_seconds", self._now() - started)
        return result

    def _outcome(self, delivery: ClaimedDelivery, result: WebhookResult, started: float) -> Outcome:
        decision = retries.decide(
            delivery.attempt, result.status_code, result.error, result.retry_after, self._random()
        )
        error, status_code = decision.error, result.status_code
        if not delivery.webhook_url:
            error, status_code = "the agent has no webhook any more", None
        self._metrics.count("webhook_attempts", outcome=decision.status)
        if decision.status == "failed":
            self._log.warn(
                "delivery of {message_id} failed for good after attempt {attempt}: {error}",
                message_id=delivery.message.id,
                attempt=delivery.attempt,
                error=error,
            )
        return Outcome(
            message_id=delivery.message.id,
            fence=delivery.fence,
            status=decision.status,
            delay=decision.delay,
            error=error,
            status_code=status_code,
            started_at=started,
            duration_ms=max(0, round((self._now() - started) * 1000)),
        )


def compose(
    message: InboundMessage,
    raw: bytes,
    secrets: Sequence[str],
    now: float,
    encode: Callable[[dict[str, Any]], bytes],
) -> tuple[dict[str, str], bytes]:
    """The headers and body of one attempt, signed at ``now`` (Unix time).

    :param secrets: all that count; the first signs where only one signature fits.
    """
    auth_headers = signing.sign(message.facts, message.id, secrets[0], now, secrets[1:])
    body = encode(payloads.webhook(message, parts.content(raw), payloads.base64_text(raw), auth_headers))
    headers = {
        "Content-Type": "application/json",
        **auth_headers,
        **webhooksignature.sign(message.id, now, body, secrets),
    }
    return headers, body


async def _claim(
    cur: Cursor, limit: int, lease: float, room: int, rooms: Mapping[str, int], ids: Sequence[str] | None
) -> list[Claim]:
    return await deliveries.claim(cur, limit=limit, lease=lease, room=room, rooms=rooms, ids=ids)


async def _record(cur: Cursor, outcomes: Sequence[Outcome], released: Sequence[Held], delay: float) -> None:
    if outcomes:
        await deliveries.record_outcomes(cur, outcomes)
    if released:
        await deliveries.release(cur, [(held.message_id, held.fence) for held in released], delay)
