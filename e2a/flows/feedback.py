"""Feedback: kept before it is answered for, then passed on to the operator by mail and to an issue tracker.

Passing on is tried over days. The mail is queued in the transaction that says so, so there is one; an issue whose
answer got lost may be opened twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.logger import Logger

from e2a.core import ids
from e2a.core.entities import Principal
from e2a.core.errors import E2AError
from e2a.core.rules import feedback as rules
from e2a.core.rules.drafts import Draft, Recipients, address
from e2a.store import feedback as store
from e2a.store import users
from e2a.store.feedback import Due
from e2a.store.rows import Cursor

from .ports import Now, Transactions
from .reviewmail import SystemMail

#: Pieces of one round, and seconds for which they are this process's.
BATCH = 20
LEASE = 300.0
#: Seconds after each attempt that failed; after the last it is given up, and stays in the table.
PAUSES = (60.0, 300.0, 1800.0, 7200.0, 21_600.0, 43_200.0, 86_400.0, 86_400.0)


class Tracker(Protocol):
    """Where issues are opened."""

    async def open(self, title: str, body: str, label: str) -> str:
        """The new issue's address.

        :raises Unavailable: it was not opened, or that is not known.
        """
        ...


class FeedbackBox:
    """:param operator_email: who is written to; "": nobody.
    :param tracker: None: no issues are opened.
    """

    _log = Logger()

    def __init__(
        self,
        database: Transactions,
        mail: SystemMail,
        *,
        now: Now,
        random: ids.RandomBytes,
        operator_email: str = "",
        tracker: Tracker | None = None,
    ) -> None:
        self._database = database
        self._mail = mail
        self._now = now
        self._random = random
        self._operator_email = operator_email
        self._tracker = tracker
        #: Called when there is something to pass on; may be set later.
        self.wake: Callable[[], object] = lambda: None

    async def take(self, principal: Principal | None, message: str, email: str, category: str) -> None:
        """Keep what somebody wrote.

        :param principal: the person who is signed in, if anybody is: without an address theirs is taken.
        :raises BadRequest: ``field`` says what is wrong.
        """
        checked = rules.checked(message, email, category)
        feedback_id = ids.prefixed_by_time("fb", self._now(), self._random)
        await self._database.run("take feedback", self._take, feedback_id, checked, principal)
        self._log.info("feedback {id} ({category}) was kept", id=feedback_id, category=checked.category)
        self.wake()

    async def _take(self, cur: Cursor, feedback_id: str, given: rules.Feedback, principal: Principal | None) -> None:
        email, user_id = given.email, principal.user_id if principal is not None else None
        if not email and user_id is not None:
            email = (await users.get_user(cur, user_id)).email
        await store.add_feedback(cur, feedback_id, given.category, given.message, email, user_id)

    async def pass_on(self) -> None:
        """One round: whatever is due goes to the operator.

        :raises Unavailable: the database went away.
        """
        while due := await self._database.run("claim feedback", store.claim, BATCH, LEASE):
            for one in due:
                await self._database.run("feedback passed on", store.next_attempt, one.id, await self._pass_on(one))

    async def _pass_on(self, due: Due) -> float | None:
        """Seconds until another attempt; None when none is needed, or makes sense."""
        given = rules.checked(due.message, "", due.category)
        given = rules.Feedback(given.category, given.message, due.email)
        try:
            if self._operator_email and self._mail.sends_system_mail:
                await self._database.run("mail feedback", self._write, due.id, given)
            if self._tracker is not None and not due.issue_url:
                url = await self._tracker.open(*rules.issue(given))
                await self._database.run("feedback filed", store.filed, due.id, url)
        except E2AError as error:
            if due.attempts > len(PAUSES):
                self._log.error("feedback {id} could not be passed on: {text}", id=due.id, text=error.text)
                return None
            self._log.warn("feedback {id} is passed on later: {text}", id=due.id, text=error.text)
            return PAUSES[due.attempts - 1]
        return None

    async def _write(self, cur: Cursor, feedback_id: str, given: rules.Feedback) -> None:
        if not await store.lock_unmailed(cur, feedback_id):
            return
        subject, text = rules.mail(given, feedback_id)
        recipients = Recipients(to=(address(self._operator_email, "feedback.email"),))
        draft = Draft(message_type="send", recipients=recipients, subject=subject, text=text, html="")
        await self._mail.system_mail(cur, draft)
        await store.mailed(cur, feedback_id)
