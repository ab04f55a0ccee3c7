"""Feedback on a real database: kept first, then passed on until it is."""

from __future__ import annotations

import os
from typing import Any

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, SendingNotConfigured, Unavailable
from e2a.core.rules.feedback import Feedback, checked, issue
from e2a.flows.feedback import PAUSES, FeedbackBox
from tests.flows.test_outbound import NOW, OPERATOR, OutboundTestCase
from tests.support.postgres import USER, DatabaseTestCase, make_agent
from tests.support.tenants import execute, rows

OWNER = Principal("org_test", USER, frozenset())


class Mail:
    """A ``SystemMail`` that remembers."""

    sends_system_mail = True

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.failing = False

    async def system_mail(self, cur: Any, draft: Any, *, local: str = "noreply", name: str = "e2a") -> Any:
        self.sent.append(draft)
        if self.failing:
            raise SendingNotConfigured


class Issues:
    """A ``Tracker`` that remembers."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str, str]] = []
        self.failing = 0

    async def open(self, title: str, body: str, label: str) -> str:
        if self.failing:
            self.failing -= 1
            raise Unavailable("the issue tracker answered 502")
        self.opened.append((title, body, label))
        return "https://github.test/o/r/issues/1"


class FeedbackTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db)
        self.mail, self.issues = Mail(), Issues()
        self.woken = 0

    def box(self, **given: Any) -> FeedbackBox:
        values = {"operator_email": "op@corp.test", "tracker": self.issues} | given
        box = FeedbackBox(self.db, self.mail, now=lambda: 1e9, random=os.urandom, **values)

        def wake() -> None:
            self.woken += 1

        box.wake = wake
        return box

    async def row(self) -> Any:
        (row,) = await rows(self.db, "SELECT * FROM feedback")
        return row

    async def test_passed_on(self) -> None:
        """The operator has one mail that says who wrote, and the tracker one issue that does not."""
        box = self.box()
        await box.take(None, "  Ask @ana\nabout it ", "bo@corp.test", "feature")
        self.assertEqual(self.woken, 1)
        await box.pass_on()
        await box.pass_on()
        (draft,) = self.mail.sent
        self.assertEqual(draft.subject, "[e2a feedback] [feature] Ask @ana")
        self.assertEqual(draft.recipients.envelope(), (("op@corp.test", "to"),))
        self.assertIn("bo@corp.test", draft.text)
        self.assertEqual(self.issues.opened, [("[feature] Ask @\u200bana", "Ask @\u200bana\nabout it", "enhancement")])
        row = await self.row()
        self.assertEqual(
            (row.email, row.issue_url, row.next_attempt_at), ("bo@corp.test", "https://github.test/o/r/issues/1", None)
        )
        self.assertIsNotNone(row.mailed_at)

    async def test_signed_in(self) -> None:
        """Without an address the account's is kept, and the words outlive the account."""
        await self.box().take(OWNER, "Hello", "", "general")
        self.assertEqual(((await self.row()).email, (await self.row()).user_id), (f"{USER}@people.test", USER))
        await execute(self.db, "DELETE FROM users WHERE id = %s", USER)
        self.assertIsNone((await self.row()).user_id)

    async def test_tried_again(self) -> None:
        """What fails is tried again later, and only that: a mail is not sent twice because the issue failed."""
        self.issues.failing = 1
        box = self.box()
        await box.take(None, "Hello", "", "bug")
        await box.pass_on()
        self.assertEqual((len(self.mail.sent), self.issues.opened), (1, []))
        ((wait,),) = await rows(self.db, "SELECT extract(epoch FROM next_attempt_at - now())::float8 FROM feedback")
        self.assertTrue(0 < wait <= PAUSES[0])
        await execute(self.db, "UPDATE feedback SET next_attempt_at = now()")
        await box.pass_on()
        self.assertEqual((len(self.mail.sent), len(self.issues.opened)), (1, 1))

    async def test_given_up(self) -> None:
        """After the last attempt it is left in the table, unmailed."""
        self.mail.failing = True
        box = self.box()
        await box.take(None, "Hello", "", "bug")
        for _ in range(len(PAUSES) + 2):
            await execute(self.db, "UPDATE feedback SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")
            await box.pass_on()
        self.assertEqual(len(self.mail.sent), len(PAUSES) + 1)
        row = await self.row()
        self.assertEqual((row.next_attempt_at, row.mailed_at, row.issue_url), (None, None, ""))

    async def test_nobody_to_tell(self) -> None:
        """Without an address and a tracker it is kept."""
        box = self.box(operator_email="", tracker=None)
        await box.take(None, "Hello", "", "general")
        await box.pass_on()
        self.assertEqual((self.mail.sent, self.issues.opened), ([], []))
        self.assertEqual((await self.row()).message, "Hello")

    def test_checked(self) -> None:
        """What cannot be kept is refused, in the order of the interface."""
        for field, given in (
            ("message", ("  ", "x" * 300, "no")),
            ("message", ("x" * 5001, "x" * 300, "no")),
            ("email", ("x", "e" * 250 + "@a.test", "no")),
            ("email", ("x", "nobody", "bug")),
            ("category", ("x" * 5000, "", "no")),
        ):
            with self.assertRaises(BadRequest) as caught:
                checked(*given)
            self.assertEqual(caught.exception.field, field, given[2])
        self.assertEqual(checked(" x ", " a@b.test ", "bug"), Feedback("bug", "x", "a@b.test"))

    def test_title(self) -> None:
        """A title is the category and at most eighty characters of the first line."""
        self.assertEqual(Feedback("bug", "a" * 80 + "\nmore", "").title, "[bug] " + "a" * 80)
        self.assertEqual(Feedback("bug", "a" * 81, "").title, "[bug] " + "a" * 77 + "...")
        self.assertEqual(issue(Feedback("general", "x", "a@b.test")), ("[general] x", "x", "feedback"))


class MailedTests(OutboundTestCase):
    async def test_queued(self) -> None:
        """The mail to the operator is one that the gateway queues; its subject is the first line and nothing
        else."""
        await make_agent(self.db, OPERATOR, organisation="org_operator")
        box = FeedbackBox(self.db, self.outbound, now=lambda: NOW, random=os.urandom, operator_email="op@corp.test")
        await box.take(None, "Schön\r\nBcc: x@corp.test", "", "bug")
        await box.pass_on()
        (row,) = await rows(self.db, "SELECT to_recipients, subject FROM messages")
        self.assertEqual((row.to_recipients, row.subject), (["op@corp.test"], "[e2a feedback] [bug] Schön"))
        self.assertEqual(await self.count("outbox"), 1)
