"""The dashboard, put together."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from twisted.web.resource import IResource

from ..api.routing import DEFAULT_MAX_BODY
from ..api.site import ClientAddresses
from ..core.settingchecks import host_port
from ..flows.events import Events
from ..flows.overview import Overview
from ..web.dashboard.events import EventStreams
from ..web.dashboard.overview import OverviewPages
from ..web.dashboard.rendering import static_files
from ..web.dashboard.site import Dashboard
from .accounts import Accounting
from .flows import Flows
from .ground import Ground
from .review import Reviewing

#: Octets that the form of a review may have: the text and the HTML of a message.
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
    smtp = settings.smtp
    place = (
        smtp.domain if settings.production else "localhost",
        25 if settings.production else host_port(smtp.listen_addr, 2525)[1],
    )
    sections: list[object] = [
        OverviewPages(flows.agents, overview, shared_domain=ground.own.shared, smtp=place),
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
        production=settings.production,
    )
    return Front(site, streams.close)


def body_limit(api: Callable[[bytes, bytes], int]) -> Callable[[bytes, bytes], int]:
    """How many octets of body a request may have, the dashboard's included."""

    def limit(method: bytes, target: bytes) -> int:
        path = target.partition(b"?")[0]
        if path.startswith(b"/dashboard/pending"):
            return REVIEW_BODY
        return DEFAULT_MAX_BODY if path.startswith(b"/dashboard") else api(method, target)

    return limit
