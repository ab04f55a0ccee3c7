"""An agent's mail: both directions, conversations, and one message with what was proven about it.

Looking here changes nothing: a message stays unread until somebody says that it was read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from e2a.core.entities import ConversationMessage, Delivery, InboundMessage
from e2a.core.errors import NotFound
from e2a.core.mail.headers import header_size, scan
from e2a.core.mail.words import decoded
from e2a.core.trust.plainly import automation_reasons, defect_sentences, plainly
from e2a.flows.approvals import Approvals
from e2a.flows.browsing import Browsing
from e2a.flows.conversations import Conversations
from e2a.flows.mailbox import Detail, Mailbox
from e2a.flows.ports import Cpu
from e2a.web.plaintext import unseen
from e2a.web.preview import preview

from .agentframe import AgentFrame, agent_path
from .author import author
from .content import download
from .frames import blank, height, html_frame
from .routing import Content, Html, Redirect, View, page
from .wording import STATUSES, Line, cut, line, recipient_rows, standing, thread_line

PAGE = 50
#: Messages of one page of a thread, and characters and octets of each.
THREAD_PAGE = 20
THREAD_TEXT = 3_000
THREAD_OCTETS = 200_000
#: Characters of a text, header fields and links that a page shows.
LONGEST_TEXT = 15_000
MOST_FIELDS = 60
LONGEST_FIELD = 400
MOST_LINKS = 20
LONGEST_LINK = 300
#: Octets of a header that are looked at.
MOST_HEADER = 100_000


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a thread, with its text where that is at hand."""

    line: Line
    text: str = ""
    whole: bool = True


class MessagePages:
    """:param smtp: where mail is received, for an agent that has none yet: host name and port."""

    def __init__(
        self,
        browsing: Browsing,
        mailbox: Mailbox,
        conversations: Conversations,
        approvals: Approvals,
        frame: AgentFrame,
        cpu: Cpu,
        *,
        smtp: tuple[str, int],
    ) -> None:
        self._browsing = browsing
        self._mailbox = mailbox
        self._conversations = conversations
        self._approvals = approvals
        self._frame = frame
        self._cpu = cpu
        self._smtp = smtp

    @page("GET", "/dashboard/agents/{email}", action="messages:read")
    async def mail(self, view: View) -> Any:
        values = await self._frame.values(view, "mail")
        found = await self._browsing.mail(view.principal, view.agent_id, PAGE, view.query.get("token") or None)
        values |= {
            "lines": [line(message) for message in found.messages],
            "next": found.next_token,
            "first_page": "token" not in view.query,
            "smtp_host": self._smtp[0],
            "smtp_port": self._smtp[1],
        }
        return Html("agent_mail.html", values, live=("mail", "outbound"))

    @page("GET", "/dashboard/agents/{email}/conversations", action="messages:read")
    async def conversations(self, view: View) -> Any:
        values = await self._frame.values(view, "conversations")
        token = view.query.get("token") or None
        found = await self._conversations.page(view.principal, view.agent_id, PAGE, token)
        values |= {"conversations": found.conversations, "next": found.next_token, "first_page": token is None}
        return Html("agent_conversations.html", values, live=("mail", "outbound"))

    @page("GET", "/dashboard/agents/{email}/thread", action="messages:read")
    async def thread(self, view: View) -> Any:
        conversation_id = view.query.get("id", "")
        values = await self._frame.values(view, "conversations")
        found = await self._conversations.thread(
            view.principal, view.agent_id, conversation_id, THREAD_PAGE, view.query.get("token") or None
        )
        values |= {
            "said": [await self._said(view, message) for message in found.messages],
            "subject": found.messages[0].subject if found.messages else "",
            "conversation": conversation_id,
            "next": found.next_token,
        }
        return Html("agent_thread.html", values, live=("mail", "outbound"))

    async def _said(self, view: View, message: ConversationMessage) -> Said:
        if message.size > THREAD_OCTETS or message.status not in ("unread", "read", "pending_approval"):
            return Said(thread_line(message))
        try:
            if message.direction == "outbound":
                held = await self._approvals.find(view.principal, message.id)
                shown, content = line(held.message), held.content
            else:
                found = await self._mailbox.detail(view.principal, view.agent_id, message.id, mark_read=False)
                shown, content = line(found.message), found.content
        except NotFound:
            # It expired between the two questions.
            return Said(thread_line(message))
        return Said(shown, *cut(content.text.strip() if content else "", THREAD_TEXT))

    # --- one message --------------------------------------------------------------------------------------------------

    @page("GET", "/dashboard/agents/{email}/messages/{id}", action="messages:read")
    async def message(self, view: View) -> Any:
        values = await self._frame.values(view, "mail")
        try:
            found = await self._detail(view)
        except NotFound:
            return await self._sent(view, values)
        text, whole = cut(found.content.text, LONGEST_TEXT)
        html = found.content.html
        made = await self._cpu.run(preview, html) if html else None
        values |= {
            "message": found.message,
            "plain": plainly(found.message),
            "checks": checks(found.message),
            "reasons": automation_reasons(found.message),
            "defects": defect_sentences(found.message),
            **_header(found.raw, found.message.sender),
            "text": text,
            "whole": whole,
            "preview": made,
            "height": height(made) if made else "",
            "blank": made is not None and blank(made),
            "unseen": unseen(found.content.text, made.body if made else ""),
            "links": [link[:LONGEST_LINK] for link in made.links[:MOST_LINKS]] if made else [],
            "more_links": len(made.links) - MOST_LINKS if made else 0,
            "attachments": found.content.attachments,
            "delivery": await self._delivery(view, found.message),
            "standing": standing,
        }
        return Html("message.html", values, live=("mail",))

    async def _detail(self, view: View) -> Detail:
        return await self._mailbox.detail(view.principal, view.agent_id, view.path["id"], mark_read=False)

    async def _delivery(self, view: View, message: InboundMessage) -> Delivery | None:
        try:
            return await self._mailbox.delivery(view.principal, view.agent_id, message.id)
        except NotFound:
            return None

    async def _sent(self, view: View, values: dict[str, Any]) -> Html:
        found = await self._approvals.find(view.principal, view.path["id"])
        message = found.message
        if message.agent_id != view.agent_id:
            raise NotFound
        text, whole = cut(found.content.text if found.content else "", LONGEST_TEXT)
        values |= {
            "message": message,
            "wording": STATUSES[message.status],
            "recipients": recipient_rows(found.recipients),
            "held": found.content is not None,
            "text": text,
            "whole": whole,
        }
        return Html("message_sent.html", values, live=("outbound",))

    @page("POST", "/dashboard/agents/{email}/messages/{id}/read", action="messages:read")
    async def mark_read(self, view: View) -> Any:
        found = await self._mailbox.detail(view.principal, view.agent_id, view.path["id"])
        return Redirect(f"{agent_path(view.agent_id)}/messages/{found.message.id}", "read")

    @page("GET", "/dashboard/agents/{email}/messages/{id}/html", action="messages:read")
    async def html(self, view: View) -> Any:
        found = await self._detail(view)
        if not found.content.html:
            raise NotFound("this message has no HTML")
        return html_frame(await self._cpu.run(preview, found.content.html))

    @page("GET", "/dashboard/agents/{email}/messages/{id}/raw", action="messages:read")
    async def raw(self, view: View) -> Any:
        message, raw = await self._mailbox.raw(view.principal, view.agent_id, view.path["id"])
        return Content(raw, "application/octet-stream", f"{message.id}.eml")

    @page("GET", "/dashboard/agents/{email}/messages/{id}/attachments/{index}", action="messages:read")
    async def attachment(self, view: View) -> Any:
        number = view.path["index"]
        if not (number.isascii() and number.isdecimal() and len(number) <= 6):
            raise NotFound
        return download(*await self._mailbox.attachment(view.principal, view.agent_id, view.path["id"], int(number)))


