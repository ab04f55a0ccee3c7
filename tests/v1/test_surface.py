"""What the package offers, and what importing it costs."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel
from twisted.trial.unittest import SynchronousTestCase

import e2a
from e2a import v1
from e2a.v1 import AsyncE2AApi, AsyncE2AClient, E2AApi, E2AClient

ROOT = Path(__file__).resolve().parents[2]
TOP = (
    "AsyncE2AApi",
    "AsyncE2AClient",
    "AsyncInboundEmail",
    "Attachment",
    "AuthHeaders",
    "E2AApi",
    "E2AApiError",
    "E2AClient",
    "InboundEmail",
    "MessageList",
    "MessageSummary",
    "SendResult",
    "UnverifiedEmailError",
    "WSNotification",
    "fetch_info",
    "fetch_info_async",
)

_SUMMARY = "message_id from_ to cc recipient subject conversation_id status created_at"
_PENDING = "id agent_id direction subject type conversation_id to cc bcc status approval_expires_at created_at"
#: The published wire shapes, with their members.
MODELS: tuple[tuple[type[BaseModel], str], ...] = (
    (
        v1.Agent,
        "id domain email name webhook_url agent_mode domain_verified created_at"
        " hitl_enabled hitl_ttl_seconds hitl_expiration_action",
    ),
    (v1.RegisterAgentRequest, "slug email name webhook_url agent_mode"),
    (v1.RegisterAgentResponse, "id domain email"),
    (v1.UpdateAgentRequest, "webhook_url agent_mode hitl_enabled hitl_ttl_seconds hitl_expiration_action"),
    (v1.ListAgentsResponse, "agents"),
    (v1.RegisterDomainRequest, "domain"),
    (v1.Domain, "domain verified verification_token dns_records created_at verified_at"),
    (v1.ListDomainsResponse, "domains"),
    (v1.VerifyDomainResponse, "domain verified verified_at"),
    (v1.models.MessageSummary, _SUMMARY),
    (v1.ListMessagesResponse, "messages next_token"),
    (v1.MessageDetail, f"{_SUMMARY} auth_headers raw_message"),
    (v1.SendEmailRequest, "from_ to cc bcc subject body html_body conversation_id attachments"),
    (v1.ReplyToMessageRequest, "body html_body reply_all cc bcc conversation_id attachments"),
    (v1.SendEmailResponse, "status message_id method approval_expires_at"),
    (v1.PendingMessageSummary, _PENDING),
    (v1.ListPendingMessagesResponse, "messages"),
    (
        v1.PendingMessageDetail,
        f"{_PENDING} email_message_id body_text body_html attachments edited reviewed_at rejection_reason"
        " provider_message_id method",
    ),
    (v1.ApprovePendingMessageRequest, "subject body_text body_html to cc bcc attachments"),
    (v1.ApprovePendingMessageResponse, "status message_id provider_message_id method edited"),
    (v1.RejectPendingMessageRequest, "reason"),
    (v1.RejectPendingMessageResponse, "status message_id rejection_reason"),
    (v1.DeploymentInfo, "shared_domain slug_registration_enabled public_url"),
    (v1.CreateSigningSecretResponse, "id name secret secret_prefix created_at"),
    (v1.SigningSecretSummary, "id name secret_prefix created_at last_signed_at"),
    (v1.ListSigningSecretsResponse, "secrets"),
    (v1.UserExport, ""),
    (v1.DeleteUserDataResult, ""),
)


def fresh(code: str) -> str:
    """What a new interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    ).stdout.strip()


