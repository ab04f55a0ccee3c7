"""The webhook client: one POST, one result, whatever the other side does."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
from OpenSSL import SSL
from service_identity import VerificationError
from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, ConnectionRefusedError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import RequestTransmissionFailed, ResponseFailed, ResponseNeverReceived
from twisted.web.http import stringToDatetime
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from e2a.core.rules import netpolicy
from e2a.flows.ports import WebhookRequest, WebhookResult

from .clients import USER_AGENT, causes, cut
from .safeagent import Addresses, Refused, SafeAgent, Unresolved, VettedEndpoints

#: Seconds for everything: resolving, connecting, TLS, the request and its answer.
DEADLINE = 15.0
#: Octets of an answer that are read so that its connection can be kept; a longer answer costs the connection.
MAX_ANSWER = 65_536


@lru_cache(4096)
def _allowed(url: str, production: bool) -> bool:
    return not netpolicy.check_url(url, production)


def encode(payload: dict[str, Any]) -> bytes:
    """A payload as the JSON text that is posted and signed."""
    return orjson.dumps(payload)


class WebhookClient:
    """Implements ``flows.ports.Webhooks``.

    :param now: Unix time, to make sense of a Retry-After date.
    :param production: which of netpolicy's two sets of rules holds.
    :param trust_root: see ``safeagent.load_trust_root``; None for the platform's certificates.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        addresses: Addresses,
        now: Callable[[], float],
        production: bool,
        trust_root: Any = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._reactor = reactor
        self._now = now
        self._production = production
        self._deadline = deadline
        self._endpoints = VettedEndpoints(reactor, addresses, production, trust_root)
        self._agent = SafeAgent(self._endpoints)

    async def post(self, request: WebhookRequest) -> WebhookResult:
        """POST once within the deadline. An answer counts as soon as its header is there.

        :raises CancelledError: the caller cancelled it.
        """
        if not _allowed(request.url, self._production):
            return WebhookResult(None, "the webhook URL is not allowed")
        attempt = Deferred.fromCoroutine(self._post(request))
        timer = self._reactor.callLater(self._deadline, attempt.cancel)
        try:
            return await attempt
        except Exception as error:
            if not timer.active():
                return WebhookResult(None, "no answer in time")
            if any(isinstance(cause, (CancelledError, ConnectingCancelledError)) for cause in causes(error)):
                raise CancelledError from error
            return WebhookResult(None, self._phrase(error))
        finally:
            if timer.active():
                timer.cancel()

    def close(self) -> Deferred[None]:
        """Close idle connections."""
        return self._agent.close()

    async def _post(self, request: WebhookRequest) -> WebhookResult:
        connects = self._endpoints.connects
        try:
            response = await self._send(request)
        except (ResponseNeverReceived, RequestTransmissionFailed) as error:
            # A kept connection that the receiver closed while it was idle looks like this; the request was not seen.
            if self._endpoints.connects != connects or not _closed(error):
                raise
            response = await self._send(request)
        retry_after = _retry_after(response, self._now())
        await _drain(response)
        return WebhookResult(response.code, "", retry_after)

    async def _send(self, request: WebhookRequest) -> IResponse:
        headers = Headers({"User-Agent": [USER_AGENT], **{name: [text] for name, text in request.headers.items()}})
        # A client lives for one request: its cookie jar would carry one tenant's cookies to another's.
        response: IResponse = await HTTPClient(self._agent).post(
            request.url,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,
        )
        return response

    def _phrase(self, error: Exception) -> str:
        for cause in causes(error):
            for kinds, phrase in _PHRASES:
                if isinstance(cause, kinds):
                    return phrase
        self._log.failure("webhook request failed in an unforeseen way", Failure(error))
        return "the request failed"


_PHRASES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (Refused, "the webhook host is not a public one"),
    (Unresolved, "the webhook host cannot be resolved"),
    (VerificationError, "the certificate is for another host"),
    (SSL.Error, "the TLS connection failed"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectTimeout, "no connection in time"),
    (ConnectError, "the host cannot be reached"),
    (ConnectionClosed, "the connection was closed without an answer"),
    ((ResponseFailed, RequestTransmissionFailed), "the answer is not HTTP"),
)


def _closed(error: BaseException) -> bool:
    return any(isinstance(cause, ConnectionClosed) for cause in causes(error))


def _retry_after(response: IResponse, now: float) -> float | None:
    """Seconds from a Retry-After header in either form (RFC 9110 10.2.3)."""
    values = response.headers.getRawHeaders(b"retry-after")
    if not values:
        return None
    value = values[0].strip()
    if value.isdigit():
        return float(value[:12])
    try:
        return max(0.0, stringToDatetime(value) - now)
    except (ValueError, TypeError, IndexError, KeyError, OverflowError):
        return None


class _Drain(Protocol):
    """Reads an answer to its end or the limit."""

    def __init__(self) -> None:
        self._left = MAX_ANSWER
        self.done: Deferred[None] = Deferred(lambda _: cut(self.transport))

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            cut(self.transport)

    def connectionLost(self, reason: Failure | None = None) -> None:
        if not self.done.called:
            self.done.callback(None)


async def _drain(response: IResponse) -> None:
    """Read the answer's body for the sake of the connection; how that goes does not matter any more."""
    drain = _Drain()
    response.deliverBody(drain)
    try:
        await drain.done
    except CancelledError:
        pass
