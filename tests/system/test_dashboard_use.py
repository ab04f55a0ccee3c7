"""Using the dashboard for hours in a real browser: by keys, while the daemon restarts, signed out elsewhere."""

from __future__ import annotations

from urllib.parse import quote

from tests.support import smtpclient
from tests.support.daemon import Daemon
from tests.support.looks import DashboardCase
from tests.system.case import NO_SERVER, mail

BOT, ANA = "bot@agents.test", "ana@corp.test"


class UseTests(DashboardCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        self.server: Daemon = self.daemon().start()
        self.owner(self.server).agent("bot")
        self.sign_in(self.server)

    def send(self, key: str, subject: str) -> None:
        data = mail(f"{key}@corp.test", ANA, BOT, subject=subject)
        self.assertEqual(smtpclient.send(self.server.smtp_port, ANA, [BOT], data).code, 250)

    def at(self, path: str = "") -> str:
        return f"{self.server.url}/dashboard/agents/{quote(BOT)}{path}"

    def focused(self) -> str:
        return str(self.page.evaluate("document.activeElement.textContent")).strip()

    def test_keys(self) -> None:
        """The keys are listed by "?", lead through lists and to messages and back, and can be switched off; a key that
        is typed into a field is text.
        """
        page = self.page
        for number in range(3):
            self.send(f"m{number}", f"Question {number}")
        page.goto(self.at())
        self.press("?")
        page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()
        self.looks("help")
        # Nothing behind the list acts.
        self.press("c")
        page.get_by_role("button", name="Close").click()
        self.assertEqual(page.url, self.at())
        for key, subject in (("j", "Question 2"), ("j", "Question 1"), ("j", "Question 0"), ("j", "Question 0")):
            self.press(key)
            self.assertIn(subject, self.focused())
        self.press("k")
        self.press("Enter")
        page.get_by_role("heading", name="Question 1").wait_for()
        self.press("u")
        page.get_by_role("link", name="Question 2").wait_for()
        self.press("c")
        page.get_by_label("Subject").press_sequentially("just")
        self.assertEqual(page.get_by_label("Subject").input_value(), "just")
        page.goto(self.at())
        page.get_by_role("button", name="Keyboard shortcuts").click()
        page.get_by_label("Use them in this browser").uncheck()
        page.keyboard.press("Escape")
        for key in "c?":
            self.press(key)
        self.assertEqual(page.get_by_role("dialog").count(), 0)
        self.assertEqual(page.url, self.at())

    def test_connection(self) -> None:
        """A page says that it may be old while the daemon is away, and catches up by itself when it is back. It says
        when its session has ended elsewhere, and the letter that somebody is writing is given back when it is sent.
        """
        page = self.page
        self.expect_complaint("ERR_|503")
        self.send("m1", "Before")
        page.goto(self.at())
        page.get_by_role("link", name="Before").wait_for()
        self.server.stop()
        page.get_by_text("The connection is interrupted.").wait_for()
        self.server.start()
        self.send("m2", "After")
        page.get_by_role("link", name="After").wait_for()
        self.assertEqual(page.locator("#connection").inner_text(), "")
        self.signed_out()

    def signed_out(self) -> None:
        page = self.page
        self.expect_complaint("MIME type|401")
        page.goto(self.at("/compose"))
        other = self.context.new_page()
        other.goto(f"{self.server.url}/dashboard")
        other.get_by_role("button", name="Sign out").click()
        other.get_by_role("heading", name="You are signed out").wait_for()
        other.close()
        page.bring_to_front()
        page.get_by_text("You are signed out.").wait_for()
        self.assertIn("next=%2Fdashboard%2Fagents%2F", str(page.locator("#connection a").get_attribute("href")))
        page.get_by_label("To").fill(ANA)
        page.get_by_label("Subject").fill("An offer")
        page.get_by_label("Text").fill("Dear Ana,\n\nit is <b>good</b>.")
        page.get_by_role("button", name=f"Send as {BOT}").click()
        page.get_by_role("heading", name="You are signed out").wait_for()
        self.assertEqual(page.get_by_label("Text").input_value(), "Dear Ana,\n\nit is <b>good</b>.")
        self.assertEqual(page.get_by_label("Subject").input_value(), "An offer")
        self.looks("signed-out")

    def test_without_script(self) -> None:
        """Without scripts an agent is made, its mail held, edited and approved, and what scripts do is not offered."""
        profile = self.page.context.browser.new_context(java_script_enabled=False)
        self.addCleanup(profile.close)
        page = profile.new_page()
        page.set_default_timeout(60_000)
        self.sign_in(self.server, page=page)
        page.get_by_role("link", name="New agent").click()
        page.get_by_label("Name before the @").fill("quiet")
        page.get_by_role("button", name="Make agent").click()
        page.get_by_text("The agent is ready to receive mail.").wait_for()
        self.assertEqual(page.get_by_role("button", name="Copy").count(), 0)
        self.assertEqual(page.get_by_role("button", name="Keyboard shortcuts").count(), 0)
        page.get_by_role("link", name="Settings").click()
        page.get_by_label("Hold every mail of this agent for review").check()
        page.get_by_role("button", name="Save review").click()
        page.get_by_text("Saved.").wait_for()
        page.get_by_role("link", name="Write a mail").click()
        page.get_by_label("To").fill(BOT)
        page.get_by_label("Subject").fill("An offer")
        page.get_by_label("Text").fill("Ten")
        page.get_by_role("button", name="Send as quiet@agents.test").click()
        page.get_by_role("link", name="Review it").click()
        page.get_by_text("Edit before sending").click()
        page.locator("textarea[name=text]").fill("Twelve")
        page.get_by_role("button", name="Approve with these edits").click()
        page.get_by_text("Nothing waits for review.").wait_for()
        page.goto(self.at())
        page.get_by_role("link", name="An offer").click()
        page.get_by_text("Twelve").wait_for()
