"""What can go wrong, and what each outsider is told about it.

An error knows its HTTP status, a stable machine code, its SMTP reply and one sentence fit for strangers. The cause
stays in ``__cause__`` and goes to the log, never to the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class E2AError(Exception):
    """Something the caller may be told about.

    :param text: one sentence for the outside: no SQL, no resolver address, no traceback, no CR or LF.
    :param field: the name of the request field at fault, if one is.
    :param details: further members of the RFC 9457 object, ready for JSON.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    #: Whether the same request may succeed later without a change.
    temporary: ClassVar[bool] = False
    default: ClassVar[str] = "internal error"
    #: Reply code and enhanced code (RFC 3463) where this ends an SMTP transaction.
    smtp: ClassVar[tuple[int, str]] = (451, "4.3.0")

    def __init__(
        self, text: str | None = None, *, field: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        self.text = text or self.default
        self.field = field
        self.details = details or {}
        super().__init__(self.text)


class BadRequest(E2AError):
    """The request is malformed; ``field`` names where."""

    status, code, default = 400, "bad_request", "bad request"


class Unauthenticated(E2AError):
    status, code, default = 401, "unauthenticated", "missing or invalid credentials"


class Forbidden(E2AError):
    """The credential is good but lacks the permission; never used to hide an object (that is NotFound)."""

    status, code, default = 403, "forbidden", "this credential lacks the permission"


class NotFound(E2AError):
    """Unknown or foreign, indistinguishably."""

    status, code, default = 404, "not_found", "not found"


class Conflict(E2AError):
    status, code, default = 409, "conflict", "conflict with the current state"


class AutoReplyBlocked(Conflict):
    """Automatic mail is answered only by someone who says so."""

    code = "auto_reply_blocked"
    default = "this message was sent by a program; answering it needs force, so that two programs do not go on for ever"


class Gone(E2AError):
    status, code, default = 410, "gone", "this is over"


class PreconditionFailed(E2AError):
    status, code, default = 412, "precondition_failed", "a precondition does not hold"


class TooLarge(E2AError):
    status, code, default = 413, "too_large", "request body too large"


class Unprocessable(E2AError):
    """The request is well formed, and cannot be carried out as it is."""

    status, code, default = 422, "unprocessable", "the request cannot be carried out"


class KeyReuse(Unprocessable):
    """An ``Idempotency-Key`` came again with another request."""

    code = "idempotency_key_reuse"
    default = "this Idempotency-Key was used with another request"


class RecipientSuppressed(Unprocessable):
    """Mail to the address came back, or the account does not want it written to."""

    code, default = "recipient_suppressed", "a recipient is suppressed"


class DeliveryFailed(Unprocessable):
    """Every recipient was refused for good. ``details`` holds the message and the replies."""

    code, default = "delivery_failed", "no recipient accepted the message"


class UpgradeRequired(E2AError):
    status, code, default = 426, "upgrade_required", "a WebSocket upgrade is required here"


class TooManyRequests(E2AError):
    """:param retry_after: whole seconds after which trying again makes sense.
    :param most: how often it may be done, if a rate limit says so.
    """

    status, code, temporary, default = 429, "rate_limited", True, "too many requests"

    def __init__(self, text: str | None = None, *, retry_after: int = 60, most: int | None = None) -> None:
        super().__init__(text)
        self.retry_after = retry_after
        self.most = most


class QuotaExceeded(E2AError):
    """The organisation has as much as it may have; waiting does not help.

    :param quota: which quota, as the settings name it.
    """

    status, code = 402, "quota_exceeded"

    def __init__(self, quota: str, most: int) -> None:
        super().__init__(
            f"the account's quota {quota} is {most}; remove some, or ask the operator for more",
            details={"quota": quota, "limit": most},
        )


class MailboxFull(E2AError):
    """The recipient's organisation has as much mail as it may keep; it may have room later."""

    status, code, temporary, default = 402, "mailbox_full", True, "the mailbox is full, try again later"
    smtp = (452, "4.2.2")


class NeverFits(MailboxFull):
    """The message alone is larger than everything the recipient may keep."""

    temporary, default = False, "the message is larger than all that the mailbox may hold"
    smtp = (552, "5.2.2")


class Unavailable(E2AError):
    """The database or another part cannot be reached now. Nothing was done, or it is not known to be done."""

    status, code, temporary, default = 503, "unavailable", True, "temporarily unavailable, try again"


class Busy(Unavailable):
    """As much of this is under way as this process takes on at a time.

    :param retry_after: whole seconds after which trying again makes sense.
    """

    code, default = "busy", "too much is under way at the moment, try again"

    def __init__(self, text: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class SendingNotConfigured(Unavailable):
    """There is no way out for mail to people; nothing was stored."""

    code, default = "sending_not_configured", "sending is not configured"


class MailLoop(E2AError):
    """The message has passed more servers than any real path has (RFC 5321 6.3)."""

    status, code, default = 400, "mail_loop", "too many hops, this message is in a loop"
    smtp = (554, "5.4.6")


class HeaderTooLarge(E2AError):
    """A header section beyond what any real message has."""

    status, code, default = 413, "header_too_large", "header section too large"
    smtp = (552, "5.3.4")


class UnknownRecipient(NotFound):
    """The agent does not exist, or does no more."""

    code, default = "unknown_recipient", "recipient not found"
    smtp = (550, "5.1.1")


class SettingsError(Exception):
    """The configuration cannot be used.

    :param complaints: every fault found, one sentence each.
    """

    def __init__(self, complaints: list[str]) -> None:
        self.complaints = complaints
        super().__init__("; ".join(complaints))
