"""Reviewing in a real browser: what is edited goes out, what is rejected does not, and the page keeps up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from e2a.core.mail import parts
from tests.support import smtpclient
from tests.support.daemon import Api, Daemon
from tests.support.looks import DashboardCase
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpsink import Copy, SmtpSink
from tests.system.case import NO_SERVER, mail

BOT = "bot@agents.test"
HTML = "<p>Dear Ana,</p><script>fetch('/stolen')</script><img src=x onerror=alert(1)><p>the <b>offer</b></p>"


class ReviewPageTests(DashboardCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        # In a thread: the browser's driver runs an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            self.sink = thread.submit(SmtpSink).result()
        self.addCleanup(self.sink.stop)
        environment = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        self.server: Daemon = self.daemon(environment=environment).start()
        self.api: Api = self.owner(self.server)
        self.api.agent("bot")
        self.api.request("PUT", f"/api/v1/agents/{BOT}", json={"hitl_enabled": True, "hitl_ttl_seconds": 7200})

    def hold(self, subject: str, **more: Any) -> str:
        body = {"from": BOT, "to": ["ana@corp.test"], "subject": subject, "body": "the offer text", **more}
        return str(self.api.post("/api/v1/send", body, status=202)["message_id"])

    def status(self, message_id: str) -> str:
        return str(sql(f"SELECT status FROM messages WHERE id = '{message_id}'", self.dsn)[0][0])

    def question(self) -> str:
        """A received message; its id."""
        sender = "ana@corp.test"
        smtpclient.send(self.server.smtp_port, sender, [BOT], mail("q1@corp.test", sender, BOT, body="How much is it?"))
        (found,) = self.api.messages(BOT)
        return str(found["message_id"])

    def copies(self) -> list[Copy]:
        """What the recipient got."""
        return [copy for copy in self.sink.copies if "ana@corp.test" in copy.recipients]

    def test_queue(self) -> None:
        """A reviewer sees what comes in without reloading, edits and approves, rejects with the keyboard alone, and is
        told when somebody else was faster; the recipient gets the edited text.
        """
        page = self.page
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        self.sign_in(self.server)
        page.goto(f"{self.server.url}/dashboard/pending")
        page.get_by_text("Nothing waits for review").wait_for()
        # A message is held while the page is open.
        asked = self.question()
        path = f"/api/v1/agents/{BOT}/messages/{asked}/reply"
        reply = self.api.post(path, {"body": "It costs 10.", "html_body": HTML}, status=202)["message_id"]
        page.get_by_role("link", name="Re: A question").wait_for()
        self.wait_title(r"^\(1\) ")
        others = [self.hold(f"Quote {number}") for number in range(3)]
        self.wait_title(r"^\(4\) ")
        self.assertEqual(page.locator("#pending-count").inner_text().split()[0], "4")
        self.looks("queue")
        # The draft beside the mail it answers.
        self.press("o")
        page.get_by_role("heading", name="Re: A question").wait_for()
        page.get_by_text("How much is it?").wait_for()
        frame = page.frame_locator("iframe[title*='draft']")
        self.assertEqual(frame.locator("b").inner_text(), "offer")
        self.looks("review")
        # An edit that cannot be sent is told, and what was written stays.
        self.press("e")
        page.get_by_label("Cc", exact=True).fill("not an address")
        page.locator("textarea[name=text]").fill("It costs 12,\nnot 10.")
        self.expect_complaint("400")
        page.get_by_role("button", name="Approve with these edits").click()
        page.get_by_role("alert").wait_for()
        self.assertEqual(page.locator("textarea[name=text]").input_value(), "It costs 12,\nnot 10.")
        self.looks("problem")
        page.get_by_label("Cc", exact=True).fill("")
        page.locator("textarea[name=html]").fill("")
        page.get_by_role("button", name="Approve with these edits").click()
        page.get_by_text("The message before was approved").wait_for()
        page.get_by_role("heading", name="Quote 0").wait_for()
        wait_until(lambda: bool(self.copies()), 60, lambda: "the approved mail never came")
        content = parts.content(self.copies()[0].data)
        self.assertEqual((content.text.split(), content.html), (["It", "costs", "12,", "not", "10."], ""))
        # To and fro, and a rejection, with the keyboard.
        self.press("j")
        page.get_by_role("heading", name="Quote 1").wait_for()
        self.press("k")
        page.get_by_role("heading", name="Quote 0").wait_for()
        self.press("r")
        page.keyboard.type("ask <b>first</b>")
        page.keyboard.press("Enter")
        page.get_by_text("The message before was rejected").wait_for()
        self.assertEqual(self.status(others[0]), "rejected")
        # Somebody else decides about what is open here; the page says so by itself.
        page.get_by_role("heading", name="Quote 1").wait_for()
        self.api.post(f"/api/v1/messages/{others[1]}/reject", {"reason": "no"}, status=200)
        page.get_by_text("Rejected: it is not sent.").wait_for()
        self.assertEqual(page.get_by_role("button", name="Approve and send").count(), 0)
        self.assertEqual(page.get_by_text("Edit before sending").count(), 0)
        self.looks("decided")
        page.get_by_role("link", name="Go to the next one").click()
        page.get_by_role("heading", name="Quote 2").wait_for()
        # What somebody is writing outlives what happens meanwhile.
        self.press("e")
        page.locator("textarea[name=text]").fill("half a thought")
        page.get_by_role("heading", name="Quote 2").click()
        later = self.hold("Quote 3")
        self.wait_title(r"^\(2\) ")
        self.assertEqual(page.locator("textarea[name=text]").input_value(), "half a thought")
        self.api.post(f"/api/v1/messages/{later}/reject", {"reason": "no"}, status=200)
        self.wait_title(r"^\(1\) ")
        self.press("a")
        self.assertEqual(self.status(others[2]), "pending_approval")
        self.press("a")
        page.get_by_text("Nothing waits for review").wait_for()
        wait_until(lambda: len(self.copies()) == 2, 60, lambda: "the second mail never came")
        self.assertEqual(page.title(), "Reviews · e2a")
        self.assertIn(self.status(others[2]), ("queued", "sent"))
        self.assertEqual([url for url in requests if not url.startswith(self.server.url) or "stolen" in url], [])
        self.assertEqual(self.status(reply), "sent")
        page.goto(f"{self.server.url}/dashboard/pending/review?id={others[0]}")
        page.get_by_text("Reason: ask <b>first</b>").wait_for()
        self.too_late()

    def too_late(self) -> None:
        """An edit outlives the decision of somebody else, to be copied."""
        page = self.page
        held = self.hold("Quote 4")
        page.goto(f"{self.server.url}/dashboard/pending/review?id={held}")
        self.press("e")
        page.locator("textarea[name=text]").fill("a better offer")
        self.api.post(f"/api/v1/messages/{held}/reject", {"reason": "no"}, status=200)
        page.get_by_text("Rejected: it is not sent.").wait_for()
        self.assertEqual(page.locator("textarea[name=text]").input_value(), "a better offer")
        self.expect_complaint("409")
        page.get_by_role("button", name="Approve with these edits").click()
        page.get_by_role("heading", name="What you had written").wait_for()
        self.assertEqual(page.get_by_label("Text").input_value(), "a better offer")
        self.looks("too-late")
        # The answer to the form follows what happens, too.
        self.hold("Quote 5")
        self.wait_title(r"^\(1\) ")
