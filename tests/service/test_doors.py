"""Ports that open before what is behind them."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from e2a.service.doors import CannotListen, Door, bind


class Machine:
    """A reactor on which some interfaces cannot be listened on.

    :ivar refused: the error number by interface.
    """

    def __init__(self, **refused: int) -> None:
        self.refused = refused
        self.listening: list[tuple[str, int]] = []

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        number = self.refused.get("v6" if ":" in interface else "v4")
        if number is not None:
            raise CannotListenError(interface, port, OSError(number, errno.errorcode[number]))
        self.listening.append((interface, port))
        return self


class BindTests(SynchronousTestCase):
    def test_every_address(self) -> None:
        """A port alone listens on IPv6, which takes IPv4 as well."""
        machine = Machine()
        bind(machine, "HTTP", ":8080", Factory())
        self.assertEqual(machine.listening, [("::", 8080)])

    def test_without_ipv6(self) -> None:
        """On a machine without IPv6 a port alone listens on every IPv4 address."""
        for number in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            machine = Machine(v6=number)
            bind(machine, "HTTP", ":8080", Factory())
            self.assertEqual(machine.listening, [("0.0.0.0", 8080)])

    def test_refused(self) -> None:
        """What cannot be had is said with its setting and the reason, and nothing else is tried."""
        for listen_addr, refused in ((":8080", {"v6": errno.EADDRINUSE}), ("[::1]:8080", {"v6": errno.EAFNOSUPPORT})):
            machine = Machine(**refused)
            with self.assertRaises(CannotListen) as caught:
                bind(machine, "HTTP", listen_addr, Factory())
            self.assertIn("E2A_HTTP_LISTEN", str(caught.exception))
            self.assertIn(errno.errorcode[refused["v6"]], str(caught.exception))
            self.assertEqual(machine.listening, [])


class Counted(Factory):
    """Knows whether it is in use."""

    noisy = False
    running = False

    def startFactory(self) -> None:
        self.running = True

    def stopFactory(self) -> None:
        self.running = False


class DoorTests(SynchronousTestCase):
    def test_in_use(self) -> None:
        """What is behind the door is in use while the port is, and only what is behind it now."""
        closed, opened = Counted(), Counted()
        door = Door(closed)
        door.doStart()
        self.assertEqual((closed.running, opened.running), (True, False))
        door.open(opened)
        self.assertEqual((closed.running, opened.running), (False, True))
        door.doStop()
        self.assertEqual((closed.running, opened.running), (False, False))

    def test_opened_before_the_port(self) -> None:
        """A door may be opened before its port listens."""
        closed, opened = Counted(), Counted()
        door = Door(closed)
        door.open(opened)
        self.assertFalse(opened.running)
        door.doStart()
        self.assertEqual((closed.running, opened.running), (False, True))
