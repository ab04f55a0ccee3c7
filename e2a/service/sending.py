"""The way out for mail to people, put together from the settings."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from ..core.rules.sending import UnknownPolicy
from ..core.settings import Settings
from ..core.trust.bouncetoken import BounceTokens
from ..flows.sending import SendingFlow
from ..send.direct import DirectToMx
from ..send.upstream import Server, Tls, UpstreamServer
from ..workers.outbox import Outbox
from .ground import Ground
from .tls import trust_root

#: Attempts at a time on the direct route, and for one domain of these.
DIRECT_TOTAL = 128
DIRECT_PER_DOMAIN = 4


@dataclass(frozen=True, slots=True)
class WayOut:
    """:ivar close: closes idle connections, when the worker has stopped."""

    worker: Outbox
    close: Callable[[], None]


def way_out(ground: Ground) -> WayOut | None:
    """The outbox worker, not started; None when there is no way out.

    :raises SettingsError: the upstream server's authorities cannot be read.
    """
    settings, reactor = ground.settings, ground.reactor
    if not settings.sending:
        return None
    direct = settings.outbound.route == "direct"
    route: DirectToMx | UpstreamServer
    if direct:
        route = DirectToMx(
            reactor, ground.resolver, settings.smtp.domain, random.shuffle, production=settings.production
        )
        total, per_destination = DIRECT_TOTAL, DIRECT_PER_DOMAIN
    else:
        connections = settings.outbound_smtp.connections
        route = UpstreamServer(reactor, upstream_server(settings), settings.smtp.domain, size=connections)
        # More than there are connections, so that there is always a next message, and claims are few and large.
        total = per_destination = 2 * connections
    flow = SendingFlow(
        ground.database,
        route,
        ground.signing.sign,
        BounceTokens(*ground.sealer.derive_all("bounce token")).address,
        ground.cpu,
        ground.metrics,
        direct=direct,
        policy=cast(UnknownPolicy, settings.outbound.unknown),
        usage=settings.usage_tracking,
        now=time.time,
        monotonic=uninterrupted,
        random=random.random,
        soon=partial(reactor.callLater, 0),
    )
    worker = Outbox(flow, reactor, total=total, per_destination=per_destination)
    ground.metrics.gauge("outbox_attempts_running", lambda: worker.in_flight, "messages being sent")
    return WayOut(worker, route.close)


def uninterrupted() -> float:
    """Seconds on a clock that nobody sets and that, on Linux, also runs while the machine sleeps: leases in a database
    on another machine do."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def upstream_server(settings: Settings) -> Server:
    """The upstream server as the settings describe it.

    :raises SettingsError: ``ca_file`` cannot be used.
    """
    upstream = settings.outbound_smtp
    return Server(
        host=upstream.host,
        port=upstream.port,
        username=upstream.username,
        password=upstream.password,
        tls=cast(Tls, upstream.tls),
        trust_root=trust_root("outbound_smtp.ca_file", upstream.ca_file),
    )
