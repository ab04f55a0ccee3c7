"""The way into the WebSocket: everything that can be refused is refused as ordinary HTTP, before the upgrade."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.web.resource import IResource
from twisted.web.server import Request

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, UpgradeRequired
from e2a.flows.mailbox import Mailbox

from .routing import Call, route

#: ``(agent id, principal) -> resource`` that takes the connection over (``deliver.websocket``, handed in by
#: ``service``).
LiveResource = Callable[[str, Principal], IResource]


class Live:
    """:param live_resource: speaks WebSocket from the request on."""

    def __init__(self, mailbox: Mailbox, live_resource: LiveResource) -> None:
        self._mailbox = mailbox
        self._live_resource = live_resource

    @route(
        "GET",
        "/api/v1/agents/{email}/ws",
        action="messages:read",
        summary="Connect a WebSocket that announces every unread and every new message",
        answers={101: None},
        errors=(400, 404, 426, 429),
        query_token=True,
    )
    async def connect(self, call: Call) -> Any:
        """In the contract's order: credential, agent, mode, upgrade."""
        agent = await self._mailbox.agent(call.principal, call.agent_id)
        if agent.agent_mode != "local":
            raise BadRequest("the agent is not in local mode: its mail goes to its webhook")
        if not _is_upgrade(call.request):
            raise UpgradeRequired
        resource = self._live_resource(agent.id, call.principal)
        hand_over = getattr(call.request.channel, "hand_over", None)
        if hand_over is not None:
            hand_over()
        return resource


def _is_upgrade(request: Request) -> bool:
    """Whether this asks for a WebSocket (RFC 6455 4.2.1)."""

    def words(name: bytes) -> set[bytes]:
        values = request.requestHeaders.getRawHeaders(name) or []
        return {word.strip().lower() for value in values for word in value.split(b",")}

    return (
        request.method == b"GET"
        and request.clientproto == b"HTTP/1.1"
        and b"websocket" in words(b"upgrade")
        and b"upgrade" in words(b"connection")
    )
