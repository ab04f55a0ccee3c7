"""Requests to services that the operator named, such as a sign-in provider: no redirects, one deadline, short answers.

Unlike webhooks they may be inside the operator's network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse

from e2a.flows.ports import Fetched, FetchFailed

from .clients import USER_AGENT, causes, cut

#: Seconds for the whole of it, and for the connection.
DEADLINE = 10.0
CONNECT_SECONDS = 5.0
#: Octets of an answer.
MAX_ANSWER = 524_288


class Fetcher:
    """Implements ``flows.ports.Fetch``. TLS is verified against the platform's certificates."""

    def __init__(self, reactor: Any, deadline: float = DEADLINE) -> None:
        self._reactor = reactor
        self._deadline = deadline
        # No connection is kept: requests are rare, and an idle connection would be dead by the next.
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._agent = Agent(reactor, connectTimeout=CONNECT_SECONDS, pool=pool)

    async def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Fetched:
        host = urlsplit(url).hostname
        work = Deferred.fromCoroutine(self._fetch(method, url, headers, body))
        timer = self._reactor.callLater(self._deadline, work.cancel)
        try:
            return await work
        except Exception as error:
            if not timer.active():
                raise FetchFailed(f"no answer from {host} in time") from error
            cause = causes(error)[0]
            if isinstance(cause, (CancelledError, ConnectingCancelledError)):
                raise CancelledError from error
            reason = str(cause).partition("\n")[0] or type(cause).__name__
            raise FetchFailed(f"no whole answer from {host}: {reason}") from error
        finally:
            if timer.active():
                timer.cancel()

    async def _fetch(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Fetched:
        sent = Headers({"User-Agent": [USER_AGENT], **{name: [text] for name, text in headers.items()}})
        response: IResponse = await HTTPClient(self._agent).request(
            method, url, headers=sent, data=body or None, allow_redirects=False, unbuffered=True, reactor=self._reactor
        )
        collector = _Collector()
        response.deliverBody(collector)
        return Fetched(response.code, await collector.done)


class _TooLong(Exception):
    """More than ``MAX_ANSWER`` octets."""


class _Collector(Protocol):
    """An answer's body, up to the limit."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._left = MAX_ANSWER
        self.done: Deferred[bytes] = Deferred(lambda _: cut(self.transport))

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left >= 0:
            self._chunks.append(data)
        elif not self.done.called:
            self.done.errback(_TooLong("the answer is too long"))
            cut(self.transport)

    def connectionLost(self, reason: Failure | None = None) -> None:
        if self.done.called:
            return
        # Without a length the end of the connection is the end of the answer.
        if reason is None or reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._chunks))
        else:
            self.done.errback(reason)
