"""Mail out: send, answer, forward, test."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from e2a.core.rules.drafts import Asked, AskedFile
from e2a.flows.writing import Writing

from .routing import MESSAGE_BODY, Call, route
from .submitting import WAIT, Outcome, answered, once_of, seconds_of

_ERRORS = (400, 402, 403, 404, 409, 413, 422, 429, 503)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore", populate_by_name=True)


class FileIn(_Asked):
    """A file to attach."""

    filename: str
    content_type: str = Field(default="application/octet-stream")
    data: str = Field(description="the octets in base64, without line breaks")

    def asked(self) -> AskedFile:
        return AskedFile(self.filename, self.content_type, self.data)


class _Content(_Asked):
    """What every message can say."""

    body: str = Field(default="", description="plain text")
    html_body: str = Field(default="", description="HTML, beside the plain text")
    cc: list[str] = Field(default=[], description="addresses that get a copy")
    bcc: list[str] = Field(default=[], description="addresses that get a copy and are not shown")
    conversation_id: str | None = Field(default=None, description="1 to 256 printable characters")
    attachments: list[FileIn] = Field(default=[], description="files to send along")
    auto: bool = Field(default=False, description="a program sends this without a person's doing (Auto-Submitted)")
    on_behalf_of: str = Field(default="", description="the person for whom the agent acts, if it acts for several")
    wait: int | None = Field(default=None, description="seconds to wait for the outcome; 0 to 60, 20 when absent")


class NewMessage(_Content):
    """A message to send."""

    sender: str = Field(default="", alias="from", description="an agent; may be absent if the account has only one")
    to: list[str] = Field(default=[], description="addresses, of people or of agents")
    subject: str = ""
    reply_to_message_id: str = Field(default="", description="the Message-ID of the message this one answers")


class NewReply(_Content):
    """An answer to a received message."""

    reply_all: bool = Field(default=False, description="answer everybody whom the message was addressed to as well")
    force: bool = Field(default=False, description="answer even a message that a program sent")


class NewForward(_Content):
    """A received message to send on."""

    to: list[str] = Field(default=[], description="addresses, of people or of agents")
    subject: str = Field(default="", description="absent: Fwd: and the subject of the message")
    form: Literal["inline", "attachment"] = Field(
        default="inline", alias="as", description="quote the message's text, or enclose the whole message"
    )
    include_attachments: bool = Field(default=True, description="whether inline carries its attachments along")


class NewTest(_Asked):
    """A test message."""

    wait: int | None = Field(default=None, description="seconds to wait for the outcome; 0 to 60, 20 when absent")


class Sending:
    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    @route(
        "POST",
        "/api/v1/send",
        action="messages:send",
        summary="Send a message: to people, to agents of this deployment, or both",
        body=NewMessage,
        answers={200: Outcome, 202: Outcome},
        errors=_ERRORS,
        query=[WAIT],
        max_body=MESSAGE_BODY,
        limit="send",
        load="work",
    )
    async def send(self, call: Call) -> Any:
        wanted: NewMessage = call.body
        submitted = await self._writing.send(
            call.principal,
            _asked(wanted, wanted.to, wanted.subject),
            sender=wanted.sender,
            in_reply_to=wanted.reply_to_message_id,
            once=once_of(call, "send"),
            wait=seconds_of(call),
        )
        return answered(submitted)

    @route(
        "POST",
        "/api/v1/agents/{email}/messages/{id}/reply",
        action="messages:send",
        summary="Answer a received message, in its conversation",
        body=NewReply,
        answers={200: Outcome, 202: Outcome},
        errors=_ERRORS,
        query=[WAIT],
        max_body=MESSAGE_BODY,
        limit="send",
        load="work",
    )
    async def reply(self, call: Call) -> Any:
        wanted: NewReply = call.body
        submitted = await self._writing.reply(
            call.principal,
            call.agent_id,
            call.path["id"],
            _asked(wanted),
            reply_all=wanted.reply_all,
            force=wanted.force,
            once=once_of(call, "reply"),
            wait=seconds_of(call),
        )
        return answered(submitted)

    @route(
        "POST",
        "/api/v1/agents/{email}/messages/{id}/forward",
        action="messages:send",
        summary="Send a received message on, in a conversation of its own",
        body=NewForward,
        answers={200: Outcome, 202: Outcome},
        errors=_ERRORS,
        query=[WAIT],
        max_body=MESSAGE_BODY,
        limit="send",
        load="work",
    )
    async def forward(self, call: Call) -> Any:
        wanted: NewForward = call.body
        submitted = await self._writing.forward(
            call.principal,
            call.agent_id,
            call.path["id"],
            _asked(wanted, wanted.to, wanted.subject),
            form=wanted.form,
            include_attachments=wanted.include_attachments,
            once=once_of(call, "forward"),
            wait=seconds_of(call),
        )
        return answered(submitted)

    @route(
        "POST",
        "/api/v1/agents/{email}/test",
        action="messages:send",
        summary="Send a test message to the agent, through review, hand-over and delivery as real mail",
        body=NewTest,
        answers={200: Outcome, 202: Outcome},
        errors=(403, 404, 422, 429),
        query=[WAIT],
        limit="send",
        load="work",
    )
    async def test(self, call: Call) -> Any:
        once = once_of(call, "test")
        return answered(await self._writing.test(call.principal, call.agent_id, once=once, wait=seconds_of(call)))


def _asked(wanted: _Content, to: list[str] | None = None, subject: str = "") -> Asked:
    return Asked(
        to=to or [],
        cc=wanted.cc,
        bcc=wanted.bcc,
        subject=subject,
        body=wanted.body,
        html_body=wanted.html_body,
        attachments=[file.asked() for file in wanted.attachments],
        conversation_id=wanted.conversation_id,
        auto=wanted.auto,
        on_behalf_of=wanted.on_behalf_of,
    )
