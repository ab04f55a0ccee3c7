"""A received e-mail, and the gate before it: no field of a webhook is readable until its signature was checked."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..core.trust import signing
from .errors import UnverifiedEmailError
from .mime import Attachment, Content, content_of
from .models import Automation, MessageDetail
from .webhooks import Secrets, secrets_from

if TYPE_CHECKING:
    from .aio import AsyncE2AClient
    from .client import E2AClient
    from .results import SendResult


@dataclass(frozen=True, slots=True)
class AuthHeaders:
    """What the server vouches for, as it was presented: true once the signature was checked.

    :ivar verified: whether the server could show that the sender is who the From header says.
    :ivar entity_type: ``human``, or ``agent`` for an agent of the same deployment.
    :ivar domain_check: such as ``spf=pass; dkim=pass``.
    :ivar delegation: ``agent=...;human=...`` when the sending agent acts for a person.
    """

    verified: bool = False
    sender: str = ""
    entity_type: str = ""
    domain_check: str = ""
    delegation: str = ""
    signature: str = ""
    timestamp: str = ""
    message_id: str = ""
    body_hash: str = ""


class Email:
    """What :class:`InboundEmail` and :class:`AsyncInboundEmail` share.

    An e-mail from a webhook is closed: until ``verify_signature`` has succeeded every field but ``auth``,
    ``raw_message``, ``verified``, ``is_verified`` and ``unverified_payload`` raises :class:`UnverifiedEmailError`. One
    that was fetched over the API is open from the start.

    :param payload: a webhook body, or a message as the API gives it.
    :param trusted: whether it came by a way that needs no signature.
    :param agent_email: the agent it was fetched for; that of ``recipient`` when "".
    """

    def __init__(self, payload: Mapping[str, Any], *, trusted: bool = False, agent_email: str = "") -> None:
        self._payload = payload
        self._whole = trusted
        self._signed = False
        self._agent_email = agent_email
        headers = payload.get("auth_headers")
        self._headers = {
            str(name): value
            for name, value in (headers.items() if isinstance(headers, Mapping) else ())
            if isinstance(value, str)
        }
        self.auth = _auth(self._headers)

    def __repr__(self) -> str:
        state = "verified" if self.verified else "unverified"
        return f"<{type(self).__name__} {self._text('message_id')!r} from {self._text('from')!r} ({state})>"

    # --- the gate -----------------------------------------------------------------------------------------------------

    def verify_signature(self, secret: Secrets | None = None) -> bool:
        """Check the signature over the message and who sent it; a success opens the e-mail for good.

        It covers the raw message and what ``auth`` says, and nothing else of the webhook: after it, ``sender`` and
        ``message_id`` are the signed ones, while ``recipient``, ``to``, ``cc`` and ``conversation_id`` are what the
        request said. ``parse_webhook`` with ``headers`` checks those too. A signature is good for five minutes.

        :param secret: one secret, or several during a rotation; ``E2A_WEBHOOK_SECRET`` when not given.
        :raises ValueError: there is no secret.
        """
        secrets = secrets_from(secret)
        good = signing.verify(self._headers, self.raw_message, secrets, time.time())
        self._signed = self._signed or good
        return good

    def _accept(self) -> None:
        """Open it: the whole body was checked, by the headers of the request."""
        self._whole = True

    @property
    def verified(self) -> bool:
        """Whether a signature check has succeeded, or the e-mail came over the API."""
        return self._signed or self._whole

    @property
    def is_verified(self) -> bool:
        """Whether the server could show that the sender is who the From header says; see ``auth``.

        Before a successful check this is only a claim.
        """
        return self.auth.verified

    @property
    def unverified_payload(self) -> dict[str, Any]:
        """The fields without any check, for logs and for finding out why a check fails. Do not act on them."""
        content = self._content
        return {
            "message_id": self._text("message_id"),
            "conversation_id": self._payload.get("conversation_id"),
            "sender": self._text("from"),
            "recipient": self._text("recipient"),
            "to": self._list("to"),
            "cc": self._list("cc"),
            "reply_to": self._list("reply_to"),
            "subject": self._subject,
            "text_body": content.text,
            "html_body": content.html,
            "received_at": self._received_at,
            "attachments_count": len(content.attachments),
        }

    @cached_property
    def raw_message(self) -> bytes:
        """The message as the server stored it."""
        text = self._payload.get("raw_message")
        if not isinstance(text, str):
            return b""
        try:
            return base64.b64decode(text)
        except (binascii.Error, ValueError):
            return text.encode("utf-8", "surrogatepass")

    # --- behind the gate ----------------------------------------------------------------------------------------------

    @property
    def message_id(self) -> str:
        """The server's id of this message: the same for every delivery of it."""
        self._enter()
        return self._text("message_id") if self._whole else self.auth.message_id

    @property
    def conversation_id(self) -> str | None:
        """The conversation it belongs to, None when it belongs to none."""
        self._enter()
        found: str | None = self._payload.get("conversation_id")
        return found

    @property
    def sender(self) -> str:
        """The address in the From header. Whether it is true is what ``is_verified`` says."""
        self._enter()
        return self._text("from") if self._whole else self.auth.sender

    @property
    def recipient(self) -> str:
        """The address that this copy was sent to."""
        self._enter()
        return self._text("recipient")

    @property
    def tag(self) -> str:
        """The ``+tag`` of that address, without the plus; "" when it has none."""
        self._enter()
        return self._text("tag")

    @property
    def to(self) -> list[str]:
        """The addresses in the To header."""
        self._enter()
        return self._list("to")

    @property
    def cc(self) -> list[str]:
        """The addresses in the Cc header."""
        self._enter()
        return self._list("cc")

    @property
    def reply_to(self) -> list[str]:
        """The addresses in the Reply-To header."""
        self._enter()
        return self._list("reply_to")

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        self._enter()
        return self._subject

    @property
    def text_body(self) -> str:
        """The plain text, with the line ends of the message; "" when there is none."""
        self._enter()
        return self._content.text

    @property
    def html_body(self) -> str | None:
        """The HTML, None when there is none. It is the sender's: clean it before you show it."""
        self._enter()
        return self._content.html

    @property
    def attachments(self) -> list[Attachment]:
        """The files that it carries."""
        self._enter()
        return self._content.attachments

    @property
    def received_at(self) -> str | None:
        """When the server took it in, as RFC 3339."""
        self._enter()
        return self._received_at

    @property
    def authentication(self) -> dict[str, Any]:
        """The SPF, DKIM, DMARC and ARC results; {} from a server that does not tell them."""
        self._enter()
        found = self._payload.get("authentication")
        return dict(found) if isinstance(found, Mapping) else {}

    @property
    def automation(self) -> Automation:
        """Whether a program sent it. Programs should not answer programs."""
        self._enter()
        found = self._payload.get("automation")
        return Automation.model_validate(found if isinstance(found, Mapping) else {})

    @property
    def agent_email(self) -> str:
        """The agent that it came to: the recipient, without a ``+tag``."""
        self._enter()
        if self._agent_email:
            return self._agent_email
        recipient, tag = self._text("recipient"), self._text("tag")
        local, at, domain = recipient.rpartition("@")
        return f"{local.removesuffix('+' + tag)}{at}{domain}" if tag else recipient

    # --- inside -------------------------------------------------------------------------------------------------------

    def _enter(self) -> None:
        if not self.verified:
            raise UnverifiedEmailError(
                "the signature of this e-mail was not checked: use parse_webhook(), or verify_signature() first"
            )

    @cached_property
    def _content(self) -> Content:
        return content_of(self.raw_message)

    @property
    def _subject(self) -> str:
        found = self._content.subject
        return self._text("subject") if found is None else found

    @property
    def _received_at(self) -> str | None:
        return self._text("created_at") or self._text("received_at") or None

    def _text(self, name: str) -> str:
        value = self._payload.get(name)
        return value if isinstance(value, str) else ""

    def _list(self, name: str) -> list[str]:
        value = self._payload.get(name)
        if isinstance(value, str):
            return [value]
        return [str(one) for one in value] if isinstance(value, Sequence) else []


