"""DKIM keys and the questions to DNS about domains, put together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ..flows.domainkeys import DomainKeys
from ..flows.domains import CheckRecords, Key
from ..verify import records
from ..verify.records import RecordReport
from .ground import Ground

#: Seconds for all records of one domain.
_RECORDS_SECONDS = 20.0
#: Seconds for one key record that is looked for in the background; a stop waits for it.
_KEY_SECONDS = 5.0


def domain_keys(ground: Ground) -> DomainKeys:
    """The DKIM keys of domains; the log names the records of the deployment's own."""

    async def check_key(name: str, host: str, record: str) -> RecordReport:
        check = records.check_key(name, host, record)
        return await ground.resolver.drive(check, ground.resolver.seconds() + _KEY_SECONDS, fresh=True)

    return DomainKeys(
        ground.database,
        ground.sealer,
        ground.cpu,
        time.time,
        check_key,
        announced=(ground.own.shared, ground.own.sender),
        changed=ground.changed,
    )


def record_check(ground: Ground) -> CheckRecords:
    """The questions to DNS about all records of a domain."""
    resolver, mx = ground.resolver, ground.own.smtp

    async def check_records(name: str, token: str, keys: Sequence[Key]) -> Sequence[Any]:
        check = records.check(name, token, mx, [(key.host, key.record) for key in keys])
        return await resolver.drive(check, resolver.seconds() + _RECORDS_SECONDS, fresh=True)

    return check_records
