"""Usage, quotas and feedback, put together from the settings."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..api.auth import FindSession
from ..api.feedback import FeedbackResource
from ..api.usage import QuotasResource, UsageResource
from ..deliver.fetch import Fetcher
from ..deliver.issues import GitHubIssues
from ..flows.feedback import FeedbackBox
from ..flows.quotas import OperatorQuotas
from ..flows.reviewmail import SystemMail
from ..flows.usage import Usage
from ..workers.feedback import FeedbackWorker
from ..workers.storage import StorageWorker
from ..workers.usage import UsageWorker
from .ground import Ground

#: Seconds for opening an issue.
ISSUE_SECONDS = 30.0


class Worker(Protocol):
    def start(self) -> None: ...

    async def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Counting:
    """:ivar resources: the REST side.
    :ivar workers: not started, by name.
    """

    usage: Usage
    feedback: FeedbackBox
    resources: Sequence[object]
    workers: Mapping[str, Worker]


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
    workers: dict[str, Worker] = {
        "feedback": FeedbackWorker(ground.reactor, box),
        "storage counts": StorageWorker(ground.reactor, ground.limiting.storage),
    }
    if settings.usage_tracking:
        workers["usage summaries"] = UsageWorker(ground.reactor, usage)
    resources = [
        UsageResource(usage),
        QuotasResource(OperatorQuotas(database, ground.limiting.quotas)),
        FeedbackResource(box, session),
    ]
    return Counting(usage, box, resources, workers)
