"""Writing to those who decide when a message is held: who wants to send what to whom, and two links. Never the body.

The mail is queued in the transaction that holds the message, so a message is never held without anybody being told.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Protocol
from urllib.parse import quote

from twisted.logger import Logger

from e2a.core.entities import Agent, OutboundMessage
from e2a.core.errors import RecipientSuppressed
from e2a.core.mail.addresses import AddressError
from e2a.core.rules.drafts import Draft, Recipients, address
from e2a.core.trust.approvaltoken import GRACE, Action, ApprovalTokens
from e2a.store import holds
from e2a.store.rows import Cursor

from .outcomes import Submitted
from .ports import Now

#: The local part that review mail comes from.
LOCAL = "hitl-noreply"
#: Octets of the held subject that the subject of the mail shows.
_SHOWN = 60


class SystemMail(Protocol):
    """``flows.outbound.Outbound`` as this flow sees it."""

    @property
    def sends_system_mail(self) -> bool: ...

    async def system_mail(
        self, cur: Cursor, draft: Draft, *, local: str = "noreply", name: str = "e2a"
    ) -> Submitted: ...


def _nobody(seconds: float) -> None:
    """Nobody waits for messages whose time will be over."""


class ReviewMail:
    """:param public_url: where links lead, without a final slash; ``""``: nobody is written to.
    :param expect: told in how many seconds the time of a held message is over (``workers.holds``).
    """

    _log = Logger()

    def __init__(
        self,
        mail: SystemMail,
        tokens: ApprovalTokens,
        now: Now,
        *,
        public_url: str,
        expect: Callable[[float], None] = _nobody,
    ) -> None:
        self._mail = mail
        self._tokens = tokens
        self._now = now
        self._public_url = public_url.rstrip("/")
        #: May be set once the worker is known.
        self.expect = expect

    @property
    def enabled(self) -> bool:
        return bool(self._public_url) and self._mail.sends_system_mail

    def announce(self) -> None:
        """Say once, at the start, if those who decide will not be written to."""
        if not self.enabled:
            self._log.info(
                "nobody is written to about held mail: that needs http.public_url, outbound_smtp.from_domain and a way "
                "out for mail"
            )

    async def held(self, cur: Cursor, message: OutboundMessage, agent: Agent) -> None:
        """Tell those who decide, in the transaction that holds the message."""
        if message.approval_expires_at is None:
            return
        self.expect(message.approval_expires_at.timestamp() - self._now())
        if not self.enabled:
            return
        for user_id, email in await holds.reviewers(cur, message.organisation_id):
            try:
                draft = self._draft(message, agent, message.approval_expires_at, user_id, address(email, "to"))
                await self._mail.system_mail(cur, draft, local=LOCAL)
            except (AddressError, RecipientSuppressed):
                # An address that cannot be written to must not keep anything from being held.
                self._log.warn(
                    "a member of {organisation_id} cannot be written to about {message_id}",
                    organisation_id=message.organisation_id,
                    message_id=message.id,
                )

    def _draft(
        self, message: OutboundMessage, agent: Agent, expires_at: datetime, reviewer: str, recipient: str
    ) -> Draft:
        """:param reviewer: whose links they are: they decide for as long as that person may.
        :param recipient: the reviewer's address.
        """
        facts = [("Agent", agent.id)]
        facts += [
            (name, ", ".join(addresses))
            for name, addresses in (("To", message.to), ("Cc", message.cc), ("Bcc", message.bcc))
            if addresses
        ]
        facts += [("Subject", message.subject), ("Expires", format_datetime(expires_at.astimezone(UTC), usegmt=True))]
        until = int(expires_at.timestamp()) + GRACE
        links = [
            ("Approve", self._link(message.id, "approve", until, reviewer)),
            ("Reject", self._link(message.id, "reject", until, reviewer)),
            ("Dashboard", f"{self._public_url}/dashboard/pending/review?id={quote(message.id)}"),
        ]
        policy = "sent" if message.expiration_action == "approve" else "discarded"
        notes = (
            "An agent of yours wants to send this message and waits for your approval. Its text and attachments are "
            "not in this mail; following a link shows them, and changes nothing until you confirm.",
            f"If nobody decides before it expires, the message is {policy}.",
        )
        return Draft(
            message_type="send",
            recipients=Recipients(to=(recipient,)),
            subject=f"[e2a] approve outbound from {agent.id}: {shortened(message.subject)}",
            text=_text(notes, facts, links),
            html=_html(notes, facts, links),
        )

    def _link(self, message_id: str, action: Action, until: int, reviewer: str) -> str:
        return f"{self._public_url}/api/v1/{action}?token={self._tokens.make(message_id, action, until, reviewer)}"


def shortened(subject: str) -> str:
    """At most 60 octets of a subject; what is cut off ends in three dots."""
    octets = subject.encode("utf-8", "replace")
    return subject if len(octets) <= _SHOWN else octets[: _SHOWN - 3].decode("utf-8", "ignore") + "..."


def _text(notes: tuple[str, str], facts: list[tuple[str, str]], links: list[tuple[str, str]]) -> str:
    lines = [notes[0], ""]
    lines += [f"{name}: {value}" for name, value in facts]
    for name, link in links:
        lines += ["", f"{name}:", link]
    return "\n".join([*lines, "", notes[1], ""])


def _html(notes: tuple[str, str], facts: list[tuple[str, str]], links: list[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><th align=left>{escape(name)}</th><td>{escape(value)}</td></tr>\n" for name, value in facts)
    anchors = "".join(f'<p><a href="{escape(link)}">{escape(name)}</a></p>\n' for name, link in links)
    first, last = (f"<p>{escape(note)}</p>\n" for note in notes)
    return f"<!DOCTYPE html>\n<html><body>\n{first}<table>\n{rows}</table>\n{anchors}{last}</body></html>\n"
