"""Starting in order and stopping in the reverse order.

``MultiService`` starts its children side by side and stops them all at once, the database among them. Here every part
is started after what it needs, and its stop goes on a stack that is unwound part by part, each within its time.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from twisted.application import service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized

from ..core.errors import SettingsError, Unavailable
from .doors import CannotListen

#: Seconds for SMTP transactions that are receiving a message when the daemon is told to stop.
DRAIN_SECONDS = 30.0
#: Seconds for any other part.
STOP_SECONDS = 10.0


class Stopped(Exception):
    """The daemon was told to stop while it was starting."""


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    stop: Callable[[], Any]
    seconds: float


class Stack:
    """What has been started, and how to stop it."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._steps: list[_Step] = []
        self._pause: Deferred[None] | None = None
        self.stopping = False

    def on_stop(self, name: str, stop: Callable[[], Any], seconds: float = STOP_SECONDS) -> None:
        """Remember how ``name`` is stopped; ``stop`` may return None, a coroutine or a Deferred."""
        self._steps.append(_Step(name, stop, seconds))

    def check(self) -> None:
        """:raises Stopped: there is no point in going on."""
        if self.stopping:
            raise Stopped

    async def retry(self, start: Callable[[], Awaitable[None]], what: str) -> None:
        """``start()`` until it is not ``Unavailable``, with pauses that grow to ten seconds.

        :raises Stopped: the daemon was told to stop meanwhile.
        """
        seconds = 0.25
        while True:
            self.check()
            try:
                return await start()
            except Unavailable as error:
                self.check()
                reason = str(error.__cause__ or error).strip().partition("\n")[0]
                self._log.warn("{what} cannot be reached, trying on: {reason}", what=what, reason=reason)
            await self._sleep(seconds)
            seconds = min(seconds * 2, 10.0)

    async def _sleep(self, seconds: float) -> None:
        self._pause = deferLater(self._reactor, seconds)
        try:
            await self._pause
        except CancelledError:
            raise Stopped from None
        finally:
            self._pause = None

    async def unwind(self) -> None:
        """Stop everything, the latest first. A part that fails or takes too long does not hold up the rest."""
        self.stopping = True
        if self._pause is not None:
            self._pause.cancel()
        while self._steps:
            step = self._steps.pop()
            try:
                await _awaited(step.stop).addTimeout(step.seconds, self._reactor)
            except Exception:
                self._log.failure("stopping {part}", part=step.name)


def _awaited(call: Callable[[], Any]) -> Deferred[Any]:
    return maybeDeferred(call).addCallback(
        lambda result: Deferred.fromCoroutine(result) if hasattr(result, "send") else result
    )


class Assembly(Protocol):
    """What the daemon runs: ``gateway.Gateway``."""

    def bind(self) -> list[IListeningPort]:
        """Bind the ports, their doors still closed, and do what else needs privileges.

        :raises CannotListen: a port cannot be had.
        :raises SettingsError: a setting that only shows now cannot work.
        """
        ...

    async def start(self, stack: Stack) -> None:
        """Start part after part, telling ``stack`` how to stop each."""
        ...


class Daemon(service.Service):
    """The one service of the application.

    :param observer: the log observer that twistd is to use; None leaves the log to the runner.
    :param end: called with an exit status other than 0 when the daemon cannot run.
    :param ready: called once everything stands.
    """

    name = "e2a"
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        assembly: Assembly,
        observer: ILogObserver | None = None,
        end: Callable[[int], None] | None = None,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor, self._assembly, self._observer, self._ready = reactor, assembly, observer, ready
        self._end = end or exit_status
        self._ports: list[IListeningPort] | None = None
        self._stack = Stack(reactor)
        self._started: Deferred[None] | None = None

    def setServiceParent(self, parent: service.IServiceCollection) -> None:
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        self._bind()

    def startService(self) -> None:
        super().startService()
        if not self._bind():
            return
        self._reactor.callWhenRunning(self._handle_signals)
        self._started = Deferred.fromCoroutine(self._start())

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _bind(self) -> bool:
        """Whether the ports are there. If not, the process ends with 1: at once, or by a reactor that already runs."""
        if self._ports is not None:
            return True
        try:
            self._ports = self._assembly.bind()
        except (CannotListen, SettingsError) as error:
            for complaint in error.complaints if isinstance(error, SettingsError) else [str(error)]:
                self._log.critical("{complaint}", complaint=complaint)
            if not getattr(self._reactor, "running", False):
                raise SystemExit(1) from None
            self._end(1)
            self._stop_reactor()
            return False
        return True

    async def _start(self) -> None:
        try:
            await self._assembly.start(self._stack)
        except Stopped:
            return
        except SettingsError as error:
            for complaint in error.complaints:
                self._log.critical("{complaint}", complaint=complaint)
        except Exception:
            self._log.failure("the daemon cannot start")
        else:
            self._ready()
            notify_systemd("READY=1")
            return
        self._end(1)
        self._reactor.callWhenRunning(self._stop_reactor)

    async def _stop(self) -> None:
        notify_systemd("STOPPING=1")
        # Told before the ports close, so that nothing half started waits for a turn that does not come.
        self._stack.stopping = True
        for port in self._ports or ():
            await maybeDeferred(port.stopListening)
        await self._stack.unwind()
        if self._started is not None:
            await self._started
        await self._stack.unwind()
        self._log.info("stopped")

    def _stop_reactor(self) -> None:
        try:
            self._reactor.stop()
        except ReactorNotRunning:
            pass

    def _handle_signals(self) -> None:
        """Drain on SIGTERM and SIGINT and exit with 0; a second one ends the process at once, which costs no mail."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._reactor.callFromThread(self._drain, signal.Signals(number).name)

    def _drain(self, name: str) -> None:
        self._log.info("{signal} received, draining", signal=name)
        self._stop_reactor()


def exit_status(status: int) -> None:
    """End the process with ``status`` when the runner is done; twistd itself always ends with 0."""

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    atexit.register(leave)


def notify_systemd(state: str, environ: Mapping[str, str] | None = None) -> None:
    """Tell the service manager (sd_notify(3)); nothing without ``NOTIFY_SOCKET``."""
    address = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), cast(Any, address.replace("@", "\0", 1)))
        except OSError:
            pass
