"""From an endpoint to a session that is ready for mail."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from .protocol import Client, SessionError, Waits


async def connect(endpoint: IStreamClientEndpoint, clock: IReactorTime, waits: Waits, secure: bool = False) -> Client:
    """A connected session that has not read the greeting yet.

    :param endpoint: limits its own time.
    :param secure: the endpoint speaks TLS from the first octet.
    :raises SessionError: there is no connection.
    """
    try:
        client: Any = await endpoint.connect(Factory.forProtocol(lambda: Client(clock, waits)))
    except (CancelledError, ConnectingCancelledError):
        raise CancelledError from None
    except Exception as error:
        raise SessionError(f"no connection: {_reason(error)}") from error
    assert isinstance(client, Client)
    if secure:
        try:
            await client.handshake()
        except BaseException:
            client.abort()
            raise
    return client


def _reason(error: Exception) -> str:
    """Twisted's first sentence about a connection that failed, without the errno that follows."""
    words = (type(error).__doc__ or type(error).__name__).strip().partition("\n")[0]
    return words.rstrip(".").lower()


@implementer(IOpenSSLClientConnectionCreator)
class Opportunistic:
    """TLS against passive listeners only: any certificate will do (RFC 7435).

    :param hostname: for the server name indication.
    """

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname.encode("ascii", "replace")
        options: Any = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2)
        self._context: SSL.Context = options.getContext()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._hostname)
        return connection