class InboundEmail(Email):
    """A received e-mail, from :class:`E2AClient`."""

    def __init__(
        self, payload: Mapping[str, Any], client: E2AClient, *, trusted: bool = False, agent_email: str = ""
    ) -> None:
        super().__init__(payload, trusted=trusted, agent_email=agent_email)
        self._client = client

    def reply(
        self,
        body: str,
        html_body: str | None = None,
        reply_all: bool | None = None,
        cc: list[str] | None = None,
        bcc: list[str] | None = None,
        conversation_id: str | None = None,
        attachments: list[Attachment] | None = None,
        *,
        force: bool | None = None,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> SendResult:
        """Answer it, as the agent that it came to; see :meth:`E2AClient.reply`."""
        return self._client.reply(
            self.message_id,
            body,
            html_body,
            reply_all,
            cc,
            bcc,
            conversation_id,
            attachments,
            self.agent_email,
            force=force,
            wait=wait,
            idempotency_key=idempotency_key,
        )

    def forward(
        self,
        to: list[str],
        body: str = "",
        *,
        enclose: bool = False,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> SendResult:
        """Send it on, as the agent that it came to; see :meth:`E2AClient.forward`."""
        return self._client.forward(
            self.message_id,
            to,
            body,
            enclose=enclose,
            agent_email=self.agent_email,
            wait=wait,
            idempotency_key=idempotency_key,
        )


class AsyncInboundEmail(Email):
    """A received e-mail, from :class:`AsyncE2AClient`."""

    def __init__(
        self, payload: Mapping[str, Any], client: AsyncE2AClient, *, trusted: bool = False, agent_email: str = ""
    ) -> None:
        super().__init__(payload, trusted=trusted, agent_email=agent_email)
        self._client = client

    async def reply(
        self,
        body: str,
        html_body: str | None = None,
        reply_all: bool | None = None,
        cc: list[str] | None = None,
        bcc: list[str] | None = None,
        conversation_id: str | None = None,
        attachments: list[Attachment] | None = None,
        *,
        force: bool | None = None,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> SendResult:
        """Answer it, as the agent that it came to; see :meth:`AsyncE2AClient.reply`."""
        return await self._client.reply(
            self.message_id,
            body,
            html_body,
            reply_all,
            cc,
            bcc,
            conversation_id,
            attachments,
            self.agent_email,
            force=force,
            wait=wait,
            idempotency_key=idempotency_key,
        )

    async def forward(
        self,
        to: list[str],
        body: str = "",
        *,
        enclose: bool = False,
        wait: int | None = None,
        idempotency_key: str | None = None,
    ) -> SendResult:
        """Send it on, as the agent that it came to; see :meth:`AsyncE2AClient.forward`."""
        return await self._client.forward(
            self.message_id,
            to,
            body,
            enclose=enclose,
            agent_email=self.agent_email,
            wait=wait,
            idempotency_key=idempotency_key,
        )


def payload_of(body: object) -> Mapping[str, Any]:
    """A webhook body, or a message of the API, as a mapping.

    :raises TypeError: neither octets nor text nor a mapping nor a ``MessageDetail``.
    :raises ValueError: not JSON, or no JSON object.
    """
    if isinstance(body, MessageDetail):
        return body.model_dump(by_alias=True, exclude_unset=True)
    if isinstance(body, bytes | bytearray | memoryview):
        body = json.loads(bytes(body))
    elif isinstance(body, str):
        body = json.loads(body)
    elif not isinstance(body, Mapping):
        raise TypeError(f"a webhook body is bytes, str or a dict, not {type(body).__name__}")
    if not isinstance(body, Mapping):
        raise ValueError("a webhook body must be a JSON object")
    return body


def _auth(headers: Mapping[str, str]) -> AuthHeaders:
    def value(name: str) -> str:
        return folded.get(name.lower(), "")

    folded = {name.lower(): text for name, text in headers.items()}
    return AuthHeaders(
        verified=value(signing.VERIFIED).lower() == "true",
        sender=value(signing.SENDER),
        entity_type=value(signing.ENTITY_TYPE),
        domain_check=value(signing.DOMAIN_CHECK),
        delegation=value(signing.DELEGATION),
        signature=value(signing.SIGNATURE),
        timestamp=value(signing.TIMESTAMP),
        message_id=value(signing.MESSAGE_ID),
        body_hash=value(signing.BODY_HASH),
    )
