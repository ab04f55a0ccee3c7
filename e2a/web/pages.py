"""Pages that a link in a mail leads to. GET shows and changes nothing, because scanners open links; POST acts.

There is no login: the link's token says who may. It must not leak, so a page loads nothing from elsewhere, runs no
script, is kept nowhere, and tells no other site where it was.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol
from urllib.parse import parse_qsl

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from e2a.core.entities import Origin
from e2a.core.errors import BadRequest, E2AError, TooManyRequests
from e2a.core.ids import RandomBytes

from .serving import answered_by

_STYLE = (
    ":root{color-scheme:light dark}*{box-sizing:border-box}"
    "body{font:1em/1.5 system-ui,sans-serif;max-width:42em;margin:2.5em auto;padding:0 1em;color:#222;background:#fff;"
    "overflow-wrap:anywhere}"
    "h1{font-size:1.4em;line-height:1.3}h2{font-size:1.05em;margin:2em 0 .5em}ul{padding-left:1.2em}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.3em 1.2em}dt{color:#666}dd{margin:0}"
    "dd,pre,li{unicode-bidi:plaintext;text-align:left}pre{white-space:pre-wrap;font-size:.9em;background:#f4f4f4;border-radius:6px;padding:1em;margin:0}"
    "label{display:block}input{display:block;width:100%;margin-top:.3em;padding:.5em;font:inherit}"
    "button{font:inherit;padding:.5em 1.2em;margin:.3em .6em .3em 0;cursor:pointer;color:#fff;background:#1a5fb4;"
    "border:1px solid #1a5fb4;border-radius:6px}button+button{color:#1a5fb4;background:none}"
    # Foreign HTML keeps the colours it was written for.
    "iframe{width:100%;height:24em;border:1px solid #ccc;border-radius:6px;background:#fff;color-scheme:light}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#17191c}dt{color:#9a9fa5}pre{background:#24272b}"
    "iframe{border-color:#444}a,button+button{color:#7fb2f0}}"
)


def policy(*, forms: str = "'self'", script: str = "") -> str:
    """A Content-Security-Policy that allows the page's own style, and nothing from anywhere.

    :param forms: where forms may go.
    :param script: the text of the one script that may run.
    """
    scripts = f"script-src 'sha256-{_sha256(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; {scripts}form-action {forms}; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_STYLE_HASH = _sha256(_STYLE)
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": policy(),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Server": "e2a",
}

#: Request headers that pages may read.
_READ = ("host", "origin", "sec-fetch-site", "user-agent")
#: Fields of a query or a form.
_MOST_FIELDS = 50

#: ``(request) -> address`` of the client, proxies seen through.
ClientAddress = Callable[[Request], str]


@dataclass(frozen=True, slots=True)
class Page:
    """:ivar body: HTML, everything dynamic in it escaped.
    :ivar headers: set on top of those that every page has.
    :ivar cookies: ``Set-Cookie`` values.
    """

    status: int
    title: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Visit:
    """One request.

    :ivar values: query and form fields, the first of each name; of one that both give, the form's.
    :ivar headers: those that some page reads, by lower-case name.
    """

    path: str
    values: Mapping[str, str]
    client_ip: str
    method: str = "GET"
    cookies: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    @property
    def token(self) -> str:
        return self.values.get("token") or self.values.get("t") or ""

    @property
    def origin(self) -> Origin:
        """Where it comes from, for the audit log."""
        return Origin.of_request(self.client_ip, self.headers.get("user-agent"), self.request_id)


class Handler(Protocol):
    """A page. What it raises becomes a page too: an ``E2AError`` with its text."""

    async def show(self, visit: Visit) -> Page:
        """GET: must change nothing that matters."""
        ...

    async def act(self, visit: Visit) -> Page:
        """POST."""
        ...


def paragraph(text: str) -> str:
    """Text as a paragraph."""
    return f"<p>{escape(text)}</p>"


def form(path: str, token: str, content: str) -> str:
    """A form that posts back to the page's own path. :param content: HTML with its buttons."""
    return posting(path, {"token": token}, content)


