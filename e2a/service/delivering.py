"""Webhooks, put together from the settings: from rows to requests."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from ..deliver.webhook import WebhookClient, encode
from ..flows.delivery import DeliveryFlow
from ..workers.deliveries import Deliveries
from .ground import Ground
from .tls import trust_root


@dataclass(frozen=True, slots=True)
class Delivering:
    """:ivar worker: not started.
    :ivar client: to be closed when the worker has stopped.
    """

    worker: Deliveries
    client: WebhookClient


def delivering(ground: Ground) -> Delivering:
    """:raises SettingsError: the receivers' authorities cannot be read."""
    settings, now = ground.settings, time.time
    client = WebhookClient(
        ground.reactor,
        ground.resolver.addresses,
        now,
        settings.production,
        trust_root=trust_root("webhooks.ca_file", settings.webhooks.ca_file),
    )
    flow = DeliveryFlow(ground.database, client, ground.secrets, ground.cpu, encode, now, random.random, ground.metrics)
    worker = Deliveries(flow, ground.reactor)
    ground.metrics.gauge("webhook_requests", lambda: worker.in_flight, "webhook deliveries claimed and not finished")
    return Delivering(worker, client)
