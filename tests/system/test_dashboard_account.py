"""Domains, keys, people, the audit log and the account in a real browser."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx

from tests.support.dnsstub import DNSStub
from tests.support.looks import DashboardCase
from tests.support.postgres import sql
from tests.system.case import NO_SERVER

ANA, BEN = "ana@people.test", "ben@people.test"


class AccountPageTests(DashboardCase):
    skip = NO_SERVER

    def setUp(self) -> None:
        super().setUp()
        self.zone = DNSStub({"corp.test": {"MX": ["10 mx.gateway.test"]}})
        self.addCleanup(self.zone.stop)
        self.server = self.daemon(environment={"E2A_DNS_SERVERS": self.zone.address}).start()

    def go(self, path: str) -> None:
        self.page.goto(f"{self.server.url}/dashboard{path}")

    def test_domain(self) -> None:
        """The records of a domain are shown with what DNS says of each, by itself while the page is open."""
        page = self.page
        self.sign_in(self.server, ANA)
        self.go("/domains")
        page.get_by_text("No domain of your own yet").wait_for()
        page.get_by_label("Domain name").fill("not a domain")
        self.expect_complaint("400")
        page.get_by_role("button", name="Add").click()
        page.get_by_role("alert").wait_for()
        page.clock.install()
        page.get_by_label("Domain name").fill("corp.test")
        page.get_by_role("button", name="Add").click()
        page.get_by_role("heading", name="corp.test", exact=True).wait_for()
        page.locator("#state-mx").get_by_text("found").wait_for()
        page.locator("#state-ownership").get_by_text("not there yet").wait_for()
        self.looks("domain")
        ((token,),) = sql("SELECT verification_token FROM domains WHERE name = 'corp.test'", self.dsn)
        copied = page.locator("[aria-labelledby=record-ownership] [data-copy]").nth(1).get_attribute("data-copy")
        self.assertEqual(copied, token)
        self.zone.load({"corp.test": {"TXT": [str(token), "v=spf1 -all"]}})
        page.clock.fast_forward(11_000)
        page.locator("#state-ownership").get_by_text("found").wait_for()
        page.locator("#state-mx").get_by_text("not there yet").wait_for()
        page.get_by_role("button", name="Verify").click()
        page.get_by_text("The domain is verified.").wait_for()
        self.go("/domains")
        page.get_by_text("verified", exact=True).wait_for()
        self.looks("domains")
        page.get_by_role("link", name="corp.test").click()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete this domain").click()
        page.get_by_text("No domain of your own yet").wait_for()

    def test_keys(self) -> None:
        """A key is shown once and works until it is revoked; a secret is shown once and takes over later."""
        page = self.page
        self.sign_in(self.server, ANA)
        self.go("/keys")
        page.get_by_text("Make an API key").click()
        page.get_by_label("Name").first.fill("Reports")
        page.get_by_label("Read only: see everything").check()
        page.get_by_role("button", name="Make the key").click()
        page.get_by_role("heading", name="Your new API key: Reports").wait_for()
        key = page.locator(".secret code").inner_text()
        self.looks("key")
        bearer = {"Authorization": f"Bearer {key}"}
        agents = f"{self.server.url}/api/v1/agents"
        self.assertEqual(httpx.get(agents, headers=bearer, trust_env=False).status_code, 200)
        written = httpx.post(agents, headers=bearer, json={"slug": "bot", "agent_mode": "local"}, trust_env=False)
        self.assertEqual(written.status_code, 403)
        page.get_by_role("link", name="I have copied it").click()
        page.get_by_text("Make an API key").wait_for()
        self.assertNotIn(key, page.content())
        page.get_by_text("Make an API key").click()
        page.get_by_label("One agent: read and send").check()
        page.get_by_role("combobox", name="Agent").fill("nobody@agents.test")
        self.expect_complaint("400")
        page.get_by_role("button", name="Make the key").click()
        page.get_by_text("Agent is not an agent of this account.").wait_for()
        page.get_by_role("radio", name="Chosen permissions").check()
        self.looks("key-form")
        page.get_by_text("Make a new secret").click()
        page.get_by_role("button", name="Make the secret").click()
        page.get_by_role("heading", name="Your new signing secret").wait_for()
        secret = page.locator(".secret code").inner_text()
        page.get_by_text("takes over").first.wait_for()
        self.go("/keys")
        self.assertNotIn(secret, page.content())
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke Reports").click()
        page.get_by_text("Revoked.").wait_for()
        self.assertEqual(httpx.get(agents, headers=bearer, trust_env=False).status_code, 401)

    def test_people(self) -> None:
        """Somebody is invited, joins with another browser, gets a role, and goes; what was done is in the audit log.
        Sessions end when they are told to, the person's own when they sign out.
        """
        page = self.page
        self.sign_in(self.server, ANA)
        self.go("/members")
        page.get_by_label("E-mail address").fill(BEN)
        page.locator("form[action$=invitations] select").select_option("admin")
        page.get_by_role("button", name="Invite").click()
        page.get_by_role("heading", name=f"{BEN} is invited").wait_for()
        link = page.locator(".secret code").inner_text()
        # Opened by the wrong person, and by nobody.
        page.goto(link)
        page.get_by_text(f"This invitation is for {BEN}, and you are signed in as {ANA}.").wait_for()
        profile = page.context.browser.new_context()
        self.addCleanup(profile.close)
        other = profile.new_page()
        other.goto(link)
        other.get_by_text(f"To accept, sign in as {BEN}.").wait_for()
        back = other.get_by_role("link", name="Sign in").get_attribute("href")
        self.assertIn("next=%2Finvitation%3Ftoken%3D", str(back))
        self.sign_in(self.server, BEN, other)
        other.goto(link)
        other.get_by_role("button", name="Accept").click()
        other.get_by_text("You have joined the organisation.").wait_for()
        other.get_by_role("link", name="Members").click()
        other.get_by_role("heading", name="Members of operator").wait_for()
        other.goto(link)
        other.get_by_text("This invitation is over").wait_for()
        self.go("/members")
        self.looks("members")
        page.get_by_label(f"Role of {BEN}").select_option("member")
        page.get_by_role("button", name="Change").click()
        page.get_by_text("Saved.").wait_for()
        other.goto(f"{self.server.url}/dashboard/members")
        self.assertEqual(other.get_by_role("link", name="Audit log").count(), 0)
        # An organisation of Ben's own, and back by the menu.
        other.get_by_text("Make a new organisation").click()
        other.get_by_label("Name").fill("<b>Ben & friends</b>")
        other.get_by_role("button", name="Make it").click()
        other.get_by_text("You are in the other organisation now.").wait_for()
        other.locator("[name=organisation]").select_option(label="operator")
        other.wait_for_load_state()
        other.get_by_role("link", name="Members").click()
        other.get_by_role("heading", name="Members of operator").wait_for()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name=f"Remove {BEN}").click()
        page.get_by_text("Removed.").wait_for()
        other.reload()
        self.assertEqual(other.get_by_role("heading", name="Members of operator").count(), 0)
        self.go("/audit")
        page.get_by_text("member.removed").wait_for()
        self.looks("audit")
        page.get_by_label("Action").fill("invitation.*")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("invitation.created").wait_for()
        self.assertEqual(page.get_by_text("member.removed").count(), 0)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download as JSON Lines").click()
        lines = download.value.path().read_text().splitlines()
        self.assertEqual([line.count('"invitation.created"') for line in lines], [1])
        # A second browser of Ana's, ended from the first.
        self.sign_in(self.server, ANA, other)
        self.go("/account")
        self.looks("account")
        page.get_by_role("button", name="Sign out everywhere else").click()
        page.get_by_text("Revoked.").wait_for()
        other.reload()
        self.assertEqual(urlsplit(other.url).path, "/api/auth/login")
        page.get_by_label("Your message").fill("It is <i>good</i>")
        page.get_by_role("button", name="Send feedback").click()
        page.get_by_text("Thank you.").wait_for()
        page.get_by_label("Type DELETE to confirm").fill("delete")
        self.expect_complaint("400")
        page.get_by_role("button", name="Delete my account").click()
        page.get_by_text("Type DELETE to show that you mean it.").wait_for()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.get_by_role("heading", name="You are signed out").wait_for()
        self.go("/account")
        self.assertTrue(re.search("/api/auth/login", page.url))
        # Nothing is left of an account that is deleted.
        self.sign_in(self.server, ANA)
        self.go("/account")
        page.get_by_label("Type DELETE to confirm").fill("DELETE")
        page.get_by_role("button", name="Delete my account").click()
        page.get_by_role("heading", name="Your account is deleted").wait_for()
        self.assertEqual(sql(f"SELECT count(*) FROM users WHERE email = '{ANA}'", self.dsn), [(0,)])
