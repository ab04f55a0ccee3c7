"""What agents write, put together from the settings: from the request to the row in the outbox."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from ..core.mail.conversations import ConversationMac
from ..core.rules.domains import OwnNames
from ..core.settings import Settings
from ..core.trust.sealing import Sealer
from ..flows.bootstrap import OPERATOR, operator_address
from ..flows.composing import Recipients, Senders
from ..flows.delegations import delegated
from ..flows.outbound import Outbound
from ..flows.outcomes import Outcomes
from ..flows.ports import Cpu, Transactions
from ..flows.resending import Resending
from ..flows.writing import Writing
from .limiting import Limiting


@dataclass(frozen=True, slots=True)
class Desk:
    """:ivar outcomes: fed by the listener.
    :ivar outbound: what stores and releases; reviews hang themselves on its ``held``.
    """

    outcomes: Outcomes
    outbound: Outbound
    writing: Writing
    resending: Resending


def desk(
    clock: IReactorTime,
    settings: Settings,
    own: OwnNames,
    database: Transactions,
    directory: Recipients,
    senders: Senders,
    sealer: Sealer,
    cpu: Cpu,
    limits: Limiting,
) -> Desk:
    """Everything between a request to send and the outbox."""
    outcomes = Outcomes(database, clock)
    outbound = Outbound(
        database,
        directory,
        senders,
        outcomes,
        cpu,
        ConversationMac(*sealer.derive_all("conversation mac")),
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
    )
    resending = Resending(
        database,
        outcomes,
        reaches_people=settings.sending,
        limit=limits.send,
        quotas=limits.quotas,
        delegated=delegated,
    )
    return Desk(outcomes, outbound, Writing(database, outbound, cpu, operator=operator_address(own)), resending)
