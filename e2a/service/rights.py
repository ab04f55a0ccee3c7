"""The owner's rights over the data, put together: export, deletion, the audit log."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ..api.account import AccountResource
from ..api.audit import AuditResource
from ..flows.audit import AuditLog
from ..flows.bootstrap import operator_address
from ..flows.dataexport import SNAPSHOTS, DataExport, Exporting
from ..flows.erasure import Erasure
from .ground import Ground


@dataclass(frozen=True, slots=True)
class Rights:
    """:ivar resources: the REST side."""

    audit: AuditLog
    erasure: Erasure
    resources: Sequence[object]


def data_rights(ground: Ground) -> Rights:
    database, settings, now = ground.database, ground.settings, time.time
    exporting = Exporting(
        database,
        ground.cpu,
        now,
        # A snapshot holds a connection for minutes; most of them stay for everybody else.
        snapshots=max(1, min(SNAPSHOTS, settings.database.pool_size // 4)),
        directory=settings.data_dir if os.path.isdir(settings.data_dir) else None,
    )
    erasure = Erasure(
        database, ground.sealer, os.urandom, operator=operator_address(ground.own), changed=ground.changed
    )
    log = AuditLog(database, exporting, ground.page_tokens())
    return Rights(log, erasure, [AccountResource(DataExport(database, exporting, now), erasure), AuditResource(log)])
