"""One Klein tree from the resource classes.

Every request takes the same steps: route, credential, permission, agent binding, query, body, handler, answer.
Failures of all of them end in one table (``errors``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from klein import Klein
from pydantic import BaseModel
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from e2a.core.entities import Origin, Principal
from e2a.core.errors import BadRequest, E2AError, NotFound, TooManyRequests, Unauthenticated
from e2a.core.ids import RandomBytes
from e2a.core.rules import permissions
from e2a.core.rules.limits import Allowance
from e2a.flows.ports import Cpu

from . import body, errors, limiting
from .auth import Authorizer, bearer_token
from .limiting import Concurrency, Limiter, counts_client, counts_user
from .pacing import send
from .routing import DEFAULT_MAX_BODY, MESSAGE_BODY, Call, Flow, Reply, Route, Stream, body_for, routes_of
from .site import request_id

#: Request bodies over this many octets are read in the CPU pool; up to it they take a few milliseconds.
INLINE_BODY = 262_144
#: Stands for the request's client address; ``site`` reads it from trusted proxies.
ClientAddress = Callable[[http.Request], str]
#: Told a token that was refused.
Refused = Callable[[str, Origin], object]

#: A client that takes a long answer slower than this many octets a second is cut off.
SLOWEST_READER = 65_536
#: Seconds that even a short answer may take.
READER_GRACE = 60.0

_HEADERS = {
    b"X-Content-Type-Options": b"nosniff",
    b"Cache-Control": b"no-store",
    b"Server": b"e2a",
}


def socket_address(request: http.Request) -> str:
    """The peer of the connection, when no proxy is trusted."""
    return str(getattr(request.getClientAddress(), "host", ""))


class Api(Resource):
    """The root resource: headers that every answer has, then Klein.

    :ivar routes: every route served, for the document and for its test.
    :param resources: instances whose methods carry ``@route``.
    :param random: for request ids.
    :param message_body: octets that a request with a message in it may have.
    :param cpu: where long bodies are read; None: where the request is.
    :param limiter: counts for the limits that routes declare; None: there are none.
    :param concurrency: how much may be under way at one time.
    :param refused: told of bearer tokens that were refused, and where they came from.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        resources: Sequence[object],
        authorizer: Authorizer,
        *,
        clock: IReactorTime,
        random: RandomBytes,
        client_address: ClientAddress = socket_address,
        message_body: int = body_for(25 * 2**20),
        cpu: Cpu | None = None,
        limiter: Limiter | None = None,
        concurrency: Concurrency | None = None,
        refused: Refused | None = None,
    ) -> None:
        super().__init__()
        self._refused = refused
        self._cpu = cpu
        self._limiter = limiter
        self._concurrency = concurrency or Concurrency(lambda: 0.5)
        self._authorizer = authorizer
        self._clock = clock
        self._random = random
        self._client_address = client_address
        self._klein = Klein()
        self._klein.url_map.merge_slashes = False
        self.routes: list[Route] = []
        for resource in resources:
            for route, handler in routes_of(resource):
                if route.max_body == MESSAGE_BODY:
                    route = replace(route, max_body=message_body)
                self._add(route, handler)
        self._klein.handle_errors(Exception)(self._failed)  # type: ignore[arg-type]
        self._tree = self._klein.resource()

    def _add(self, route: Route, handler: Callable[[Call], Awaitable[Any]]) -> None:
        async def endpoint(request: Request, **path: str) -> Any:
            return await self._serve(request, route, handler, path)

        endpoint.__name__ = f"{route.method} {route.path}"
        # A conversation's id is its sender's choice and may hold slashes.
        url = re.sub(r"\{(\w+)\}", r"<\1>", route.path).replace("<conversation>", "<path:conversation>")
        self._klein.route(url, methods=[route.method], endpoint=f"{len(self.routes)}", strict_slashes=True)(endpoint)
        self.routes.append(route)

    def body_limit(self, method: bytes, target: bytes) -> int:
        """How many octets of body a request may have, asked as soon as its header is complete.

        :param target: the request target, with its query.
        """
        path = _decoded_path(target.partition(b"?")[0])
        if path is None:
            return DEFAULT_MAX_BODY
        try:
            rule, _ = self._klein.url_map.bind("").match(path, method.decode("ascii", "replace"), return_rule=True)
        except HTTPException:
            return DEFAULT_MAX_BODY
        return self.routes[int(rule.endpoint)].max_body

    def render(self, request: Request) -> Any:
        identifier = self._random(8).hex()
        for name, value in _HEADERS.items():
            request.setHeader(name, value)
        request.setHeader(b"X-Request-Id", identifier.encode("ascii"))
        request.defaultContentType = None
        if not _routable(request):
            reply = self._failure(request, 400, "the path or the Host header is malformed")
        elif request.path.startswith(b"//"):
            # The router would take it for "/", while a proxy in front may have rules for one spelling only.
            reply = self._failure(request, 404, NotFound.default)
        else:
            return self._tree.render(request)
        request.write(self._start(request, reply))
        request.finish()
        return NOT_DONE_YET

    async def _serve(
        self, request: Request, route: Route, handler: Callable[[Call], Awaitable[Any]], path: Mapping[str, str]
    ) -> Any:
        with ExitStack() as held:
            answer = await self._answer(request, route, handler, path, held)
            if IResource.providedBy(answer):
                return answer
            return await self._write(request, answer if isinstance(answer, Reply) else Reply(answer))

    async def _answer(
        self,
        request: Request,
        route: Route,
        handler: Callable[[Call], Awaitable[Any]],
        path: Mapping[str, str],
        held: ExitStack,
    ) -> Any:
        """What the handler answers, or what its failure makes of it.

        :param held: takes what is to be given back once the answer is written.
        """
        allowance: Allowance | None = None
        try:
            if counts_client(route):
                allowance = await self._count(route, self._client_address(request))
            caller = await self._admit(request, route, path)
            if caller is not None and counts_user(route):
                allowance = await self._count(route, caller.user_id)
            held.enter_context(self._concurrency.place(route.load, caller.organisation_id if caller else ""))
            query = _query(request, route)
            content, digest = await self._body(request, route)
            call = Call(
                request=request,
                caller=caller,
                path=path,
                query=query,
                body=content,
                body_digest=digest,
                client_ip=self._client_address(request),
                request_id=request_id(request),
            )
            answer = await handler(call)
        except CancelledError:
            # The client left; nobody is there to be answered.
            raise
        except Exception:
            answer = self._refusal(request, Failure())
        if isinstance(answer, Reply):
            allowance = answer.allowance or allowance
        if allowance is not None:
            _set_headers(request, limiting.headers(allowance, self._clock.seconds()))
        return answer

    async def _count(self, route: Route, whom: str) -> Allowance | None:
        """Count the request for its route's limit; None when there is none.

        :raises TooManyRequests: the limit is reached.
        """
        if route.limit is None or self._limiter is None:
            return None
        return await self._limiter.count(route.limit, whom)

    async def _write(self, request: Request, reply: Reply) -> bytes:
        if not isinstance(reply.content, Stream | Flow):
            return self._start(request, reply)
        self._start(request, reply)
        if request.method != b"HEAD":
            await send(request, reply.content, self._clock, READER_GRACE, SLOWEST_READER)
        elif isinstance(reply.content, Flow):
            reply.content.close()
        return b""

    async def _body(self, request: Request, route: Route) -> tuple[Any, bytes]:
        """The body by its model, and its digest."""
        if route.body is None:
            return None, b""
        assert request.content is not None
        raw = request.content.read()
        if self._cpu is not None and len(raw) > INLINE_BODY:
            return await self._cpu.run(_understood, raw, route.body, route.max_body)
        return _understood(raw, route.body, route.max_body)

    async def _admit(self, request: Request, route: Route, path: Mapping[str, str]) -> Principal | None:
        """The caller, if credential, permission and agent binding allow this route; None if it is public."""
        if route.action == permissions.PUBLIC:
            return None
        try:
            principal = await self._authorizer.principal(request, query_token=route.query_token)
        except Unauthenticated:
            self._note_refusal(request)
            raise
        if principal.agent_id is not None and "email" in path and path["email"].lower() != principal.agent_id:
            raise NotFound
        permissions.require(principal, route.action)
        return replace(principal, origin=self._origin(request))

    def _note_refusal(self, request: Request) -> None:
        if self._refused is None:
            return
        try:
            token = bearer_token(request)
        except Unauthenticated:
            return
        if token is not None:
            self._refused(token, self._origin(request))

    def _origin(self, request: Request) -> Origin:
        return Origin.of_request(self._client_address(request), request.getHeader("user-agent"), request_id(request))

    def _start(self, request: Request, reply: Reply) -> bytes:
        """Set status and headers; returns the body when it is short enough to be written at once."""
        content = reply.content
        if isinstance(content, BaseModel):
            content = content.model_dump(mode="json")
        if content is not None and not isinstance(content, bytes | Stream | Flow):
            content = orjson.dumps(content) + b"\n"
        request.setResponseCode(reply.status)
        if content is not None:
            request.setHeader(b"Content-Type", reply.content_type.encode("latin-1"))
        if reply.status != 204 and not isinstance(content, Flow):
            length = content.length if isinstance(content, Stream) else len(content or b"")
            request.setHeader(b"Content-Length", b"%d" % length)
        _set_headers(request, reply.headers)
        return content if isinstance(content, bytes) else b""

    def _failed(self, request: Request, failure: Failure) -> bytes:
        """What Klein itself raises: no such route, no such method; and a cancellation that was not the client's."""
        problem = failure.value
        if isinstance(problem, MethodNotAllowed):
            allow = ", ".join(sorted(problem.valid_methods or ()))
            reply = self._failure(request, 405, f"this path answers {allow}", {"Allow": allow})
        elif isinstance(problem, HTTPException):
            reply = self._failure(request, 404, NotFound.default)
        else:
            reply = self._refusal(request, failure)
        return self._start(request, reply)

    def _refusal(self, request: Request, failure: Failure) -> Reply:
        error = failure.value
        wants = errors.wants_problem(request.getHeader("accept"))
        if not isinstance(error, E2AError):
            self._log.failure("request {request_id} failed", failure, request_id=request_id(request))
            return self._failure(request, 500, "internal error, the request id names it")
        if error.status >= 500:
            self._log.warn(
                "request {request_id} was answered {status}: {cause}",
                request_id=request_id(request),
                status=error.status,
                cause=repr(error.__cause__ or error),
            )
        if isinstance(error, TooManyRequests):
            _set_headers(request, limiting.refused(error, self._clock.seconds()))
        return errors.refusal(error, problem=wants, request_id=request_id(request))

    def _failure(self, request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Reply:
        wants = errors.wants_problem(request.getHeader("accept"))
        return errors.failure(status, text, problem=wants, request_id=request_id(request), headers=headers)


def _understood(raw: bytes, model: type[BaseModel], most: int) -> tuple[BaseModel, bytes]:
    return body.read_json(raw, model, most), hashlib.sha256(raw).digest()


def _set_headers(request: Request, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        request.setHeader(name.encode("ascii"), value.encode("latin-1"))


def _decoded_path(path: bytes) -> str | None:
    try:
        return unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _routable(request: Request) -> bool:
    """Whether the router can take path and Host header: no invalid UTF-8, no impossible host name."""
    path = _decoded_path(request.path)
    if path is None or "\0" in path:
        return False
    try:
        request.getRequestHostname().decode("ascii").encode("idna")
    except UnicodeError:
        return False
    return True


def _query(request: Request, route: Route) -> dict[str, str]:
    """The declared query parameters; of a repeated one, the first.

    :raises BadRequest: not UTF-8, or with a NUL character.
    """
    given = request.args or {}
    found = {}
    for parameter in route.query:
        values = given.get(parameter.name.encode("ascii"))
        if values:
            try:
                found[parameter.name] = values[0].decode("utf-8")
            except UnicodeDecodeError as exc:
                raise BadRequest(f"{parameter.name} must be UTF-8", field=parameter.name) from exc
            if "\0" in found[parameter.name]:
                raise BadRequest(f"{parameter.name} must not contain NUL characters", field=parameter.name)
    return found
