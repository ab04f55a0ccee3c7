"""e2a: an authenticated e-mail gateway for AI agents.

The names of the client library are those of :mod:`e2a.v1`, loaded when they are first used: the daemon needs none of
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .v1 import (
        AsyncE2AApi as AsyncE2AApi,
    )
    from .v1 import (
        AsyncE2AClient as AsyncE2AClient,
    )
    from .v1 import (
        AsyncInboundEmail as AsyncInboundEmail,
    )
    from .v1 import (
        Attachment as Attachment,
    )
    from .v1 import (
        AuthHeaders as AuthHeaders,
    )
    from .v1 import (
        E2AApi as E2AApi,
    )
    from .v1 import (
        E2AApiError as E2AApiError,
    )
    from .v1 import (
        E2AClient as E2AClient,
    )
    from .v1 import (
        InboundEmail as InboundEmail,
    )
    from .v1 import (
        MessageList as MessageList,
    )
    from .v1 import (
        MessageSummary as MessageSummary,
    )
    from .v1 import (
        SendResult as SendResult,
    )
    from .v1 import (
        UnverifiedEmailError as UnverifiedEmailError,
    )
    from .v1 import (
        WSNotification as WSNotification,
    )
    from .v1 import (
        fetch_info as fetch_info,
    )
    from .v1 import (
        fetch_info_async as fetch_info_async,
    )

_CLIENT = frozenset(
    {
        "AsyncE2AApi",
        "AsyncE2AClient",
        "AsyncInboundEmail",
        "Attachment",
        "AuthHeaders",
        "E2AApi",
        "E2AApiError",
        "E2AClient",
        "InboundEmail",
        "MessageList",
        "MessageSummary",
        "SendResult",
        "UnverifiedEmailError",
        "WSNotification",
        "fetch_info",
        "fetch_info_async",
    }
)


def __getattr__(name: str) -> Any:
    """One of the client's names (PEP 562)."""
    if name in _CLIENT:
        from . import v1

        return getattr(v1, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_CLIENT})
