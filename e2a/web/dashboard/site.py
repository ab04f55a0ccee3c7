"""Serves the dashboard: route, session, permission, CSRF token, handler, page.

Whoever is not signed in is led to sign in and back again. A failure of any step becomes a page with one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import parse_qs, quote, unquote

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, Rule

from e2a.core.entities import Origin, Principal
from e2a.core.errors import BadRequest, Busy, Conflict, E2AError, NotFound, TooManyRequests, Unauthenticated
from e2a.core.ids import RandomBytes
from e2a.core.rules.permissions import require
from e2a.flows.ports import Now

from ..serving import answered_by
from .rendering import NOTICES, File, Templates
from .routing import Answer, Content, Gate, Html, Redirect, Route, View, pages_of

#: ``(request) -> address`` of the client, proxies seen through.
ClientAddress = Callable[[Request], str]
#: Forms that mean the same in whichever organisation the session is.
ANYWHERE = frozenset({"/dashboard/organisation", "/dashboard/sign-out"})
#: Form fields that people write into at length, and what they are called.
WRITTEN = {
    "to": "To",
    "cc": "Cc",
    "bcc": "Bcc",
    "subject": "Subject",
    "body": "Text",
    "text": "Text",
    "html": "HTML",
    "reason": "Reason",
    "message": "Message",
}
#: Fields of a query or a form.
MOST_FIELDS = 200

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "e2a",
}


#: ``(organisation id) -> ``: a place among the requests under way while the ``with`` block lasts; refuses when there is
#: none.
Room = Callable[[str], AbstractContextManager[object]]


class Frame(Protocol):
    """What stands around every page (``flows.overview``)."""

    async def frame(self, principal: Principal) -> Mapping[str, Any]:
        """Who is signed in, where, and what waits for them."""
        ...


class Dashboard(Resource):
    """Serves ``/``, ``/dashboard...`` and ``/static/...``, and leaves every other path to ``rest``.

    :param sections: instances whose methods carry ``@page``.
    :param production: whether ``Strict-Transport-Security`` is sent.
    :param room: keeps the pages that are being made in bounds, as the REST interface does with its answers.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        sections: Sequence[object],
        rest: IResource,
        gate: Gate,
        frame: Frame,
        static: Mapping[str, File],
        *,
        client_address: ClientAddress,
        random: RandomBytes,
        now: Now,
        production: bool,
        room: Room = nullcontext,
    ) -> None:
        super().__init__()
        self._room = room
        self._rest: Any = rest
        self._gate = gate
        self._frame = frame
        self._static = static
        self._templates = Templates(static, now)
        self._client_address = client_address
        self._random = random
        self._headers = {**HEADERS, "Strict-Transport-Security": "max-age=31536000"} if production else HEADERS
        #: Every page served, for its test.
        self.routes: list[Route] = []
        self._handlers: list[Callable[[View], Awaitable[Answer]]] = []
        rules = []
        for section in sections:
            for route, handler in pages_of(section):
                url = re.sub(r"\{(\w+)\}", r"<\1>", route.path).replace("<conversation>", "<path:conversation>")
                rules.append(Rule(url, endpoint=len(self.routes), methods=[route.method]))
                self.routes.append(route)
                self._handlers.append(handler)
        self._map = Map(rules, strict_slashes=True, merge_slashes=False)

    def render(self, request: Any) -> Any:
        path = request.path
        if path != b"/" and path != b"/dashboard" and not path.startswith((b"/dashboard/", b"/static/")):
            return self._rest.render(request)
        request_id = self._random(8).hex()
        request.setHeader("X-Request-Id", request_id)
        answered_by(request, self._serve(request, request_id))
        return NOT_DONE_YET

    async def _serve(self, request: Any, request_id: str) -> None:
        if request.path == b"/":
            self._redirect(request, "/dashboard")
        elif request.path.startswith(b"/static/"):
            self._file(request)
        else:
            await self._page(request, request_id)

    async def _page(self, request: Any, request_id: str) -> None:
        principal = None
        try:
            route, handler, path = self._match(request)
            principal = await self._gate.principal(request)
            if principal is None:
                return await self._signed_out(request)
            principal = replace(principal, origin=self._origin(request, request_id))
            form = _form(request) if route.method == "POST" else {}
            if route.method == "POST":
                self._check_form(request, route, principal, (form.get("csrf") or [""])[0])
            require(principal, route.action)
            view = View(request, principal, path, _query(request), form, self._form_token(request, principal))
            with self._room(principal.organisation_id):
                answer = await handler(view)
            if isinstance(answer, Html):
                await self._html(request, answer, principal)
            elif isinstance(answer, Redirect):
                notice = f"{'&' if '?' in answer.to else '?'}notice={quote(answer.notice)}" if answer.notice else ""
                self._redirect(request, answer.to + notice, answer.headers)
            elif isinstance(answer, Content):
                self._content(request, answer)
            else:
                answer.render(request)
        except CancelledError:
            raise
        except Exception:
            await self._failed(request, principal, Failure(), request_id)

    def _match(self, request: Any) -> tuple[Route, Callable[[View], Awaitable[Answer]], Mapping[str, str]]:
        method = "GET" if request.method == b"HEAD" else request.method.decode("ascii", "replace")
        try:
            # The router decodes; what is no UTF-8 is no page's path.
            target = unquote(request.path.decode("ascii"), errors="strict")
            if "\0" in target:
                raise NotFound("there is no such page")
            endpoint, path = self._map.bind("").match(target, method)
        except MethodNotAllowed as error:
            raise NotFound("this page is read only") from error
        except (HTTPException, UnicodeError) as error:
            raise NotFound("there is no such page") from error
        return self.routes[endpoint], self._handlers[endpoint], path

    def _again(self, request: Any, answer: Html) -> bool:
        """Whether what is shown can be fetched once more: an answer to a form may be at an address of its own."""
        if answer.at or request.method != b"POST":
            return bool(answer.at) or answer.status < 400
        try:
            self._map.bind("").match(unquote(request.path.decode("ascii", "replace")), "GET")
        except HTTPException:
            return False
        return True

    def _form_token(self, request: Any, principal: Principal | None) -> str:
        """What the forms of a page carry: the session's token, and the organisation that the page was made for."""
        token = self._gate.csrf_token(request)
        return token if principal is None else f"{token}.{principal.organisation_id}"

    def _check_form(self, request: Any, route: Route, principal: Principal, given: str) -> None:
        """:raises Forbidden: the request may be somebody else's doing.
        :raises Conflict: the session has gone to another organisation since, in another window or because the person
            does not belong to the first any more; what was meant for that one must not happen in this.
        """
        token, _, place = given.partition(".")
        self._gate.check_csrf(request, token)
        if place not in ("", principal.organisation_id) and route.path not in ANYWHERE:
            raise Conflict("you are in another organisation now than when this page was opened; nothing was changed")

    def _origin(self, request: Request, request_id: str) -> Origin:
        return Origin.of_request(self._client_address(request), request.getHeader("user-agent"), request_id)

    # --- answers ------------------------------------------------------------------------------------------------------

    async def _html(self, request: Any, answer: Html, principal: Principal | None) -> None:
        notice = _query(request).get("notice", "")
        around = {} if principal is None else await self._frame.frame(principal)
        values = {
            "frame": around,
            "path": request.path.decode("ascii", "replace"),
            "csrf": self._form_token(request, principal),
            "notice": NOTICES.get(notice, ""),
            # The count of what waits is in the menu of every page.
            "live": " ".join(sorted({*answer.live, "outbound"})) if around and self._again(request, answer) else "",
            "shown_at": answer.at,
            "may": (lambda action: principal is not None and action in principal.permissions),
            **answer.values,
        }
        content = self._templates.render(answer.template, values)
        self._send(request, answer.status, content, {"Content-Type": "text/html; charset=utf-8"})

    def _content(self, request: Any, answer: Content) -> None:
        headers = {"Content-Type": answer.content_type, **answer.headers}
        if answer.filename:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(answer.filename, safe='')}"
        self._send(request, 200, answer.octets, headers)

    def _file(self, request: Any) -> None:
        file = self._static.get(request.path.removeprefix(b"/static/").decode("ascii", "replace"))
        if file is None or request.method not in (b"GET", b"HEAD"):
            self._send(request, 404, b"not found\n", {"Content-Type": "text/plain; charset=utf-8"})
            return
        keep = {"Content-Type": file.content_type, "Cache-Control": "public, max-age=31536000, immutable"}
        self._send(request, 200, file.content, keep)

    async def _signed_out(self, request: Any) -> None:
        """Lead to the sign-in page; back to this one afterwards if it only shows. What somebody wrote is given back."""
        there = request.uri.decode("ascii", "replace") if request.method in (b"GET", b"HEAD") else "/dashboard"
        again = f"/api/auth/login?next={quote(there, safe='')}"
        written = _written(request)
        if not written:
            return self._redirect(request, again)
        values = {"status": 401, "text": "Nothing was done.", "written": written, "again": again}
        await self._html(request, Html("error.html", values, 401), None)

    def _redirect(self, request: Any, to: str, headers: Mapping[str, str] | None = None) -> None:
        self._send(request, 303, b"", {**(headers or {}), "Location": to})

    def _send(self, request: Any, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        request.setResponseCode(status)
        for name, value in {**self._headers, **headers, "Content-Length": str(len(content))}.items():
            request.setHeader(name, value)
        if request.method != b"HEAD":
            request.write(content)
        request.finish()

    async def _failed(self, request: Any, principal: Principal | None, failure: Failure, request_id: str) -> None:
        error = failure.value
        if isinstance(error, Unauthenticated):
            return await self._signed_out(request)
        if isinstance(error, E2AError):
            status, text = error.status, error.text
            if status >= 500:
                cause = repr(error.__cause__ or error)
                self._log.warn("request {id} was answered {status}: {cause}", id=request_id, status=status, cause=cause)
        else:
            self._log.failure("request {id} failed", failure, id=request_id)
            status, text = 500, f"internal error; the request id is {request_id}"
        if isinstance(error, TooManyRequests | Busy):
            request.setHeader("Retry-After", str(error.retry_after))
        sentence = text[:1].upper() + text[1:].rstrip(".") + "."
        values = {"status": status, "text": sentence, "written": _written(request), "again": ""}
        try:
            await self._html(request, Html("error.html", values, status), principal)
        except E2AError:
            # What stands around the page cannot be had either.
            await self._html(request, Html("error.html", values, status), None)


def _query(request: Any) -> dict[str, str]:
    fields = _fields(request.uri.partition(b"?")[2])
    return {name: values[0] for name, values in fields.items()}


def _form(request: Any) -> dict[str, list[str]]:
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}
    request.content.seek(0)
    return _fields(request.content.read())


def _written(request: Any) -> list[tuple[str, str]]:
    """What somebody wrote into a form that is not acted on, by the names of its fields, so that it is not lost. Only
    from a page of this site: another one could make this site say what it likes.
    """
    if request.method != b"POST" or request.getHeader("sec-fetch-site") != "same-origin":
        return []
    try:
        form = _form(request)
    except BadRequest:
        return []
    return [(label, form[name][0]) for name, label in WRITTEN.items() if form.get(name, [""])[0].strip()]


def _fields(octets: bytes) -> dict[str, list[str]]:
    try:
        text = octets.decode("utf-8", "replace")
        found = parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise BadRequest("too many fields") from error
    return {name: [value.replace("\0", "\ufffd") for value in values] for name, values in found.items()}
