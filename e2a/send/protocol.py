"""The client's half of SMTP (RFC 5321), on one connection.

What an attempt means depends on the moment at which it ended. Until the final dot is written nothing was sent, whatever
happens; with the final dot written and no reply read, nobody knows. Everything here serves that distinction.

The message is written by ``core.mail.smtpdata``: every octet as given, dots doubled by the state of the line.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from e2a.flows.ports import Permit, Transmission

from .transaction import Body, State, Transaction

_REPLY = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_PRINTABLE = re.compile(r"[^ -~]+")
_PATH = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
#: Octets of a reply, all its lines together, and of the part of its text that is kept.
_LONGEST_REPLY = 65_536
_KEPT_TEXT = 500
#: Seconds for the connection to close after QUIT.
_QUIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds for each step (RFC 5321 4.5.3.2), and for the envelope and the message as wholes, so that a server that
    answers each step at the last moment does not hold a connection for hours."""

    connect: float = 30.0
    greeting: float = 300.0
    handshake: float = 60.0
    command: float = 300.0
    data: float = 120.0
    block: float = 180.0
    final: float = 600.0
    envelope: float = 900.0
    message: float = 3600.0


PATIENT = Waits()


@dataclass(frozen=True, slots=True)
class Reply:
    """:ivar text: the lines joined by spaces, printable ASCII."""

    code: int
    text: str

    @property
    def kind(self) -> int:
        """The first digit: 2 done, 3 go on, 4 not now, 5 never."""
        return self.code // 100


class SessionError(Exception):
    """The connection ended or is of no further use.

    :ivar tls: TLS could not be established.
    """

    def __init__(self, text: str, code: int | None = None, tls: bool = False) -> None:
        super().__init__(text)
        self.text, self.code, self.tls = text, code, tls


