"""The fixed replies of the SMTP front, as they go on the wire."""

from __future__ import annotations

from e2a.core.mail.smtpgrammar import Reply


def _wire(code: int, enhanced: str, text: str) -> bytes:
    return Reply(code, enhanced, text).wire


OK = _wire(250, "2.0.0", "OK")
SENDER_OK = _wire(250, "2.1.0", "sender OK")
RECIPIENT_OK = _wire(250, "2.1.5", "recipient OK")
CHUNK_OK = _wire(250, "2.0.0", "chunk received")
HELP = _wire(214, "2.0.0", "see RFC 5321")
BYE = _wire(221, "2.0.0", "closing connection")
CANNOT_VERIFY = _wire(252, "2.5.0", "cannot verify, send some mail")
GO_AHEAD = _wire(354, "", "end data with <CRLF>.<CRLF>")
START_TLS = _wire(220, "2.0.0", "ready to start TLS")

STARTING = _wire(421, "4.3.2", "starting, try again later")
STOPPING = _wire(421, "4.3.2", "shutting down, try again later")
TOO_MANY_CONNECTIONS = _wire(421, "4.7.0", "too many connections, try again later")
TOO_MANY_UNKNOWN = _wire(421, "4.7.0", "too many unknown recipients")
TOO_MANY_ERRORS = _wire(421, "4.7.0", "too many errors")
TOO_MUCH_TALK = _wire(421, "4.7.0", "too many commands without a message")
IDLE = _wire(421, "4.4.2", "idle for too long")
TOO_SLOW = _wire(421, "4.4.2", "the message arrives too slowly")
NOT_SMTP = _wire(421, "4.7.0", "this is not SMTP")

LOCAL_ERROR = _wire(451, "4.3.0", "local error, try again later")
NO_MEMORY = _wire(452, "4.3.1", "too much mail at the moment, try again later")
TOO_MANY_RECIPIENTS = _wire(452, "4.5.3", "too many recipients")

LINE_TOO_LONG = _wire(500, "5.5.2", "line too long")
BAD_LINE = _wire(500, "5.5.2", "lines end with CRLF and contain no control characters")
UNKNOWN_COMMAND = _wire(500, "5.5.1", "command not recognised")
NOT_IMPLEMENTED = _wire(502, "5.5.1", "command not implemented")
NO_HELO = _wire(503, "5.5.1", "EHLO first")
NO_SENDER = _wire(503, "5.5.1", "MAIL first")
NO_RECIPIENTS = _wire(503, "5.5.1", "no valid recipients")
SECOND_SENDER = _wire(503, "5.5.1", "the sender is already given")
OUT_OF_ORDER = _wire(503, "5.5.1", "a message is being sent with BDAT")
ALREADY_TLS = _wire(503, "5.5.1", "TLS is already active")
INJECTION = _wire(503, "5.5.1", "nothing may follow STARTTLS before the handshake")
NO_AUTH = _wire(504, "5.7.4", "authentication is not offered")
UNKNOWN_RECIPIENT = _wire(550, "5.1.1", "recipient not found")
TOO_LARGE = _wire(552, "5.3.4", "message too large")