class SurfaceTests(SynchronousTestCase):
    def test_top(self) -> None:
        """The sixteen documented names are on the package itself, and are those of the stable path."""
        for name in TOP:
            self.assertIs(getattr(e2a, name), getattr(v1, name))
            self.assertIn(name, dir(e2a))
        self.assertRaises(AttributeError, getattr, e2a, "E2ANothing")

    def test_exports(self) -> None:
        """Everything that is offered exists, and the friendly shapes stand before the wire shapes of the same name."""
        for name in v1.__all__:
            self.assertTrue(hasattr(v1, name), name)
        self.assertTrue(v1.Attachment("a", "b/c", b"xyz").size == 3)
        self.assertIn("sender", inspect.signature(v1.MessageSummary).parameters)

    def test_light(self) -> None:
        """Importing the package loads no HTTP library, and importing the client loads no Twisted and no WebSocket."""
        self.assertEqual(fresh("import e2a, sys; print('httpx' in sys.modules)"), "False")
        self.assertEqual(
            fresh("import e2a.v1, sys; print([n for n in ('twisted', 'websockets', 'orjson') if n in sys.modules])"),
            "[]",
        )

    def test_typed(self) -> None:
        """The package says that it is typed."""
        self.assertTrue((ROOT / "e2a" / "py.typed").exists())

    def test_alike(self) -> None:
        """The blocking and the asynchronous classes have the same methods with the same parameters, all described."""
        for blocking, asynchronous in ((E2AApi, AsyncE2AApi), (E2AClient, AsyncE2AClient)):
            names = {name for name in vars(blocking) if not name.startswith("_")}
            others = {name for name in vars(asynchronous) if not name.startswith("_")}
            self.assertEqual(others - names, {"listen"} if blocking is E2AClient else set())
            self.assertEqual(names - others, set())
            for name in names:
                one, other = getattr(blocking, name), getattr(asynchronous, name)
                self.assertEqual(
                    list(inspect.signature(one).parameters.values()), list(inspect.signature(other).parameters.values())
                )
                self.assertTrue(one.__doc__ and other.__doc__, name)

    def test_signatures(self) -> None:
        """Published calls bind to the published parameters, in their order."""
        for method, parameters in (
            (E2AApi, "api_key base_url timeout"),
            (E2AClient, "api_key agent_email base_url timeout"),
            (E2AApi.list_messages, "self agent_email status page_size token"),
            (E2AApi.approve_message, "self message_id overrides"),
            (E2AApi.reject_message, "self message_id reason"),
            (E2AClient.parse, "self body headers"),
            (E2AClient.parse_webhook, "self body secret"),
            (E2AClient.get_message, "self message_id agent_email"),
            (E2AClient.get_messages, "self status page_size token agent_email"),
            (
                E2AClient.reply,
                "self message_id body html_body reply_all cc bcc conversation_id attachments agent_email",
            ),
            (E2AClient.send, "self to subject body html_body cc bcc conversation_id attachments agent_email"),
            (E2AClient.register_agent, "self slug"),
            (AsyncE2AClient.listen, "self agent_email reconnect max_backoff"),
            (v1.InboundEmail.reply, "self body html_body reply_all cc bcc conversation_id attachments"),
            (v1.InboundEmail.verify_signature, "self secret"),
            (v1.SendResult, "status message_id method"),
            (v1.MessageList, "messages next_token"),
            (v1.Attachment, "filename content_type data size"),
            (v1.WSNotification, "message_id from_ recipient subject received_at conversation_id"),
            (v1.fetch_info, "base_url timeout"),
        ):
            found = [
                name
                for name, parameter in inspect.signature(method).parameters.items()
                if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
            ]
            self.assertEqual(found[: len(parameters.split())], parameters.split(), method)

    def test_defaults(self) -> None:
        """What is not given is what the published package takes."""
        for method, defaults in (
            (E2AApi, {"api_key": None, "base_url": "https://e2a.dev", "timeout": 30}),
            (E2AClient, {"api_key": None, "agent_email": None, "base_url": "https://e2a.dev", "timeout": 30}),
            (E2AApi.list_messages, {"status": "unread", "page_size": 50, "token": None}),
            (E2AApi.approve_message, {"overrides": None}),
            (E2AApi.reject_message, {"reason": ""}),
            (E2AClient.get_messages, {"status": "unread", "page_size": 50, "token": None, "agent_email": None}),
            (E2AClient.get_message, {"agent_email": None}),
            (E2AClient.parse, {"headers": None}),
            (E2AClient.parse_webhook, {"secret": None}),
            (E2AClient.reply, {"html_body": None, "reply_all": None, "conversation_id": None, "attachments": None}),
            (E2AClient.send, {"html_body": None, "cc": None, "bcc": None, "agent_email": None}),
            (E2AClient.register_agent, {"slug": None, "email": None, "name": None, "agent_mode": None}),
            (E2AClient.reject_message, {"reason": ""}),
            (AsyncE2AClient.listen, {"agent_email": None, "reconnect": True, "max_backoff": 30.0}),
            (v1.InboundEmail.verify_signature, {"secret": None}),
            (v1.WSNotification, {"conversation_id": None}),
            (v1.fetch_info, {"base_url": "https://e2a.dev", "timeout": 30}),
        ):
            found = inspect.signature(method).parameters
            self.assertEqual({name: found[name].default for name in defaults}, defaults, method)

    def test_models(self) -> None:
        """The wire shapes have the published members, all of them optional; others in an answer are passed over."""
        for model, members in MODELS:
            self.assertEqual(set(members.split()) - set(model.model_fields), set(), model)
            self.assertTrue(all(not field.is_required() for field in model.model_fields.values()), model)
            model.model_validate({"a_member_of_tomorrow": 1})
            for name in ("from", "as"):
                self.assertNotIn(name, model.model_fields)
        for made in (v1.SendEmailRequest(from_="a@b.test"), v1.SendEmailRequest.model_validate({"from": "a@b.test"})):
            self.assertEqual(made.model_dump(by_alias=True, exclude_none=True), {"from": "a@b.test"})
