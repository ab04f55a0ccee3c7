"""The HTTP port: what one connection may cost, and what is remembered of it.

Stock ``twisted.web`` reads any body and waits for ever for one that trickles in. Here every connection has limits:

- bodies over the route's cap are answered 413 while they arrive, declared or chunked, and then read no further than a
short while;
- a request's header must be complete :data:`HEADER_SECONDS` after its first byte, its body within a time that follows
from its cap;
- an idle connection ends after :data:`IDLE_SECONDS`, one whose client stops reading after :data:`STALL_SECONDS`;
- connections over the site's maximum, or over one client's share of it, are closed at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, AnyStr

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from e2a.core.ids import RandomBytes
from e2a.core.rules.limits import network_of

from .errors import phrase

#: Seconds without a request in progress, after which a connection is closed.
IDLE_SECONDS = 75.0
#: Seconds from a request's first byte to the end of its header.
HEADER_SECONDS = 15.0
#: Seconds that any body may take; on top of it comes its cap divided by the slowest accepted rate.
BODY_SECONDS = 30.0
#: Octets per second below which a body is too slow.
SLOWEST_SENDER = 16_384
#: Seconds without the client taking anything of an answer that waits for it.
STALL_SECONDS = 60.0
#: Seconds for which the rest of a refused body is read and thrown away, so that the client gets to see the answer.
LINGER_SECONDS = 3.0

Network = IPv4Network | IPv6Network
#: ``(method, request target) -> octets``: how long the body of that request may be.
BodyLimit = Callable[[bytes, bytes], int]

_REASONS = {400: b"malformed request", 408: b"the request took too long", 413: b"request body too large"}


class _BodyTooLarge(Exception):
    """More body arrived than the route takes."""


class CappedRequest(Request):
    """A request that counts its body while it arrives.

    :ivar body_limit: octets, set by the channel when the header is complete.
    """

    body_limit = 0
    _body_size = 0

    def handleContentChunk(self, data: bytes) -> None:
        self._body_size += len(data)
        if self._body_size > self.body_limit:
            raise _BodyTooLarge
        super().handleContentChunk(data)

    def getHeader(self, key: AnyStr) -> AnyStr | None:
        # Any octets may stand in a value (RFC 9110 5.5); Twisted, asked with a str, fails when they are no UTF-8.
        if isinstance(key, bytes):
            return super().getHeader(key)
        value = super().getHeader(key.encode("ascii"))
        return None if value is None else value.decode("utf-8", "replace")

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        # Twisted has no words for 422 and 429.
        super().setResponseCode(code, message or phrase(code).encode("ascii"))


class Channel(http.HTTPChannel):
    """One connection with deadlines. Twisted's own time-out restarts with every byte, so it bounds idleness only."""

    _deadline: IDelayedCall | None = None
    _stall: IDelayedCall | None = None
    _refused = False
    _counted = False
    #: Whom the connection counts for, "" when it counts for nobody.
    whom = ""
    site: BoundedSite
    transport: Any
    _networkProducer: Any

    def connectionMade(self) -> None:
        self._counted = True
        self.site.enter(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._forget()
        super().connectionLost(reason)

    def hand_over(self) -> None:
        """Give the connection to another protocol: no time-out, count or flow control of ours holds any more."""
        self._forget()
        self.setTimeout(None)
        self._networkProducer.unregisterProducer()

    def drain(self) -> None:
        """End this connection: now, or when the request in progress has been answered."""
        self.persistent = 0
        if not self._handlingRequest:
            self.loseConnection()

    def _forget(self) -> None:
        if self._counted:
            self._counted = False
            self.site.forget(self)
        self._set_deadline(None)
        self._cancel_stall()

    # Receiving

    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        if self._deadline is None and not self._handlingRequest:
            self._set_deadline(HEADER_SECONDS)
        super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._respondToBadRequestAndDisconnect()

    def allHeadersReceived(self) -> None:
        request: CappedRequest = self.requests[-1]
        if self.length != 0:
            request.body_limit = self.site.body_limit(self._command, self._path)
            if self.length is not None and self.length > request.body_limit:
                self._refuse(413)
                return
            self._set_deadline(BODY_SECONDS + request.body_limit / SLOWEST_SENDER)
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            super().rawDataReceived(data)
        except _BodyTooLarge:
            self._refuse(413)

    def lineReceived(self, line: bytes) -> None:
        if not self._refused:
            super().lineReceived(line)

    def allContentReceived(self) -> None:
        self._set_deadline(None)
        super().allContentReceived()

    # Refusing

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._refuse(400)

    def _refuse(self, status: int) -> None:
        """Answer without a request object, then close in a way that lets the client read the answer.

        Closing with unread data in the socket's buffer would reset the connection and could take the answer with it
        (RFC 9112 9.6).
        """
        if self._refused:
            return
        self._refused = True
        text = _REASONS[status] + b"\n"
        lines = [
            b"HTTP/1.1 %d %s" % (status, http.RESPONSES[status]),
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Length: %d" % len(text),
            b"Connection: close",
            b"Cache-Control: no-store",
            b"X-Content-Type-Options: nosniff",
            b"X-Request-Id: " + self.site.random(8).hex().encode("ascii"),
        ]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + text)
        self.site.refused(status)
        self.setTimeout(None)
        self._networkProducer.unregisterProducer()
        close = getattr(self.transport, "loseWriteConnection", None)
        if close is None:
            self.transport.loseConnection()
            return
        close()
        self._set_deadline(LINGER_SECONDS)

    # Time

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            if self._deadline.active():
                self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.callLater(seconds, self._late)

    def _late(self) -> None:
        self._deadline = None
        if self._refused:
            self.transport.abortConnection()
        else:
            self._refuse(408)

    def timeoutConnection(self) -> None:
        """The connection was idle. A client that does not even acknowledge the close is cut off."""
        if self.abortTimeout is not None:
            self._abortingCall = self.callLater(self.abortTimeout, self.forceAbortClient)
        self.loseConnection()

    def forceAbortClient(self) -> None:
        self._abortingCall = None
        self.transport.abortConnection()

    # Sending

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._stall is None and self._counted:
            self._stall = self.callLater(STALL_SECONDS, self._stalled)

    def resumeProducing(self) -> None:
        self._cancel_stall()
        super().resumeProducing()

    def _stalled(self) -> None:
        self._stall = None
        self.transport.abortConnection()

    def _cancel_stall(self) -> None:
        if self._stall is not None and self._stall.active():
            self._stall.cancel()
        self._stall = None


