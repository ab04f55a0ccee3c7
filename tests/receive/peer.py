"""A scripted SMTP client on an in-memory transport, and a gateway that remembers what it was given."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from e2a.core.entities import Envelope, Recipient
from e2a.core.errors import Unavailable
from e2a.core.mail.addresses import split_tag
from e2a.receive.factory import InboundFactory
from e2a.receive.limits import Limits
from e2a.receive.protocol import InboundESMTP


class Gateway:
    """A ``ports.Intake``. ``bot@…`` and ``postmaster`` exist.

    :ivar hold: while True, every question waits in ``held`` until :meth:`release`.
    :ivar error: raised by ``accept`` when set; ``lookup_error`` likewise by ``recipient``.
    """

    def __init__(self) -> None:
        self.accepted: list[tuple[Envelope, bytes]] = []
        self.asked: list[str] = []
        self.hold = False
        self.held: list[Deferred[None]] = []
        self.error: Exception | None = None
        self.lookup_error: Exception | None = None

    async def _wait(self) -> None:
        if self.hold:
            waiting: Deferred[None] = Deferred()
            self.held.append(waiting)
            await waiting

    def release(self) -> None:
        """Let the oldest question go on."""
        self.held.pop(0).callback(None)

    async def recipient(self, address: str) -> Recipient | None:
        self.asked.append(address)
        await self._wait()
        if self.lookup_error is not None:
            raise self.lookup_error
        base, tag = split_tag(address.lower())
        if base.startswith(("bot@", "bot2@", "postmaster")):
            return Recipient(address, base, tag)
        return None

    async def accept(self, envelope: Envelope, data: bytes) -> str:
        await self._wait()
        if self.error is not None:
            raise self.error
        self.accepted.append((envelope, data))
        return f"OK msg_{len(self.accepted)}"


class Counts:
    """A ``ports.Metrics`` that can be read."""

    def __init__(self) -> None:
        self.counted: dict[tuple[str, str], int] = {}

    def count(self, name: str, amount: int = 1, **labels: str) -> None:
        place = (name, labels.get("outcome", ""))
        self.counted[place] = self.counted.get(place, 0) + amount

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        self.counted[name, ""] = self.counted.get((name, ""), 0) + 1


class Transport(StringTransport):
    """Remembers each write, and whether it was cut."""

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 40000))
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Peer:
    """One session's client side."""

    def __init__(self, factory: InboundFactory, host: str = "192.0.2.7", transport: Any = None) -> None:
        self.protocol: InboundESMTP = factory.buildProtocol(None)
        self.transport = transport or Transport(host)
        self.protocol.makeConnection(self.transport)

    def heard(self) -> bytes:
        """What the server has said since the last time."""
        said = self.transport.value()
        self.transport.clear()
        return said

    def say(self, data: bytes) -> bytes:
        """Send these octets in one segment; what the server says to them."""
        self.protocol.dataReceived(data)
        return self.heard()

    def codes(self, data: bytes) -> list[int]:
        """Send these octets; the codes of the replies, a reply of several lines counted once."""
        return codes_of(self.say(data))

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.aborted)

    def hang_up(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


def codes_of(said: bytes) -> list[int]:
    return [int(line[:3]) for line in said.split(b"\r\n") if line[3:4] == b" "]


def make_factory(
    gateway: Gateway, clock: Clock | None = None, *, ready: bool = True, tls_context: Any = None, **limits: Any
) -> InboundFactory:
    factory = InboundFactory(
        gateway,
        clock or Clock(),
        hostname="mx.test",
        limits=Limits(**limits),
        random=lambda count: b"\x5e" * count,
        metrics=Counts(),
        tls_context=tls_context,
    )
    if ready:
        factory.ready()
    return factory


#: As far as the recipient.
OPENING = b"EHLO c.test\r\nMAIL FROM:<a@s.test>\r\nRCPT TO:<bot@x.test>\r\n"

__all__ = ["OPENING", "Counts", "Gateway", "Peer", "Transport", "Unavailable", "codes_of", "make_factory"]
