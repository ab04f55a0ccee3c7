"""The Python client of e2a: the stable import path.

from e2a.v1 import E2AApi

with E2AApi("e2a_...") as api:
    print(api.list_agents())
"""

from __future__ import annotations

from .api import AsyncE2AApi, E2AApi, fetch_info, fetch_info_async
from .errors import (
    AuthenticationError,
    ConflictError,
    E2AApiError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    UnverifiedEmailError,
)

__all__ = [
    "AsyncE2AApi",
    "AuthenticationError",
    "ConflictError",
    "E2AApi",
    "E2AApiError",
    "InvalidRequestError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServerError",
    "UnexpectedAnswerError",
    "UnverifiedEmailError",
    "fetch_info",
    "fetch_info_async",
]
