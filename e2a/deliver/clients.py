"""What the HTTP clients of this room have in common."""

from __future__ import annotations

from typing import Any

import e2a

USER_AGENT = f"e2a/{e2a.__version__}"


def causes(error: BaseException) -> list[BaseException]:
    """An error of Twisted's HTTP client after what it wraps: the innermost first."""
    found: list[BaseException] = []
    for reason in getattr(error, "reasons", ()):
        found += causes(reason.value)
    return [*found, error]


def cut(transport: Any) -> None:
    """Drop the connection of an answer at once: a TLS peer could keep an orderly close waiting for ever.

    :param transport: of the protocol that the answer's body is delivered to.
    """
    # The response hands out a proxy that can only close in an orderly way; the connection is behind it.
    connection = getattr(transport, "_producer", None) or transport
    getattr(connection, "abortConnection", connection.loseConnection)()
