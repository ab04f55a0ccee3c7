"""One mail transaction: who has been answered what, and the message on its way to the connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer

from e2a.core.mail.smtpdata import DotStuffer
from e2a.flows.ports import Answer

#: Octets handed to the connection at a time.
_BLOCK = 65_536

State = Literal["sent", "refused", "deferred", "unknown"]


class Transaction:
    """Who has been answered what.

    :ivar open: recipients without an answer yet.
    :ivar ended: the final dot was written.
    :ivar unsure: what the server thinks of the connection is not clear any more.
    """

    def __init__(self, recipients: Sequence[str]) -> None:
        self.open = list(dict.fromkeys(recipients))
        self.answers: dict[str, Answer] = {}
        self.ended = self.withheld = self.unsure = False

    def answer(self, recipient: str, state: State, code: int | None, text: str) -> None:
        self.open.remove(recipient)
        self.answers[recipient] = Answer(state, code, text)

    def settle(self, state: State, code: int | None, text: str) -> None:
        """The same answer for all that are open."""
        for recipient in list(self.open):
            self.answer(recipient, state, code, text)


@implementer(IPullProducer)
class Body:
    """Feeds a message to the connection, dots doubled.

    :param progressed: called when the connection has taken a block.
    :ivar finished: it has taken everything.
    """

    def __init__(self, transport: Any, data: memoryview, progressed: Callable[[], None]) -> None:
        self._transport, self._data, self._progressed = transport, data, progressed
        self.stuffer = DotStuffer()
        self._position = 0
        self.finished = False

    def resumeProducing(self) -> None:
        if self._position >= len(self._data):
            self.finished = True
        else:
            block = bytes(self._data[self._position : self._position + _BLOCK])
            self._position += _BLOCK
            self._transport.write(self.stuffer.feed(block))
        self._progressed()

    def stopProducing(self) -> None:
        self._position = len(self._data)
