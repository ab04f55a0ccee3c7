"""The raw layer: one method for each endpoint, wire shapes in and out.

with E2AApi("e2a_...") as api:
    for agent in api.list_agents().agents or []:
        print(agent.email)
"""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypeVar

import httpx

from . import accountcalls, calls
from .account import DeploymentInfo
from .methods import awaiting, blocking
from .transport import (
    DEFAULT_BASE_URL,
    DEFAULT_RETRIES,
    DEFAULT_TIMEOUT,
    AsyncTransport,
    Call,
    Transport,
    key_from,
)

T = TypeVar("T")


class E2AApi:
    """The REST interface, blocking. A context manager; may be shared by threads.

    :param api_key: ``E2A_API_KEY`` when not given.
    :param base_url: where the server is; a path in it is kept. A server on this machine is reached without a proxy.
    :param timeout: seconds for each phase of a request.
    :param max_retries: how often a request that failed for a passing reason is sent again: reads, and whatever carries
        an ``Idempotency-Key``. 0 never repeats anything.
    :param http_client: an ``httpx.Client`` to use instead of an own one, for proxies or certificates. It is not closed.
    :raises ValueError: there is no key.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        max_retries: int = DEFAULT_RETRIES,
        http_client: httpx.Client | None = None,
    ) -> None:
        self.transport = Transport(key_from(api_key), base_url, timeout, max_retries, http_client)

    def run(self, call: Call[T]) -> T:
        """Carry out one call."""
        return self.transport.run(call)

    list_agents = blocking(calls.list_agents)
    register_agent = blocking(calls.register_agent)
    get_agent = blocking(calls.get_agent)
    update_agent = blocking(calls.update_agent)
    delete_agent = blocking(calls.delete_agent)
    send_test_email = blocking(calls.send_test_email)
    list_domains = blocking(calls.list_domains)
    register_domain = blocking(calls.register_domain)
    get_domain = blocking(calls.get_domain)
    verify_domain = blocking(calls.verify_domain)
    rotate_domain_key = blocking(calls.rotate_domain_key)
    delete_domain = blocking(calls.delete_domain)
    list_messages = blocking(calls.list_messages)
    get_message = blocking(calls.get_message)
    get_raw_message = blocking(calls.get_raw_message)
    get_attachment = blocking(calls.get_attachment)
    wait_for_message = blocking(calls.wait_for_message)
    get_delivery = blocking(calls.get_delivery)
    redeliver = blocking(calls.redeliver)
    list_deliveries = blocking(calls.list_deliveries)
    list_conversations = blocking(calls.list_conversations)
    get_conversation = blocking(calls.get_conversation)
    reply_to_message = blocking(calls.reply_to_message)
    forward_message = blocking(calls.forward_message)
    send_email = blocking(calls.send_email)
    list_pending_messages = blocking(calls.list_pending_messages)
    get_pending_message = blocking(calls.get_pending_message)
    get_pending_attachment = blocking(calls.get_pending_attachment)
    approve_message = blocking(calls.approve_message)
    resend_message = blocking(calls.resend_message)
    reject_message = blocking(calls.reject_message)
    get_info = blocking(calls.get_info)
    me = blocking(accountcalls.me)
    list_signing_secrets = blocking(accountcalls.list_signing_secrets)
    create_signing_secret = blocking(accountcalls.create_signing_secret)
    rotate_signing_secrets = blocking(accountcalls.rotate_signing_secrets)
    delete_signing_secret = blocking(accountcalls.delete_signing_secret)
    list_keys = blocking(accountcalls.list_keys)
    create_key = blocking(accountcalls.create_key)
    revoke_key = blocking(accountcalls.revoke_key)
    list_suppressions = blocking(accountcalls.list_suppressions)
    get_suppression = blocking(accountcalls.get_suppression)
    add_suppression = blocking(accountcalls.add_suppression)
    remove_suppression = blocking(accountcalls.remove_suppression)
    list_delegations = blocking(accountcalls.list_delegations)
    propose_delegation = blocking(accountcalls.propose_delegation)
    end_delegation = blocking(accountcalls.end_delegation)
    list_organisations = blocking(accountcalls.list_organisations)
    get_organisation = blocking(accountcalls.get_organisation)
    rename_organisation = blocking(accountcalls.rename_organisation)
    list_members = blocking(accountcalls.list_members)
    change_role = blocking(accountcalls.change_role)
    remove_member = blocking(accountcalls.remove_member)
    list_invitations = blocking(accountcalls.list_invitations)
    invite = blocking(accountcalls.invite)
    revoke_invitation = blocking(accountcalls.revoke_invitation)
    delete_account = blocking(accountcalls.delete_account)
    get_usage = blocking(accountcalls.get_usage)
    list_audit_events = blocking(accountcalls.list_audit_events)

    def close(self) -> None:
        """Give the connections back."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncE2AApi:
    """The REST interface for ``asyncio``; parameters and methods as for :class:`E2AApi`, awaited."""

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        max_retries: int = DEFAULT_RETRIES,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self.transport = AsyncTransport(key_from(api_key), base_url, timeout, max_retries, http_client)

    async def run(self, call: Call[T]) -> T:
        """Carry out one call."""
        return await self.transport.run(call)

    list_agents = awaiting(calls.list_agents)
    register_agent = awaiting(calls.register_agent)
    get_agent = awaiting(calls.get_agent)
    update_agent = awaiting(calls.update_agent)
    delete_agent = awaiting(calls.delete_agent)
    send_test_email = awaiting(calls.send_test_email)
    list_domains = awaiting(calls.list_domains)
    register_domain = awaiting(calls.register_domain)
    get_domain = awaiting(calls.get_domain)
    verify_domain = awaiting(calls.verify_domain)
    rotate_domain_key = awaiting(calls.rotate_domain_key)
    delete_domain = awaiting(calls.delete_domain)
    list_messages = awaiting(calls.list_messages)
    get_message = awaiting(calls.get_message)
    get_raw_message = awaiting(calls.get_raw_message)
    get_attachment = awaiting(calls.get_attachment)
    wait_for_message = awaiting(calls.wait_for_message)
    get_delivery = awaiting(calls.get_delivery)
    redeliver = awaiting(calls.redeliver)
    list_deliveries = awaiting(calls.list_deliveries)
    list_conversations = awaiting(calls.list_conversations)
    get_conversation = awaiting(calls.get_conversation)
    reply_to_message = awaiting(calls.reply_to_message)
    forward_message = awaiting(calls.forward_message)
    send_email = awaiting(calls.send_email)
    list_pending_messages = awaiting(calls.list_pending_messages)
    get_pending_message = awaiting(calls.get_pending_message)
    get_pending_attachment = awaiting(calls.get_pending_attachment)
    approve_message = awaiting(calls.approve_message)
    resend_message = awaiting(calls.resend_message)
    reject_message = awaiting(calls.reject_message)
    get_info = awaiting(calls.get_info)
    me = awaiting(accountcalls.me)
    list_signing_secrets = awaiting(accountcalls.list_signing_secrets)
    create_signing_secret = awaiting(accountcalls.create_signing_secret)
    rotate_signing_secrets = awaiting(accountcalls.rotate_signing_secrets)
    delete_signing_secret = awaiting(accountcalls.delete_signing_secret)
    list_keys = awaiting(accountcalls.list_keys)
    create_key = awaiting(accountcalls.create_key)
    revoke_key = awaiting(accountcalls.revoke_key)
    list_suppressions = awaiting(accountcalls.list_suppressions)
    get_suppression = awaiting(accountcalls.get_suppression)
    add_suppression = awaiting(accountcalls.add_suppression)
    remove_suppression = awaiting(accountcalls.remove_suppression)
    list_delegations = awaiting(accountcalls.list_delegations)
    propose_delegation = awaiting(accountcalls.propose_delegation)
    end_delegation = awaiting(accountcalls.end_delegation)
    list_organisations = awaiting(accountcalls.list_organisations)
    get_organisation = awaiting(accountcalls.get_organisation)
    rename_organisation = awaiting(accountcalls.rename_organisation)
    list_members = awaiting(accountcalls.list_members)
    change_role = awaiting(accountcalls.change_role)
    remove_member = awaiting(accountcalls.remove_member)
    list_invitations = awaiting(accountcalls.list_invitations)
    invite = awaiting(accountcalls.invite)
    revoke_invitation = awaiting(accountcalls.revoke_invitation)
    delete_account = awaiting(accountcalls.delete_account)
    get_usage = awaiting(accountcalls.get_usage)
    list_audit_events = awaiting(accountcalls.list_audit_events)

    async def close(self) -> None:
        """Give the connections back."""
        await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def fetch_info(base_url: str = DEFAULT_BASE_URL, timeout: float | None = DEFAULT_TIMEOUT) -> DeploymentInfo:
    """What a deployment says of itself. Needs no key."""
    transport = Transport(None, base_url, timeout, DEFAULT_RETRIES)
    try:
        return transport.run(calls.get_info())
    finally:
        transport.close()


async def fetch_info_async(base_url: str = DEFAULT_BASE_URL, timeout: float | None = DEFAULT_TIMEOUT) -> DeploymentInfo:
    """What a deployment says of itself, awaited. Needs no key."""
    transport = AsyncTransport(None, base_url, timeout, DEFAULT_RETRIES)
    try:
        return await transport.run(calls.get_info())
    finally:
        await transport.close()
