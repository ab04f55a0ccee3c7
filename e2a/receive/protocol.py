"""One SMTP session, server side (RFC 5321, 1870, 2034, 2920, 3030, 3207, 6152, 9422).

250 to a message is said only after ``Intake.accept`` returned; what goes wrong in between is 4xx, or what the gateway's
error says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import ITLSTransport
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from e2a.core.entities import Envelope, Recipient
from e2a.core.errors import E2AError, MailboxFull
from e2a.core.mail.smtpdata import ChunkDecoder, DataDecoder, MessageBuffer
from e2a.core.mail.smtpgrammar import (
    CommandError,
    Reply,
    parse_bdat,
    parse_helo,
    parse_mail,
    parse_rcpt,
    split_command,
)

from . import replies
from .framing import Framing
from .limits import unmapped

if TYPE_CHECKING:
    from .factory import InboundFactory

# Octets beyond which an over-large message is not even swallowed, as a multiple of the limit.
_SWALLOW = 4
# What a session may say between two messages that brings no mail forward; RSET and its like weigh ten.
_MAX_TALK = 1000
_CHATTER = 10
# Octets below which a chunk counts as talk.
_TINY = 1024
# First words of other protocols, which a browser or a proxy can be made to send here.
_FOREIGN = frozenset({b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS", b"DELETE", b"PATCH", b"PRI", b"HOST:"})


class InboundESMTP(Framing):
    """:ivar counted_as: the address the factory counts this session under, "" for none yet; None when uncounted."""

    _log = Logger()

    def __init__(self, factory: InboundFactory) -> None:
        super().__init__(factory.clock, factory.limits.idle_timeout)
        self.factory = factory
        self.host = factory.hostname
        self.session_id = factory.random(4).hex()
        self.counted_as: str | None = None
        self._limits = factory.limits
        self._late_peer = False
        self._client_ip = ""
        self._client: str | None = None
        self._esmtp = False
        self._errors = 0
        self._talk = 0
        self._unknown = 0
        self._sender: str | None = None
        self._recipients: list[Recipient] = []
        # The message under way: from DATA or the first BDAT until it is answered.
        self._in_message = False
        self._message: MessageBuffer | None = None
        self._began = 0.0
        self._charged = 0
        self._no_memory = False
        self._chunk_size = 0
        self._chunk_is_last = False

    # --- connection --------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        self.canStartTLS = ITLSTransport.providedBy(self.transport)
        # Behind a PROXY header the peer is known with the first input only.
        self._late_peer = isinstance(self.transport, ProtocolWrapper)
        self._client_ip = self._peer()
        self._opened()
        refusal = self.factory.admit(self, "" if self._late_peer else self._client_ip)
        if refusal is not None:
            self._close(refusal)
            return
        self._write(b"220 %b ESMTP\r\n" % self.host)

    def dataReceived(self, data: bytes) -> None:
        if self._late_peer and not self._closing:
            self._late_peer = False
            self._client_ip = self._peer()
            refusal = self.factory.move(self, self._client_ip)
            if refusal is not None:
                self._close(refusal)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        super().connectionLost(reason)
        self.factory.gone(self)

    def _peer(self) -> str:
        host = getattr(self.transport.getPeer(), "host", "")
        return unmapped(host.decode("ascii", "replace") if isinstance(host, bytes) else str(host))

    def _ended(self) -> None:
        # While the gateway stores the message, its octets are still in memory.
        if not self._waiting:
            self._end_message()

    def drain(self) -> None:
        """Say 421 and close: now, or after the answer to the message that is on its way."""
        if not self._in_message and not self._closing:
            self._close(replies.STOPPING)

    # --- commands ----------------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        verb, argument = split_command(line)
        command = _COMMANDS.get(verb)
        if command is None:
            if verb in _FOREIGN:
                self._close(replies.NOT_SMTP)
            else:
                self._error(replies.UNKNOWN_COMMAND)
            return
        try:
            reply = command(self, argument)
        except CommandError as error:
            if error.reply.enhanced.startswith("5.5"):
                self._error(error.reply.wire)
                return
            # An odd address in a list of recipients is no broken client.
            reply = self._talked(error.reply.wire)
        if reply is not None:
            self._replies.append(reply)

    def _error(self, reply: bytes) -> None:
        """Answer a protocol error; the last straw with 421."""
        self._errors += 1
        if self._errors >= self._limits.max_errors:
            self._close(replies.TOO_MANY_ERRORS)
        else:
            self._replies.append(reply)

    def _talked(self, reply: bytes, weight: int = 1) -> bytes | None:
        """Answer what is allowed but brings no mail forward; 421 when there is too much of it."""
        self._talk += weight
        if self._talk > _MAX_TALK:
            self._close(replies.TOO_MUCH_TALK)
            return None
        return reply

    def do_HELO(self, argument: bytes) -> bytes | None:
        self._client = parse_helo(argument)
        self._esmtp = False
        self._end_message()
        return self._talked(b"250 %b\r\n" % self.host, _CHATTER)

    def do_EHLO(self, argument: bytes) -> bytes | None:
        self._client = parse_helo(argument)
        self._esmtp = True
        self._end_message()
        starttls = self.canStartTLS and not self.startedTLS and self.factory.tls_context is not None
        first = b"250-%b greets %b\r\n" % (self.host, self._client.encode("ascii"))
        return self._talked(first + self.factory.extensions(starttls), _CHATTER)

    def do_MAIL(self, argument: bytes) -> bytes | None:
        if self.factory.draining:
            self._close(replies.STOPPING)
            return None
        if self._client is None:
            return self._talked(replies.NO_HELO)
        if self._sender is not None:
            return self._talked(replies.SECOND_SENDER)
        command = parse_mail(argument)
        if command.size is not None:
            if command.size > self._limits.max_message_bytes:
                self.factory.metrics.count("smtp_messages", outcome="too_large")
                return self._talked(replies.TOO_LARGE)
            if not self.factory.budget.room(command.size):
                self.factory.metrics.count("smtp_messages", outcome="no_memory")
                return self._talked(replies.NO_MEMORY)
        self._sender = command.reverse_path
        return replies.SENDER_OK

    def do_RCPT(self, argument: bytes) -> bytes | None:
        if self._sender is None:
            return self._talked(replies.NO_SENDER)
        if self._in_message:
            return self._talked(replies.OUT_OF_ORDER)
        path = parse_rcpt(argument)
        if len(self._recipients) >= self._limits.max_recipients:
            return self._talked(replies.TOO_MANY_RECIPIENTS)
        if path.domain:
            if path.domain.startswith("["):
                return self._recipient_answered(None)
            address = path.address
        elif path.local.lower() == "postmaster":
            address = "postmaster"
        else:
            return self._recipient_answered(None)
        return self._ask(self.factory.intake.recipient(address), self._recipient_answered)

    def _recipient_answered(self, result: Recipient | BaseException | None) -> bytes | None:
        count = self.factory.metrics.count
        if isinstance(result, BaseException):
            count("smtp_recipients", outcome="full" if isinstance(result, MailboxFull) else "error")
            return self._trouble(result)
        if result is None:
            count("smtp_recipients", outcome="unknown")
            self.factory.unknown_recipient(self)
            self._unknown += 1
            if self._unknown < self._limits.max_unknown_recipients:
                return replies.UNKNOWN_RECIPIENT
            if not self._closing:
                self._replies.append(replies.UNKNOWN_RECIPIENT)
                self._close(replies.TOO_MANY_UNKNOWN)
            return None
        count("smtp_recipients", outcome="accepted")
        for known in self._recipients:
            if known.agent_id == result.agent_id and known.tag == result.tag:
                return self._talked(replies.RECIPIENT_OK)
        self._recipients.append(result)
        return replies.RECIPIENT_OK

    def _trouble(self, error: BaseException) -> bytes:
        """The reply for an exception out of the gateway: its own, or 451 where it has none."""
        if isinstance(error, E2AError):
            return Reply(*error.smtp, error.text).wire
        self._log.failure("Unexpected error in SMTP session {session}", Failure(error), session=self.session_id)
        return replies.LOCAL_ERROR

    def do_RSET(self, argument: bytes) -> bytes | None:
        if argument:
            raise CommandError(501, "5.5.4", "no argument is allowed")
        self._end_message()
        return self._talked(replies.OK, _CHATTER)

    def do_NOOP(self, argument: bytes) -> bytes | None:
        return self._talked(replies.OK, _CHATTER)

    def do_VRFY(self, argument: bytes) -> bytes | None:
        return self._talked(replies.CANNOT_VERIFY, _CHATTER)

    def do_HELP(self, argument: bytes) -> bytes | None:
        return self._talked(replies.HELP, _CHATTER)

    def do_EXPN(self, argument: bytes) -> bytes | None:
        return self._talked(replies.NOT_IMPLEMENTED, _CHATTER)

    def do_AUTH(self, argument: bytes) -> bytes | None:
        return self._talked(replies.NO_AUTH, _CHATTER)

    def do_QUIT(self, argument: bytes) -> bytes | None:
        self._close(replies.BYE)
        return None

    def do_STARTTLS(self, argument: bytes) -> bytes | None:
        if argument:
            raise CommandError(501, "5.5.4", "no argument is allowed")
        if self.startedTLS:
            return self._talked(replies.ALREADY_TLS, _CHATTER)
        context = self.factory.tls_context
        if context is None or not self.canStartTLS:
            return self._talked(replies.NOT_IMPLEMENTED, _CHATTER)
        if self._more:
            # Sent in the clear to be believed under TLS (RFC 3207 section 6).
            self._close(replies.INJECTION)
            return None
        self._replies.append(replies.START_TLS)
        self._flush()
        self._end_message()
        self._client = None
        self._direct = False
        self.startedTLS = True
        self.transport.startTLS(context)
        self.factory.metrics.count("smtp_starttls")
        return None

    # --- messages ----------------------------------------------------------------------------------

    def do_DATA(self, argument: bytes) -> bytes | None:
        if argument:
            raise CommandError(501, "5.5.4", "no argument is allowed")
        if self._in_message:
            refusal = replies.OUT_OF_ORDER
        elif self._sender is None:
            refusal = replies.NO_SENDER
        elif not self._recipients:
            refusal = replies.NO_RECIPIENTS
        elif not self.factory.budget.room(1):
            refusal = replies.NO_MEMORY
        else:
            self._decoder = DataDecoder(self._begin_message())
            return replies.GO_AHEAD
        if self._more:
            # Nothing may follow DATA before our answer (RFC 2920 3.1): this is a body, sent without waiting.
            self._close(refusal)
            return None
        return self._talked(refusal)

    def do_BDAT(self, argument: bytes) -> bytes | None:
        try:
            size, last = parse_bdat(argument)
        except CommandError as error:
            # Nobody knows where the chunk ends and the next command begins.
            self._close(error.reply.wire)
            return None
        if size > _SWALLOW * self._limits.max_message_bytes:
            self._close(replies.TOO_LARGE)
            return None
        buffer = self._message
        if buffer is None and self._sender is not None and self._recipients:
            buffer = self._begin_message()
        self._chunk_size, self._chunk_is_last = size, last
        self._decoder = ChunkDecoder(size, buffer)
        if not size:
            self._body_complete()
        return None

    def _begin_message(self) -> MessageBuffer:
        self._in_message = True
        self._began = self._clock.seconds()
        self._message = MessageBuffer(self._limits.max_message_bytes)
        return self._message

    def _body_received(self) -> None:
        buffer = self._message
        if buffer is None:
            return
        self._charge(buffer)
        elapsed = self._clock.seconds() - self._began
        if buffer.size > _SWALLOW * self._limits.max_message_bytes:
            self._close(replies.TOO_LARGE)
        elif elapsed > self._limits.idle_timeout + buffer.size / self._limits.min_rate:
            self._outcome("too_slow", buffer.size, replies.TOO_SLOW)
            self._close(replies.TOO_SLOW)

    def _charge(self, buffer: MessageBuffer) -> None:
        """Account for the octets that this message holds in memory; over the common budget it is given up."""
        held = 0 if buffer.overflow else buffer.size
        if held > self._charged and not self.factory.budget.take(held - self._charged):
            self._no_memory = True
            buffer.discard()
            held = 0
        if held < self._charged:
            self.factory.budget.give_back(self._charged - held)
        self._charged = held

    def _body_complete(self) -> None:
        decoder, self._decoder = self._decoder, None
        buffer = self._message
        reply: bytes | None
        if buffer is None:
            reply = self._talked(replies.NO_RECIPIENTS if self._sender is not None else replies.NO_SENDER)
        else:
            self._charge(buffer)
            if buffer.overflow:
                reply = replies.NO_MEMORY if self._no_memory else replies.TOO_LARGE
                self._outcome("no_memory" if self._no_memory else "too_large", buffer.size, reply)
                self._end_message()
                reply = self._last_word(reply)
            elif isinstance(decoder, DataDecoder) or self._chunk_is_last:
                reply = self._hand_over(buffer)
            else:
                # An endless row of tiny chunks is talk, too.
                reply = self._talked(replies.CHUNK_OK, 1 if self._chunk_size < _TINY else 0)
        if reply is not None:
            self._replies.append(reply)

    def _hand_over(self, buffer: MessageBuffer) -> bytes | None:
        envelope = Envelope(
            client_ip=self._client_ip,
            helo=self._client or "",
            mail_from=self._sender or "",
            recipients=tuple(self._recipients),
            protocol="ESMTPS" if self.startedTLS else "ESMTP" if self._esmtp else "SMTP",
            session_id=self.session_id,
            received_at=self._clock.seconds(),
        )
        self._message = None
        return self._ask(self.factory.intake.accept(envelope, buffer.message()), self._message_answered)

    def _message_answered(self, result: str | BaseException) -> bytes | None:
        size, elapsed = self._charged, self._clock.seconds() - self._began
        if isinstance(result, BaseException):
            reply = self._trouble(result)
            self._outcome("deferred" if reply.startswith(b"4") else "rejected", size, reply)
        else:
            reply = Reply(250, "2.0.0", result).wire
            self._talk = self._errors = 0
            self._outcome("accepted", size, reply)
            self.factory.metrics.count("smtp_message_bytes", size)
            self.factory.metrics.observe("smtp_message_seconds", elapsed)
        self._end_message()
        return self._last_word(reply)

    def _outcome(self, outcome: str, size: int, reply: bytes) -> None:
        """What became of a message. The reply has its id, which is how an operator finds it again."""
        self.factory.metrics.count("smtp_messages", outcome=outcome)
        self._log.info(
            "message {outcome}: {octets} octets, {recipients} recipients, from {client}, session {session}: {reply}",
            outcome=outcome,
            octets=size,
            recipients=len(self._recipients),
            client=self._client_ip,
            session=self.session_id,
            reply=reply.decode("ascii", "replace").rstrip(),
        )

    def _last_word(self, reply: bytes) -> bytes | None:
        """The reply to a message, which ends the session when the daemon is stopping."""
        if not self.factory.draining or self._closing:
            return reply
        self._replies.append(reply)
        self._close(replies.STOPPING)
        return None

    def _end_message(self) -> None:
        """Forget the transaction and give its memory back."""
        self._sender = None
        self._recipients = []
        self._message = None
        self._in_message = False
        self._no_memory = False
        if self._charged:
            self.factory.budget.give_back(self._charged)
            self._charged = 0


_COMMANDS: dict[bytes, Callable[[InboundESMTP, bytes], bytes | None]] = {
    b"HELO": InboundESMTP.do_HELO,
    b"EHLO": InboundESMTP.do_EHLO,
    b"MAIL": InboundESMTP.do_MAIL,
    b"RCPT": InboundESMTP.do_RCPT,
    b"DATA": InboundESMTP.do_DATA,
    b"BDAT": InboundESMTP.do_BDAT,
    b"RSET": InboundESMTP.do_RSET,
    b"NOOP": InboundESMTP.do_NOOP,
    b"VRFY": InboundESMTP.do_VRFY,
    b"HELP": InboundESMTP.do_HELP,
    b"EXPN": InboundESMTP.do_EXPN,
    b"AUTH": InboundESMTP.do_AUTH,
    b"QUIT": InboundESMTP.do_QUIT,
    b"STARTTLS": InboundESMTP.do_STARTTLS,
}