def checks(message: InboundMessage) -> list[tuple[str, str, str]]:
    """What was checked: the method, its result, and about whom."""
    found = message.authentication
    if found.get("internal"):
        return [("Handed over inside this deployment", "pass", message.facts.sender)]
    rows = []
    spf, dmarc, arc = found.get("spf", {}), found.get("dmarc", {}), found.get("arc", {})
    if spf:
        rows.append(("SPF", spf["result"], f"{spf.get('domain') or 'no domain'}, from {spf.get('client_ip')}"))
    for one in found.get("dkim", ()):
        about = one["domain"] + (f", key {one['selector']}" if one["selector"] else "")
        rows.append(("DKIM", one["result"], about + ("" if one["aligned"] else ", not the sender's domain")))
    if not found.get("dkim"):
        rows.append(("DKIM", "none", "not signed"))
    if dmarc:
        policy = f", asks for: {dmarc['policy']}" if dmarc.get("policy") else ", publishes no policy"
        rows.append(("DMARC", dmarc["result"], (dmarc.get("domain") or "no domain") + policy))
    if arc.get("instances"):
        about = f"{arc['instances']} forwarders" + (f", last {arc['sealer']}" if arc.get("sealer") else "")
        rows.append(("ARC", arc["result"], about))
    return rows


def _header(raw: bytes, sender: str) -> dict[str, Any]:
    """The header's fields as they are read, and what the From field among them says."""
    block = scan(raw[: min(header_size(raw), MOST_HEADER)])
    fields = [
        (field.raw.partition(b":")[0].decode("ascii", "replace").strip(), decoded(field.value)[:LONGEST_FIELD])
        for field in block.fields[:MOST_FIELDS]
    ]
    field = block.first(b"from")
    return {
        "fields": fields,
        "more_fields": max(0, len(block.fields) - MOST_FIELDS),
        "author": author(decoded(field.value) if field else "", sender),
    }
