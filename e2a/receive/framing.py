"""How one SMTP connection becomes single commands and message octets, and how replies leave.

Stock ``twisted.mail.smtp`` lends its place in the class tree; framing, commands and replies are ours. The rules:

- A command line ends with CRLF. A bare CR or LF, NUL or an over-long line ends the session, never starts a guess.
- Octets that were announced as message, by a 354 or by BDAT, are never read as commands.
- One command at a time. While its answer has to be awaited, input stays in the buffer, and when more arrives reading
  pauses, so pipelined commands keep their order and cost no memory.
- The replies to one segment leave in one write.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail import smtp
from twisted.python.failure import Failure

from e2a.core.mail.smtpdata import ChunkDecoder, DataDecoder
from e2a.core.mail.smtpgrammar import MAX_COMMAND

from . import replies

# Seconds that a peer has to read our last reply before the connection is cut.
_LINGER = 15.0


class Framing(smtp.ESMTP):
    """:param clock: for time-outs.
    :param idle_timeout: seconds for a complete command, or without any message octet."""

    _log = Logger()
    transport: Any

    def __init__(self, clock: IReactorTime, idle_timeout: float) -> None:
        super().__init__()
        self._clock = clock
        self._idle_timeout = idle_timeout
        #: Takes the input while a message or chunk is being read, else None.
        self._decoder: DataDecoder | ChunkDecoder | None = None
        #: Whether input has already arrived behind the current command.
        self._more = False
        self._closing = False
        self._waiting = False
        self._paused = False
        self._direct = False
        #: When the last complete command or message octet came, or our answer left.
        self._active_at = 0.0
        self._input = b""
        self._replies: list[bytes] = []

    # --- for the subclass --------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        """Obey one command line, given without its CRLF."""
        raise NotImplementedError

    def _body_received(self) -> None:
        """The decoder has taken some octets and wants more."""
        raise NotImplementedError

    def _body_complete(self) -> None:
        """The decoder has come to the end of the message or chunk; it must be replaced."""
        raise NotImplementedError

    def _ended(self) -> None:
        """The session is over: this end closes, or the connection is lost. May be called twice."""
        raise NotImplementedError

    # --- output ------------------------------------------------------------------------------------

    def sendCode(self, code: int, message: bytes = b"") -> None:
        self._replies.append(b"%d %b\r\n" % (code, message))

    def _flush(self) -> None:
        pending = self._replies
        if pending:
            data = pending[0] if len(pending) == 1 else b"".join(pending)
            pending.clear()
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._direct:
            sent = self.transport.writeSomeData(data)
            if sent == len(data):
                return
            # A peer that does not read leaves this path for good; so nothing can overtake what is queued.
            self._direct = False
            if isinstance(sent, int) and sent > 0:
                data = data[sent:]
        self.transport.write(data)

    def _close(self, reply: bytes) -> None:
        """Say this last, close, and read nothing more."""
        self._closing = True
        self._input = b""
        self._decoder = None
        self._replies.append(reply)
        self._flush()
        self._ended()
        self.transport.loseConnection()
        self.setTimeout(_LINGER)

    # --- connection --------------------------------------------------------------------------------

    def _opened(self) -> None:
        # Replies are small: a socket that is not behind TLS or a wrapper takes them at once, without the reactor.
        self._direct = isinstance(self.transport, tcp.Connection)
        self._active_at = self._clock.seconds()
        self.setTimeout(self._idle_timeout)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closing = True
        self._input = b""
        self._decoder = None
        self.setTimeout(None)
        self._ended()

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        return self._clock.callLater(period, func)

    def timeoutConnection(self) -> None:
        if self._closing:
            self.transport.abortConnection()
        elif self._waiting:
            # The delay is ours, not the client's.
            self.setTimeout(self._idle_timeout)
        else:
            # The timer is not wound up anew for each command; it finds out here that there have been some.
            left = self._active_at + self._idle_timeout - self._clock.seconds()
            if left > 0:
                self.setTimeout(left)
            else:
                self._close(replies.IDLE)

    def abort(self) -> None:
        """Cut the connection without a word."""
        self._closing = True
        self.transport.abortConnection()

    # --- input -------------------------------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        if self._input:
            data = self._input + data
            self._input = b""
        self._consume(data)
        if self._replies and not self._closing:
            self._flush()

    def _consume(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self._closing:
            if self._waiting:
                self._input = data[position:]
                if not self._paused:
                    self._paused = True
                    self.transport.pauseProducing()
                break
            if self._decoder is not None:
                self._active_at = self._clock.seconds()
                rest = self._decoder.feed(data[position:] if position else data)
                if rest is None:
                    self._body_received()
                    break
                data, position = rest, 0
                self._more = bool(rest)
                self._body_complete()
                continue
            end = data.find(b"\n", position) + 1
            if not end:
                if len(data) - position >= MAX_COMMAND:
                    self._close(replies.LINE_TOO_LONG)
                else:
                    self._input = data[position:]
                break
            line = data[position:end]
            position = end
            self._more = position < len(data)
            if len(line) > MAX_COMMAND:
                self._close(replies.LINE_TOO_LONG)
            elif line.find(b"\r") != len(line) - 2 or b"\0" in line:
                self._close(replies.BAD_LINE)
            else:
                self._active_at = self._clock.seconds()
                self._command(line[:-2])

    # --- waiting for the gateway -------------------------------------------------------------------

    def _ask(self, question: Coroutine[Any, Any, Any], answered: Callable[[Any], bytes | None]) -> bytes | None:
        """Run a coroutine and reply with what ``answered`` makes of its result, or of the Exception that it raised.

        A coroutine that finishes at once, as an answer from a cache does, has its reply returned. Else the answer is
        None, and the reply is sent when it is there. ``answered`` is called even if the session has ended before.
        """
        try:
            awaited = question.send(None)
        except StopIteration as stop:
            return answered(stop.value)
        except Exception as error:
            return answered(error)
        self._waiting = True
        awaited.addBoth(self._go_on, question, answered)
        return None

    def _go_on(self, _: object, question: Coroutine[Any, Any, Any], answered: Callable[[Any], bytes | None]) -> None:
        """What a coroutine awaits is there, and it fetches it itself: for one message after the other this is all that
        ``Deferred.fromCoroutine`` would do."""
        try:
            awaited = question.send(None)
        except StopIteration as stop:
            result = stop.value
        except Exception as error:
            result = error
        else:
            awaited.addBoth(self._go_on, question, answered)
            return
        try:
            self._resume(result, answered)
        except Exception:
            self._broken()

    def _resume(self, result: Any, answered: Callable[[Any], bytes | None]) -> None:
        self._waiting = False
        reply = answered(result)
        if self._closing:
            return
        if reply is not None:
            self._replies.append(reply)
        self._active_at = self._clock.seconds()
        data, self._input = self._input, b""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        self._consume(data)
        if self._replies and not self._closing:
            self._flush()

    def _broken(self) -> None:
        self._log.failure("SMTP session broke")
        if not self._closing:
            self._close(replies.LOCAL_ERROR)
