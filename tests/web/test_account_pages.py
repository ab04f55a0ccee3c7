"""Domains, keys, people, the audit log and the account on the dashboard: who sees and does what."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from html import unescape
from typing import Any

from twisted.trial.unittest import TestCase

from e2a.core.entities import ApiKey, Principal
from e2a.core.rules.permissions import AGENT_PERMISSIONS, ALL_PERMISSIONS, PUBLIC, READ_ONLY, ROLE_PERMISSIONS
from e2a.flows.accounts import Accounts
from e2a.flows.invitations import Invitations
from e2a.flows.sessions import open_session
from e2a.store.users import get_user
from e2a.web.dashboard.account import browser
from e2a.web.dashboard.keys import summary
from e2a.web.dashboard.rendering import lasting
from e2a.web.dashboard.routing import page_of
from tests.support.pages import PageTestCase
from tests.support.signin import ORIGIN
from tests.support.tenants import SEALER, execute, make_tenant, rows

KEY = re.compile(r"e2a_[0-9a-f]{64}")


class AccountPageTests(PageTestCase):
    async def test_actions(self) -> None:
        """No form is for a permission that only looks, and no page for everybody."""
        for route in self.dashboard.routes:
            self.assertNotEqual(route.action, PUBLIC)
            if route.method == "POST":
                # Reading mail includes that it is read.
                self.assertNotIn(route.action, READ_ONLY - {"messages:read"}, route.path)

    async def test_members_see_less(self) -> None:
        """A member gets the pages of a member, and no form that they may not send."""
        self.gate.who = replace(self.owner, permissions=ROLE_PERMISSIONS["member"], role="member")
        for path, status in (
            ("pending", 200),
            ("domains", 200),
            ("members", 200),
            ("account", 200),
            ("keys", 200),
            ("audit", 403),
        ):
            answer = await self.get(f"/dashboard/{path}")
            self.assertEqual(answer.responseCode, status, path)
            for form in ("domains", "keys", "keys/secrets", "members/invitations", "members/role", "account/delete"):
                self.assertNotIn(f'action="/dashboard/{form}"', answer.text)
        self.assertEqual((await self.post("/dashboard/account/delete", confirm="DELETE")).responseCode, 403)

    # --- keys ---------------------------------------------------------------------------------------------------------

    async def test_own_keys(self) -> None:
        """A member sees and revokes the keys they made, and nobody else's."""
        accounts = Accounts(self.db, time.time, os.urandom)
        theirs, _ = await accounts.create_key(self.owner, "theirs")
        other = await make_tenant(self.db, "member")
        scope = self.owner.organisation_id, other.user_id
        await execute(self.db, "INSERT INTO memberships VALUES (%s, %s, 'member')", *scope)
        member = replace(other, organisation_id=scope[0], permissions=ROLE_PERMISSIONS["member"], role="member")
        mine, _ = await accounts.create_key(member, "CLI login")
        self.gate.who = member
        page = (await self.get("/dashboard/keys")).text
        self.assertIn(mine.key_prefix, page)
        self.assertNotIn(theirs.key_prefix, page)
        self.assertEqual((await self.post("/dashboard/keys", name="x", preset="full")).responseCode, 403)
        self.assertEqual((await self.post("/dashboard/keys/revoke", id=theirs.id)).responseCode, 404)
        self.assertEqual((await self.post("/dashboard/keys/revoke", id=mine.id)).responseCode, 303)
        self.assertIn("No API key of yours", (await self.get("/dashboard/keys")).text)

    async def test_key(self) -> None:
        """A key is in the answer to the form that made it and nowhere else."""
        answer = await self.post("/dashboard/keys", name="<b>CI</b>", preset="full", lifetime="30")
        self.assertEqual((answer.responseCode, answer.header("cache-control")), (200, "no-store"))
        (text,) = set(KEY.findall(answer.text))
        self.assertIn("&lt;b&gt;CI", answer.text)
        later = (await self.get("/dashboard/keys")).text
        self.assertIn(text[:12], later)
        self.assertNotIn(text, later)
        (row,) = await rows(self.db, "SELECT *, expires_at - created_at AS life FROM api_keys WHERE name LIKE '%%CI%%'")
        self.assertEqual(
            (round(row.life.total_seconds() / 86_400), sorted(row.permissions)), (30, sorted(ALL_PERMISSIONS))
        )

    async def test_presets(self) -> None:
        """What a form chooses is what the key holds."""
        await self.api_call("POST", "/api/v1/agents", {"slug": "bot", "agent_mode": "local"})
        bot, everything = "bot@agents.test", set(READ_ONLY)
        for form, wanted in (
            ({"preset": "read"}, (None, None, everything)),
            ({"preset": "agent", "agent": "Bot@agents.test"}, (bot, None, set(AGENT_PERMISSIONS))),
            ({"preset": "custom", "permissions": ["audit:read"]}, (None, None, {"audit:read"})),
            ({"preset": "custom", "permissions": ["agents:read"], "label_prefix": "eu"}, (None, "eu", {"agents:read"})),
            # What the other choices ask for is left alone.
            ({"preset": "read", "agent": bot, "label_prefix": "x"}, (None, None, everything)),
        ):
            answer = await self.post("/dashboard/keys", name="made", **form)
            self.assertEqual(answer.responseCode, 200, (form, answer.text))
            row = (await rows(self.db, "SELECT * FROM api_keys ORDER BY created_at DESC LIMIT 1"))[0]
            self.assertEqual((row.agent_id, row.label_prefix, set(row.permissions)), wanted)

    async def test_bad_keys(self) -> None:
        """A form that makes no sense makes no key, and keeps what was typed."""
        before = await rows(self.db, "SELECT count(*) FROM api_keys")
        for form in (
            {"preset": "everything"},
            {"preset": "agent"},
            {"preset": "agent", "agent": "nobody@agents.test"},
            {"preset": "custom"},
            {"preset": "custom", "permissions": ["root"]},
            {"preset": "full", "lifetime": "1000000"},
            {"preset": "full", "name": "x" * 201},
        ):
            answer = await self.post("/dashboard/keys", **{"name": "typed <name>", **form})
            self.assertEqual(answer.responseCode, 400, form)
            self.assertEqual(KEY.findall(answer.text), [])
            self.assertIn('role="alert"', answer.text)
            if "name" not in form:
                self.assertIn("typed &lt;name&gt;", answer.text)
        self.assertEqual(await rows(self.db, "SELECT count(*) FROM api_keys"), before)

    async def test_secrets(self) -> None:
        """A rotation shows the new secret once; a second one waits for its end; the last secret stays."""
        answer = await self.post("/dashboard/keys/secrets", name="new", overlap="86400")
        (text,) = set(re.findall(r">([0-9a-f]{64})<", answer.text))
        self.assertNotIn(text, (await self.get("/dashboard/keys")).text)
        self.assertEqual((await self.post("/dashboard/keys/secrets", overlap="86400")).responseCode, 409)
        self.assertEqual((await self.post("/dashboard/keys/secrets", overlap="7")).responseCode, 400)
        own = "SELECT id FROM signing_secrets WHERE organisation_id = %s"
        for row in (await rows(self.db, own, self.owner.organisation_id))[1:]:
            self.assertEqual((await self.post("/dashboard/keys/secrets/delete", id=row.id)).responseCode, 303)
        (last,) = await rows(self.db, own, self.owner.organisation_id)
        self.assertEqual((await self.post("/dashboard/keys/secrets/delete", id=last.id)).responseCode, 400)

    # --- domains ------------------------------------------------------------------------------------------------------

    async def test_domain(self) -> None:
        """A page of a domain shows every record at once, and what DNS says when it is asked to."""
        answer = await self.post("/dashboard/domains", domain="Corp.Test")
        self.assertEqual(answer.header("location"), "/dashboard/domains/corp.test")
        page = await self.get("/dashboard/domains/corp.test")
        self.assertEqual(page.text.count("not checked"), 5)
        ((token,),) = await rows(self.db, "SELECT verification_token FROM domains WHERE name = 'corp.test'")
        self.assertIn(token, page.text)
        checked = await self.get("/dashboard/domains/corp.test?check=1")
        self.assertEqual(checked.text.count("not there yet"), 5)
        self.assertNotIn("not checked", checked.text)
        await self.post("/dashboard/domains/corp.test/verify")
        await self.api_call("POST", "/api/v1/agents", {"email": "bot@corp.test", "agent_mode": "local"})
        refused = await self.post("/dashboard/domains/corp.test/delete")
        self.assertEqual(refused.responseCode, 400)
        self.assertIn('role="alert"', refused.text)

    async def test_another_key(self) -> None:
        """A domain that signs can be given another key, whose record is shown beside the present one's."""
        await self.post("/dashboard/domains", domain="corp.test")
        await self.post("/dashboard/domains/corp.test/verify")
        self.assertNotIn("Make another DKIM key", (await self.get("/dashboard/domains/corp.test")).text)
        await execute(self.db, "UPDATE dkim_keys SET active_at = now()")
        self.assertIn("Make another DKIM key", (await self.get("/dashboard/domains/corp.test")).text)
        self.assertEqual((await self.post("/dashboard/domains/corp.test/key")).responseCode, 303)
        page = (await self.get("/dashboard/domains/corp.test")).text
        self.assertEqual(page.count("v=DKIM1; k=rsa; p="), 4)
        self.assertEqual(len(set(re.findall(r'id="state-([^"]*)"', page))), 6)
        self.assertNotIn("Make another DKIM key", page)

    async def test_bad_domain(self) -> None:
        """What is no domain is said so, beside what was typed."""
        for name in ("", "nonsense <", "agents.test", "-.test"):
            answer = await self.post("/dashboard/domains", domain=name)
            self.assertEqual(answer.responseCode, 400, name)
            self.assertIn(name.replace("<", "&lt;"), answer.text)

    async def test_invitation_by_hand(self) -> None:
        """Where mail is not set up the page shows the link, and says when the server's address is missing in it."""
        invite = Invitations.invite

        async def without_address(*given: Any) -> Any:
            made, link = await invite(*given)
            return made, "/" + str(link).split("/", 3)[3]

        form = {"email": "guest@people.test", "role": "member"}
        whole = await self.post("/dashboard/members/invitations", **form)
        self.patch(Invitations, "invite", without_address)
        part = await self.post("/dashboard/members/invitations", **form)
        self.assertRegex(whole.text, r">http\S+/invitation\?token=e2a_")
        self.assertRegex(part.text, r">/invitation\?token=e2a_")
        self.assertEqual(["http.public_url" in each.text for each in (whole, part)], [False, True])

    # --- strangers ----------------------------------------------------------------------------------------------------

    async def test_strangers(self) -> None:
        """What belongs to another organisation is on no page, and answers as what does not exist."""
        await self.post("/dashboard/domains", domain="corp.test")
        made = await self.post("/dashboard/members/invitations", email="guest@people.test", role="member")
        self.assertEqual(made.responseCode, 200)
        ((invitation,),) = await rows(self.db, "SELECT id FROM invitations")
        organisation = self.owner.organisation_id
        ((key,),) = await rows(self.db, "SELECT id FROM api_keys WHERE organisation_id = %s", organisation)
        ((secret,),) = await rows(self.db, "SELECT id FROM signing_secrets WHERE organisation_id = %s", organisation)
        session = await self.session(self.owner)
        self.gate.who = self.stranger
        for path in ("domains", "keys", "members", "audit", "account"):
            page = (await self.get(f"/dashboard/{path}")).text
            for foreign in ("corp.test", "guest@people.test", "ana@people.test", key, secret, invitation, session):
                self.assertNotIn(foreign, page, path)
        for path, form in (
            ("domains/{}/verify", {"": "corp.test"}),
            ("domains/{}/delete", {"": "corp.test"}),
            ("keys/revoke", {"id": key}),
            ("keys/secrets/delete", {"id": secret}),
            ("members/invitations/revoke", {"id": invitation}),
            ("account/sessions", {"id": session}),
            ("organisation", {"organisation": organisation}),
        ):
            answer = await self.post(f"/dashboard/{path.format(form.get(''))}", **form)
            self.assertEqual(answer.responseCode, 404, path)
        for path in ("role", "remove"):
            form = {"user_id": self.owner.user_id, "role": "member"}
            self.assertEqual((await self.post(f"/dashboard/members/{path}", **form)).responseCode, 404)
        self.assertEqual((await self.get("/dashboard/domains/corp.test")).responseCode, 404)

    async def session(self, who: Principal) -> str:
        """A session of this person's; its id."""

        async def work(cur: Any) -> str:
            user = await get_user(cur, who.user_id)
            await cur.execute("SELECT now() AS now")
            now = cur.fetchone().now
            opened = await open_session(cur, user, "test", origin=ORIGIN, now=now, sealer=SEALER, random=os.urandom)
            return str(opened.principal.session_id)

        return await self.db.run("sign in", work)

    # --- people -------------------------------------------------------------------------------------------------------

    async def test_roles(self) -> None:
        """The last owner stays one, and an admin makes nobody an owner; the page says why."""
        alone = await self.post("/dashboard/members/leave")
        self.assertEqual(alone.responseCode, 409)
        self.assertIn("needs an owner", alone.text)
        form = {"user_id": self.owner.user_id, "role": "member"}
        self.assertEqual((await self.post("/dashboard/members/role", **form)).responseCode, 409)
        self.assertEqual((await self.post("/dashboard/members/role", **(form | {"role": "king"}))).responseCode, 400)
        bad = await self.post("/dashboard/members/invitations", email="no <address>", role="member")
        self.assertEqual(bad.responseCode, 400)
        self.assertIn("no &lt;address&gt;", bad.text)
        self.gate.who = replace(self.owner, role="admin", permissions=ROLE_PERMISSIONS["admin"])
        self.assertNotIn("<option>owner", (await self.get("/dashboard/members")).text)

    async def test_audit(self) -> None:
        """Filters leave what they say, also in the download; what is no day is said so."""
        await self.post("/dashboard/keys", name="one", preset="read")
        await self.post("/dashboard/domains", domain="corp.test")
        page = (await self.get("/dashboard/audit?action=key.*&result=ok")).text
        self.assertIn("key.created", page)
        self.assertNotIn("domain.claimed", page)
        self.assertIn('href="/api/v1/audit/export?action=key.%2A&amp;result=ok"', page)
        self.assertIn("Nothing matches", (await self.get("/dashboard/audit?until=2001-01-01")).text)
        self.assertIn("domain.claimed", (await self.get("/dashboard/audit?since=2001-01-01&until=9999-12-31")).text)
        for query in ("since=yesterday", "since=2026-11-21&until=2026-11-20", "result=fine", "token=x"):
            self.assertEqual((await self.get(f"/dashboard/audit?{query}")).responseCode, 400, query)

    # --- the account --------------------------------------------------------------------------------------------------

    async def test_account(self) -> None:
        """The organisation is renamed, feedback is kept, and nothing is deleted without the word."""
        await self.post("/dashboard/account/organisation", name=" The  <i>team</i> ")
        self.assertIn("The &lt;i&gt;team", (await self.get("/dashboard/account")).text)
        for name in ("", "x" * 201):
            self.assertEqual((await self.post("/dashboard/account/organisation", name=name)).responseCode, 400)
        given = {"message": "Good & <b>", "category": "general"}
        self.assertEqual((await self.post("/dashboard/account/feedback", **given)).responseCode, 303)
        (row,) = await rows(self.db, "SELECT * FROM feedback")
        self.assertEqual((row.message, row.email), ("Good & <b>", "ana@people.test"))
        bad = await self.post("/dashboard/account/feedback", message="Good & <b>", category="praise")
        self.assertEqual((bad.responseCode, unescape(bad.text).count("Good & <b>")), (400, 1))
        for word in ("", "delete", "DELETE it"):
            self.assertEqual((await self.post("/dashboard/account/delete", confirm=word)).responseCode, 400)
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM users WHERE email = 'ana@people.test'")), 1)
        gone = await self.post("/dashboard/account/delete", confirm="DELETE")
        self.assertEqual((gone.responseCode, gone.header("location")), (303, "/account-deleted"))
        self.assertIn("Max-Age=0", gone.header("set-cookie"))
        self.assertEqual(await rows(self.db, "SELECT 1 FROM users WHERE email = 'ana@people.test'"), [])

    async def test_sessions(self) -> None:
        """The person's sessions are shown and ended, one or all others."""
        ids = [await self.session(self.owner) for _ in range(3)]
        self.gate.who = replace(self.owner, session_id=ids[0])
        page = (await self.get("/dashboard/account")).text
        self.assertEqual([session in page for session in ids], [False, True, True])
        await self.post("/dashboard/account/sessions", id=ids[1])
        await self.post("/dashboard/account/sessions", others="1")
        self.assertEqual([row.id for row in await rows(self.db, "SELECT id FROM user_sessions")], ids[:1])


