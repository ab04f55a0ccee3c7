"""What the parts of the gateway stand on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from ..api.site import ClientAddresses
from ..core.rules.domains import OwnNames
from ..core.settings import Settings
from ..core.trust.pagetoken import PageTokens
from ..core.trust.sealing import Sealer
from ..flows.directory import Directory
from ..flows.ports import Cpu
from ..flows.secrets import SecretBook
from ..flows.signing import Signing
from ..store.database import Database
from ..verify.resolver import Resolver
from .limiting import Limiting
from .metrics import PrometheusMetrics


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
    signing: Signing
    sealer: Sealer
    cpu: Cpu
    metrics: PrometheusMetrics
    changed: Callable[[str], None]
    limiting: Limiting

    @property
    def public_url(self) -> str:
        """The API's address as users see it, without a trailing slash; "" when it is not configured."""
        return self.settings.http.public_url.rstrip("/")

    def page_tokens(self) -> PageTokens:
        return PageTokens(*self.sealer.derive_all("page tokens"))

    def client_addresses(self) -> ClientAddresses:
        """From requests to whom they come from."""
        return ClientAddresses([ip_network(text) for text in self.settings.http.trusted_proxies])

    def forget(self) -> None:
        """Believe no cache any more: notifications may have been missed."""
        self.directory.clear()
        self.secrets.clear()
        self.signing.clear()
