"""Mail straight to the recipients' own servers (RFC 5321 5.1). One attempt a call.

Servers are tried in the order of their preference, equals in random order, until one talks to us; its word counts. TLS
is used where offered, whatever the certificate; where it fails the same server is tried without, as nothing has been
said yet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint

from e2a.core.errors import Unavailable
from e2a.core.rules import netpolicy
from e2a.flows.ports import Answer, Permit, Transmission

from .dialing import Opportunistic, connect
from .protocol import PATIENT, Client, SessionError, Waits

#: Servers of one domain, and addresses of one server, that are tried in one attempt.
MAX_HOSTS = 5
MAX_ADDRESSES = 4


class Dns(Protocol):
    """``verify.resolver.Resolver``."""

    async def lookup(self, name: str, type: Literal["MX"]) -> Any:
        """``records``: (preference, host) each; ``failure``: not "" when the DNS could not say."""
        ...

    async def addresses(self, host: str) -> Sequence[str]: ...


class NoMail(Exception):
    """The domain takes no mail, for good: reply code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class DirectToMx:
    """``ports.Upstream`` without a server in between; all recipients of a call are of one domain.

    :param shuffle: reorders a list in place, ``random.shuffle``.
    :param production: connect to public addresses only.
    """

    def __init__(
        self,
        reactor: Any,
        dns: Dns,
        hostname: str,
        shuffle: Callable[[list[str]], None],
        *,
        production: bool = True,
        port: int = 25,
        waits: Waits = PATIENT,
    ) -> None:
        self._reactor, self._dns, self._hostname, self._shuffle = reactor, dns, hostname, shuffle
        self._production, self._port, self._waits = production, port, waits

    async def send(self, envelope_from: str, recipients: Sequence[str], data: bytes, permit: Permit) -> Transmission:
        try:
            client = await self._session(recipients[0].rpartition("@")[2])
        except NoMail as error:
            return Transmission(dict.fromkeys(recipients, Answer("refused", error.code, error.text)))
        except SessionError as error:
            answer = Answer("deferred", error.code, error.text)
            return Transmission(dict.fromkeys(recipients, answer), unreachable=True)
        except CancelledError:
            return Transmission({}, withheld=True)
        try:
            return await client.transmit(envelope_from, recipients, data, permit)
        finally:
            client.quit()

    def close(self) -> None:
        """Nothing is kept."""

    async def _session(self, domain: str) -> Client:
        error = SessionError("the domain's servers have no address")
        for host in (await self.servers(domain))[:MAX_HOSTS]:
            try:
                addresses = await self._dns.addresses(host)
            except Unavailable:
                error = SessionError("the DNS does not answer for the domain's servers")
                continue
            for address in addresses[:MAX_ADDRESSES]:
                if not netpolicy.may_connect(address, self._production):
                    error = SessionError("the domain's servers have no public address")
                    continue
                try:
                    return await self._greeted(host, address)
                except SessionError as failed:
                    error = failed
        raise error

    async def servers(self, domain: str) -> list[str]:
        """Who takes a domain's mail, most preferred first.

        :raises NoMail: nobody, by its own word (RFC 7505) or because the domain does not exist.
        :raises SessionError: the DNS does not answer.
        """
        answer = await self._dns.lookup(domain, "MX")
        if answer.failure:
            raise SessionError("the DNS does not answer for the domain")
        if any(not host for _, host in answer.records):
            raise NoMail(556, "5.1.10 the domain takes no mail")
        if not answer.records:
            try:
                found = await self._dns.addresses(domain)
            except Unavailable:
                raise SessionError("the DNS does not answer for the domain") from None
            if not found:
                raise NoMail(550, "5.1.2 the domain does not exist")
            return [domain]
        by_preference: dict[int, list[str]] = {}
        for preference, host in answer.records:
            by_preference.setdefault(preference, []).append(host)
        ordered: list[str] = []
        for preference in sorted(by_preference):
            equals = by_preference[preference]
            self._shuffle(equals)
            ordered += equals
        return ordered

    async def _greeted(self, host: str, address: str) -> Client:
        client = await self._dial(address)
        try:
            await client.greet(self._hostname)
            if "STARTTLS" not in client.extensions:
                return client
            try:
                await client.start_tls(Opportunistic(host), self._hostname)
                return client
            except SessionError as error:
                client.abort()
                if not error.tls:
                    raise
            client = await self._dial(address)
            await client.greet(self._hostname)
            return client
        except BaseException:
            client.abort()
            raise

    async def _dial(self, address: str) -> Client:
        kind = TCP6ClientEndpoint if ipaddress.ip_address(address).version == 6 else TCP4ClientEndpoint
        endpoint: Any = kind(self._reactor, address, self._port, self._waits.connect)
        return await connect(endpoint, self._reactor, self._waits)
