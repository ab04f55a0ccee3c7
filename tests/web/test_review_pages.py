"""Held mail on the dashboard: who decides, what stays as it was, where a reviewer gets to."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.pages import PageTestCase
from tests.support.tenants import execute, rows

BOT = "bot@agents.test"
TEXT = "Dear Ana,\n\n  <script>alert(1)</script>\nan offer"
FILE = {"filename": "a<b>.html", "content_type": "text/html", "data": "PHNjcmlwdD4="}


class ReviewPageTests(PageTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        for slug in ("bot", "pal", "cy", "bo"):
            await self.api_call("POST", "/api/v1/agents", {"slug": slug, "agent_mode": "local"})
        await self.api_call("PUT", f"/api/v1/agents/{BOT}", {"hitl_enabled": True})

    async def hold(self, subject: str = "Quote", **more: Any) -> str:
        body = {"from": BOT, "to": ["pal@agents.test"], "subject": subject, "body": TEXT, **more}
        return str((await self.api_call("POST", "/api/v1/send", body))["message_id"])

    async def row(self, message_id: str) -> Any:
        (found,) = await rows(self.db, "SELECT * FROM messages WHERE id = %s", message_id)
        return found

    def onward(self, answer: Any) -> str:
        """The id of the message to which an answer leads; "" for the queue."""
        self.assertEqual(answer.responseCode, 303, answer.text)
        return parse_qs(urlsplit(answer.header("location")).query).get("id", [""])[0]

    async def test_escaped(self) -> None:
        """What an agent wrote stands on the pages as text, whatever it says."""
        message_id = await self.hold("<img src=x onerror=alert(1)>")
        for path in ("/dashboard/pending", f"/dashboard/pending/review?id={message_id}"):
            answer = await self.get(path)
            self.assertEqual(answer.responseCode, 200)
            self.assertIn("&lt;img src=x onerror=alert(1)&gt;", answer.text)
            self.assertNotIn("<img", answer.text)
            self.assertNotIn("<script>", answer.text)

    async def test_untouched(self) -> None:
        """A form that comes back as the browser got it, with a browser's line ends, is no edit; what turns text around
        is in it, and is not shown.
        """
        message_id = await self.hold(cc=["cy@agents.test"], html_body="<p>Dear</p>\n<p>\u202eAna\u2069</p>")
        page = (await self.get(f"/dashboard/pending/review?id={message_id}")).text
        found = dict(re.findall(r'<input type="text" name="(\w+)" value="([^"]*)"', page))
        found |= dict(re.findall(r'<textarea name="(\w+)"[^>]*>\n(.*?)</textarea>', page, re.DOTALL))
        self.assertIn("\u202e", found["html"])
        self.assertEqual(set(found), {"to", "cc", "bcc", "subject", "text", "html"})
        form = {name: "\r\n".join(unescape(value).splitlines()) for name, value in found.items()}
        await self.post("/dashboard/pending/approve", id=message_id, **form)
        row = await self.row(message_id)
        self.assertEqual((row.edited, row.status == "pending_approval"), (False, False))

    async def test_edited(self) -> None:
        """What was changed goes out changed, and what was cleared is gone."""
        message_id = await self.hold(bcc=["bo@agents.test"])
        form = {"to": "pal@agents.test;\r\n cy@agents.test", "bcc": "", "subject": "Other", "text": "New"}
        self.assertEqual(self.onward(await self.post("/dashboard/pending/approve", id=message_id, **form)), "")
        row = await self.row(message_id)
        self.assertEqual(
            (row.edited, row.to_recipients, row.bcc, row.subject),
            (True, ["pal@agents.test", "cy@agents.test"], [], "Other"),
        )

    async def test_bad_edit(self) -> None:
        """An edit that cannot be sent is said beside what was typed, and the message stays held."""
        message_id = await self.hold()
        for form, problem in (
            ({"to": "pal@agents.test, nobody"}, "To: address 2 is not"),
            ({"subject": ""}, "Subject is required"),
            ({"text": ""}, "Text or HTML is required"),
            ({"to": ""}, "To or cc must name"),
        ):
            answer = await self.post("/dashboard/pending/approve", id=message_id, **form)
            self.assertEqual(answer.responseCode, 400, form)
            self.assertIn(problem, answer.text)
            self.assertIn('aria-describedby="problem"', answer.text)
        answer = await self.post("/dashboard/pending/reject", id=message_id, reason="x" * 2001)
        self.assertEqual(answer.responseCode, 400)
        self.assertIn("x" * 2001, answer.text)
        self.assertEqual((await self.row(message_id)).status, "pending_approval")

    async def test_onward(self) -> None:
        """After a decision comes the next message, then the one before, in the end the empty queue."""
        held = [await self.hold(f"Quote {number}") for number in range(3)]
        page = (await self.get(f"/dashboard/pending/review?id={held[1]}")).text
        self.assertLess(page.index(f"review?id={held[0]}"), page.index(f"review?id={held[2]}"))
        self.assertEqual(self.onward(await self.post("/dashboard/pending/reject", id=held[1], reason="no")), held[2])
        self.assertEqual(self.onward(await self.post("/dashboard/pending/approve", id=held[2])), held[0])
        self.assertEqual(self.onward(await self.post("/dashboard/pending/reject", id=held[0])), "")

    async def test_decided_elsewhere(self) -> None:
        """Who comes too late is told what became of the message, and gets back what they wrote about it."""
        message_id = await self.hold()
        await self.api_call("POST", f"/api/v1/messages/{message_id}/reject", {"reason": "no <b>"})
        for path in ("approve", "reject"):
            answer = await self.post(f"/dashboard/pending/{path}", id=message_id)
            self.assertEqual(answer.responseCode, 409)
            self.assertIn("Rejected: it is not sent", answer.text)
            self.assertIn("no &lt;b&gt;", answer.text)
        answer = await self.post("/dashboard/pending/approve", id=message_id, text="Better <i>so</i>")
        self.assertRegex(answer.text, "(?s)What you had written.*Better &lt;i&gt;so&lt;/i&gt;")
        self.assertNotIn("Approve and send", (await self.get(f"/dashboard/pending/review?id={message_id}")).text)

    async def test_unseen(self) -> None:
        """A reviewer is told of characters that nobody sees."""
        hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
        message_id = await self.hold(html_body=f"<p>Hello{hidden}</p>")
        page = (await self.get(f"/dashboard/pending/review?id={message_id}")).text
        self.assertIn("It holds 4 characters that nobody sees", page)
        message_id = await self.hold(html_body="<p>Hello</p>")
        self.assertNotIn("nobody sees", (await self.get(f"/dashboard/pending/review?id={message_id}")).text)

    async def test_too_late(self) -> None:
        """A message whose time is over is not decided about any more."""
        message_id = await self.hold()
        await execute(
            self.db, "UPDATE messages SET approval_expires_at = now() - interval '1 minute' WHERE id = %s", message_id
        )
        page = (await self.get(f"/dashboard/pending/review?id={message_id}")).text
        self.assertNotIn("Approve and send", page)

    async def test_content(self) -> None:
        """HTML is shown without what could act, in a frame that nobody else can show; attachments are downloads."""
        html = "<p onclick=x>Hi</p><script>y</script><img src='https://spy.example/'>"
        message_id = await self.hold(html_body=html, attachments=[FILE])
        frame = await self.get(f"/dashboard/pending/html?id={message_id}")
        self.assertIn("<p>Hi</p>", frame.text)
        for bad in ("script>", "onclick", "spy.example"):
            self.assertNotIn(bad, frame.text)
        self.assertIn("sandbox", frame.header("content-security-policy"))
        self.assertEqual(frame.header("x-frame-options"), "SAMEORIGIN")
        file = await self.get(f"/dashboard/pending/attachment?id={message_id}&index=0")
        self.assertEqual(b"".join(file.written), b"<script>")
        self.assertEqual(file.header("content-type"), "application/octet-stream")
        self.assertTrue(file.header("content-disposition").startswith("attachment;"))
        self.assertEqual(file.header("x-content-type-options"), "nosniff")
        for index in ("1", "-1", "x", ""):
            answer = await self.get(f"/dashboard/pending/attachment?id={message_id}&index={index}")
            self.assertEqual(answer.responseCode, 404)

    async def test_strangers(self) -> None:
        """A message of another organisation is as unknown as one that does not exist."""
        message_id = await self.hold()
        self.gate.who = self.stranger
        self.assertNotIn(message_id, (await self.get("/dashboard/pending")).text)
        for wanted in (message_id, "msg_nothing", ""):
            for path in ("review", "html", "attachment"):
                answer = await self.get(f"/dashboard/pending/{path}?id={wanted}&index=0")
                self.assertEqual(answer.responseCode, 404, path)
        for path in ("approve", "reject"):
            self.assertEqual((await self.post(f"/dashboard/pending/{path}", id=message_id)).responseCode, 404)
        self.assertEqual((await self.row(message_id)).status, "pending_approval")
