"""REST, the way into the WebSocket, and the pages, put together."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from ipaddress import ip_network

from .. import __version__
from ..api.agents import AgentsResource
from ..api.app import build_app
from ..api.auth import Authorizer
from ..api.conversations import ConversationsResource
from ..api.delegations import DelegationsResource
from ..api.domains import DomainsResource
from ..api.live import Live
from ..api.messages import Messages
from ..api.models import Info
from ..api.routing import body_for
from ..api.send import Sending
from ..api.site import BoundedSite, ClientAddresses
from ..api.suppressions import SuppressionsResource
from ..api.system import System
from ..core.trust.delegation import DelegationTokens
from ..core.trust.pagetoken import PageTokens
from ..deliver.hub import Hub
from ..deliver.websocket import LiveSockets
from ..flows.agents import Agents
from ..flows.conversations import Conversations
from ..flows.delegations import Delegations
from ..flows.domainkeys import DomainKeys
from ..flows.domains import Domains
from ..flows.live import LiveFeeds, LongPoll
from ..flows.mailbox import Mailbox
from ..flows.readiness import Readiness
from ..flows.refusals import Refusals
from ..flows.suppressions import Suppressions
from ..web.delegation import DelegationPage
from ..web.pages import Pages
from .accounts import Accounting
from .domainkeys import record_check
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
) -> tuple[BoundedSite, Callable[[], None]]:
    """The factory of the HTTP port; and what answers everybody who waits for mail, for when the daemon stops."""
    settings, own, database, now = ground.settings, ground.own, ground.database, time.time
    tokens = PageTokens(*ground.sealer.derive_all("page tokens"))
    waiting = LongPoll(database, hub, ground.reactor, now)
    mailbox = Mailbox(database, ground.secrets, tokens, ground.cpu, waiting, now=now)
    sockets = LiveSockets(ground.reactor, hub, LiveFeeds(database, now))
    domains = Domains(
        database,
        keys,
        record_check(ground.resolver, own.smtp),
        os.urandom,
        own=own,
        production=settings.production,
        changed=ground.changed,
        quotas=ground.limiting.quotas,
    )
    agents = Agents(
        database,
        ground.resolver.addresses,
        tokens,
        own=own,
        production=settings.production,
        changed=ground.changed,
        quotas=ground.limiting.quotas,
    )
    info = Info(
        shared_domain=own.shared,
        slug_registration_enabled=bool(own.shared),
        public_url=settings.http.public_url,
        version=__version__,
        max_message_bytes=settings.max_message_bytes,
    )
    delegations = Delegations(
        database,
        ground.directory,
        writers.outbound,
        DelegationTokens(*ground.sealer.derive_all("delegation token")),
        own=own,
        public_url=settings.http.public_url,
        now=now,
        random=os.urandom,
    )
    resources = [
        System(info, readiness.failing, lambda: api.routes),
        *people.resources,
        DomainsResource(domains, own.smtp),
        AgentsResource(agents),
        DelegationsResource(delegations),
        Messages(mailbox),
        Sending(writers.writing),
        reviews.resource,
        ConversationsResource(Conversations(database, tokens, now)),
        SuppressionsResource(Suppressions(database, tokens)),
        Live(mailbox, sockets.live_resource),
    ]
    client_address = ClientAddresses([ip_network(text) for text in settings.http.trusted_proxies])
    api = build_app(
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
    pages = {DelegationPage.path: DelegationPage(delegations), **reviews.pages, **people.pages}
    web = Pages(pages, api, client_address=client_address, random=os.urandom)
    site = BoundedSite(web, api.body_limit, reactor=ground.reactor, random=os.urandom, client_address=client_address)
    site.noisy = False
    return site, waiting.stop
