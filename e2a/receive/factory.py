"""The door: who may come in, and what all SMTP sessions share."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.mail import smtp

from e2a.core.ids import RandomBytes
from e2a.core.rules.limits import network_of
from e2a.flows.ports import Intake, Metrics

from . import replies
from .limits import ByteBudget, ConnectionCaps, Limits, UnknownRecipients
from .protocol import InboundESMTP


class InboundFactory(smtp.SMTPFactory):
    """Makes one :class:`InboundESMTP` per connection. Until :meth:`ready` every connection is answered 421 4.3.2.

    :param hostname: our name in the greeting, ASCII.
    :param tls_context: what ``startTLS`` takes; STARTTLS is offered when it is given. It may be replaced at any time,
        for a renewed certificate.
    """

    noisy = False

    def __init__(
        self,
        intake: Intake,
        clock: IReactorTime,
        *,
        hostname: str,
        limits: Limits,
        random: RandomBytes,
        metrics: Metrics,
        tls_context: Any = None,
    ) -> None:
        super().__init__()
        self.intake = intake
        self.clock = clock
        self.hostname = hostname.encode("ascii")
        self.limits = limits
        self.random = random
        self.metrics = metrics
        self.tls_context = tls_context
        self.budget = ByteBudget(limits.max_bytes_in_flight)
        self.draining = False
        self._ready = False
        self._caps = ConnectionCaps(limits.max_connections, limits.max_connections_per_address)
        self._unknown = UnknownRecipients(limits.max_unknown_per_address, limits.unknown_window)
        self._sessions: set[InboundESMTP] = set()
        self._drained: list[Deferred[None]] = []
        self._extensions = (
            b"250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n%b250-SIZE %d\r\n"
            b"250 LIMITS RCPTMAX=%d\r\n"
        )

    @property
    def sessions(self) -> int:
        """Open connections, refused ones that are still closing included."""
        return len(self._sessions)

    def buildProtocol(self, addr: IAddress | None) -> InboundESMTP:
        return InboundESMTP(self)

    def extensions(self, starttls: bool) -> bytes:
        """The lines of an EHLO reply behind the first."""
        return self._extensions % (
            b"250-STARTTLS\r\n" if starttls else b"",
            self.limits.max_message_bytes,
            self.limits.max_recipients,
        )

    # --- admission ---------------------------------------------------------------------------------

    def admit(self, session: InboundESMTP, host: str) -> bytes | None:
        """Let a new session in: None; or the reply with which it is turned away. ``host`` is "" while it is unknown."""
        self._sessions.add(session)
        if not self._ready or self.draining:
            self.metrics.count("smtp_connections", outcome="not_ready")
            return replies.STOPPING if self.draining else replies.STARTING
        return self._enter(session, host)

    def move(self, session: InboundESMTP, host: str) -> bytes | None:
        """A proxy has told for whom it speaks: count the session there. Answers as :meth:`admit`."""
        self._leave(session)
        return self._enter(session, host)

    def _enter(self, session: InboundESMTP, host: str) -> bytes | None:
        key = network_of(host)
        refused = "unknown_recipients" if self._unknown.too_many(key, self.clock.seconds()) else self._caps.enter(key)
        self.metrics.count("smtp_connections", outcome=refused or "accepted")
        if refused is None:
            session.counted_as = key
            return None
        return replies.TOO_MANY_UNKNOWN if refused == "unknown_recipients" else replies.TOO_MANY_CONNECTIONS

    def _leave(self, session: InboundESMTP) -> None:
        if session.counted_as is not None:
            self._caps.leave(session.counted_as)
            session.counted_as = None

    def unknown_recipient(self, session: InboundESMTP) -> None:
        """A session asked for somebody who is not here."""
        if session.counted_as:
            self._unknown.note(session.counted_as, self.clock.seconds())

    def gone(self, session: InboundESMTP) -> None:
        """A connection is closed."""
        self._leave(session)
        self._sessions.discard(session)
        self._check_drained()

    # --- life --------------------------------------------------------------------------------------

    def ready(self) -> None:
        """From now on mail is taken."""
        self._ready = True

    def drain(self) -> Deferred[None]:
        """Begin no new message; end every session as soon as the message it is sending has been answered.

        :returns: fires when the last connection is closed. The caller sets the time limit, then calls :meth:`abort`.
        """
        self.draining = True
        for session in list(self._sessions):
            session.drain()
        if not self._sessions:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._drained.append(done)
        return done

    def abort(self) -> None:
        """Cut every connection now. Messages that were not answered will be sent again by their senders."""
        for session in list(self._sessions):
            session.abort()

    def _check_drained(self) -> None:
        if self.draining and not self._sessions:
            waiting, self._drained = self._drained, []
            for done in waiting:
                done.callback(None)
