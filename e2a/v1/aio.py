"""The friendly client for ``asyncio``.

async with AsyncE2AClient(agent_email="bot@agents.example.com") as client:
    async for notice in client.listen():
        email = await client.get_message(notice.message_id)
        await email.reply("Thank you.")
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from . import accountcalls, calls, clientcalls, models
from .accountcalls import ExportFormat
from .api import AsyncE2AApi
from .common import UNDECIDED, Clock, checked
from .exports import Destination, Progress, saving
from .inbound import AsyncInboundEmail, payload_of
from .live import WSNotification, notifications, socket_url
from .methods import awaiting, awaiting_of, iterating_async
from .transport import DEFAULT_BASE_URL, DEFAULT_RETRIES, DEFAULT_TIMEOUT, Call
from .webhooks import Secrets

T = TypeVar("T")


class AsyncE2AClient:
    """The client for ``asyncio``: parameters and methods as for :class:`E2AClient`, awaited; ``parse`` and
    ``parse_webhook`` are plain methods here too."""

    def __init__(
        self,
        api_key: str | None = None,
        agent_email: str | None = None,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        max_retries: int = DEFAULT_RETRIES,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self.api = AsyncE2AApi(api_key, base_url, timeout, max_retries=max_retries, http_client=http_client)
        self.agent_email = clientcalls.default_agent(agent_email)

    async def run(self, call: Call[T]) -> T:
        """Carry out one call."""
        return await self.api.run(call)

    # --- received mail ------------------------------------------------------------------------------------------------

    def parse(
        self, body: bytes | str | dict[str, Any] | models.MessageDetail, headers: object = None
    ) -> AsyncInboundEmail:
        """A webhook body as an e-mail that is closed until its ``verify_signature`` succeeds.

        Deprecated: ``parse_webhook`` cannot be used without the check.

        :param headers: ignored.
        :raises TypeError: a body of another type.
        :raises ValueError: not a JSON object.
        """
        warnings.warn("use parse_webhook(), which checks the signature too", DeprecationWarning, stacklevel=2)
        return AsyncInboundEmail(payload_of(body), self)

    def parse_webhook(
        self,
        body: bytes | str | dict[str, Any],
        secret: Secrets | None = None,
        *,
        headers: Mapping[str, Any] | None = None,
    ) -> AsyncInboundEmail:
        """A webhook body as an e-mail whose signature is right.

        Without ``headers`` the signature in the body is checked: it covers the raw message and what ``auth`` says.
        With them the Standard Webhooks signature of the request is, which covers the whole body.

        :param body: as it was received.
        :param secret: one secret, or several during a rotation; ``E2A_WEBHOOK_SECRET`` when not given.
        :param headers: the request's headers, names in any case. They must hold ``webhook-id``, ``webhook-timestamp``
            and ``webhook-signature``.
        :raises PermissionError: the signature is missing, wrong, or older than five minutes. Answer 401 or 403.
        :raises ValueError: there is no secret, or the body is no JSON object.
        """
        return checked(lambda payload: AsyncInboundEmail(payload, self), body, secret, headers)

    async def get_message(
        self, message_id: str, agent_email: str | None = None, *, mark_read: bool = True
    ) -> AsyncInboundEmail:
        """Fetch a message, which becomes read.

        :param mark_read: False leaves it unread.
        """
        agent = clientcalls.agent_of(self, agent_email)
        detail = await self.api.get_message(agent, message_id, mark_read=mark_read)
        return AsyncInboundEmail(payload_of(detail), self, trusted=True, agent_email=agent)

    async def wait_for_message(
        self,
        timeout: float = 60.0,
        *,
        from_: str | None = None,
        subject_contains: str | None = None,
        after: int | None = None,
        not_before: str | None = None,
        mark_read: bool = True,
        agent_email: str | None = None,
    ) -> AsyncInboundEmail:
        """Wait for the first unread message that matches, and fetch it.

        A message that is there already counts. Since it becomes read, the next call waits for the next one.

        :param timeout: seconds.
        :param from_: only mail of this sender.
        :param subject_contains: only mail whose subject contains this text, in any case.
        :param after: a cursor of ``E2AApi.wait_for_message``: only mail that came after it, read or not.
        :param not_before: only mail received since this time (RFC 3339 with an offset).
        :raises TimeoutError: none came in time.
        """
        agent, clock = clientcalls.agent_of(self, agent_email), Clock(timeout)
        poll: int | None = clock.poll() or 0
        while poll is not None:
            found = await self.api.wait_for_message(
                agent, poll, after=after, from_=from_, subject_contains=subject_contains, not_before=not_before
            )
            if found.message is not None:
                return await self.get_message(found.message.message_id or "", agent, mark_read=mark_read)
            after = None if after is None else found.cursor
            poll = clock.poll()
        raise TimeoutError(f"no message came in {timeout:g} seconds")

    def listen(
        self,
        agent_email: str | None = None,
        reconnect: bool = True,
        max_backoff: float = 30.0,
        *,
        raise_on_refusal: bool = False,
    ) -> AsyncGenerator[WSNotification, None]:
        """Every unread message of an agent in ``local`` mode, then every new one as it comes: ``async for``.

        Nothing is fetched: ``get_message`` does that and marks the message read. Until then every new connection
        announces it again, under the same id. After a connection has ended, whatever came in the meantime is announced
        by the next, so that none is missed. One listener at a time: a second one takes the first one's place.

        :param reconnect: go on after a connection has ended, for whatever reason; False ends with the first.
        :param max_backoff: seconds between two attempts at most.
        :param raise_on_refusal: raise when the server says that this key may not listen to this agent (401, 403, 404),
            or that the agent is not in ``local`` mode (400), and when the first connection shows that there is no e2a
            server. Otherwise that is logged as a warning of the logger ``e2a.v1.websocket`` and tried again, as a
            server that is away is.
        :raises E2AApiError: refused, with ``raise_on_refusal``.
        """
        transport = self.api.transport
        url = socket_url(transport.base_url, clientcalls.agent_of(self, agent_email))
        return notifications(
            url,
            transport.api_key or "",
            reconnect=reconnect,
            max_backoff=max_backoff,
            raise_on_refusal=raise_on_refusal,
        )

    get_messages = awaiting_of(clientcalls.get_messages)
    iter_messages = iterating_async(clientcalls.iter_messages)
    get_raw_message = awaiting_of(clientcalls.get_raw_message)
    list_attachments = awaiting_of(clientcalls.list_attachments)
    get_attachment = awaiting_of(clientcalls.get_attachment)
    get_delivery = awaiting_of(clientcalls.get_delivery)
    redeliver = awaiting_of(clientcalls.redeliver)
    iter_failed_deliveries = iterating_async(clientcalls.iter_failed_deliveries)
    iter_conversations = iterating_async(clientcalls.iter_conversations)
    iter_conversation = iterating_async(clientcalls.iter_conversation)

    # --- mail that agents send ----------------------------------------------------------------------------------------

    send = awaiting_of(clientcalls.send)
    reply = awaiting_of(clientcalls.reply)
    forward = awaiting_of(clientcalls.forward)
    send_test_email = awaiting(calls.send_test_email)
    list_pending_messages = awaiting(calls.list_pending_messages)
    iter_pending_messages = iterating_async(clientcalls.iter_pending_messages)
    get_pending_message = awaiting(calls.get_pending_message)
    get_pending_attachment = awaiting(calls.get_pending_attachment)
    approve_message = awaiting_of(clientcalls.approve_message)
    resend_message = awaiting(calls.resend_message)
    reject_message = awaiting(calls.reject_message)

    async def wait_for_outcome(self, message_id: str, timeout: float = 300.0) -> models.PendingMessageDetail:
        """Wait until a message that was held or queued is decided: sent, failed, unknown, rejected or expired.

        :param timeout: seconds.
        :raises TimeoutError: it is still held or queued.
        """
        clock = Clock(timeout)
        while True:
            found = await self.api.get_pending_message(message_id)
            if found.status not in UNDECIDED:
                return found
            pause = clock.pause()
            if pause is None:
                raise TimeoutError(f"the message is {found.status} after {timeout:g} seconds")
            await asyncio.sleep(pause)

    # --- agents and domains -------------------------------------------------------------------------------------------

    list_agents = awaiting(calls.list_agents)
    register_agent = awaiting_of(clientcalls.register_agent)
    get_agent = awaiting(calls.get_agent)
    update_agent = awaiting_of(clientcalls.update_agent)
    delete_agent = awaiting(calls.delete_agent)
    list_domains = awaiting(calls.list_domains)
    register_domain = awaiting_of(clientcalls.register_domain)
    get_domain = awaiting(calls.get_domain)
    verify_domain = awaiting(calls.verify_domain)
    rotate_domain_key = awaiting(calls.rotate_domain_key)
    delete_domain = awaiting(calls.delete_domain)
    list_delegations = awaiting_of(clientcalls.list_delegations)
    propose_delegation = awaiting_of(clientcalls.propose_delegation)
    end_delegation = awaiting_of(clientcalls.end_delegation)

    # --- the account --------------------------------------------------------------------------------------------------

    me = awaiting(accountcalls.me)
    get_info = awaiting(calls.get_info)
    get_usage = awaiting(accountcalls.get_usage)
    delete_account = awaiting(accountcalls.delete_account)
    list_signing_secrets = awaiting(accountcalls.list_signing_secrets)
    create_signing_secret = awaiting(accountcalls.create_signing_secret)
    rotate_signing_secrets = awaiting(accountcalls.rotate_signing_secrets)
    delete_signing_secret = awaiting(accountcalls.delete_signing_secret)
    list_keys = awaiting(accountcalls.list_keys)
    create_key = awaiting(accountcalls.create_key)
    revoke_key = awaiting(accountcalls.revoke_key)
    iter_suppressions = iterating_async(clientcalls.iter_suppressions)
    add_suppression = awaiting(accountcalls.add_suppression)
    remove_suppression = awaiting(accountcalls.remove_suppression)
    iter_audit_events = iterating_async(clientcalls.iter_audit_events)
    list_organisations = awaiting(accountcalls.list_organisations)
    get_organisation = awaiting(accountcalls.get_organisation)
    rename_organisation = awaiting(accountcalls.rename_organisation)
    list_members = awaiting(accountcalls.list_members)
    change_role = awaiting(accountcalls.change_role)
    remove_member = awaiting(accountcalls.remove_member)
    list_invitations = awaiting(accountcalls.list_invitations)
    invite = awaiting(accountcalls.invite)
    revoke_invitation = awaiting(accountcalls.revoke_invitation)

    @asynccontextmanager
    async def stream_export(self, format: ExportFormat = "json") -> AsyncIterator[AsyncIterator[bytes]]:
        """The account's data in pieces, for what need not be a file: a context manager around the pieces."""
        async with self.api.transport.stream(accountcalls.export(format)) as pieces:
            yield pieces

    async def export(
        self, destination: Destination, format: ExportFormat = "json", *, progress: Progress | None = None
    ) -> int:
        """Write the account's data to a file; returns its length in octets.

        :param destination: a path, which appears once everything is there; or a file opened for writing octets.
        :param format: one JSON document, or with ``zip`` an archive that holds the mail as ``.eml`` too.
        :param progress: called with the octets written so far.
        """
        written = 0
        with saving(destination) as file:
            async with self.stream_export(format) as pieces:
                async for piece in pieces:
                    file.write(piece)
                    written += len(piece)
                    if progress is not None:
                        progress(written)
        return written

    async def close(self) -> None:
        """Give the connections back."""
        await self.api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
