"""Sessions in the cookies of requests, and proof that a request of a signed-in person was meant."""

from __future__ import annotations

from collections.abc import Callable

from twisted.web.http import Request

from e2a.core.entities import Origin, Principal
from e2a.core.errors import Forbidden
from e2a.core.rules.signin import SESSION_COOKIE, require_same_origin
from e2a.flows.sessions import Sessions

from .site import request_id

#: The header in which programs of a page send the token; forms send it as the field ``csrf``.
CSRF_HEADER = "X-CSRF-Token"

_READING = (b"GET", b"HEAD", b"OPTIONS")


class SessionGate:
    """:param origin: the deployment's own, as ``https://host``; "" when it is not known.
    :param client_address: whom a request comes from, proxies seen through.
    """

    def __init__(self, sessions: Sessions, origin: str, client_address: Callable[[Request], str]) -> None:
        self._sessions = sessions
        self._origin = origin
        self._client_address = client_address

    def token(self, request: Request) -> str:
        """The session cookie, "" without one."""
        value: bytes = (request.received_cookies or {}).get(SESSION_COOKIE.encode(), b"")
        return value.decode("latin-1")

    async def principal(self, request: Request) -> Principal | None:
        """The signed-in person; None without a session.

        :raises Unavailable: that cannot be known now.
        """
        origin = Origin.of_request(self._client_address(request), request.getHeader("user-agent"), request_id(request))
        return await self._sessions.find(self.token(request), origin)

    async def find(self, request: Request) -> Principal | None:
        """The signed-in person, if what the request does was meant: for routes of the REST interface.

        A cookie comes along whoever makes the browser send the request. So a change needs the session's token as well,
        and comes from a page of ours; so does a WebSocket, which browsers open for any page.

        :raises Forbidden: it may be somebody else's doing.
        """
        principal = await self.principal(request)
        if principal is None:
            return None
        if request.method not in _READING:
            self.check_csrf(request, request.getHeader(CSRF_HEADER) or "")
        elif request.getHeader("upgrade"):
            require_same_origin(request.getHeader, self._origin, required=True)
        return principal

    def csrf_token(self, request: Request) -> str:
        """What forms and programs of this session's pages send; "" without a session."""
        token = self.token(request)
        return self._sessions.csrf_token(token) if token else ""

    def check_csrf(self, request: Request, given: str) -> None:
        """:raises Forbidden: the request may be somebody else's doing."""
        require_same_origin(request.getHeader, self._origin)
        if not self._sessions.csrf_matches(self.token(request), given):
            raise Forbidden(f"send the csrf_token of GET /api/auth/me in the header {CSRF_HEADER}")
