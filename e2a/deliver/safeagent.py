"""An HTTP agent that connects only where ``core.rules.netpolicy`` allows.

The name is resolved and every address judged at the moment of connecting, and a judged address is the one dialled:
there is no second look-up that could answer differently. TLS is still verified against the host *name*. Connections
are kept for reuse; each was judged when it was made. No proxy is taken from the environment and no redirect followed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.web._newclient import HTTP11ClientProtocol, Request
from twisted.web.client import URI, Agent, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from e2a.core.rules import netpolicy

#: ``addresses(host)``: every address the name resolves to, as text. Raises when DNS cannot say.
Addresses = Callable[[str], Awaitable[Iterable[str]]]

#: Addresses of one name that are tried in turn, and seconds for each.
MAX_ADDRESSES = 4
CONNECT_SECONDS = 5.0
#: Idle connections kept for one host, and for how many seconds.
KEPT_PER_HOST = 16
KEPT_SECONDS = 30
#: Octets of one answer, header and interim answers included; Twisted's parser keeps header lines without end.
MAX_RECEIVED = 262_144


class Refused(Exception):
    """The host is not one that may be connected to; nothing was dialled."""


class Unresolved(Exception):
    """The host has no address, or DNS could not say."""


@implementer(IStreamClientEndpoint)
class VettedEndpoint:
    """Resolves, judges and dials, each time it is asked to connect."""

    def __init__(self, shared: VettedEndpoints, secure: bool, host: str, port: int) -> None:
        self._shared = shared
        self._secure = secure
        self._host = host
        self._port = port

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        self._shared.connects += 1
        error: Exception = Unresolved(self._host)
        for address in (await self._vetted())[:MAX_ADDRESSES]:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            endpoint: Any = kind(self._shared.reactor, address, self._port, CONNECT_SECONDS)
            if self._secure:
                endpoint = wrapClientTLS(optionsForClientTLS(self._host, **self._shared.trust), endpoint)
            try:
                protocol: IProtocol = await endpoint.connect(factory)
                return protocol
            except (CancelledError, ConnectingCancelledError):
                raise
            except Exception as failed:
                error = failed
        raise error

    async def _vetted(self) -> list[str]:
        """The host's addresses, IPv4 first.

        :raises Refused: one of them is not allowed: a name that points inside as well as outside is not trusted by
            half.
        """
        texts = {str(ipaddress.ip_address(text)) for text in await self._resolve()}
        found = sorted(texts, key=lambda text: (":" in text, text))
        if not found:
            raise Unresolved(self._host)
        if not all(netpolicy.may_connect(address, self._shared.production) for address in found):
            raise Refused(self._host)
        return found

    async def _resolve(self) -> Iterable[str]:
        if netpolicy.is_local_name(self._host):
            return ("127.0.0.1", "::1")
        try:
            ipaddress.ip_address(self._host)
        except ValueError:
            pass
        else:
            return (self._host,)
        try:
            return await self._shared.addresses(self._host)
        except Exception as error:
            raise Unresolved(self._host) from error


@implementer(IAgentEndpointFactory)
class VettedEndpoints:
    """:param trust_root: certificates to trust instead of the platform's, from ``load_trust_root``."""

    def __init__(self, reactor: Any, addresses: Addresses, production: bool, trust_root: Any = None) -> None:
        self.reactor = reactor
        self.addresses = addresses
        self.production = production
        self.trust = {"trustRoot": trust_root} if trust_root is not None else {}
        #: How many times a connection was asked for; a request during which it stays the same used a kept one.
        self.connects = 0

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """:raises Refused: a scheme other than http and https."""
        if uri.scheme not in (b"http", b"https"):
            raise Refused(uri.scheme)
        host = uri.host.decode("ascii").strip("[]").removesuffix(".").lower()
        return VettedEndpoint(self, uri.scheme == b"https", host, uri.port)


class _Protocol(HTTP11ClientProtocol):
    """Cuts the connection when an answer is longer than ``MAX_RECEIVED``."""

    _received = 0

    def request(self, request: Request) -> Deferred[IResponse]:
        self._received = 0
        return super().request(request)

    def dataReceived(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > MAX_RECEIVED:
            transport: Any = self.transport
            transport.abortConnection()
        else:
            super().dataReceived(data)


class _Factory(_HTTP11ClientFactory):
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> HTTP11ClientProtocol:
        return _Protocol(self._quiescentCallback)


class _Pool(HTTPConnectionPool):
    _factory = _Factory


@implementer(IAgent)
class SafeAgent:
    """``twisted.web.client.Agent`` over ``VettedEndpoints``.

    The answer loses its Content-Encoding: a receiver's answer is never decoded, so it cannot blow up in memory.
    """

    def __init__(self, endpoints: VettedEndpoints) -> None:
        self._pool: Any = _Pool(endpoints.reactor, persistent=True)
        self._pool.maxPersistentPerHost = KEPT_PER_HOST
        self._pool.cachedConnectionTimeout = KEPT_SECONDS
        self._pool.retryAutomatically = False
        self._agent = Agent.usingEndpointFactory(endpoints.reactor, endpoints, self._pool)

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(_undecoded)

    def close(self) -> Deferred[None]:
        """Close idle connections; fires when they are closed."""
        closed: Deferred[None] = self._pool.closeCachedConnections()
        return closed


def load_trust_root(pem: bytes) -> Any:
    """Trust exactly the certificates in a PEM text.

    :raises ValueError: there is none in it.
    """
    end = b"-----END CERTIFICATE-----"
    blocks = [block + end for block in pem.split(end)[:-1]]
    if not blocks:
        raise ValueError("no certificate in the file")
    return trustRootFromCertificates([Certificate.loadPEM(block) for block in blocks])


def _undecoded(response: IResponse) -> IResponse:
    response.headers.removeHeader(b"content-encoding")
    return response
