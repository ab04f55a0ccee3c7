"""What happens by itself, now and then."""

from __future__ import annotations

from collections.abc import Sequence

from ..deliver.hub import Hub
from ..flows.domainkeys import DomainKeys
from ..flows.erasure import Erasure
from ..flows.retention import Retention
from ..store.backlog import Backlog, read_backlog
from ..store.outbox import read_backlog as read_outbox
from ..workers.periodic import Periodic
from .ground import Ground

#: Seconds between two rounds. The first one begins at the start, so that daemons which never live for an hour forget as
#: well.
RETENTION = 3600.0
#: Each key is asked for more rarely (``flows.domainkeys.CHECK_SECONDS``).
DOMAIN_KEYS = 600.0
LAST_USE = 60.0
BACKLOG = 15.0
LIVE = 5.0


def housekeeping(ground: Ground, keys: DomainKeys, hub: Hub, erasure: Erasure) -> Sequence[Periodic]:
    """The workers that keep things tidy and counted, not started, in the order of starting."""
    settings, clock = ground.settings, ground.reactor
    forgetting = Retention(
        ground.database,
        ground.metrics,
        erasure=erasure,
        audit_days=settings.audit.retention_days,
        usage_days=settings.usage_retention_days,
    )
    backlogs = _Backlogs(ground)
    ground.metrics.gauge("websockets", lambda: hub.connected, "open WebSockets")
    return (
        Periodic("retention", RETENTION, clock, forgetting.forget, interrupt=forgetting.stop),
        Periodic("last use", LAST_USE, clock, lambda: remember_use(ground)),
        Periodic("backlog", BACKLOG, clock, backlogs.look),
        Periodic("live connections", LIVE, clock, hub.check),
        Periodic("DKIM keys", DOMAIN_KEYS, clock, keys.look_after, interrupt=keys.stop),
    )


async def remember_use(ground: Ground) -> None:
    """Write down which keys and secrets were used lately, and drop secrets whose time is over."""
    await ground.directory.record_use()
    await ground.secrets.record_signing()
    await ground.secrets.remove_retired()


class _Backlogs:
    """How far deliveries and sending are behind, as of the last look: the metrics."""

    def __init__(self, ground: Ground) -> None:
        self._database = ground.database
        self._webhooks = Backlog(0, 0.0, 0)
        self._outbox = 0, 0.0
        gauge = ground.metrics.gauge
        gauge("due_deliveries", lambda: self._webhooks.due, "webhook deliveries whose time has come")
        gauge("oldest_due_delivery_seconds", lambda: self._webhooks.oldest, "how long the oldest is due")
        gauge("failed_deliveries", lambda: self._webhooks.failed, "deliveries that ran out of attempts")
        gauge("outbox_messages", lambda: self._outbox[0], "messages that wait to be sent")
        gauge("oldest_outbox_message_seconds", lambda: self._outbox[1], "how long the oldest has waited")

    async def look(self) -> None:
        self._webhooks = await self._database.run("backlog", read_backlog)
        self._outbox = await self._database.run("outbox backlog", read_outbox)
