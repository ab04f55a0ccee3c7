"""What agents write, put together from the settings: from the request to the row in the outbox."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from ..core.mail.conversations import ConversationMac
from ..flows.bootstrap import OPERATOR, operator_address
from ..flows.delegations import delegated
from ..flows.outbound import Outbound
from ..flows.outcomes import Outcomes
from ..flows.resending import Resending
from ..flows.writing import Writing
from .ground import Ground


@dataclass(frozen=True, slots=True)
class Desk:
    """:ivar outcomes: fed by the listener.
    :ivar outbound: what stores and releases; reviews hang themselves on its ``held``.
    """

    outcomes: Outcomes
    outbound: Outbound
    writing: Writing
    resending: Resending


def desk(ground: Ground) -> Desk:
    """Everything between a request to send and the outbox."""
    settings, own, database, limits = ground.settings, ground.own, ground.database, ground.limiting
    soon = partial(ground.reactor.callLater, 0)
    outcomes = Outcomes(database, ground.reactor, soon)
    outbound = Outbound(
        database,
        ground.directory,
        ground.signing,
        outcomes,
        ground.cpu,
        ConversationMac(*ground.sealer.derive_all("conversation mac")),
        now=time.time,
        random=os.urandom,
        system_agent=(operator_address(own), OPERATOR),
        sender_domain=own.sender,
        reaches_people=settings.sending,
        max_message_bytes=settings.max_message_bytes,
        usage=settings.usage_tracking,
        limit=limits.send,
        quotas=limits.quotas,
        full=limits.storage.full,
        delegated=delegated,
        kept=timedelta(days=settings.retention.message_days),
        soon=soon,
    )
    resending = Resending(
        database,
        outcomes,
        reaches_people=settings.sending,
        limit=limits.send,
        quotas=limits.quotas,
        delegated=delegated,
    )
    writing = Writing(database, outbound, ground.cpu, operator=operator_address(own), soon=soon)
    return Desk(outcomes, outbound, writing, resending)
