"""Which conversation a received message joins, for each agent that receives it."""

from __future__ import annotations

from collections.abc import Sequence

from e2a.core.mail.conversations import ConversationMac, Thread, quoted, thread
from e2a.core.mail.headers import HeaderBlock
from e2a.core.mail.message import ParsedMessage
from e2a.core.trust.verdict import Verdict
from e2a.store.conversations import find_ancestors

from .ports import Now, Transactions


class Threading:
    """:param macs: proves which conversation headers were written here."""

    def __init__(self, database: Transactions, macs: ConversationMac, now: Now) -> None:
        self._database = database
        self._macs = macs
        self._now = now

    async def resolve(
        self, agent_ids: Sequence[str], block: HeaderBlock, parsed: ParsedMessage, verdict: Verdict
    ) -> dict[str, Thread]:
        """Where the message belongs in each of these agents' mailboxes: one question for all, none for first contacts.

        Our own conversation header counts when its MAC fits and the sender is proved, because a recipient can copy
        both headers but not our signature. Then what is quoted decides, see ``core.mail.conversations.thread``.

        :raises Unavailable: the database cannot be asked now.
        """
        if verdict.verified:
            conversation_id = self._macs.conversation_of(block, verdict.sender, self._now())
            if conversation_id is not None:
                return dict.fromkeys(agent_ids, Thread(conversation_id))
        if not parsed.references or not agent_ids:
            return dict.fromkeys(agent_ids, Thread())
        ancestors = await self._database.run(
            "threads", find_ancestors, agent_ids, quoted(parsed.references), verdict.sender
        )
        return {agent_id: thread(ancestors.get(agent_id), verdict.verified) for agent_id in agent_ids}
