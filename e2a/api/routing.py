"""How a resource class says what it serves: method, path, who may ask, what goes in and what comes out.

A resource is a plain class whose ``async`` methods carry ``@route``. Nothing is served without an action: ``action``
has no default, so a handler that does not say who may call it fails when its module is imported. The same
declarations drive dispatch (``app``), input checks (``body``) and the published document (``openapi``), so that the
three cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel
from twisted.web.server import Request

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, NotFound
from e2a.core.rules.limits import COUNTED_BY, Allowance, LimitName
from e2a.core.rules.permissions import ALL_PERMISSIONS, PUBLIC, SELF

#: Request bodies over this many bytes are 413, unless the route says otherwise.
DEFAULT_MAX_BODY = 65_536

#: For ``max_body``: what carries a message, whose limit the deployment sets (``body_for``).
MESSAGE_BODY = -1


def body_for(max_message_bytes: int) -> int:
    """Octets of JSON that a message of that length can need: half as much again for escapes."""
    return max_message_bytes * 3 // 2 + DEFAULT_MAX_BODY


#: What many requests at one time cost: ``work``: memory, CPU or connections; ``wait``: a place to wait in.
Load = Literal["work", "wait"]

Word = TypeVar("Word", bound=str)

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_PARAMETER = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter. Parameters that a route does not declare are ignored.

    :ivar schema: its JSON schema, for the document only; handlers check values themselves, through :class:`Call`.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, as declared.

    :ivar path: with ``{name}`` for each parameter, as in OpenAPI.
    :ivar action: the permission needed, ``self`` for any credential, or ``public``.
    :ivar body: the model of the request body, None when there is none.
    :ivar answers: successful status to model; None for an answer without JSON.
    :ivar errors: the error statuses that are this operation's own; ``openapi`` adds those that every operation shares.
    :ivar media_type: of the successful answers.
    :ivar query_token: whether the credential may come as ``?token=`` too.
    :ivar limit: the rate limit that it counts for. By client address and by user ``app`` counts; sending is counted
        where the message is stored.
    :ivar load: what keeps too many of them from being under way at one time; None: nothing need.
    :ivar session_only: whether keys are refused, for the document only; flows refuse them.
    """

    method: str
    path: str
    action: str
    summary: str
    body: type[BaseModel] | None
    answers: Mapping[int, type[BaseModel] | None]
    errors: tuple[int, ...]
    query: tuple[Query, ...]
    max_body: int
    media_type: str
    query_token: bool
    handler: str
    limit: LimitName | None = None
    load: Load | None = None
    session_only: bool = False

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(_PARAMETER.findall(self.path))


@dataclass(frozen=True, slots=True)
class Call:
    """One request, after authentication and input checks.

    :ivar caller: who asks; None only on a public route.
    :ivar path: the path's parameters, percent-decoded.
    :ivar query: the declared query parameters that were given.
    :ivar body: an instance of the route's body model; None when the route has no body.
    :ivar body_digest: SHA-256 of the body's octets; empty when the route has no body.
    :ivar client_ip: the peer, or whom a trusted proxy says it speaks for.
    """

    request: Request
    caller: Principal | None
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: Any
    body_digest: bytes
    client_ip: str
    request_id: str

    @property
    def principal(self) -> Principal:
        """Who asks, on a route that is not public."""
        if self.caller is None:
            raise RuntimeError("a public route has no principal")
        return self.caller

    @property
    def agent_id(self) -> str:
        """The ``{email}`` of the path as an agent id: addresses are looked up without regard to case."""
        return self.path["email"].lower()

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        """A query parameter that is a whole number.

        :raises BadRequest: not a number, or outside ``low`` to ``high``.
        """
        text = self.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) <= 18 and low <= int(text) <= high):
            raise BadRequest(f"{name} must be a whole number from {low} to {high}", field=name)
        return int(text)

    def place(self, name: str) -> int:
        """A parameter of the path that counts from 0.

        :raises NotFound: it is no number: nothing is there.
        """
        text = self.path[name]
        if not (text.isascii() and text.isdecimal() and len(text) <= 6):
            raise NotFound
        return int(text)

    def choice(self, name: str, choices: Sequence[Word], default: Word) -> Word:
        """A query parameter that is one of some words.

        :raises BadRequest: another word.
        """
        text = self.query.get(name, default)
        for word in choices:
            if text == word:
                return word
        raise BadRequest(f"{name} must be one of {', '.join(choices)}", field=name)

    def moment(self, name: str) -> datetime | None:
        """A query parameter that is a time; None when it was not given.

        :raises BadRequest: not a time with its offset from UTC.
        """
        text = self.query.get(name)
        if text is None:
            return None
        try:
            # "+" means a space in a query string, and is what people forget to escape.
            moment = datetime.fromisoformat(text.replace(" ", "+"))
            if moment.tzinfo is None:
                raise ValueError("no offset from UTC")
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            raise BadRequest(f"{name} must be a time such as 2026-01-31T12:00:00Z", field=name) from exc