@implementer(IHandshakeListener)
class Client(Protocol):
    """One SMTP session. Its methods must not overlap.

    :ivar extensions: what the server offers, by keyword in upper case, with the parameters.
    :ivar secure: TLS is established, its certificate checked as far as the options given ask for it.
    :ivar used: messages transmitted over it.
    :ivar clean: the server has no transaction open.
    :ivar answered: the server has taken notice of the latest transaction, other than by saying that it closes (421).
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, waits: Waits = PATIENT) -> None:
        self._clock, self._waits = clock, waits
        self._buffer = b""
        self._lines: list[bytes] = []
        self._last: list[str] = []
        self._replies: deque[Reply] = deque()
        self._waiting: Deferred[Any] | None = None
        self._wants: Literal["reply", "tls", "block"] = "reply"
        self._ending: IDelayedCall | None = None
        self._error: SessionError | None = None
        self.extensions: dict[str, str] = {}
        self.secure = False
        self.used = 0
        self.clean = True
        self.answered = False
        self._leaving = False
        self.on_lost: Callable[[Client], object] | None = None

    # --- the session --------------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether the connection stands, the server has nothing to say and has not said that it closes (421)."""
        return self._error is None and not (self._leaving or self._replies or self._buffer or self._lines)

    async def greet(self, hostname: str) -> None:
        """Read the greeting, say EHLO (HELO to a server of RFC 821).

        :raises SessionError:
        """
        reply = await self._reply(self._waits.greeting)
        if reply.code != 220:
            raise self._refused(reply)
        await self.hello(hostname)

    async def hello(self, hostname: str) -> None:
        """:raises SessionError:"""
        reply = await self._command(f"EHLO {hostname}")
        offers = self._last[1:]
        if reply.kind == 5:
            reply, offers = await self._command(f"HELO {hostname}"), []
        if reply.code != 250:
            raise self._refused(reply)
        self.extensions = {}
        for line in offers:
            keyword, _, parameters = line.strip().partition(" ")
            if keyword.upper().startswith("AUTH="):
                keyword, parameters = "AUTH", f"{keyword[5:]} {parameters}"
            have = self.extensions.get(keyword.upper())
            self.extensions[keyword.upper()] = f"{have} {parameters}" if have else parameters

    async def start_tls(self, options: Any, hostname: str) -> None:
        """STARTTLS and EHLO again (RFC 3207): nothing that was said in clear counts afterwards.

        :param options: an ``IOpenSSLClientConnectionCreator``, which decides whether the certificate is checked.
        :raises SessionError: with ``tls`` set unless the server refused EHLO.
        """
        try:
            reply = await self._command("STARTTLS")
        except SessionError as error:
            raise SessionError(error.text, error.code, tls=True) from error
        if reply.code != 220:
            raise SessionError(reply.text, reply.code, tls=True)
        if not self.usable:
            self._fail(SessionError("the server sent something ahead of TLS", tls=True))
        self._check()
        transport: Any = self.transport
        transport.startTLS(options)
        await self.handshake()
        await self.hello(hostname)

    async def handshake(self) -> None:
        """Wait until TLS is established.

        :raises SessionError: it cannot be.
        """
        if not self.secure:
            await self._wait("tls", self._waits.handshake)

    async def log_in(self, username: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616), else LOGIN.

        :raises SessionError: refused, or no mechanism in common.
        """
        mechanisms = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in mechanisms:
            reply = await self._command(f"AUTH PLAIN {_base64(chr(0) + username + chr(0) + password)}")
        elif "LOGIN" in mechanisms:
            reply = await self._command("AUTH LOGIN")
            for word in (username, password):
                if reply.code == 334:
                    reply = await self._command(_base64(word))
        else:
            raise SessionError("the server offers no way to log in")
        if reply.code != 235:
            raise self._refused(reply)

    async def reset(self) -> None:
        """RSET: forget an unfinished transaction.

        :raises SessionError:
        """
        reply = await self._command("RSET")
        if reply.code != 250:
            raise self._refused(reply)
        self.clean = True

    def quit(self) -> None:
        """Say goodbye and close, without waiting for the answer."""
        if self._error is None and self._ending is None:
            self._write(b"QUIT\r\n")
            self._ending = self._clock.callLater(_QUIT_SECONDS, self.abort)
            transport: Any = self.transport
            transport.loseConnection()

    def abort(self) -> None:
        """Close at once."""
        self._fail(SessionError("closed"))

    # --- one message --------------------------------------------------------------------------------------------------

    async def transmit(self, sender: str, recipients: Sequence[str], data: bytes, permit: Permit) -> Transmission:
        """One mail transaction. Never raises; afterwards the session can go on if it is ``usable``.

        :param data: lines that end in CRLF.
        """
        transaction = Transaction(recipients)
        try:
            await self._transaction(transaction, sender, data, permit)
        except SessionError as error:
            transaction.settle("unknown" if transaction.ended else "deferred", error.code, error.text)
        except CancelledError:
            transaction.withheld = not transaction.ended
            transaction.settle("unknown", None, "the gateway stopped before the server answered")
        except Exception:
            self._log.failure("an SMTP transaction failed on our side")
            transaction.withheld = not transaction.ended
            transaction.settle("unknown", None, "the gateway failed before the server answered")
        if transaction.withheld or transaction.unsure:
            self.abort()
        if transaction.withheld:
            return Transmission({}, withheld=True)
        return Transmission(transaction.answers)

    async def _transaction(self, transaction: Transaction, sender: str, data: bytes, permit: Permit) -> None:
        self.answered = False
        paths = [path for path in transaction.open if _PATH.fullmatch(path)]
        for path in set(transaction.open) - set(paths):
            transaction.answer(path, "refused", 553, "5.1.3 the address cannot be used here")
        if sender and not _PATH.fullmatch(sender):
            transaction.settle("refused", 553, "5.1.7 the sender's address cannot be used here")
        limit = self.extensions.get("SIZE", "")
        if limit.isdecimal() and 0 < int(limit) < len(data):
            transaction.settle("refused", 552, f"5.3.4 the server takes messages up to {limit} octets")
        if not transaction.open:
            return
        until = self._clock.seconds() + self._waits.envelope
        await self._envelope(transaction, sender, paths, data, until)
        if not transaction.open:
            return
        if not await permit.begin():
            transaction.withheld = True
            return
        reply = await self._command("DATA", wait=self._waits.data)
        if reply.code != 354:
            transaction.settle("refused" if reply.kind == 5 else "deferred", reply.code, reply.text)
            transaction.unsure = reply.kind < 4
            return
        self.used += 1
        ending = await self._send_body(data)
        early = self._replies.popleft() if self._replies else None
        if early is not None:
            # The server lost patience. Without the final dot the message does not exist, and only closing says so.
            transaction.settle("refused" if early.kind == 5 else "deferred", early.code, early.text)
            transaction.unsure = True
            return
        if not permit.valid():
            transaction.withheld = True
            return
        self._check()
        transaction.ended = True
        self._write(ending)
        reply = await self._reply(self._waits.final)
        self.clean = True
        states: dict[int, State] = {2: "sent", 4: "deferred", 5: "refused"}
        transaction.settle(states.get(reply.kind, "unknown"), reply.code, reply.text)
        transaction.unsure = reply.kind == 3

    async def _envelope(
        self, transaction: Transaction, sender: str, paths: Sequence[str], data: bytes, until: float
    ) -> None:
        """MAIL and RCPT; leaves those recipients open that the server takes."""
        parameters = f" SIZE={len(data)}" if "SIZE" in self.extensions else ""
        if "8BITMIME" in self.extensions and not data.isascii():
            parameters += " BODY=8BITMIME"
        commands = [f"MAIL FROM:<{sender}>{parameters}", *(f"RCPT TO:<{path}>" for path in paths)]
        self.clean = False
        pipelining = "PIPELINING" in self.extensions
        if pipelining:
            self._write("".join(f"{command}\r\n" for command in commands).encode("ascii"))
        refused: Reply | None = None
        for index, command in enumerate(commands):
            if not pipelining:
                self._write(f"{command}\r\n".encode("ascii"))
            reply = await self._reply(min(self._waits.command, max(until - self._clock.seconds(), 0.0)))
            self.answered = self.answered or not self._leaving
            if reply.kind == 3:
                raise SessionError("the server answered out of order")
            if refused is not None:
                continue
            if index == 0:
                if reply.kind != 2:
                    refused = reply
                    transaction.settle("refused" if reply.kind == 5 else "deferred", reply.code, reply.text)
                    if not pipelining:
                        return
            elif reply.kind != 2:
                # 552 here means "too many recipients" from older servers (RFC 5321 4.5.3.1.10).
                later = reply.kind == 4 or reply.code == 552
                transaction.answer(paths[index - 1], "deferred" if later else "refused", reply.code, reply.text)

    async def _send_body(self, data: bytes) -> bytes:
        """Write the message as fast as the connection takes it, up to but without the end-of-data mark.

        :returns: the mark. Stops early when the server replies.
        """
        transport: Any = self.transport
        body = Body(transport, memoryview(data), self._progressed)
        until = self._clock.seconds() + self._waits.message
        transport.registerProducer(body, False)
        try:
            while not body.finished and not self._replies:
                left = max(until - self._clock.seconds(), 0.0)
                await self._wait("block", min(self._waits.block, left))
        finally:
            transport.unregisterProducer()
        return body.stuffer.end()

    def _progressed(self) -> None:
        if self._waiting is not None and self._wants == "block":
            self._fire(None)

    # --- lines in and out ---------------------------------------------------------------------------------------------

    async def _command(self, line: str, wait: float | None = None) -> Reply:
        self._check()
        self._write(f"{line}\r\n".encode())
        return await self._reply(self._waits.command if wait is None else wait)

    async def _reply(self, seconds: float) -> Reply:
        if not self._replies:
            await self._wait("reply", seconds)
        reply = self._replies.popleft()
        self._leaving = self._leaving or reply.code == 421
        return reply

    async def _wait(self, what: Literal["reply", "tls", "block"], seconds: float) -> None:
        self._check()
        self._wants = what
        waiting = self._waiting = Deferred()
        timer = self._clock.callLater(seconds, self._fail, SessionError("the server took too long", tls=what == "tls"))
        try:
            await waiting
        finally:
            self._waiting = None
            if timer.active():
                timer.cancel()

    def _fire(self, result: Any) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(result)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error

    def _refused(self, reply: Reply) -> SessionError:
        return SessionError(reply.text, reply.code)

    def _write(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data)

    def _fail(self, error: SessionError) -> None:
        if self._error is None:
            self._error = error
            transport: Any = self.transport
            transport.abortConnection()
            waiting, self._waiting = self._waiting, None
            if waiting is not None:
                waiting.errback(error)

    def connectionMade(self) -> None:
        transport: Any = self.transport
        if ITCPTransport.providedBy(transport):
            # The final dot is a small segment behind the message: with Nagle's algorithm it would wait for the delayed
            # acknowledgement.
            transport.setTcpNoDelay(True)

    def handshakeCompleted(self) -> None:
        self.secure = True
        if self._wants == "tls":
            self._fire(None)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0 and self._error is None:
            line, self._buffer = self._buffer[:end].rstrip(b"\r"), self._buffer[end + 1 :]
            self._line(line)
        if len(self._buffer) + sum(map(len, self._lines)) > _LONGEST_REPLY:
            self._fail(SessionError("the server's reply is too long"))

    def _line(self, line: bytes) -> None:
        match = _REPLY.fullmatch(line)
        if match is None or len(self._replies) > 1000:
            self._fail(SessionError("the server does not speak SMTP"))
            return
        self._lines.append(match[3] or b"")
        if match[2] == b"-":
            return
        self._last = [_PRINTABLE.sub(" ", text.decode("ascii", "replace")) for text in self._lines]
        self._lines = []
        self._replies.append(Reply(int(match[1]), " ".join(self._last).strip()[:_KEPT_TEXT]))
        if self._wants != "tls":
            self._fire(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        if self._error is None:
            tls = self._wants == "tls" and not self.secure
            text = f"TLS failed: {_words(reason)}" if tls else "the server closed the connection"
            self._fail(SessionError(text, tls=tls))
        if self.on_lost is not None:
            self.on_lost(self)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8")).decode("ascii")


def _words(reason: Failure) -> str:
    """A TLS failure's cause, for the person who reads why mail does not leave."""
    value: Any = reason.value
    if isinstance(value, VerificationError):
        return "the certificate is for another host"
    try:
        return ", ".join(part[2] for part in value.args[0] if part[2])[:200] or "no common ground"
    except (AttributeError, IndexError, TypeError):
        return "the server closed the connection"
