"""How often something may be done: exact sliding windows, kept in PostgreSQL so that they hold on every replica."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

#: Characters of a key that are stored as they are; longer ones are hashed.
_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` times in any ``seconds`` seconds, for each one who is counted."""

    name: str
    most: int
    seconds: int

    def key(self, whom: str) -> str:
        """What events are counted under.

        :param whom: an agent, an organisation, a client address.
        """
        if len(whom) > _LONGEST:
            whom = hashlib.sha256(whom.encode("utf-8", "replace")).hexdigest()
        return f"{self.name}:{whom}"


#: Messages that one agent sends, answers, forwards and tests.
SEND = Limit("send", 60, 60)
#: Messages that one agent sends into one conversation, and automatic ones among them (RFC 3834 section 2).
CONVERSATION_SENDS = 20
CONVERSATION_AUTO_SENDS = 1
CONVERSATION_SECONDS = 3600
#: The same for answers to one address that belong to no conversation yet.
ANSWERS = Limit("answer", CONVERSATION_SENDS, CONVERSATION_SECONDS)
AUTO_ANSWERS = Limit("auto-answer", CONVERSATION_AUTO_SENDS, CONVERSATION_SECONDS)
