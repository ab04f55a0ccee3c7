"""Ordered start, ordered drain, doors, and how the daemon ends."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from e2a.core.errors import SettingsError, Unavailable
from e2a.service import doors, lifecycle
from e2a.service.lifecycle import Daemon, Stack, Stopped, notify_systemd


class Order(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.stack = Stack(self.clock)
        self.stopped: list[str] = []

    def remember(self, name: str, wait: Deferred[None] | None = None) -> None:
        async def stop() -> None:
            if wait is not None:
                await wait
            self.stopped.append(name)

        self.stack.on_stop(name, stop)

    def test_reverse(self) -> None:
        """Parts stop one after the other, the latest first."""
        slow: Deferred[None] = Deferred()
        self.remember("database")
        self.remember("workers", slow)
        self.remember("ports")
        unwinding = Deferred.fromCoroutine(self.stack.unwind())
        self.assertEqual(self.stopped, ["ports"])
        slow.callback(None)
        self.successResultOf(unwinding)
        self.assertEqual(self.stopped, ["ports", "workers", "database"])

    def test_limit(self) -> None:
        """A part that does not stop in its time is left behind, and said so."""
        self.remember("database")
        self.remember("workers", Deferred())
        unwinding = Deferred.fromCoroutine(self.stack.unwind())
        self.clock.advance(9.9)
        self.assertNoResult(unwinding)
        self.clock.advance(0.2)
        self.successResultOf(unwinding)
        self.assertEqual(self.stopped, ["database"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_failure(self) -> None:
        """A part that fails to stop does not keep the others from stopping."""
        self.remember("database")
        self.stack.on_stop("broken", lambda: 1 // 0)
        self.successResultOf(Deferred.fromCoroutine(self.stack.unwind()))
        self.assertEqual(self.stopped, ["database"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_retry(self) -> None:
        """What cannot be reached is tried again until it can."""
        answers = [Unavailable(), Unavailable(), None]

        async def start() -> None:
            answer = answers.pop(0)
            if answer is not None:
                raise answer

        starting = Deferred.fromCoroutine(self.stack.retry(start, "the database"))
        self.clock.advance(0.25)
        self.assertNoResult(starting)
        self.clock.advance(0.5)
        self.successResultOf(starting)

    def test_stop_while_retrying(self) -> None:
        """Telling the daemon to stop ends the trying at once."""

        async def start() -> None:
            raise Unavailable

        starting = Deferred.fromCoroutine(self.stack.retry(start, "the database"))
        self.successResultOf(Deferred.fromCoroutine(self.stack.unwind()))
        self.failureResultOf(starting, Stopped)
        self.assertFalse(self.clock.getDelayedCalls())


class FakeReactor(Clock):
    """Remembers what it was asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = 0

    def callWhenRunning(self, call: Callable[..., Any], *args: Any) -> None:
        if call.__name__ != "_handle_signals":
            call(*args)

    def stop(self) -> None:
        self.stops += 1
        if self.stops > 1:
            raise ReactorNotRunning


class Port:
    def __init__(self, events: list[str]) -> None:
        self._events = events

    def stopListening(self) -> None:
        self._events.append("port closed")


class House:
    """An assembly of which each test says how it starts."""

    def __init__(self, start: Callable[[Stack], Any]) -> None:
        self.events: list[str] = []
        self._start = start

    def bind(self) -> list[Any]:
        self.events.append("port bound")
        return [Port(self.events)]

    async def start(self, stack: Stack) -> None:
        stack.on_stop("part", lambda: self.events.append("part stopped"))
        self.events.append("part started")
        await self._start(stack)


