"""The pages behind the links of a review mail: what an agent wants to send, and a button that decides.

GET shows, whatever opens it; only the button acts. Nothing can be edited here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC
from email.utils import format_datetime
from html import escape

from e2a.core.entities import AttachmentInfo, OutboundMessage
from e2a.core.errors import Conflict, Gone, NotFound
from e2a.core.mail.parts import Content
from e2a.core.trust.approvaltoken import Action, TokenExpired, TokenRefused
from e2a.flows.approvals import Reviewed
from e2a.flows.outcomes import Submitted
from e2a.flows.ports import Cpu
from e2a.flows.reviewlinks import ReviewLinks

from .pages import Page, Visit, button, form, paragraph
from .plaintext import plain, unseen
from .preview import Preview, preview

#: Characters of a text that a page shows.
LONGEST_TEXT = 200_000

_OUTCOMES = {
    "sent": "The message was sent.",
    "expired_approved": "The message was sent.",
    "failed": "No recipient accepted the message. The dashboard says why.",
    "unknown": "The message was transmitted, and its receipt was not confirmed. The dashboard shows how it stands.",
}


class _LinkPage:
    """What the two pages have in common."""

    action: Action

    def __init__(self, links: ReviewLinks, cpu: Cpu, *, dashboard: str) -> None:
        self._links = links
        self._cpu = cpu
        self._dashboard = dashboard

    async def show(self, visit: Visit) -> Page:
        await self._links.admit(visit.client_ip)

        async def question() -> Page:
            found = await self._links.look(visit.token, self.action)
            return Page(200, f"{self.action.capitalize()} this message?", await self._body(found, visit))

        return await self._guarded(question)

    async def act(self, visit: Visit) -> Page:
        await self._links.admit(visit.client_ip)
        return await self._guarded(lambda: self._decided(visit))

    async def _decided(self, visit: Visit) -> Page:
        raise NotImplementedError

    def _question(self) -> str:
        """The content of the form that decides."""
        raise NotImplementedError

    async def _guarded(self, work: Callable[[], Awaitable[Page]]) -> Page:
        """The page, or one that says why there is none."""
        try:
            return await work()
        except TokenRefused:
            return Page(400, "This link is not valid", paragraph("It is incomplete or was changed on its way."))
        except TokenExpired:
            return Page(410, "This link has expired", paragraph("The time to decide is over.") + self._elsewhere())
        except Gone as error:
            return Page(410, "This link does not work any more", paragraph(_sentence(error.text)))
        except NotFound:
            return Page(404, "This message is gone", paragraph("It was deleted together with its agent."))
        except Conflict as error:
            return Page(409, "Decided already", paragraph(_sentence(error.text)) + self._elsewhere())

    def _elsewhere(self) -> str:
        if not self._dashboard:
            return ""
        return f'<p><a href="{escape(self._dashboard)}">All held messages are in the dashboard</a></p>'

    async def _body(self, found: Reviewed, visit: Visit) -> str:
        shown = _facts(found.message) + form(visit.path, visit.token, self._question())
        if found.content is None:
            return shown
        html = found.content.html
        return shown + _text(found.content) + (_html(await self._cpu.run(preview, html)) if html else "")


class ApprovePage(_LinkPage):
    """``/api/v1/approve``"""

    action: Action = "approve"

    def _question(self) -> str:
        return button("choice", "approve", "Approve and send")

    async def _decided(self, visit: Visit) -> Page:
        submitted = await self._links.approve(visit.token, visit.client_ip)
        return Page(200, "Approved", paragraph(_OUTCOMES.get(submitted.message.status, _waiting(submitted))))


class RejectPage(_LinkPage):
    """``/api/v1/reject``"""

    action: Action = "reject"

    def _question(self) -> str:
        field = '<p><label>Reason (optional) <input type="text" name="reason" maxlength="200"></label></p>'
        return field + button("choice", "reject", "Reject")

    async def _decided(self, visit: Visit) -> Page:
        await self._links.reject(visit.token, visit.values.get("reason", ""), visit.client_ip)
        return Page(200, "Rejected", paragraph("The message will not be sent."))


def _waiting(submitted: Submitted) -> str:
    first = next(iter((*submitted.message.to, *submitted.message.cc, *submitted.message.bcc)), "its recipients")
    return f"The message to {first} is on its way."


def _facts(message: OutboundMessage) -> str:
    facts = [("Agent", message.agent_id)]
    facts += [
        (name, ", ".join(addresses))
        for name, addresses in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc))
        if addresses
    ]
    facts.append(("Subject", message.subject))
    if message.approval_expires_at is not None:
        facts.append(("Expires", format_datetime(message.approval_expires_at.astimezone(UTC), usegmt=True)))
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(plain(value))}</dd>' for name, value in facts)}</dl>"


def _text(content: Content) -> str:
    """Attachments and text."""
    shown = ""
    if content.attachments:
        shown += f"<h2>Attachments</h2>{_items(map(_attachment, content.attachments))}"
    hidden = unseen(content.text, content.html)
    if hidden:
        shown += paragraph(f"Attention: it holds {hidden} characters that nobody sees, and that programs read.")
    if content.text:
        shown += f"<h2>Text</h2><pre>{escape(plain(content.text[:LONGEST_TEXT]))}</pre>"
        if len(content.text) > LONGEST_TEXT:
            shown += _cut()
    elif not content.html:
        shown += paragraph("The message has no text.")
    return shown


def _attachment(info: AttachmentInfo) -> str:
    return f"{info.filename} ({info.content_type}, {info.size:,} bytes)"


def _html(made: Preview) -> str:
    """The HTML of the message, in a frame that can do nothing, and where its links lead."""
    shown = (
        f'<h2>HTML</h2><iframe sandbox="" referrerpolicy="no-referrer" srcdoc="{escape(made.document)}" '
        'title="The HTML of the message, without images and styles"></iframe>'
    )
    if not made.complete:
        shown += _cut()
    return shown + (f"<p>Its links lead to:</p>{_items(made.links)}" if made.links else "")


def _cut() -> str:
    return "<p><strong>The message is longer than what is shown here. See all of it in the dashboard.</strong></p>"


def _items(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(plain(line))}</li>' for line in lines)}</ul>"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
