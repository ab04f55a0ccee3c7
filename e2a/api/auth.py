"""Who is asking: ``Authorization: Bearer``, and where a route allows it (WebSocket), ``?token=``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.web.server import Request

from e2a.core.entities import Principal
from e2a.core.errors import Unauthenticated

#: From an API key to its holder; raises ``Unauthenticated`` for a bad one and ``Unavailable`` when that cannot be
#: known.
Authenticate = Callable[[str], Awaitable[Principal]]
#: From a request's cookies to the signed-in person, None without a session; raises ``Forbidden`` when the request may
#: be another site's doing.
FindSession = Callable[[Request], Awaitable[Principal | None]]

#: No credential of ours is longer; what is longer is not worth a hash.
_LONGEST = 512


def bearer_token(request: Request) -> str | None:
    """The token of the ``Authorization`` header (RFC 6750 2.1, scheme in any case); None when the header is absent or
    empty.

    :raises Unauthenticated: present but not one bearer token.
    """
    values = request.requestHeaders.getRawHeaders(b"authorization") or []
    if not any(value.strip() for value in values):
        return None
    if len(values) > 1:
        raise Unauthenticated("send one Authorization header")
    scheme, _, token = values[0].strip().partition(b" ")
    token = token.strip()
    if scheme.lower() != b"bearer" or not token or len(token) > _LONGEST or not token.isascii():
        raise Unauthenticated("send the API key as 'Authorization: Bearer <key>'")
    return token.decode("ascii")


class Authorizer:
    """From a request to its principal.

    :param session: asked only when there is no ``Authorization`` header: a bad header is refused even beside a good
    cookie.
    """

    def __init__(self, authenticate: Authenticate, session: FindSession | None = None) -> None:
        self._authenticate = authenticate
        self._session = session

    async def principal(self, request: Request, *, query_token: bool = False) -> Principal:
        """Who asks.

        :param query_token: whether the route takes ``?token=`` as well, for WebSocket clients that cannot set headers.
        :raises Unauthenticated: no credential, or a bad one.
        :raises Forbidden: a session's cookie without proof that its owner means it.
        """
        token = bearer_token(request)
        if token is None and query_token:
            given = (request.args or {}).get(b"token", [b""])[0]
            if len(given) <= _LONGEST and given.isascii():
                token = given.decode("ascii") or None
        if token is not None:
            return await self._authenticate(token)
        if self._session is not None:
            principal = await self._session(request)
            if principal is not None:
                return principal
        raise Unauthenticated("send an API key as 'Authorization: Bearer <key>'")
