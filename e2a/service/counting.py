"""Usage, quotas and feedback, put together from the settings."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..api.auth import FindSession
from ..api.feedback import FeedbackResource
from ..api.usage import QuotasResource, UsageResource
from ..deliver.fetch import Fetcher
from ..deliver.issues import GitHubIssues
from ..flows.feedback import FeedbackBox
from ..flows.quotas import FRESH_SECONDS, OperatorQuotas
from ..flows.reviewmail import SystemMail
from ..flows.usage import Usage
from ..workers.periodic import Periodic
from .ground import Ground

#: Seconds between two rounds of passing feedback on, of taking what was deleted off the counts, of summing up.
FEEDBACK = 60.0
STORAGE_COUNTS = 60.0
USAGE = 600.0
#: Seconds for opening an issue.
ISSUE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Counting:
    """:ivar resources: the REST side.
    :ivar workers: not started.
    """

    usage: Usage
    feedback: FeedbackBox
    resources: Sequence[object]
    workers: Sequence[Periodic]


def counting(ground: Ground, mail: SystemMail, session: FindSession) -> Counting:
    """:param mail: for the deployment's own mail.
    :param session: from a request's cookies to the signed-in person.
    """
    settings, database = ground.settings, ground.database
    usage = Usage(database, time.time, tracking=settings.usage_tracking)
    token, repository = settings.feedback.github_token, settings.feedback.github_repo
    box = FeedbackBox(
        database,
        mail,
        now=time.time,
        random=os.urandom,
        operator_email=settings.feedback.email,
        tracker=GitHubIssues(Fetcher(ground.reactor, ISSUE_SECONDS), token, repository)
        if token and repository
        else None,
    )
    clock, storage = ground.reactor, ground.limiting.storage
    passing_on = Periodic("feedback", FEEDBACK, clock, box.pass_on)
    box.wake = passing_on.wake
    workers = [
        passing_on,
        Periodic("storage quotas", FRESH_SECONDS, clock, storage.refresh),
        Periodic("storage counts", STORAGE_COUNTS, clock, storage.take_off_freed, interrupt=storage.stop),
    ]
    if settings.usage_tracking:
        workers.append(Periodic("usage summaries", USAGE, clock, usage.sum_up, interrupt=usage.stop))
    resources = [
        UsageResource(usage),
        QuotasResource(OperatorQuotas(database, ground.limiting.quotas)),
        FeedbackResource(box, session),
    ]
    return Counting(usage, box, resources, workers)