def posting(action: str, fields: Mapping[str, str], content: str) -> str:
    """A form with hidden fields. :param content: HTML with its buttons."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    return f'<form method="post" action="{escape(action)}">{hidden}{content}</form>'


def link(url: str, text: str) -> str:
    """A link in a paragraph of its own."""
    return f'<p><a href="{escape(url)}">{escape(text)}</a></p>'


def button(name: str, value: str, label: str) -> str:
    return f'<button type="submit" name="{escape(name)}" value="{escape(value)}">{escape(label)}</button>'


def document(page: Page) -> bytes:
    """The page as a whole HTML document."""
    title = escape(page.title)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f'{title}</title><meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style>'
        f"</head><body><h1>{title}</h1>{page.body}</body></html>\n"
    ).encode("utf-8", "replace")


class Pages(Resource):
    """Serves the pages by path, and leaves every other path to ``rest``.

    :param random: for request ids.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self, pages: Mapping[str, Handler], rest: IResource, *, client_address: ClientAddress, random: RandomBytes
    ) -> None:
        super().__init__()
        self._pages = {path.encode("ascii"): handler for path, handler in pages.items()}
        self._rest: Any = rest
        self._client_address = client_address
        self._random = random

    def render(self, request: Any) -> Any:
        handler = self._pages.get(request.path)
        if handler is None:
            return self._rest.render(request)
        request_id = self._random(8).hex()
        request.setHeader("X-Request-Id", request_id)
        answered_by(request, self._serve(request, handler, request_id))
        return NOT_DONE_YET

    async def _serve(self, request: Any, handler: Handler, request_id: str) -> None:
        act = {b"GET": handler.show, b"HEAD": handler.show, b"POST": handler.act}.get(request.method)
        if act is None:
            page = Page(405, "Not possible", paragraph("This page is read or posted."), {"Allow": "GET, HEAD, POST"})
        else:
            page = await self._page(request, act, request_id)
        content = document(page)
        request.setResponseCode(page.status)
        for name, value in {**_HEADERS, **page.headers, "Content-Length": str(len(content))}.items():
            request.setHeader(name, value)
        for cookie in page.cookies:
            request.responseHeaders.addRawHeader("Set-Cookie", cookie)
        if request.method != b"HEAD":
            request.write(content)
        request.finish()

    async def _page(self, request: Any, act: Callable[[Visit], Awaitable[Page]], request_id: str) -> Page:
        try:
            visit = Visit(
                request.path.decode("ascii"),
                _values(request),
                self._client_address(request),
                request.method.decode("ascii"),
                _cookies(request),
                {name: value for name in _READ if (value := request.getHeader(name)) is not None},
                request_id,
            )
            return await act(visit)
        except CancelledError:
            raise
        except E2AError as error:
            if error.status >= 500:
                cause = repr(error.__cause__ or error)
                self._log.warn(
                    "request {request_id} was answered {status}: {cause}",
                    request_id=request_id,
                    status=error.status,
                    cause=cause,
                )
            headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TooManyRequests) else {}
            return Page(error.status, "This did not work", paragraph(_sentence(error.text)), headers)
        except Exception:
            self._log.failure("request {request_id} failed", Failure(), request_id=request_id)
            return Page(500, "This did not work", paragraph(f"Internal error; the request id is {request_id}."))


def _cookies(request: Any) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in (request.received_cookies or {}).items()}


def _values(request: Any) -> dict[str, str]:
    """The fields of query and form. The form is read here: the site leaves bodies alone.

    :raises BadRequest: more fields than any page has.
    """
    found: dict[str, str] = {}
    request.content.seek(0)
    kind = (request.getHeader("content-type") or "").partition(";")[0].strip().lower()
    form = request.content.read() if kind == "application/x-www-form-urlencoded" else b""
    for fields in (form, request.uri.partition(b"?")[2]):
        try:
            pairs = parse_qsl(fields.decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS, errors="replace")
        except ValueError as error:
            raise BadRequest("too many fields") from error
        for name, value in pairs:
            found.setdefault(name, value.replace("\0", "\ufffd"))
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
