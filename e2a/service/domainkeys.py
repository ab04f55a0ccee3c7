"""DKIM keys and the questions to DNS about domains, put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from ..core.rules.domains import OwnNames
from ..core.trust.sealing import Sealer
from ..flows.domainkeys import DomainKeys
from ..flows.domains import CheckRecords, Key
from ..flows.ports import Cpu, Transactions
from ..verify import records
from ..verify.records import RecordReport
from ..verify.resolver import Resolver

#: Seconds for all records of one domain.
_RECORDS_SECONDS = 20.0
#: Seconds for one key record that is looked for in the background; a stop waits for it.
_KEY_SECONDS = 5.0


def domain_keys(
    database: Transactions,
    resolver: Resolver,
    sealer: Sealer,
    cpu: Cpu,
    own: OwnNames,
    changed: Callable[[str], None],
) -> DomainKeys:
    """The DKIM keys of domains; the log names the records of the deployment's own."""

    async def check_key(name: str, host: str, record: str) -> RecordReport:
        check = records.check_key(name, host, record)
        return await resolver.drive(check, resolver.seconds() + _KEY_SECONDS, fresh=True)

    announced = (own.shared, own.sender)
    return DomainKeys(database, sealer, cpu, time.time, check_key, announced=announced, changed=changed)


def record_check(resolver: Resolver, mx: str) -> CheckRecords:
    """:param mx: the host that receives mail for every domain."""

    async def check_records(name: str, token: str, keys: Sequence[Key]) -> Sequence[Any]:
        check = records.check(name, token, mx, [(key.host, key.record) for key in keys])
        return await resolver.drive(check, resolver.seconds() + _RECORDS_SECONDS, fresh=True)

    return check_records
