"""The way in for mail, put together from the settings."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from ..core.mail.conversations import ConversationMac
from ..core.trust.bouncetoken import BounceTokens
from ..flows.bounces import Bounces
from ..flows.inbound import Inbound
from ..flows.intake import GroupIntake
from ..flows.threading import Threading
from ..receive.factory import InboundFactory
from ..receive.limits import Limits
from ..verify.verifier import Verifier
from .ground import Ground


def way_in(ground: Ground, tls_context: Any) -> InboundFactory:
    """The factory of the SMTP port.

    :param tls_context: for STARTTLS; None: it is not offered.
    """
    settings, database, now = ground.settings, ground.database, time.time
    inbound = Inbound(
        ground.directory,
        Verifier(ground.resolver, ground.cpu, now),
        Threading(database, ConversationMac(*ground.sealer.derive_all("conversation mac")), now),
        Bounces(
            database,
            BounceTokens(*ground.sealer.derive_all("bounce token")),
            ground.cpu,
            ground.metrics,
            sender_domain=ground.own.sender,
        ),
        GroupIntake(database, now, ground.metrics, usage=settings.usage_tracking),
        ground.cpu,
        ground.metrics,
        hostname=settings.smtp.domain,
        now=now,
        random=os.urandom,
        storage=ground.limiting.storage,
        kept=timedelta(days=settings.retention.message_days),
    )
    limits = Limits(
        max_message_bytes=settings.max_message_bytes,
        max_recipients=settings.smtp.max_recipients,
        idle_timeout=float(settings.smtp.idle_timeout),
        max_connections=settings.smtp.max_connections,
        max_connections_per_address=settings.smtp.max_connections_per_address,
        max_bytes_in_flight=max(256 * 2**20, 4 * settings.max_message_bytes),
    )
    factory = InboundFactory(
        inbound,
        ground.reactor,
        hostname=settings.smtp.domain,
        limits=limits,
        random=os.urandom,
        metrics=ground.metrics,
        tls_context=tls_context,
    )
    ground.metrics.gauge("smtp_sessions", lambda: factory.sessions, "open SMTP sessions")
    return factory
