"""Reviewing held mail, put together from the settings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ..api.review import Review
from ..core.trust.approvaltoken import ApprovalTokens
from ..flows.approvals import Approvals
from ..flows.outbound import Outbound
from ..flows.reviewlinks import ReviewLinks
from ..flows.reviewmail import ReviewMail
from ..web.magic import ApprovePage, RejectPage
from ..web.pages import Handler
from ..workers.holds import HoldsWorker
from .ground import Ground


@dataclass(frozen=True, slots=True)
class Reviewing:
    """:ivar resource: the REST side.
    :ivar pages: what the links of a review mail lead to, by path.
    :ivar worker: not started.
    """

    approvals: Approvals
    resource: Review
    pages: Mapping[str, Handler]
    worker: HoldsWorker


def reviewing(ground: Ground, outbound: Outbound) -> Reviewing:
    """Everything about held mail; from now on those who decide are written to."""
    database, cpu, now, public_url = ground.database, ground.cpu, time.time, ground.public_url
    tokens = ApprovalTokens(*ground.sealer.derive_all("approval"))
    approvals = Approvals(database, outbound, ground.page_tokens(), cpu, now)
    worker = HoldsWorker(ground.reactor, approvals)
    mail = ReviewMail(outbound, tokens, now, public_url=public_url, expect=worker.expect)
    mail.announce()
    outbound.held = mail.held
    links = ReviewLinks(database, approvals, tokens, now)
    dashboard = f"{public_url}/dashboard/pending" if public_url else ""
    pages: dict[str, Handler] = {
        "/api/v1/approve": ApprovePage(links, cpu, dashboard=dashboard),
        "/api/v1/reject": RejectPage(links, cpu, dashboard=dashboard),
    }
    return Reviewing(approvals, Review(approvals), pages, worker)
