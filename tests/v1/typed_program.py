"""What a type checker says of a program that uses the client; ``tests.v1.test_typed`` asks one, nothing runs this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from e2a import AsyncE2AClient, E2AApi, E2AClient, InboundEmail, MessageList, SendResult
from e2a.v1 import (
    Agent,
    AsyncInboundEmail,
    Attachment,
    ListAgentsResponse,
    MessageSummary,
    RegisterAgentRequest,
    RegisterAgentResponse,
    WSNotification,
)


def blocking(client: E2AClient, body: bytes) -> SendResult:
    email = client.parse_webhook(body, ["one", "two"], headers={"webhook-id": "1"})
    assert_type(email, InboundEmail)
    assert_type(email.subject, str)
    assert_type(email.html_body, str | None)
    assert_type(email.attachments, list[Attachment])
    assert_type(client.get_messages("all", 10), MessageList)
    assert_type(client.iter_messages(), Iterator[MessageSummary])
    assert_type(client.list_agents(), ListAgentsResponse)
    assert_type(client.get_agent("a@b.test"), Agent)
    api: E2AApi = client.api
    assert_type(api.register_agent(RegisterAgentRequest(slug="x")), RegisterAgentResponse)
    assert_type(client.send(["a@b.test"], "subject", "text", wait=3), SendResult)
    client.delete_agent("a@b.test")
    client.send("a@b.test", "subject", "text")  # type: ignore[arg-type]
    client.send(["a@b.test"], "subject")  # type: ignore[call-arg]
    client.send(["a@b.test"], "subject", "text", urgent=True)  # type: ignore[call-arg]
    client.listen()  # type: ignore[attr-defined]
    return email.reply("Thanks", attachments=[Attachment("a.txt", "text/plain", b"")])


async def asynchronous(client: AsyncE2AClient) -> None:
    async for notice in client.listen():
        assert_type(notice, WSNotification)
        email = await client.get_message(notice.message_id)
        assert_type(email, AsyncInboundEmail)
        assert_type(await email.reply("Thanks"), SendResult)
        assert_type(await client.get_messages(), MessageList)
        assert_type(client.iter_messages(), AsyncIterator[MessageSummary])
        print(client.get_messages().messages)  # type: ignore[attr-defined]
