"""The friendly clients.

with E2AClient(agent_email="bot@agents.example.com") as client:
    email = client.wait_for_message(timeout=60)
    email.reply("Thank you.")
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from . import accountcalls, calls, clientcalls, models
from .accountcalls import ExportFormat
from .api import E2AApi
from .common import UNDECIDED, Clock, checked
from .exports import Destination, Progress, saving
from .inbound import InboundEmail, payload_of
from .methods import blocking, blocking_of, iterating
from .transport import DEFAULT_BASE_URL, DEFAULT_RETRIES, DEFAULT_TIMEOUT, Call
from .webhooks import Secrets

T = TypeVar("T")


class E2AClient:
    """The blocking client. A context manager; may be shared by threads.

    :param api_key: ``E2A_API_KEY`` when not given.
    :param agent_email: the agent that calls mean when they name none; ``E2A_AGENT_EMAIL`` when not given.
    :param base_url: where the server is; a path in it is kept. A server on this machine is reached without a proxy.
    :param timeout: seconds for each phase of a request.
    :param max_retries: how often a request that failed for a passing reason is sent again, where that is safe.
    :param http_client: an ``httpx.Client`` to use instead of an own one. It is not closed.
    :raises ValueError: there is no key.
    """

    def __init__(
        self,
        api_key: str | None = None,
        agent_email: str | None = None,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float | None = DEFAULT_TIMEOUT,
        *,
        max_retries: int = DEFAULT_RETRIES,
        http_client: httpx.Client | None = None,
    ) -> None:
        self.api = E2AApi(api_key, base_url, timeout, max_retries=max_retries, http_client=http_client)
        self.agent_email = clientcalls.default_agent(agent_email)

    def run(self, call: Call[T]) -> T:
        """Carry out one call."""
        return self.api.run(call)

    # --- received mail ------------------------------------------------------------------------------------------------

    def parse(self, body: bytes | str | dict[str, Any] | models.MessageDetail, headers: object = None) -> InboundEmail:
        """A webhook body as an e-mail that is closed until its ``verify_signature`` succeeds.

        Deprecated: ``parse_webhook`` cannot be used without the check.

        :param headers: ignored.
        :raises TypeError: a body of another type.
        :raises ValueError: not a JSON object.
        """
        warnings.warn("use parse_webhook(), which checks the signature too", DeprecationWarning, stacklevel=2)
        return InboundEmail(payload_of(body), self)

    def parse_webhook(
        self,
        body: bytes | str | dict[str, Any],
        secret: Secrets | None = None,
        *,
        headers: Mapping[str, Any] | None = None,
    ) -> InboundEmail:
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
        return checked(lambda payload: InboundEmail(payload, self), body, secret, headers)

    def get_message(self, message_id: str, agent_email: str | None = None, *, mark_read: bool = True) -> InboundEmail:
        """Fetch a message, which becomes read.

        :param mark_read: False leaves it unread.
        """
        agent = clientcalls.agent_of(self, agent_email)
        detail = self.api.get_message(agent, message_id, mark_read=mark_read)
        return InboundEmail(payload_of(detail), self, trusted=True, agent_email=agent)

    def wait_for_message(
        self,
        timeout: float = 60.0,
        *,
        from_: str | None = None,
        subject_contains: str | None = None,
        after: int | None = None,
        not_before: str | None = None,
        mark_read: bool = True,
        agent_email: str | None = None,
    ) -> InboundEmail:
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
            found = self.api.wait_for_message(
                agent, poll, after=after, from_=from_, subject_contains=subject_contains, not_before=not_before
            )
            if found.message is not None:
                return self.get_message(found.message.message_id or "", agent, mark_read=mark_read)
            after = None if after is None else found.cursor
            poll = clock.poll()
        raise TimeoutError(f"no message came in {timeout:g} seconds")

    get_messages = blocking_of(clientcalls.get_messages)
    iter_messages = iterating(clientcalls.iter_messages)
    get_raw_message = blocking_of(clientcalls.get_raw_message)
    list_attachments = blocking_of(clientcalls.list_attachments)
    get_attachment = blocking_of(clientcalls.get_attachment)
    get_delivery = blocking_of(clientcalls.get_delivery)
    redeliver = blocking_of(clientcalls.redeliver)
    iter_failed_deliveries = iterating(clientcalls.iter_failed_deliveries)
    iter_conversations = iterating(clientcalls.iter_conversations)
    iter_conversation = iterating(clientcalls.iter_conversation)

    # --- mail that agents send ----------------------------------------------------------------------------------------

    send = blocking_of(clientcalls.send)
    reply = blocking_of(clientcalls.reply)
    forward = blocking_of(clientcalls.forward)
    send_test_email = blocking(calls.send_test_email)
    list_pending_messages = blocking(calls.list_pending_messages)
    iter_pending_messages = iterating(clientcalls.iter_pending_messages)
    get_pending_message = blocking(calls.get_pending_message)
    get_pending_attachment = blocking(calls.get_pending_attachment)
    approve_message = blocking_of(clientcalls.approve_message)
    resend_message = blocking(calls.resend_message)
    reject_message = blocking(calls.reject_message)

    def wait_for_outcome(self, message_id: str, timeout: float = 300.0) -> models.PendingMessageDetail:
        """Wait until a message that was held or queued is decided: sent, failed, unknown, rejected or expired.

        :param timeout: seconds.
        :raises TimeoutError: it is still held or queued.
        """
        clock = Clock(timeout)
        while True:
            found = self.api.get_pending_message(message_id)
            if found.status not in UNDECIDED:
                return found
            pause = clock.pause()
            if pause is None:
                raise TimeoutError(f"the message is {found.status} after {timeout:g} seconds")
            time.sleep(pause)

    # --- agents and domains -------------------------------------------------------------------------------------------

    list_agents = blocking(calls.list_agents)
    register_agent = blocking_of(clientcalls.register_agent)
    get_agent = blocking(calls.get_agent)
    update_agent = blocking_of(clientcalls.update_agent)
    delete_agent = blocking(calls.delete_agent)
    list_domains = blocking(calls.list_domains)
    register_domain = blocking_of(clientcalls.register_domain)
    get_domain = blocking(calls.get_domain)
    verify_domain = blocking(calls.verify_domain)
    rotate_domain_key = blocking(calls.rotate_domain_key)
    delete_domain = blocking(calls.delete_domain)
    list_delegations = blocking_of(clientcalls.list_delegations)
    propose_delegation = blocking_of(clientcalls.propose_delegation)
    end_delegation = blocking_of(clientcalls.end_delegation)

    # --- the account --------------------------------------------------------------------------------------------------

    me = blocking(accountcalls.me)
    get_info = blocking(calls.get_info)
    get_usage = blocking(accountcalls.get_usage)
    delete_account = blocking(accountcalls.delete_account)
    list_signing_secrets = blocking(accountcalls.list_signing_secrets)
    create_signing_secret = blocking(accountcalls.create_signing_secret)
    rotate_signing_secrets = blocking(accountcalls.rotate_signing_secrets)
    delete_signing_secret = blocking(accountcalls.delete_signing_secret)
    list_keys = blocking(accountcalls.list_keys)
    create_key = blocking(accountcalls.create_key)
    revoke_key = blocking(accountcalls.revoke_key)
    iter_suppressions = iterating(clientcalls.iter_suppressions)
    add_suppression = blocking(accountcalls.add_suppression)
    remove_suppression = blocking(accountcalls.remove_suppression)
    iter_audit_events = iterating(clientcalls.iter_audit_events)
    list_organisations = blocking(accountcalls.list_organisations)
    get_organisation = blocking(accountcalls.get_organisation)
    rename_organisation = blocking(accountcalls.rename_organisation)
    list_members = blocking(accountcalls.list_members)
    change_role = blocking(accountcalls.change_role)
    remove_member = blocking(accountcalls.remove_member)
    list_invitations = blocking(accountcalls.list_invitations)
    invite = blocking(accountcalls.invite)
    revoke_invitation = blocking(accountcalls.revoke_invitation)

    @contextmanager
    def stream_export(self, format: ExportFormat = "json") -> Iterator[Iterator[bytes]]:
        """The account's data in pieces, for what need not be a file: a context manager around the pieces."""
        with self.api.transport.stream(accountcalls.export(format)) as pieces:
            yield pieces

    def export(
        self, destination: Destination, format: ExportFormat = "json", *, progress: Progress | None = None
    ) -> int:
        """Write the account's data to a file; returns its length in octets.

        :param destination: a path, which appears once everything is there; or a file opened for writing octets.
        :param format: one JSON document, or with ``zip`` an archive that holds the mail as ``.eml`` too.
        :param progress: called with the octets written so far.
        """
        written = 0
        with saving(destination) as file, self.stream_export(format) as pieces:
            for piece in pieces:
                file.write(piece)
                written += len(piece)
                if progress is not None:
                    progress(written)
        return written

    def close(self) -> None:
        """Give the connections back."""
        self.api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
