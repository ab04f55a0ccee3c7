"""REST, the way into the WebSocket, and the pages, put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from .. import __version__
from ..api.agents import AgentsResource
from ..api.app import Api
from ..api.auth import Authorizer
from ..api.conversations import ConversationsResource
from ..api.delegations import DelegationsResource
from ..api.domains import DomainsResource
from ..api.live import Live
from ..api.messages import Messages
from ..api.models import Info
from ..api.resend import Resend
from ..api.routing import body_for
from ..api.send import Sending
from ..api.site import BoundedSite
from ..api.suppressions import SuppressionsResource
from ..api.system import System
from ..deliver.hub import Hub
from ..deliver.websocket import LiveSockets
from ..flows.domainkeys import DomainKeys
from ..flows.events import Events
from ..flows.live import LiveFeeds
from ..flows.readiness import Readiness
from ..flows.refusals import Refusals
from ..web.delegation import DelegationPage
from ..web.pages import Pages
from .accounts import Accounting
from .dashboard import body_limit, dashboard
from .flows import flows as make_flows
from .ground import Ground
from .review import Reviewing
from .writing import Desk


def rest_site(
    ground: Ground,
    keys: DomainKeys,
    hub: Hub,
    readiness: Readiness,
    writers: Desk,
    reviews: Reviewing,
    people: Accounting,
    events: Events,
) -> tuple[BoundedSite, Sequence[Callable[[], None]]]:
    """The factory of the HTTP port; and what answers everybody who waits, for when the daemon stops."""
    settings, own, database, now = ground.settings, ground.own, ground.database, time.time
    flows = make_flows(ground, keys, hub, writers)
    sockets = LiveSockets(ground.reactor, hub, LiveFeeds(database, now))
    info = Info(
        shared_domain=own.shared,
        slug_registration_enabled=bool(own.shared),
        public_url=settings.http.public_url,
        version=__version__,
        max_message_bytes=settings.max_message_bytes,
    )
    resources = [
        System(info, readiness.failing, lambda: api.routes),
        *people.resources,
        DomainsResource(flows.domains, own.smtp),
        AgentsResource(flows.agents),
        DelegationsResource(flows.delegations),
        Messages(flows.mailbox),
        Sending(flows.writing),
        Resend(writers.resending),
        reviews.resource,
        ConversationsResource(flows.conversations),
        SuppressionsResource(flows.suppressions),
        Live(flows.mailbox, sockets.live_resource),
    ]
    client_address = ground.client_addresses()
    under_way = ground.limiting.concurrency.under_way
    ground.metrics.gauge("requests_under_way", lambda: under_way("work"), "requests that cost memory or CPU")
    ground.metrics.gauge("requests_waiting", lambda: under_way("wait"), "requests that wait for mail")
    api = Api(
        resources,
        Authorizer(ground.directory.principal, people.gate.find),
        clock=ground.reactor,
        random=os.urandom,
        client_address=client_address,
        message_body=body_for(settings.max_message_bytes),
        cpu=ground.cpu,
        limiter=ground.limiting.rates,
        concurrency=ground.limiting.concurrency,
        refused=Refusals(database, now).note,
    )
    pages = {DelegationPage.path: DelegationPage(flows.delegations), **reviews.pages, **people.pages}
    web = Pages(pages, api, client_address=client_address, random=os.urandom)
    front = dashboard(ground, flows, reviews, people, events, web, client_address)
    site = BoundedSite(
        front.resource,
        body_limit(api.body_limit),
        reactor=ground.reactor,
        random=os.urandom,
        max_connections=settings.http.max_connections,
        # Behind the PROXY protocol every connection is the proxy's until its header has been read.
        max_per_address=settings.http.max_connections
        if settings.http.listen_addr.startswith("haproxy:")
        else settings.http.max_connections_per_address,
        client_address=client_address,
        is_proxy=client_address.is_proxy,
    )
    site.noisy = False
    return site, (flows.waiting.stop, front.close)
