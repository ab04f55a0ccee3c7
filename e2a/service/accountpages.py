"""The dashboard's pages about reviews, domains, keys, people and the account, put together."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..flows.reviewqueue import ReviewQueue
from ..web.dashboard.account import AccountPages
from ..web.dashboard.audit import AuditPages
from ..web.dashboard.domains import DomainPages
from ..web.dashboard.keys import KeyPages
from ..web.dashboard.members import MemberPages, SessionPages
from ..web.dashboard.review import ReviewPages
from .accounts import Accounting
from .flows import Flows
from .ground import Ground
from .review import Reviewing


def account_sections(ground: Ground, flows: Flows, reviews: Reviewing, people: Accounting) -> Sequence[object]:
    """Sections in the order of the menu."""
    secure, rates = ground.settings.by_https, ground.limiting.rates

    async def count_feedback(client_ip: str) -> object:
        return await rates.count("feedback", client_ip)

    return (
        ReviewPages(reviews.approvals, ReviewQueue(ground.database), flows.mailbox, ground.cpu, time.time),
        DomainPages(flows.domains, production=ground.settings.production),
        KeyPages(people.accounts, ground.secrets, flows.agents, time.time),
        MemberPages(people.people, people.invitations, people.sessions),
        AuditPages(people.audit, people.people),
        AccountPages(
            people.me,
            people.people,
            people.sessions,
            people.usage,
            people.feedback,
            people.erasure,
            count_feedback,
            secure=secure,
        ),
        SessionPages(people.sessions, people.gate, secure=secure),
    )
