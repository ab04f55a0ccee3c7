"""What every page of a mail's link has in common: headers, methods, errors, escaping."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from e2a.api.site import BoundedSite
from e2a.core.errors import BadRequest, TooManyRequests, Unavailable
from e2a.web import pages
from e2a.web.pages import Page, Pages, Visit, button, document, form, paragraph

EVIL = """"><script>alert('x')</script>&"""


class Rest(Resource):
    isLeaf = True

    def render(self, request: Any) -> bytes:
        return b"rest of " + request.method


class Echo:
    """Shows what it was asked."""

    def __init__(self) -> None:
        self.shown: list[Visit] = []
        self.acted: list[Visit] = []
        self.error: Exception | None = None
        self.waiting: Deferred[None] | None = None

    async def show(self, visit: Visit) -> Page:
        self.shown.append(visit)
        if self.error is not None:
            raise self.error
        if self.waiting is not None:
            await self.waiting
        return Page(200, f"Title {EVIL}", paragraph(EVIL) + form("/page", EVIL, button("choice", EVIL, EVIL)))

    async def act(self, visit: Visit) -> Page:
        self.acted.append(visit)
        return Page(200, "Done", "")


class PagesTests(TestCase):
    def setUp(self) -> None:
        self.echo = Echo()
        pages = Pages(
            {"/page": self.echo}, Rest(), client_address=lambda request: "192.0.2.7", random=lambda count: b"r" * count
        )
        self.treq = StubTreq(pages)

    def call(self, method: str, path: str = "/page?token=abc", **options: Any) -> tuple[Any, str]:
        response = self.successResultOf(self.treq.request(method, f"http://web.test{path}", **options))
        return response, self.successResultOf(response.text())

    def header(self, response: Any, name: str) -> str:
        (value,) = response.headers.getRawHeaders(name)
        return str(value)

    def test_get(self) -> None:
        """GET shows, with the token from the query and the client's address, and never acts."""
        response, text = self.call("GET")
        self.assertEqual((response.code, self.echo.acted), (200, []))
        self.assertEqual([(visit.token, visit.client_ip) for visit in self.echo.shown], [("abc", "192.0.2.7")])
        self.assertTrue(text.startswith("<!DOCTYPE html>"))

    def test_post(self) -> None:
        """POST acts, with the token from the form or the query, by either name."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        self.call("POST", "/page", data=urlencode({"token": "abc", "choice": "end"}).encode(), headers=kind)
        self.call("POST", "/page?token=abc")
        self.call("POST", "/page?t=abc")
        self.assertEqual([visit.token for visit in self.echo.acted], ["abc"] * 3)
        self.assertEqual((self.echo.acted[0].values["choice"], self.echo.shown), ("end", []))

    def test_form_over_query(self) -> None:
        """What the form says counts over the query, and more fields than a page has are refused."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        self.call("POST", "/page?token=query&choice=q", data=b"token=form", headers=kind)
        self.assertEqual(self.echo.acted[0].values, {"token": "form", "choice": "q"})
        response, _ = self.call("POST", "/page", data=b"&".join(b"a%d=1" % n for n in range(60)), headers=kind)
        self.assertEqual((response.code, len(self.echo.acted)), (400, 1))

    def behind_the_site(self) -> tuple[Any, StringTransport]:
        """A connection to the pages as the gateway serves them."""
        resource = Pages({"/page": self.echo}, Rest(), client_address=lambda request: "192.0.2.7", random=bytes)
        site = BoundedSite(
            resource, lambda method, target: 1000, reactor=Clock(), random=bytes, client_address=lambda request: ""
        )
        channel = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        self.addCleanup(channel.connectionLost, Failure(ConnectionDone()))
        return channel, transport

    def test_broken(self) -> None:
        """Nobody waits for an answer that cannot be written: the failure is logged and the connection dropped."""
        self.patch(pages, "document", lambda page: None)
        channel, transport = self.behind_the_site()
        channel.dataReceived(b"GET /page HTTP/1.1\r\nHost: web.test\r\n\r\n")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_behind_the_site(self) -> None:
        """Forms arrive on the gateway's own HTTP port too, which reads no bodies by itself."""
        channel, transport = self.behind_the_site()
        channel.dataReceived(
            b"POST /page HTTP/1.1\r\nHost: web.test\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: 9\r\n\r\ntoken=abc"
        )
        self.assertIn(b"HTTP/1.1 200", transport.value())
        self.assertEqual([visit.token for visit in self.echo.acted], ["abc"])

    def test_headers(self) -> None:
        """No page can be framed, cached, indexed, scripted, or tell others its address."""
        for method, path in (("GET", "/page?token=abc"), ("POST", "/page"), ("DELETE", "/page")):
            response, text = self.call(method, path)
            policy = self.header(response, "content-security-policy")
            for rule in ("default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
                self.assertIn(rule, policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual(self.header(response, "referrer-policy"), "no-referrer")
            self.assertEqual(self.header(response, "cache-control"), "no-store")
            self.assertEqual(self.header(response, "x-frame-options"), "DENY")
            self.assertEqual(self.header(response, "x-content-type-options"), "nosniff")
            self.assertEqual(self.header(response, "content-type"), "text/html; charset=utf-8")
            self.assertEqual(self.header(response, "x-request-id"), "72" * 8)
            self.assertNotIn("http", re.sub(r"^<!DOCTYPE html>", "", text))

    def test_escaped(self) -> None:
        """Nothing that is shown can become markup."""
        _, text = self.call("GET")
        self.assertNotIn("<script", text)
        self.assertNotIn('"">', text)
        self.assertEqual(text.count("&lt;script&gt;"), 6)
        self.assertIn(b"<h1>?</h1>", document(Page(200, "\ud800", "")))

    def test_head(self) -> None:
        """HEAD answers as GET does, without the page."""
        response, text = self.call("HEAD")
        self.assertEqual((response.code, text), (200, ""))

    def test_other_methods(self) -> None:
        """Other methods are refused, with those that are possible."""
        response, _ = self.call("PUT")
        self.assertEqual((response.code, self.header(response, "allow")), (405, "GET, HEAD, POST"))
        self.assertEqual((self.echo.shown, self.echo.acted), ([], []))

    def test_rest(self) -> None:
        """Every other path belongs to the rest of the site."""
        for path in ("/", "/page/", "/page/more", "/PAGE", "//page"):
            self.assertEqual(self.call("GET", path)[1], "rest of GET")

    def test_errors(self) -> None:
        """What goes wrong is a page with the right status and the error's words; internal errors show none."""
        for error, status, words in (
            (BadRequest("no <such> link"), 400, "No &lt;such&gt; link."),
            (TooManyRequests(retry_after=7), 429, "Too many requests."),
            (Unavailable(), 503, "Temporarily unavailable"),
            (ValueError("secret"), 500, "72" * 8),
        ):
            self.echo.error = error
            response, text = self.call("GET")
            self.assertEqual(response.code, status)
            self.assertIn(words, text)
            self.assertNotIn("secret", text)
            if status == 429:
                self.assertEqual(self.header(response, "retry-after"), "7")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_odd_bytes(self) -> None:
        """Values that are not UTF-8, or hold NUL, are replaced and reach nothing as they were."""
        self.call("GET", "/page?token=%ff%00&%ff=1")
        self.assertEqual(self.echo.shown[0].token, "\ufffd\ufffd")

    def test_client_leaves(self) -> None:
        """A client that leaves is not answered, and nothing is logged."""
        cancelled: list[Any] = []
        self.echo.waiting = Deferred(cancelled.append)
        waiting = self.treq.request("GET", "http://web.test/page")
        self.assertNoResult(waiting)
        waiting.cancel()
        self.treq.flush()
        self.failureResultOf(waiting)
        self.assertEqual(len(cancelled), 1)
