"""``/api/v1/agents/{email}/conversations``: an agent's threads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from e2a.core import payloads
from e2a.flows.conversations import Conversations

from .models import Shape
from .routing import Call, Query, paged, route

_PAGE = (
    Query("page_size", "entries a page has at most", {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}),
    Query("token", "`next_token` of the previous page"),
)


class ConversationEntry(Shape):
    """A conversation as the list shows it."""

    id: str
    subject: str = Field(description="of its oldest message")
    participants: list[str] = Field(description="addresses in recent messages, without the agent's own")
    message_count: int = Field(description="received and sent; counting stops at 1000")
    unread: int = Field(description="of the messages counted")
    last_message_at: str


class ConversationList(Shape):
    """A page of conversations, the one with the latest message first."""

    conversations: list[ConversationEntry]
    next_token: str | None = Field(
        default=None, description="give it as token to go on; absent on the last page. A page before that may be short"
    )


class ConversationMessageEntry(Shape):
    """A message as its conversation shows it."""

    message_id: str
    direction: Literal["inbound", "outbound"]
    sender: str = Field(alias="from")
    to: list[str]
    cc: list[str]
    recipient: str
    subject: str
    verified: bool = Field(description="for received mail: whether the sender is who the From header says")
    status: str = Field(description="unread or read for received mail, else how sending stands")
    email_message_id: str = Field(description="the RFC 5322 Message-ID")
    size: int
    created_at: str


class ConversationThread(Shape):
    """A page of a conversation, oldest message first."""

    id: str
    messages: list[ConversationMessageEntry]
    next_token: str | None = Field(default=None, description="give it as token to go on; absent on the last page")


class ConversationsResource:
    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    @route(
        "GET",
        "/api/v1/agents/{email}/conversations",
        action="messages:read",
        summary="List an agent's conversations, the one with the latest message first",
        answers={200: ConversationList},
        errors=(404,),
        query=_PAGE,
    )
    async def list(self, call: Call) -> Any:
        size = call.whole("page_size", 1, 100, 50)
        page = await self._conversations.page(call.principal, call.agent_id, size, call.query.get("token"))
        return paged({"conversations": [payloads.conversation(found) for found in page.conversations]}, page.next_token)

    @route(
        "GET",
        "/api/v1/agents/{email}/conversations/{conversation}",
        action="messages:read",
        summary="One conversation: received and sent messages, oldest first; does not mark them read",
        answers={200: ConversationThread},
        errors=(404,),
        query=_PAGE,
    )
    async def get(self, call: Call) -> Any:
        size, conversation_id = call.whole("page_size", 1, 100, 50), call.path["conversation"]
        page = await self._conversations.thread(
            call.principal, call.agent_id, conversation_id, size, call.query.get("token")
        )
        messages = [payloads.conversation_message(message) for message in page.messages]
        return paged({"id": conversation_id, "messages": messages}, page.next_token)
