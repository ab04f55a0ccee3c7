"""What the parts of the gateway stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..core.rules.domains import OwnNames
from ..core.settings import Settings
from ..core.trust.sealing import Sealer
from ..flows.directory import Directory
from ..flows.ports import Cpu
from ..flows.secrets import SecretBook
from ..store.database import Database
from ..verify.resolver import Resolver
from .limiting import Limiting


@dataclass(frozen=True, slots=True)
class Ground:
    """:ivar own: the deployment's names, in stored spelling.
    :ivar changed: tells every cache of this process of a change, in the words of an ``e2a_changed`` notification.
    """

    reactor: Any
    settings: Settings
    own: OwnNames
    database: Database
    resolver: Resolver
    directory: Directory
    secrets: SecretBook
    sealer: Sealer
    cpu: Cpu
    changed: Callable[[str], None]
    limiting: Limiting

    @property
    def public_url(self) -> str:
        """The API's address as users see it, without a trailing slash; "" when it is not configured."""
        return self.settings.http.public_url.rstrip("/")