class BoundedSite(Site):
    """The factory of the HTTP port.

    :param max_connections: open ones at a time; more are closed at once.
    :param max_per_address: the same from one IPv4 address or IPv6 /64. Loopback does not count: it is this machine's
        own reverse proxy, or its operator.
    :param is_proxy: whether an address is a trusted proxy, whose connections are many clients'.
    :ivar connections: every open connection that speaks HTTP; one that became a WebSocket is its own protocol's
    business.
    """

    protocol = Channel  # type: ignore[assignment]
    requestFactory = CappedRequest
    displayTracebacks = False
    _log = Logger()

    def __init__(
        self,
        root: IResource,
        body_limit: BodyLimit,
        *,
        reactor: IReactorTime,
        random: RandomBytes,
        max_connections: int = 4096,
        max_per_address: int = 1024,
        is_proxy: Callable[[str], bool] = lambda address: False,
        client_address: Callable[[http.Request], str],
    ) -> None:
        super().__init__(root, reactor=reactor, timeout=IDLE_SECONDS, parsePOSTFormSubmission=False)
        self.body_limit = body_limit
        self.random = random
        self.max_connections = max_connections
        self.max_per_address = max_per_address
        self._is_proxy = is_proxy
        self._each: Counter[str] = Counter()
        self._crowds: set[str] = set()
        self.client_address = client_address
        self.connections: set[Channel] = set()
        self._full = False
        self._drained: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        full = len(self.connections) >= self.max_connections
        if full != self._full:
            self._full = full
            state = "closing new ones" if full else "accepting again"
            self._log.warn("{count} HTTP connections, {state}", count=len(self.connections), state=state)
        return None if full or self._crowded(self.whom(addr)) else super().buildProtocol(addr)

    def whom(self, peer: IAddress | None) -> str:
        """Whom a connection from there counts for; "" for nobody: a proxy, this machine, a peer without an address."""
        address = _parsed(str(getattr(peer, "host", "")))
        if address is None or address.is_loopback or self._is_proxy(str(address)):
            return ""
        return network_of(str(address))

    def _crowded(self, whom: str) -> bool:
        if not whom or self._each[whom] < self.max_per_address:
            return False
        if whom not in self._crowds:
            self._crowds.add(whom)
            self._log.warn("{count} HTTP connections from {whom}, closing new ones", count=self._each[whom], whom=whom)
        return True

    def enter(self, channel: Channel) -> None:
        """A connection is open."""
        channel.whom = self.whom(channel.transport.getPeer())
        self.connections.add(channel)
        self._each[channel.whom] += 1

    def drain(self) -> Deferred[None]:
        """Begin no further request on any connection.

        :returns: fires when the last connection is closed. The caller sets the time limit.
        """
        for channel in list(self.connections):
            channel.drain()
        if not self.connections:
            return succeed(None)
        self._drained = Deferred()
        return self._drained

    def forget(self, channel: Channel) -> None:
        """A connection is closed, or another protocol's business now."""
        self.connections.discard(channel)
        self._each[channel.whom] -= 1
        if not self._each[channel.whom]:
            del self._each[channel.whom]
            self._crowds.discard(channel.whom)
        if self._drained is not None and not self.connections:
            drained, self._drained = self._drained, None
            drained.callback(None)

    def startFactory(self) -> None:
        """No log file: :meth:`log` writes events."""

    def stopFactory(self) -> None:
        """See :meth:`startFactory`."""

    def log(self, request: http.Request) -> None:
        """One event for each request: no query string, since a token may be in it, and no header."""
        self._log.info(
            "{method} {path} {status} {size} {client} {request_id}",
            method=request.method.decode("ascii", "replace"),
            path=request.uri.partition(b"?")[0].decode("ascii", "replace"),
            status=request.code,
            size=request.sentLength,
            client=self.client_address(request),
            request_id=request_id(request) or "-",
        )

    def refused(self, status: int) -> None:
        """A connection ended before there was a whole request."""
        self._log.info("a request was refused with {status} while it arrived", status=status)


