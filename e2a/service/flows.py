"""What REST and dashboard both offer, made once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from ..core.trust.delegation import DelegationTokens
from ..core.trust.pagetoken import PageTokens
from ..deliver.hub import Hub
from ..flows.agents import Agents
from ..flows.conversations import Conversations
from ..flows.delegations import Delegations
from ..flows.domainkeys import DomainKeys
from ..flows.domains import Domains
from ..flows.live import LongPoll
from ..flows.mailbox import Mailbox
from ..flows.resending import Resending
from ..flows.suppressions import Suppressions
from ..flows.writing import Writing
from .domainkeys import record_check
from .ground import Ground
from .writing import Desk


@dataclass(frozen=True, slots=True)
class Flows:
    agents: Agents
    mailbox: Mailbox
    conversations: Conversations
    delegations: Delegations
    domains: Domains
    suppressions: Suppressions
    writing: Writing
    resending: Resending
    waiting: LongPoll
    tokens: PageTokens


def flows(ground: Ground, keys: DomainKeys, hub: Hub, writers: Desk) -> Flows:
    settings, own, database, now = ground.settings, ground.own, ground.database, time.time
    tokens = ground.page_tokens()
    waiting = LongPoll(database, hub, ground.reactor, now)
    quotas = ground.limiting.quotas
    return Flows(
        agents=Agents(
            database,
            ground.resolver.addresses,
            tokens,
            own=own,
            production=settings.production,
            changed=ground.changed,
            quotas=quotas,
        ),
        mailbox=Mailbox(database, ground.secrets, tokens, ground.cpu, waiting, now=now),
        conversations=Conversations(database, tokens, now),
        delegations=Delegations(
            database,
            ground.directory,
            writers.outbound,
            DelegationTokens(*ground.sealer.derive_all("delegation token")),
            own=own,
            public_url=settings.http.public_url,
            now=now,
            random=os.urandom,
        ),
        domains=Domains(
            database,
            keys,
            record_check(ground),
            os.urandom,
            now,
            own=own,
            production=settings.production,
            changed=ground.changed,
            quotas=quotas,
        ),
        suppressions=Suppressions(database, tokens),
        writing=writers.writing,
        resending=writers.resending,
        waiting=waiting,
        tokens=tokens,
    )
