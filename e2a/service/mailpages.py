"""The dashboard's pages about agents and their mail, put together."""

from __future__ import annotations

import os
import time

from ..flows.browsing import Browsing
from ..flows.overview import Overview
from ..web.dashboard.agentframe import AgentFrame
from ..web.dashboard.agents import AgentPages
from ..web.dashboard.compose import ComposePages
from ..web.dashboard.deliveries import DeliveryPages
from ..web.dashboard.messages import MessagePages
from .flows import Flows
from .ground import Ground
from .review import Reviewing


def mail_sections(
    ground: Ground, flows: Flows, reviews: Reviewing, overview: Overview, smtp: tuple[str, int]
) -> list[object]:
    """:param smtp: where mail is received: host name and port."""
    rates = ground.limiting.rates

    async def count_registration(client_ip: str) -> object:
        return await rates.count("register", client_ip)

    browsing = Browsing(ground.database, flows.tokens, time.time)
    frame = AgentFrame(flows.agents, overview)
    return [
        AgentPages(
            flows.agents, flows.domains, flows.delegations, frame, count_registration, shared_domain=ground.own.shared
        ),
        MessagePages(browsing, flows.mailbox, flows.conversations, reviews.approvals, frame, ground.cpu, smtp=smtp),
        ComposePages(flows.writing, flows.resending, flows.mailbox, frame, os.urandom),
        DeliveryPages(browsing, flows.mailbox, frame),
    ]
