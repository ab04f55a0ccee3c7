"""Mail through the operator's upstream server. One attempt a call: when to try again is decided elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import optionsForClientTLS

from e2a.core.rules import netpolicy
from e2a.flows.ports import Answer, Permit, Transmission

from .dialing import connect
from .pool import Pool
from .protocol import PATIENT, Client, SessionError, Waits

Tls = Literal["auto", "required", "implicit", "none"]

#: The port of submission over TLS (RFC 8314 3.3).
IMPLICIT_PORT = 465


@dataclass(frozen=True, slots=True)
class Server:
    """The upstream server and how to talk to it.

    :ivar tls: ``auto``: TLS from the first octet on port 465; otherwise STARTTLS, which must be offered when there are
        credentials, and is left out on this machine. ``required``: STARTTLS or nothing. ``implicit``: TLS from the
        first octet. ``none``: never, which is for this machine alone.
    :ivar trust_root: what certificates are checked against; None: the platform's authorities.
    """

    host: str
    port: int = 587
    username: str = ""
    password: str = ""
    tls: Tls = "auto"
    trust_root: Any = None

    @property
    def local(self) -> bool:
        return netpolicy.is_local_name(self.host) or netpolicy.is_loopback(self.host)

    @property
    def implicit(self) -> bool:
        return self.tls == "implicit" or (self.tls == "auto" and self.port == IMPLICIT_PORT)

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"


class UpstreamServer:
    """``ports.Upstream`` over one server.

    :param hostname: this host's public name, for EHLO.
    :param size: sessions at a time.
    """

    def __init__(
        self,
        reactor: Any,
        server: Server,
        hostname: str,
        *,
        size: int = 16,
        idle: float = 30.0,
        waits: Waits = PATIENT,
    ) -> None:
        self._reactor, self._server, self._hostname, self._waits = reactor, server, hostname, waits
        self._pool = Pool(self._dial, reactor, size, idle)

    async def send(self, envelope_from: str, recipients: Sequence[str], data: bytes, permit: Permit) -> Transmission:
        try:
            done = await self._attempt(False, envelope_from, recipients, data, permit)
            if done is None:
                done = await self._attempt(True, envelope_from, recipients, data, permit)
            assert done is not None
            return done
        except SessionError as error:
            answer = Answer("deferred", error.code, error.text)
            return Transmission(dict.fromkeys(recipients, answer), unreachable=True)
        except CancelledError:
            return Transmission({}, withheld=True)

    async def probe(self) -> str:
        """Open a session as for a message, log in where that is configured, and leave; what was agreed upon, in words.

        :raises SessionError: a message would not have got so far.
        """
        client = await self._dial()
        words = ["TLS" if client.secure else "no TLS", "logged in" if self._server.username else "no login"]
        client.quit()
        return ", ".join(words)

    def close(self) -> None:
        """Close idle sessions; those in use are closed when their message is done."""
        self._pool.close()

    async def _attempt(
        self, fresh: bool, envelope_from: str, recipients: Sequence[str], data: bytes, permit: Permit
    ) -> Transmission | None:
        """None: the session was an old one that the server had left; it never saw this message."""
        client = await self._pool.acquire(fresh)
        old = client.used > 0
        try:
            done = await client.transmit(envelope_from, recipients, data, permit)
            return None if old and not (client.answered or done.withheld) else done
        finally:
            self._pool.release(client)

    async def _dial(self) -> Client:
        server = self._server
        endpoint: Any = HostnameEndpoint(self._reactor, server.host, server.port, self._waits.connect)
        if server.implicit:
            endpoint = wrapClientTLS(self._options(), endpoint)
        client = await connect(endpoint, self._reactor, self._waits, server.implicit)
        try:
            await client.greet(self._hostname)
            await self._secure(client)
            if server.username:
                if not client.secure and not server.local:
                    raise SessionError("the server offers no TLS, and the password must not go in clear")
                await client.log_in(server.username, server.password)
        except BaseException:
            client.abort()
            raise
        return client

    async def _secure(self, client: Client) -> None:
        server = self._server
        if client.secure or server.tls == "none" or (server.tls == "auto" and server.local):
            return
        if "STARTTLS" in client.extensions:
            await client.start_tls(self._options(), self._hostname)
        elif server.tls == "required":
            raise SessionError("the server offers no TLS")

    def _options(self) -> Any:
        """The certificate must be for the host's name, or address, and valid."""
        return optionsForClientTLS(self._server.host, trustRoot=self._server.trust_root)