@dataclass(frozen=True, slots=True)
class Stream:
    """A long body, written at the pace of the client.

    :ivar length: octets in all.
    :ivar chunks: made one by one as the client takes them, each small enough to be made without holding up the reactor.
    """

    length: int
    chunks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Flow:
    """A body of unknown length, made while it is written, at the pace of the client. One that fails breaks the
    connection off, so that nobody takes the part for the whole.

    :ivar close: called in the end, whatever happened, once nothing more is wanted.
    """

    chunks: AsyncIterator[bytes]
    close: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that needs more than a body.

    :ivar content: None for no body; ``bytes``, :class:`Stream` and :class:`Flow` go out as they are; anything else is
        JSON.
    :ivar allowance: how the caller stands with the route's limit, if the handler has counted.
    """

    content: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    allowance: Allowance | None = None


#: What a handler may return: a ``Reply``, something that is JSON (a mapping, a list, a model), or a twisted.web
#: resource that takes over.
Answer = Any
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Answer]])

_MARK = "__e2a_routes__"


def paged(entries: dict[str, Any], next_token: str | None) -> dict[str, Any]:
    """A page of a list as it is answered: the last one has no ``next_token``."""
    return entries if next_token is None else entries | {"next_token": next_token}


def route(
    method: str,
    path: str,
    *,
    action: str,
    summary: str,
    body: type[BaseModel] | None = None,
    answers: Mapping[int, type[BaseModel] | None],
    errors: Sequence[int] = (),
    query: Sequence[Query] = (),
    max_body: int = DEFAULT_MAX_BODY,
    media_type: str = "application/json",
    query_token: bool = False,
    limit: LimitName | None = None,
    load: Load | None = None,
    session_only: bool = False,
) -> Callable[[Handler], Handler]:
    """Serve ``method path`` with the decorated ``async def handler(self, call: Call)``.

    A handler reports failure by raising ``core.errors``; HEAD comes with GET. Several ``@route`` may stand on one
    handler.

    :param action: the permission that the caller needs, ``self`` for any credential, or ``public``.
    :param query: the query parameters that reach ``call.query``.
    :param max_body: bytes of request body above which the answer is 413; ``MESSAGE_BODY``: as messages need.
    :param limit: the rate limit that it counts for.
    :param load: what it costs while it is under way.
    :param session_only: the handler refuses keys; says so in the document.
    """
    if method not in _METHODS:
        raise TypeError(f"{method} is not a method that routes may serve")
    if not path.startswith("/"):
        raise TypeError(f"{path} is not an absolute path")
    if action not in (PUBLIC, SELF, *ALL_PERMISSIONS):
        raise TypeError(f"{method} {path} wants the unknown permission {action!r}")

    if limit is not None and limit not in COUNTED_BY:
        raise TypeError(f"{method} {path} counts for the unknown limit {limit!r}")

    def mark(handler: Handler) -> Handler:
        declared = Route(
            method=method,
            path=path,
            action=action,
            summary=summary,
            body=body,
            answers=dict(answers),
            errors=tuple(errors),
            query=tuple(query),
            max_body=max_body,
            media_type=media_type,
            query_token=query_token,
            handler=handler.__name__,
            limit=limit,
            load=load,
            session_only=session_only,
        )
        setattr(handler, _MARK, (declared, *getattr(handler, _MARK, ())))
        return handler

    return mark


def routes_of(resource: object) -> list[tuple[Route, Callable[[Call], Awaitable[Answer]]]]:
    """Every route that a resource instance declares, in the order of its class body, with the bound handler."""
    found: list[tuple[Route, Callable[[Call], Awaitable[Answer]]]] = []
    seen: set[str] = set()
    for kind in type(resource).__mro__:
        for name, value in vars(kind).items():
            if name in seen:
                continue
            seen.add(name)
            found.extend((declared, getattr(resource, name)) for declared in getattr(value, _MARK, ()))
    return found