class WordTests(TestCase):
    def test_lasting(self) -> None:
        """A time is said in its two largest units."""
        for seconds, said in (
            (-1, "no time"),
            (59, "less than a minute"),
            (61, "1 minute"),
            (7199, "1 hour 59 minutes"),
            (86_400, "1 day"),
            (86_459, "1 day"),
            (200_000, "2 days 7 hours"),
        ):
            self.assertEqual(lasting(seconds), said)

    def test_browser(self) -> None:
        """A browser is known by its own name among those that it claims."""
        webkit = "AppleWebKit/537.36 (KHTML, like Gecko)"
        for agent, said in (
            (f"Mozilla/5.0 (Windows NT 10.0) {webkit} Chrome/129.0 Safari/537.36 Edg/129.0", "Edge on Windows"),
            (f"Mozilla/5.0 (X11; Linux x86_64) {webkit} Chrome/129.0 Safari/537.36", "Chrome on Linux"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari on iPhone"),
            ("Mozilla/5.0 (Android 14; Mobile; rv:130.0) Gecko/130.0 Firefox/130.0", "Firefox on Android"),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", "An unknown browser"),
        ):
            self.assertEqual(browser(agent), said)

    def test_summary(self) -> None:
        """What a key may do is said in few words."""
        for permissions, agent, said in (
            (tuple(ALL_PERMISSIONS), None, "everything"),
            (tuple(READ_ONLY), None, "read only"),
            (("agents:read", "messages:read", "messages:send"), "bot@agents.test", "read and send mail"),
            (("audit:read",), None, "read the audit log"),
        ):
            key: Any = ApiKey("k", "o", "u", "", "", permissions, agent, None)  # type: ignore[arg-type]
            self.assertEqual(summary(key), said)

    def test_pages(self) -> None:
        """Every item of a list is on one page, whatever id is given."""
        items = list("abcde")
        self.assertEqual(page_of(items, str, "", 2), (["a", "b"], "b"))
        self.assertEqual(page_of(items, str, "d", 2), (["e"], ""))
        self.assertEqual(page_of(items, str, "gone", 5), (items, ""))
        self.assertEqual(page_of([], str, "", 2), ([], ""))
