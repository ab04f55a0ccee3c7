"""The dashboard, put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from twisted.web.resource import IResource

from ..api.routing import DEFAULT_MAX_BODY
from ..api.site import ClientAddresses
from ..core.settingchecks import port
from ..flows.events import Events
from ..flows.overview import Overview
from ..web.dashboard.events import EventStreams
from ..web.dashboard.overview import OverviewPages
from ..web.dashboard.rendering import static_files
from ..web.dashboard.site import Dashboard
from .accountpages import account_sections
from .accounts import Accounting
from .flows import Flows
from .ground import Ground
from .mailpages import mail_sections
from .review import Reviewing

#: Octets that a form with a whole message may have: its text and its HTML.
REVIEW_BODY = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Front:
    """:ivar resource: serves the dashboard, and what is behind it.
    :ivar close: end the streams of live updates.
    """

    resource: Dashboard
    close: Callable[[], None]


def dashboard(
    ground: Ground,
    flows: Flows,
    reviews: Reviewing,
    people: Accounting,
    events: Events,
    behind: IResource,
    client_address: ClientAddresses,
) -> Front:
    """The dashboard in front of everything else.

    :param behind: serves every other path.
    """
    settings = ground.settings
    overview = Overview(ground.database)
    streams = EventStreams(events, people.gate, ground.reactor)
    smtp = (settings.smtp.domain, 25) if settings.production else ("localhost", port(settings.smtp.listen_addr) or 2525)
    sections: list[object] = [
        OverviewPages(flows.agents, overview, shared_domain=ground.own.shared, smtp=smtp),
        *mail_sections(ground, flows, reviews, overview, smtp),
        *account_sections(ground, flows, reviews, people),
        streams,
    ]
    site = Dashboard(
        sections,
        behind,
        people.gate,
        overview,
        static_files(),
        client_address=client_address,
        random=os.urandom,
        now=time.time,
        production=settings.production,
        room=lambda organisation_id: ground.limiting.concurrency.place("work", organisation_id),
    )
    return Front(site, streams.close)


def body_limit(api: Callable[[bytes, bytes], int]) -> Callable[[bytes, bytes], int]:
    """How many octets of body a request may have, the dashboard's included."""

    def limit(method: bytes, target: bytes) -> int:
        path = target.partition(b"?")[0]
        writing = path.startswith(b"/dashboard/agents/") and path.endswith((b"/compose", b"/reply"))
        if writing or path.startswith(b"/dashboard/pending"):
            return REVIEW_BODY
        return DEFAULT_MAX_BODY if path.startswith(b"/dashboard") else api(method, target)

    return limit
