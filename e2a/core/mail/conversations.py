"""Which conversation a message belongs to.

Mail that this deployment composes carries ``X-E2A-Conversation-Id`` and, beside it, a MAC that nobody else can make.
When such a message comes back to an agent by SMTP, the two together say where it belongs. Everything else finds its
conversation by the ids it quotes, nearest ancestor first, and only if its sender takes part in that conversation:
whoever merely learnt an id does not slip in.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from e2a.core.ids import RandomBytes, prefixed

from . import words
from .headers import HeaderBlock

#: Header names, as written and as found in a block.
ID_HEADER = "X-E2A-Conversation-Id"
MAC_HEADER = "X-E2A-Conversation-Mac"
_ID_KEY = ID_HEADER.lower().encode()
_MAC_KEY = MAC_HEADER.lower().encode()

#: Characters a conversation id may have.
LONGEST_ID = 256
#: Seconds for which a MAC is believed: longer than mail waits in any queue (RFC 5321 4.5.4.1: 4 to 5 days).
MAC_SECONDS = 8 * 86_400
#: Seconds by which the clocks of two replicas may differ.
_SKEW = 300
_DIGEST = 16
_LONGEST_MAC = 64


def new_id(random: RandomBytes) -> str:
    """``conv_`` + 32 random hex digits."""
    return prefixed("conv", random)


def valid_id(text: str) -> bool:
    """Whether a caller may choose this id: 1 to 256 printable characters, none of them a space at either end."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and text == text.strip()


class ConversationMac:
    """Makes and checks the value of ``X-E2A-Conversation-Mac``: ``<unix seconds>.<32 hex digits>``.

    It binds the conversation to the From mailbox and to a time: a recipient who copies both headers into mail of their
    own gets nowhere.

    :param key: 32 octets that only this deployment has: ``Sealer.derive_all("conversation mac")``.
    :param old: former keys; what they made is still good.
    """

    def __init__(self, key: bytes, *old: bytes) -> None:
        self._keys = (key, *old)

    def make(self, conversation_id: str, sender: str, now: float) -> str:
        """:param sender: the bare address of the From header. :param now: Unix time."""
        at = int(now)
        return f"{at}.{_digest(self._keys[0], conversation_id, sender, at)}"

    def check(self, value: str, conversation_id: str, sender: str, now: float) -> bool:
        """Whether ``value`` was made here for this id and sender and is not too old. Never raises."""
        stamp, _, digest = value.strip().partition(".")
        if len(value) > _LONGEST_MAC or not (stamp.isascii() and stamp.isdecimal()):
            return False
        at = int(stamp)
        expected = [_digest(key, conversation_id, sender, at).encode() for key in self._keys]
        genuine = any(hmac.compare_digest(digest.encode(), each) for each in expected)
        return genuine and -_SKEW <= now - at <= MAC_SECONDS

    def conversation_of(self, block: HeaderBlock, sender: str, now: float) -> str | None:
        """The conversation that a message's own headers prove; None when they prove nothing."""
        ids, macs = block.by_key.get(_ID_KEY, ()), block.by_key.get(_MAC_KEY, ())
        if len(ids) != 1 or len(macs) != 1:
            return None
        conversation_id = words.decoded(ids[0].value)
        value = macs[0].unfolded.decode("ascii", "replace")
        if not valid_id(conversation_id) or not self.check(value, conversation_id, sender, now):
            return None
        return conversation_id


def _digest(key: bytes, conversation_id: str, sender: str, at: int) -> str:
    # A line end can be in neither an id nor an address.
    message = f"{at}\n{sender.lower()}\n{conversation_id}".encode("utf-8", "replace")
    return hmac.digest(key, message, hashlib.sha256)[:_DIGEST].hex()


@dataclass(frozen=True, slots=True)
class Quoted:
    """An id to look up.

    :ivar rank: 0 for the nearest ancestor.
    :ivar exact: as quoted; otherwise a form in which an upstream server may have told it to us.
    """

    rank: int
    id: str
    exact: bool


def quoted(references: Sequence[str]) -> list[Quoted]:
    """What to look up for the ids that a message quotes.

    Some upstream servers answer the final dot with ``<0100abc>`` and write ``<0100abc@region.example>`` into the
    message: the bare form is looked up too, among the ids that upstream servers told us.

    :param references: with angle brackets, nearest ancestor first.
    """
    found: list[Quoted] = []
    for rank, reference in enumerate(references):
        found.append(Quoted(rank, reference, True))
        local, at, _ = reference.removeprefix("<").removesuffix(">").rpartition("@")
        if at and local:
            found.append(Quoted(rank, f"<{local}>", False))
    return found


@dataclass(frozen=True, slots=True)
class Ancestor:
    """The nearest known ancestor of a message, as one agent's mailbox has it.

    :ivar conversation_id: of that ancestor.
    :ivar participant: whether the message's sender wrote or received a message of that conversation.
    """

    conversation_id: str
    participant: bool


@dataclass(frozen=True, slots=True)
class Thread:
    """Where a message belongs.

    :ivar hijack_suspected: it quotes a known message, but its sender could not be shown to take part.
    """

    conversation_id: str | None = None
    hijack_suspected: bool = False


def thread(ancestor: Ancestor | None, verified: bool) -> Thread:
    """Let a message into its ancestor's conversation if its sender is proved and takes part in it.

    :param verified: the verdict on the message's sender.
    """
    if ancestor is None:
        return Thread()
    if verified and ancestor.participant:
        return Thread(ancestor.conversation_id)
    return Thread(hijack_suspected=True)
