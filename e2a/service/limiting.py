"""How often, how much, and how many at one time: put together from the settings."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..api.limiting import Concurrency, Room
from ..core.rules.limits import DEFAULTS, Limit, LimitName, Quotas
from ..core.settings import Settings
from ..flows.limits import RateLimits
from ..flows.ports import Transactions
from ..flows.quotas import Storage


@dataclass(frozen=True, slots=True)
class Limiting:
    """:ivar rates: counts for the limits that routes declare.
    :ivar send: the limit of sending, which is counted where messages are stored.
    :ivar quotas: what every organisation may have unless it has quotas of its own.
    :ivar storage: to be refreshed every few seconds.
    :ivar concurrency: what is under way in this process.
    """

    rates: RateLimits
    send: Limit
    quotas: Quotas
    storage: Storage
    concurrency: Concurrency


def limiting(settings: Settings, database: Transactions) -> Limiting:
    limits, own = settings.limits, settings.quotas
    most: Mapping[LimitName, int] = {
        "register": limits.registrations_per_hour,
        "send": limits.send_per_minute,
        "poll": limits.poll_per_minute,
        "feedback": limits.feedback_per_hour,
    }
    rates = {name: replace(limit, most=most[name]) for name, limit in DEFAULTS.items()}
    quotas = Quotas(own.agents, own.domains, own.storage_bytes, own.messages_per_day)
    concurrency = Concurrency(
        random.random,
        {
            "work": Room(limits.concurrent, limits.concurrent_per_organisation),
            "wait": Room(limits.waiting, limits.waiting_per_organisation),
        },
    )
    return Limiting(
        RateLimits(database, rates, quotas),
        rates["send"],
        quotas,
        Storage(database, time.time, most=quotas.storage_bytes),
        concurrency,
    )