class ClientAddresses:
    """Whom a request comes from: the peer, or what a trusted proxy in front says.

    ``X-Forwarded-For`` is believed from the right, hop by hop, only as far as each hop is a trusted proxy; what is
    left of the first stranger is that stranger's own claim.

    :param trusted: the networks of the proxies; empty: the header is ignored.
    """

    def __init__(self, trusted: Sequence[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def __call__(self, request: http.Request) -> str:
        peer = str(getattr(request.getClientAddress(), "host", ""))
        address = _parsed(peer)
        if address is None:
            return peer
        if self._is_trusted(address):
            hops = (
                b",".join(request.requestHeaders.getRawHeaders(b"x-forwarded-for") or []).decode("latin-1").split(",")
            )
            for hop in reversed(hops):
                said = _parsed(hop.strip())
                if said is None:
                    break
                address = said
                if not self._is_trusted(said):
                    break
        return str(address)

    def is_proxy(self, address: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        parsed = _parsed(address)
        return parsed is not None and self._is_trusted(parsed)

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def request_id(request: http.Request) -> str:
    """What the answer calls the request; "" before it has been given a name."""
    return (request.responseHeaders.getRawHeaders("x-request-id") or [""])[0]


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: bare, ``[v6]:port`` or ``v4:port``, IPv4-mapped ones unmapped; or None."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
