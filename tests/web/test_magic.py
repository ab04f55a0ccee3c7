"""The pages behind the links of a review mail, as a browser and as a scanner see them."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import urlencode

from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import NoResource

from e2a.core.entities import AttachmentInfo, OutboundMessage
from e2a.core.errors import Conflict, Forbidden, Gone, NotFound, TooManyRequests
from e2a.core.mail.parts import Content
from e2a.core.trust.approvaltoken import TokenExpired, TokenRefused
from e2a.flows.approvals import Reviewed
from e2a.flows.outcomes import Submitted
from e2a.web.magic import LONGEST_TEXT, ApprovePage, RejectPage
from e2a.web.pages import Pages
from tests.api.test_review import HELD
from tests.support.cpu import QuickCpu

CONTENT = Content(
    "Hello <b>you</b>",
    '<p onclick="x()">Hi</p><a href="https://evil.test/">https://bank.test</a>',
    (AttachmentInfo(0, "Plan <1>.pdf", "application/pdf", 12345),),
)


class Links:
    """Stands for the flow: remembers who decided, and fails when it is told to."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.found = Reviewed(HELD, content=CONTENT)
        self.status: Any = "sent"

    async def admit(self, client_ip: str) -> None:
        if isinstance(self.error, TooManyRequests):
            raise self.error

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def look(self, token: str, action: str) -> Reviewed:
        self._fail()
        return self.found

    async def approve(self, token: str, client_ip: str) -> Submitted:
        self._fail()
        self.done.append(("approve", token))
        return Submitted(replace(HELD, status=self.status))

    async def reject(self, token: str, reason: str, client_ip: str) -> OutboundMessage:
        self._fail()
        self.done.append(("reject", token, reason))
        return replace(HELD, status="rejected")


class MagicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.links = Links()
        links: Any = self.links
        dashboard = "https://e2a.test/dashboard/pending"
        pages = Pages(
            {
                "/api/v1/approve": ApprovePage(links, QuickCpu(), dashboard=dashboard),
                "/api/v1/reject": RejectPage(links, QuickCpu(), dashboard=dashboard),
            },
            NoResource(),
            client_address=lambda request: "192.0.2.7",
            random=bytes,
        )
        self.treq = StubTreq(pages)

    def call(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str]:
        options: dict[str, Any] = {}
        if form is not None:
            options["data"] = urlencode(form).encode()
            options["headers"] = {"Content-Type": "application/x-www-form-urlencoded"}
        response = self.successResultOf(self.treq.request(method, f"http://web.test{path}", **options))
        return response.code, self.successResultOf(response.text())

    def test_looking(self) -> None:
        """GET and HEAD show all that decides, and decide nothing."""
        for action in ("approve", "reject"):
            code, text = self.call("GET", f"/api/v1/{action}?token=abc")
            self.assertEqual(code, 200)
            for part in ("bot@agents.test", "ana@corp.test", "bo@corp.test", "eve@corp.test", "Quote"):
                self.assertIn(part, text)
            self.assertIn("Mon, 20 Apr 2026 08:00:00 GMT", text)
            self.assertIn("<pre>Hello &lt;b&gt;you&lt;/b&gt;</pre>", text)
            self.assertIn("Plan &lt;1&gt;.pdf (application/pdf, 12,345 bytes)", text)
            self.assertIn(f'<form method="post" action="/api/v1/{action}">', text)
            self.assertIn('<input type="hidden" name="token" value="abc">', text)
            self.assertEqual(self.call("HEAD", f"/api/v1/{action}?t=abc"), (200, ""))
        self.assertEqual(self.links.done, [])

    def test_html(self) -> None:
        """The HTML is shown in a frame that can do nothing, cleaned, with a list of where its links lead."""
        _, text = self.call("GET", "/api/v1/approve?token=abc")
        match = re.search(r'<iframe sandbox="" [^>]*srcdoc="([^"]*)"', text)
        assert match is not None
        document = unescape(match[1])
        self.assertIn("<p>Hi</p>", document)
        self.assertIn("default-src 'none'", document)
        self.assertNotIn("onclick", text)
        self.assertIn("<li>https://evil.test/</li>", text)

    def test_long_text(self) -> None:
        """A text that is too long for the page says that it goes on."""
        self.assertNotIn("longer than what is shown", self.call("GET", "/api/v1/approve?token=abc")[1])
        self.links.found = Reviewed(HELD, content=Content("x" * (LONGEST_TEXT + 1), "", ()))
        self.assertIn("longer than what is shown", self.call("GET", "/api/v1/approve?token=abc")[1])

    def test_approving(self) -> None:
        """The button approves, and the page says what became of it."""
        for status, words in (("sent", "was sent"), ("queued", "ana@corp.test is on its way"), ("failed", "accepted")):
            self.links.status = status
            code, text = self.call("POST", "/api/v1/approve", {"token": "abc"})
            self.assertEqual(code, 200)
            self.assertIn(words, text)
        self.assertEqual(self.links.done, [("approve", "abc")] * 3)

    def test_rejecting(self) -> None:
        """The reason is asked for and passed on."""
        self.assertIn('name="reason"', self.call("GET", "/api/v1/reject?token=abc")[1])
        code, _ = self.call("POST", "/api/v1/reject", {"t": "abc", "reason": "too harsh"})
        self.assertEqual((code, self.links.done), (200, [("reject", "abc", "too harsh")]))

    def test_failures(self) -> None:
        """Each way in which a link can be useless has its own answer, read or posted."""
        for error, status in (
            (TokenRefused(), 400),
            (TokenExpired(), 410),
            (Gone(), 410),
            (NotFound(), 404),
            (Conflict("the message is not pending any more, it is sent"), 409),
            (Forbidden(), 403),
            (TooManyRequests(), 429),
        ):
            self.links.error = error
            for action in ("approve", "reject"):
                self.assertEqual(self.call("GET", f"/api/v1/{action}?token=abc")[0], status)
                self.assertEqual(self.call("POST", f"/api/v1/{action}", {"token": "abc"})[0], status)
            if isinstance(error, Conflict | TokenExpired):
                self.assertIn("https://e2a.test/dashboard/pending", self.call("GET", "/api/v1/approve")[1])
        self.assertEqual(self.links.done, [])
