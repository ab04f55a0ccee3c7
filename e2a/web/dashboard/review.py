"""Held mail: the queue, and one message beside the mail that it answers, for whoever decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from e2a.core.entities import OutboundMessage
from e2a.core.errors import BadRequest, Conflict, E2AError, NotFound
from e2a.core.rules.holds import Edits
from e2a.core.trust.plainly import plainly
from e2a.flows.approvals import Approvals, Reviewed
from e2a.flows.mailbox import Detail, Mailbox
from e2a.flows.ports import Cpu, Now
from e2a.flows.reviewqueue import Place, ReviewQueue
from e2a.web.plaintext import unseen
from e2a.web.preview import preview

from .content import download
from .frames import height, html_frame
from .rendering import lasting
from .routing import Html, Redirect, View, page
from .wording import STATES, recipients

QUEUE = "/dashboard/pending"
PAGE = 50
#: Seconds that a page waits for what becomes of an approved message.
WAIT = 3.0
#: Characters of a text that a page shows; the frame with HTML has a limit of its own.
LONGEST_TEXT = 30_000
#: Characters of a text that can be edited here: a page stays small, and a form gets back what it was given.
LONGEST_EDITABLE = 60_000

#: Characters of a link that a page shows.
LONGEST_LINK = 300
#: Seconds before its end from which a message is marked as urgent.
SOON = 3_600.0

#: What a status means, and its colour.
STANDING = {
    "pending_approval": ("Waits for a decision", "warn"),
    "queued": ("Approved, on its way", "good"),
    "sent": ("Approved and sent", "good"),
    "failed": ("Approved, and refused by every recipient's server", "bad"),
    "unknown": ("Approved and transmitted; whether it arrived is not confirmed", "warn"),
    "rejected": ("Rejected: it is not sent", "bad"),
    "expired_approved": ("Nobody decided in time, so it was sent", "good"),
    "expired_rejected": ("Nobody decided in time, so it is not sent", "bad"),
}
_FIELDS = {"body_text": "text", "body_html": "html"}
#: A field in a complaint, as the REST interface calls it.
_ENTRY = re.compile(r"\A(to|cc|bcc)\[(\d+)\]|\bbody_(text|html)\b")
_SEPARATORS = re.compile(r"[\s,;]+")


class ReviewPages:
    def __init__(self, approvals: Approvals, queue: ReviewQueue, mailbox: Mailbox, cpu: Cpu, now: Now) -> None:
        self._approvals = approvals
        self._queue = queue
        self._mailbox = mailbox
        self._cpu = cpu
        self._now = now

    @page("GET", QUEUE, action="reviews:decide")
    async def list(self, view: View) -> Any:
        found = await self._approvals.page(view.principal, "pending_approval", PAGE, view.query.get("token") or None)
        values = {
            "messages": [
                (message, recipients(message), self._left(message), self._soon(message)) for message in found.messages
            ],
            "next": found.next_token,
            "first_page": "token" not in view.query,
        }
        return Html("pending.html", values, live=("outbound",))

    @page("GET", QUEUE + "/review", action="reviews:decide")
    async def show(self, view: View) -> Any:
        return await self._page(view, await self._approvals.find(view.principal, view.query.get("id", "")))

    @page("GET", QUEUE + "/html", action="reviews:decide")
    async def html(self, view: View) -> Any:
        """The HTML of a held message; with ``of=answered`` that of the mail it answers."""
        found = await self._approvals.find(view.principal, view.query.get("id", ""))
        content = found.content
        if view.query.get("of") == "answered":
            place = await self._queue.place(view.principal, found.message)
            answered = await self._answered(view, found.message, place)
            content = None if answered is None else answered.content
        if content is None or not content.html:
            raise NotFound("this message has no HTML")
        return html_frame(await self._cpu.run(preview, content.html))

    @page("GET", QUEUE + "/attachment", action="reviews:decide")
    async def attachment(self, view: View) -> Any:
        index = view.query.get("index", "")
        if not (index.isascii() and index.isdecimal() and len(index) <= 6):
            raise NotFound("there is no such attachment")
        return download(*await self._approvals.attachment(view.principal, view.query.get("id", ""), int(index)))

    @page("POST", QUEUE + "/approve", action="reviews:decide")
    async def approve(self, view: View) -> Any:
        found = await self._approvals.find(view.principal, view.required("id"))
        try:
            submitted = await self._approvals.approve(view.principal, found.message.id, _edits(view, found), wait=WAIT)
        except (BadRequest, Conflict) as error:
            return await self._again(view, error)
        if submitted.message.status in ("failed", "unknown"):
            return Redirect(f"{QUEUE}/review?id={found.message.id}")
        return await self._onward(view, found.message, "approved")

    @page("POST", QUEUE + "/reject", action="reviews:decide")
    async def reject(self, view: View) -> Any:
        try:
            rejected = await self._approvals.reject(view.principal, view.required("id"), view.field("reason"))
        except (BadRequest, Conflict) as error:
            return await self._again(view, error)
        return await self._onward(view, rejected, "rejected")

    # --- helpers ------------------------------------------------------------------------------------------------------

    def _left(self, message: OutboundMessage) -> str:
        if message.approval_expires_at is None:
            return ""
        return lasting(message.approval_expires_at.timestamp() - self._now())

    def _soon(self, message: OutboundMessage) -> bool:
        """Whether it should be decided about before others."""
        ends = message.approval_expires_at
        return ends is not None and ends.timestamp() - self._now() < SOON

    async def _again(self, view: View, error: E2AError) -> Html:
        """The page once more, with what is wrong and what the person wrote."""
        found = await self._approvals.find(view.principal, view.required("id"))
        field = re.sub(r"\[\d+\]", "", error.field or "")
        return await self._page(view, found, error, _FIELDS.get(field, field))

    async def _onward(self, view: View, decided: OutboundMessage, notice: str) -> Redirect:
        """To the next message that waits, or to the empty queue."""
        place = await self._queue.place(view.principal, decided)
        onward = place.after or place.before
        if onward is None:
            return Redirect(QUEUE, notice)
        return Redirect(f"{QUEUE}/review?id={onward}", f"{notice}-next")

    async def _answered(self, view: View, message: OutboundMessage, place: Place) -> Detail | None:
        if place.answered is None or not view.may("messages:read"):
            return None
        try:
            return await self._mailbox.detail(view.principal, message.agent_id, place.answered, mark_read=False)
        except NotFound:
            return None

    async def _page(self, view: View, found: Reviewed, error: E2AError | None = None, field: str = "") -> Html:
        message, content = found.message, found.content
        place = await self._queue.place(view.principal, message)
        answered = await self._answered(view, message, place)
        made = await self._cpu.run(preview, content.html) if content is not None and content.html else None
        held = {} if content is None else _held(message, content)
        typed = {name: view.form[name][0] for name in ("reason", *held) if name in view.form}
        values = {
            "message": message,
            "recipients": found.recipients,
            "content": content,
            "shown_text": "" if content is None else content.text[:LONGEST_TEXT],
            "longest": LONGEST_TEXT,
            "editable": content is not None and len(content.text) + len(content.html) <= LONGEST_EDITABLE,
            "form": {"reason": "", **held, **typed},
            "editing": any(name in typed for name in held),
            "standing": STANDING[message.status],
            "left": self._left(message),
            "over": content is not None and self._over(message),
            "place": place,
            "answered": answered,
            "plain": None if answered is None else plainly(answered.message),
            "states": STATES,
            "answered_text": "" if answered is None else answered.content.text[:LONGEST_TEXT],
            "links": [] if made is None else [link[:LONGEST_LINK] for link in made.links],
            "complete": made is None or made.complete,
            "height": height(made) if made else "",
            "unseen": 0 if content is None else unseen(content.text, content.html),
            "written": [] if content is not None else _written(view),
            "problem": "" if error is None else _ENTRY.sub(_entry, error.text),
            "problem_field": field,
        }
        at = f"{QUEUE}/review?id={message.id}"
        return Html("review.html", values, 200 if error is None else error.status, live=("outbound",), at=at)

    def _over(self, message: OutboundMessage) -> bool:
        return message.approval_expires_at is not None and message.approval_expires_at.timestamp() <= self._now()


def _held(message: OutboundMessage, content: Any) -> Mapping[str, str]:
    """The edit form as it begins."""
    return {
        "to": ", ".join(message.to),
        "cc": ", ".join(message.cc),
        "bcc": ", ".join(message.bcc),
        "subject": message.subject,
        "text": content.text,
        "html": content.html,
    }


def _written(view: View) -> list[tuple[str, str]]:
    """What a person wrote about a message that somebody else has decided about meanwhile."""
    names = (("text", "Text"), ("html", "HTML"), ("reason", "Reason"))
    return [(label, view.form[name][0]) for name, label in names if name in view.form and view.form[name][0].strip()]


def _edits(view: View, found: Reviewed) -> Edits:
    """What the person changed; what the form did not have stays. A text that differs in its line ends alone, as
    browsers change them, is no edit to ``core.rules.holds``.
    """
    if found.content is None:
        return Edits()
    changed: dict[str, str] = {}
    for name, before in _held(found.message, found.content).items():
        if name in view.form:
            after = view.form[name][0]
            if after != before:
                changed[name] = after

    def listed(name: str) -> list[str] | None:
        return [one for one in _SEPARATORS.split(changed[name]) if one] if name in changed else None

    return Edits(
        subject=changed.get("subject"),
        text=changed.get("text"),
        html=changed.get("html"),
        to=listed("to"),
        cc=listed("cc"),
        bcc=listed("bcc"),
    )


def _entry(match: re.Match[str]) -> str:
    """The field as the form calls it."""
    name, index, body = match.groups()
    if body:
        return "HTML" if body == "html" else "text"
    return f"{name.capitalize()}: address {int(index) + 1}"
