"""What flows need from the outside world, as protocols. ``service`` hands in the real ones, tests their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from e2a.core.entities import Envelope

T = TypeVar("T")

#: Unix time in seconds: ``time.time`` in the daemon, ``Clock().seconds`` in tests.
Now = Callable[[], float]

#: Told of a change in the words of an ``e2a_changed`` notification, ``kind id``: ``Directory.changed``.
Changed = Callable[[str], None]


def nobody(payload: str) -> None:
    """A ``Changed`` for when nothing is cached."""


class Transactions(Protocol):
    """``store.database.Database`` as the flows see it."""

    async def run(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run ``work(cursor, *args)`` in one transaction named for logs and metrics.

        :raises Unavailable: the database cannot be reached, or the commit's outcome is unknown.
        """
        ...

    async def statement(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """As ``run``, for work that executes one statement only; it costs one round trip less."""
        ...

    async def read(self, name: str, work: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run ``work(cursor, *args)``, which writes nothing, without a transaction around its statements.

        :raises Unavailable: the database cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One POST, complete. ``body`` is the JSON text; header names are as they go on the wire."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class WebhookResult:
    """What came of it.

    :ivar status_code: None when no HTTP answer arrived.
    :ivar error: "" on an answer; otherwise one short phrase without addresses.
    :ivar retry_after: seconds from a ``Retry-After`` header, None when absent or unreadable.
    """

    status_code: int | None
    error: str = ""
    retry_after: float | None = None


class Webhooks(Protocol):
    async def post(self, request: WebhookRequest) -> WebhookResult:
        """Never raises for anything the other side or the network does."""
        ...


class Cpu(Protocol):
    """Where work over a few milliseconds goes, so that the reactor stays free."""

    async def run(self, work: Callable[..., T], *args: Any) -> T: ...


class Metrics(Protocol):
    """Counters and timings without address or tenant labels."""

    def count(self, name: str, amount: int = 1, **labels: str) -> None: ...

    def observe(self, name: str, seconds: float, **labels: str) -> None: ...


class Intake(Protocol):
    """What the SMTP front needs from the gateway (``flows.inbound`` implements it)."""

    async def recipient(self, address: str) -> Any:
        """The ``entities.Recipient`` that this RCPT address reaches, tag and case resolved; None when nobody is there.

        :raises Unavailable: the database cannot be asked now (451).
        """
        ...

    async def accept(self, envelope: Envelope, data: bytes) -> str:
        """Verify and store one message for every recipient, or for none.

        :param data: the un-stuffed DATA bytes, exactly as sent.
        :returns: the text for the 250 reply.
        :raises E2AError: ``Unavailable`` is 451 4.3.0; ``MailLoop`` is 554 5.4.6. Nothing was stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one envelope recipient in one attempt.

    :ivar state: ``sent``: accepted for good. ``refused``: will never be. ``deferred``: try again later.
        ``unknown``: the message was transmitted whole and its answer never came.
    :ivar code: the SMTP reply code; None when there was no reply.
    :ivar text: the reply's text on one line, or one phrase of ours; without credentials.
    """

    state: Literal["sent", "refused", "deferred", "unknown"]
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Transmission:
    """One attempt to send one message.

    :ivar answers: by recipient, as given. Empty when the attempt was ``withheld``.
    :ivar unreachable: no session could be had at all, so others to the same destination need not try now.
    :ivar withheld: given up on our side before anything was transmitted; not an attempt.
    """

    answers: Mapping[str, Answer]
    unreachable: bool = False
    withheld: bool = False


class Permit(Protocol):
    """The right to transmit one message, which can end at any time."""

    async def begin(self) -> bool:
        """Called when the recipients are settled, before DATA. False: nothing may be transmitted.

        Afterwards the outcome counts as unknown until it is recorded.
        """
        ...

    def valid(self) -> bool:
        """Called with everything but the final dot transmitted: whether the final dot may follow."""
        ...


class Upstream(Protocol):
    async def send(self, envelope_from: str, recipients: Sequence[str], data: bytes, permit: Permit) -> Transmission:
        """One attempt, without repetition. Never raises for anything the network or the other side does.

        Cancelling ends the attempt at once: what was not transmitted whole is ``withheld``, otherwise ``unknown``.
        """
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer, whatever its status."""

    status: int
    body: bytes


class FetchFailed(Exception):
    """There was no answer, not in time, or too long a one. The text is one phrase for the log."""


class Fetch(Protocol):
    """One HTTP request to a service that the operator named."""

    async def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Fetched:
        """:raises FetchFailed: there is no whole answer."""
        ...
