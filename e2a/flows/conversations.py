"""An agent's threads as its owner sees them. Foreign and unknown are one answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from e2a.core.entities import Conversation, ConversationMessage, Principal
from e2a.core.errors import NotFound
from e2a.core.trust.pagetoken import PageTokens
from e2a.store import conversations
from e2a.store.rows import Cursor

from .ports import Now, Transactions
from .scope import the_agent


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """:ivar next_token: None on the last page. A page before that may be short, or empty."""

    conversations: tuple[Conversation, ...]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class ThreadPage:
    """One page of a conversation's messages. :ivar next_token: None on the last page."""

    messages: tuple[ConversationMessage, ...]
    next_token: str | None


class Conversations:
    """:param tokens: signs positions in lists, under a key that clients do not hold."""

    def __init__(self, database: Transactions, tokens: PageTokens, now: Now) -> None:
        self._database = database
        self._tokens = tokens
        self._now = now

    async def page(self, principal: Principal, agent_id: str, size: int, token: str | None) -> ConversationPage:
        """Conversations by their latest message, newest first; listing changes nothing.

        What moves while somebody walks over the pages neither vanishes from the walk nor comes twice.

        :raises NotFound: no such agent.
        :raises BadRequest: the token is not of this list; ``field`` is ``token``.
        """
        kind = json.dumps(["conversations", agent_id])
        top, before = map(str, self._tokens.read(kind, token)) if token else (conversations.TOP, conversations.TOP)
        found, rest = await self._database.run(
            "list conversations", _page, principal, agent_id, before, top, size, self._moment()
        )
        if rest is None:
            return ConversationPage(tuple(found), None)
        if not token:
            top = found[0].last_message_id if found else rest
        return ConversationPage(tuple(found), self._tokens.make(kind, [top, rest]))

    async def thread(
        self, principal: Principal, agent_id: str, conversation_id: str, size: int, token: str | None
    ) -> ThreadPage:
        """The messages of one conversation, received and sent, oldest first; reading them here changes nothing.

        :raises NotFound: no such agent, or no message of it bears that conversation id.
        :raises BadRequest: as for ``page``.
        """
        kind = json.dumps(["conversation", agent_id, conversation_id])
        after = str(self._tokens.read(kind, token)[0]) if token else ""
        found = await self._database.run(
            "read conversation", _thread, principal, agent_id, conversation_id, after, size + 1, self._moment()
        )
        if not found and not token:
            raise NotFound
        more = len(found) > size
        return ThreadPage(tuple(found[:size]), self._tokens.make(kind, [found[size - 1].id]) if more else None)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


async def _page(
    cur: Cursor, principal: Principal, agent_id: str, before: str, top: str, limit: int, now: datetime
) -> tuple[list[Conversation], str | None]:
    await the_agent(cur, principal, agent_id)
    return await conversations.list_conversations(cur, agent_id, before, top, limit, now)


async def _thread(
    cur: Cursor, principal: Principal, agent_id: str, conversation_id: str, after: str, limit: int, now: datetime
) -> list[ConversationMessage]:
    await the_agent(cur, principal, agent_id)
    return await conversations.list_messages(cur, agent_id, conversation_id, after, limit, now)
