"""Listening ports that may open before what stands behind them is ready.

A port is bound while privileges last, and nobody waits in its queue unanswered: until :meth:`Door.open` an SMTP client
is told 421 and an HTTP client 503.
"""

from __future__ import annotations

import errno
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.web import resource, server

from ..core.settingchecks import endpoint


class CannotListen(Exception):
    """A port cannot be bound; the text says which and why."""


class Door(Factory):
    """Hands connections to ``closed`` until it is opened, then to the real factory."""

    noisy = False

    def __init__(self, closed: Factory[Any]) -> None:
        self._factory = closed
        self._started = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._factory.buildProtocol(addr)

    def open(self, factory: Factory[Any]) -> None:
        """From now on connections go to ``factory``."""
        previous, self._factory = self._factory, factory
        if self._started:
            previous.doStop()
            factory.doStart()

    def startFactory(self) -> None:
        self._started = True
        self._factory.doStart()

    def stopFactory(self) -> None:
        self._started = False
        self._factory.doStop()


class _NotYet(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"421 4.3.2 Starting up, try again later\r\n")
        self.transport.loseConnection()


class _Starting(resource.Resource):
    """The liveness answer of the API, and 503 for everything else."""

    isLeaf = True

    def render(self, request: server.Request) -> bytes:
        # A connection that is kept never gets to what stands behind the opened door.
        request.setHeader("Connection", "close")
        request.channel.persistent = False
        if request.path == b"/api/health" and request.method in (b"GET", b"HEAD"):
            request.setHeader("Content-Type", "application/json")
            return b'{"status":"ok"}\n'
        request.setResponseCode(503)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        request.setHeader("Retry-After", "1")
        return b"starting up, try again\n"


def smtp_door() -> Door:
    closed = Factory.forProtocol(_NotYet)
    closed.noisy = False
    return Door(closed)


def http_door() -> Door:
    site = server.Site(_Starting(), timeout=10)
    site.noisy = False
    return Door(site)


def bind(reactor: Any, name: str, listen_addr: str, factory: Factory[Any]) -> IListeningPort:
    """A listening port for ``listen_addr``.

    :param name: what listens, for the error's text.
    :raises CannotListen: the port is taken, not permitted, or the endpoint string cannot be understood.
    """
    description = endpoint(listen_addr)
    try:
        return _listen(reactor, description, factory)
    except CannotListenError as error:
        # ":8080" means every address; without IPv6 in the kernel that is every IPv4 address.
        number = getattr(error.socketError, "errno", None)
        if listen_addr.startswith(":") and number in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return bind(reactor, name, f"0.0.0.0{listen_addr}", factory)  # noqa: S104 - the operator asked for all
        raise _refused(name, listen_addr, error.socketError) from error
    except Exception as error:
        raise _refused(name, listen_addr, error) from error


def _refused(name: str, listen_addr: str, cause: Any) -> CannotListen:
    """Which setting cannot be kept, and why."""
    if isinstance(cause, LookupError) and listen_addr.startswith("systemd:"):
        reason = "systemd handed over no such socket"
    else:
        reason = getattr(cause, "strerror", None) or str(cause)
    return CannotListen(f"{name} cannot listen on {listen_addr} (E2A_{name.upper()}_LISTEN): {reason}")


def _listen(reactor: Any, description: str, factory: Factory[Any]) -> IListeningPort:
    """The port at once: no server endpoint of Twisted waits for anything."""
    outcome: list[Any] = []
    listening = cast("Deferred[IListeningPort]", serverFromString(reactor, description).listen(factory))
    listening.addBoth(outcome.append)
    if not outcome:
        raise ValueError("the endpoint did not listen at once")
    if hasattr(outcome[0], "raiseException"):
        outcome[0].raiseException()
    return cast(IListeningPort, outcome[0])
