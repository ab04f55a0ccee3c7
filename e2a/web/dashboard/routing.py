"""How a class of pages says what it serves, and what its handlers get and give.

As in the REST interface nothing is served without an action. GET shows and changes nothing; POST acts, and carries the
session's CSRF token, which is checked before the handler is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from twisted.web.http import Request
from twisted.web.resource import IResource

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest
from e2a.core.rules.permissions import ALL_PERMISSIONS, SELF

Method = Literal["GET", "POST"]


class Gate(Protocol):
    """Who is signed in, and whether a request of theirs was meant."""

    async def principal(self, request: Request) -> Principal | None:
        """The signed-in person; None without a session.

        :raises Unavailable: that cannot be known now.
        """
        ...

    def csrf_token(self, request: Request) -> str:
        """What forms of this session carry; "" without a session."""
        ...

    def check_csrf(self, request: Request, given: str) -> None:
        """:raises Forbidden: the request may be somebody else's doing."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """One request of a signed-in person.

    :ivar path: the path's parameters, percent-decoded.
    :ivar query: the fields of the query, the first of each name.
    :ivar form: the fields of the body; several of one name stay together.
    """

    request: Request
    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, Sequence[str]]
    csrf: str

    @property
    def agent_id(self) -> str:
        """The ``{email}`` of the path as an agent id."""
        return self.path["email"].lower()

    def field(self, name: str) -> str:
        """A form field without blanks around it; "" when it is absent."""
        return (self.form.get(name) or [""])[0].strip()

    def required(self, name: str) -> str:
        """:raises BadRequest: the form field is absent or empty; ``field`` is ``name``."""
        value = self.field(name)
        if not value:
            raise BadRequest(f"{name.replace('_', ' ')} is missing", field=name)
        return value

    def may(self, action: str) -> bool:
        """Whether to show what needs this permission."""
        return action in self.principal.permissions


@dataclass(frozen=True, slots=True)
class Html:
    """A page made from a template.

    :ivar live: the kinds of event (``flows.events``) at which the page's live parts are fetched again.
    :ivar at: where they are fetched, when that is not the page's own address, since a form led to it.
    """

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    live: Sequence[str] = ()
    at: str = ""


@dataclass(frozen=True, slots=True)
class Redirect:
    """To another page of the dashboard, by GET.

    :ivar notice: a word of ``rendering.NOTICES`` for what was done.
    :ivar headers: further headers of the answer.
    """

    to: str
    notice: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Content:
    """Octets as they are, under a policy of their own.

    :ivar filename: what a browser saves it as; "": it is shown.
    """

    octets: bytes
    content_type: str
    filename: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Html | Redirect | Content | IResource
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[Any]])

T = TypeVar("T")

_MARK = "__e2a_pages__"


@dataclass(frozen=True, slots=True)
class Route:
    """:ivar path: with ``{name}`` for each parameter.
    :ivar action: the permission needed, or ``self``.
    """

    method: Method
    path: str
    action: str


def page_of(items: Sequence[T], ident: Callable[[T], str], after: str, size: int) -> tuple[Sequence[T], str]:
    """A page of a list that is had whole: what comes after the item with this id, and the id to go on after, "" on the
    last page. An id that is gone begins at the beginning.
    """
    start = next((place + 1 for place, item in enumerate(items) if ident(item) == after), 0)
    shown = items[start : start + size]
    return shown, ident(shown[-1]) if start + size < len(items) else ""


def page(method: Method, path: str, *, action: str) -> Callable[[Handler], Handler]:
    """Serve ``method path`` with the decorated ``async def handler(self, view: View) -> Answer``."""
    if action != SELF and action not in ALL_PERMISSIONS:
        raise TypeError(f"{method} {path} wants the unknown permission {action!r}")

    def mark(handler: Handler) -> Handler:
        setattr(handler, _MARK, (*getattr(handler, _MARK, ()), Route(method, path, action)))
        return handler

    return mark


def pages_of(section: object) -> Iterator[tuple[Route, Callable[[View], Awaitable[Answer]]]]:
    """Every page that a section declares, with the bound handler."""
    for name, value in vars(type(section)).items():
        for route in getattr(value, _MARK, ()):
            yield route, getattr(section, name)
