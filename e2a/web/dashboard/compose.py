"""Writing as an agent: a new message, an answer, a test. Review holds what is written here as it holds everything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from e2a.core.errors import AutoReplyBlocked, E2AError, KeyReuse
from e2a.core.ids import RandomBytes
from e2a.core.rules.drafts import Asked, answer_subject
from e2a.core.rules.idempotency import Once, once
from e2a.flows.mailbox import Mailbox
from e2a.flows.outcomes import Submitted
from e2a.flows.resending import Resending
from e2a.flows.writing import Writing

from .agentframe import AgentFrame, agent_path
from .routing import Html, Redirect, View, page
from .wording import Problem, people, problem

#: Seconds that the form waits for what becomes of the message.
WAIT = 3.0

_FIELDS = ("to", "cc", "subject", "body")
_SEPARATORS = re.compile(r"[,;\r\n]+")
_NOTICES = {"sent": "sent", "queued": "queued", "pending_approval": "held"}


class ComposePages:
    """:param random: for the key by which a form that is sent twice sends one message."""

    def __init__(
        self, writing: Writing, resending: Resending, mailbox: Mailbox, frame: AgentFrame, random: RandomBytes
    ) -> None:
        self._writing = writing
        self._resending = resending
        self._mailbox = mailbox
        self._frame = frame
        self._random = random

    @page("GET", "/dashboard/agents/{email}/compose", action="messages:send")
    async def blank(self, view: View) -> Any:
        return await self._new(view, dict.fromkeys(_FIELDS, ""), None)

    @page("POST", "/dashboard/agents/{email}/compose", action="messages:send")
    async def send(self, view: View) -> Any:
        typed = _typed(view)
        asked = Asked(_addresses(typed["to"]), _addresses(typed["cc"]), subject=typed["subject"], body=typed["body"])
        try:
            made = await self._writing.send(
                view.principal, asked, sender=view.agent_id, once=_once(view, typed), wait=WAIT
            )
        except E2AError as error:
            return await self._new(view, typed, _problem(error))
        return _done(made)

    async def _new(self, view: View, typed: Mapping[str, str], found: Problem | None) -> Html:
        values = await self._frame.values(view, "mail")
        values |= {"typed": typed, "problem": found, "once": self._key()}
        return Html("compose.html", values, 200 if found is None else found.status)

    @page("GET", "/dashboard/agents/{email}/messages/{id}/reply", action="messages:send")
    async def answer(self, view: View) -> Any:
        return await self._reply(view, dict.fromkeys(_FIELDS, ""), None)

    @page("POST", "/dashboard/agents/{email}/messages/{id}/reply", action="messages:send")
    async def reply(self, view: View) -> Any:
        typed = _typed(view)
        try:
            made = await self._writing.reply(
                view.principal,
                view.agent_id,
                view.path["id"],
                Asked(body=typed["body"]),
                reply_all=view.field("everybody") == "yes",
                force=view.field("force") == "yes",
                once=_once(view, typed),
                wait=WAIT,
            )
        except E2AError as error:
            return await self._reply(view, typed, _problem(error), blocked=isinstance(error, AutoReplyBlocked))
        return _done(made)

    async def _reply(
        self, view: View, typed: Mapping[str, str], found: Problem | None, *, blocked: bool = False
    ) -> Html:
        """:param blocked: the message was sent by a program, and nobody has said yet to answer it all the same."""
        values = await self._frame.values(view, "mail")
        detail = await self._mailbox.detail(view.principal, view.agent_id, view.path["id"], mark_read=False)
        message = detail.message
        values |= {
            "message": message,
            "text": detail.content.text[:3_000],
            "to": people(message.reply_to or (message.sender,)),
            "others": people(one for one in (*message.to, *message.cc) if one.lower() != view.agent_id),
            "subject": answer_subject(message.subject),
            "typed": typed,
            "everybody": view.field("everybody") == "yes",
            "force": view.field("force") == "yes",
            "blocked": blocked or message.automation.is_auto,
            "problem": found,
            "once": self._key(),
        }
        return Html("reply.html", values, 200 if found is None else found.status)

    @page("POST", "/dashboard/agents/{email}/test", action="messages:send")
    async def test(self, view: View) -> Any:
        return _done(await self._writing.test(view.principal, view.agent_id, wait=WAIT))

    @page("POST", "/dashboard/agents/{email}/messages/{id}/resend", action="messages:send")
    async def resend(self, view: View) -> Any:
        return _done(await self._resending.resend(view.principal, view.path["id"], wait=WAIT))

    def _key(self) -> str:
        return self._random(16).hex()


def _typed(view: View) -> dict[str, str]:
    typed = {name: view.field(name) for name in ("to", "cc", "subject")}
    return {**typed, "body": (view.form.get("body") or [""])[0].rstrip()}


def _addresses(text: str) -> Sequence[str]:
    return [part.strip() for part in _SEPARATORS.split(text) if part.strip()]


def _once(view: View, typed: Mapping[str, str]) -> Once | None:
    key = view.field("once")
    if not key:
        return None
    what = [view.agent_id, view.path.get("id", ""), *(typed[name] for name in _FIELDS)]
    return once(view.principal.organisation_id, "dashboard", key, *(part.encode() for part in what))


def _problem(error: E2AError) -> Problem:
    if isinstance(error, KeyReuse):
        text = "This was sent already. Sending again sends what is written now as another message."
        return Problem(text, status=error.status)
    if isinstance(error, AutoReplyBlocked):
        text = "A program sent this message. Say below that you want to answer it all the same."
        return Problem(text, status=error.status)
    return problem(error, _FIELDS)


def _done(made: Submitted) -> Redirect:
    message = made.message
    return Redirect(f"{agent_path(message.agent_id)}/messages/{message.id}", _NOTICES.get(message.status, ""))