class Running(TestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.ended: list[int] = []

    def daemon(self, start: Callable[[Stack], Any]) -> tuple[Daemon, House]:
        house = House(start)
        return Daemon(self.reactor, house, end=self.ended.append), house

    def test_start_and_stop(self) -> None:
        """Ports are bound with privileges and before anything starts, and closed before anything stops."""

        async def start(stack: Stack) -> None: ...

        daemon, house = self.daemon(start)
        daemon.privilegedStartService()
        daemon.startService()
        self.successResultOf(daemon.stopService())
        self.assertEqual(house.events, ["port bound", "part started", "port closed", "part stopped"])
        self.assertEqual(self.ended, [])

    def test_service_manager(self) -> None:
        """The service manager hears that the daemon is ready once everything stands, and that it stops before a port
        is closed; whoever waits for the start is told in between."""

        async def start(stack: Stack) -> None: ...

        house = House(start)
        self.patch(lifecycle, "notify_systemd", house.events.append)
        daemon = Daemon(self.reactor, house, ready=lambda: house.events.append("settled"))
        daemon.startService()
        self.successResultOf(daemon.stopService())
        said = ["port bound", "part started", "settled", "READY=1", "STOPPING=1", "port closed", "part stopped"]
        self.assertEqual(house.events, said)

    def test_never_ready(self) -> None:
        """A daemon that cannot start is never called ready."""

        async def start(stack: Stack) -> None:
            raise SettingsError(["the schema is newer"])

        house = House(start)
        self.patch(lifecycle, "notify_systemd", house.events.append)
        daemon = Daemon(self.reactor, house, end=self.ended.append, ready=lambda: house.events.append("settled"))
        daemon.startService()
        self.successResultOf(daemon.stopService())
        self.assertEqual({"settled", "READY=1"} & set(house.events), set())

    def test_runner_without_privileges(self) -> None:
        """Under a runner that has no privileged phase the ports are bound at the start."""

        async def start(stack: Stack) -> None: ...

        daemon, house = self.daemon(start)
        daemon.startService()
        self.assertEqual(house.events[0], "port bound")

    def test_failed_start(self) -> None:
        """What cannot start ends the process with 1, after what had started is stopped."""

        async def start(stack: Stack) -> None:
            raise SettingsError(["the schema is newer"])

        daemon, house = self.daemon(start)
        daemon.startService()
        self.assertEqual((self.ended, self.reactor.stops), ([1], 1))
        self.successResultOf(daemon.stopService())
        self.assertEqual(house.events[-1], "part stopped")

    def test_bug_at_start(self) -> None:
        """An unexpected error at the start is logged with its traceback and ends the process with 1."""

        async def start(stack: Stack) -> None:
            raise ZeroDivisionError

        self.daemon(start)[0].startService()
        self.assertEqual(self.ended, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop_while_starting(self) -> None:
        """Stopping in the middle of the start waits for it to give up, and stops what it started meanwhile."""
        reached: Deferred[None] = Deferred()

        async def start(stack: Stack) -> None:
            await reached
            stack.on_stop("late", lambda: house.events.append("late stopped"))
            stack.check()
            house.events.append("never")

        daemon, house = self.daemon(start)
        daemon.startService()
        stopping = daemon.stopService()
        self.assertNoResult(stopping)
        reached.callback(None)
        self.successResultOf(stopping)
        self.assertEqual(house.events[-1], "late stopped")
        self.assertEqual(self.ended, [])

    def test_port_taken(self) -> None:
        """A port that cannot be had ends the process with 1 and one clear line, also when the reactor runs already."""
        daemon, house = self.daemon(lambda stack: None)

        def bind() -> list[Any]:
            raise doors.CannotListen("SMTP cannot listen on :25: permission denied")

        house.bind = bind  # type: ignore[method-assign]
        said: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if event.get("log_level") is LogLevel.critical:
                said.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        with self.assertRaises(SystemExit) as caught:
            daemon.privilegedStartService()
        self.assertEqual(caught.exception.code, 1)
        self.assertEqual(said, ["SMTP cannot listen on :25: permission denied"])
        self.reactor.running = True  # type: ignore[attr-defined]
        daemon.startService()
        self.assertEqual((self.ended, self.reactor.stops), ([1], 1))

    def test_observer(self) -> None:
        """The application's log goes to our observer."""
        observer = object()
        daemon = Daemon(self.reactor, House(lambda stack: None), observer)  # type: ignore[arg-type]
        application = Application("e2a")
        daemon.setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)

    def test_signal(self) -> None:
        """A signal drains; its second arrival has the system's default effect."""
        daemon, _ = self.daemon(lambda stack: None)
        restored: list[Any] = []
        self.patch(signal, "signal", lambda number, handler: restored.append((number, handler)))
        self.reactor.callFromThread = lambda call, *args: call(*args)  # type: ignore[attr-defined]
        daemon._signalled(signal.SIGTERM, None)
        self.assertEqual(restored, [(signal.SIGTERM, signal.SIG_DFL)])
        self.assertEqual(self.reactor.stops, 1)


class Doors(TestCase):
    def speak(self, door: doors.Door, data: bytes = b"") -> StringTransport:
        protocol = door.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        if data:
            protocol.dataReceived(data)
        self.addCleanup(protocol.connectionLost, None)
        return transport

    def test_smtp(self) -> None:
        """Before the door opens an SMTP client is told 421 and the connection ends."""
        transport = self.speak(doors.smtp_door())
        self.assertTrue(transport.value().startswith(b"421 4.3.2 "))
        self.assertTrue(transport.disconnecting)

    def test_http(self) -> None:
        """Before the door opens an HTTP client is told 503, and liveness 200."""
        door = doors.http_door()
        answer = self.speak(door, b"GET /api/v1/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").value()
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"Retry-After:", answer)
        answer = self.speak(door, b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").value()
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))

    def test_http_ends(self) -> None:
        """Whoever asked before the door opened asks again over a new connection, which gets to the real site."""
        for path in (b"/api/ready", b"/api/health"):
            transport = self.speak(doors.http_door(), b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            self.assertIn(b"Connection: close\r\n", transport.value())
            self.assertTrue(transport.disconnecting)

    def test_opened(self) -> None:
        """Once open, connections go to the real factory, which learns that it listens."""

        class Hello(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"220 hello\r\n")

        factory = Factory.forProtocol(Hello)
        factory.noisy = False
        door = doors.smtp_door()
        door.doStart()
        door.open(factory)
        self.assertEqual(factory.numPorts, 1)
        self.assertEqual(self.speak(door).value(), b"220 hello\r\n")
        door.doStop()
        self.assertEqual(factory.numPorts, 0)


class Binding(TestCase):
    def bind(self, listen_addr: str) -> Any:
        port = doors.bind(reactor, "SMTP", listen_addr, doors.smtp_door())
        self.addCleanup(port.stopListening)
        return port

    def test_every_address(self) -> None:
        """A bare port takes connections on IPv4 too."""
        port = self.bind(":0")
        with socket.create_connection(("127.0.0.1", port.getHost().port), timeout=5):
            pass

    def test_endpoint_string(self) -> None:
        """Endpoint strings work, also those that wrap another."""
        self.assertGreater(self.bind("haproxy:tcp:0:interface=127.0.0.1").getHost().port, 0)

    def test_taken(self) -> None:
        """A port that is taken is named with the setting and the reason."""
        port = self.bind("127.0.0.1:0").getHost().port
        error = self.assertRaises(doors.CannotListen, self.bind, f"127.0.0.1:{port}")
        self.assertIn(f"SMTP cannot listen on 127.0.0.1:{port} (E2A_SMTP_LISTEN): ", str(error))
        self.assertIn("in use", str(error))

    def test_not_activated(self) -> None:
        """A socket that systemd did not hand over is told as that."""
        error = self.assertRaises(doors.CannotListen, self.bind, "systemd:domain=INET:name=nowhere")
        self.assertTrue(str(error).endswith(": systemd handed over no such socket"), str(error))

    def test_nonsense(self) -> None:
        """An endpoint string of an unknown kind is named too."""
        error = self.assertRaises(doors.CannotListen, self.bind, "carrier:pigeon")
        self.assertIn("carrier:pigeon", str(error))


class ServiceManager(TestCase):
    def test_notification(self) -> None:
        """systemd hears of readiness on its socket."""
        path = os.path.join("/tmp" if len(os.path.abspath(self.mktemp())) > 90 else "", self.mktemp().replace("/", "-"))
        path = os.path.abspath(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind(path)
            self.addCleanup(os.unlink, path)
            channel.settimeout(5)
            notify_systemd("READY=1", {"NOTIFY_SOCKET": path})
            self.assertEqual(channel.recv(100), b"READY=1")

    def test_without_one(self) -> None:
        """Without a service manager, or with one that is gone, nothing happens."""
        notify_systemd("READY=1", {})
        notify_systemd("READY=1", {"NOTIFY_SOCKET": "/nonexistent/socket"})
