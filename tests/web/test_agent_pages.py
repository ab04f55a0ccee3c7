"""Agents and their mail on the dashboard, on the whole gateway: who sees what, and what pages change."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import Any
from urllib.parse import urlencode

from twisted.internet import reactor
from twisted.internet.task import deferLater

from e2a.core.rules.permissions import ROLE_PERMISSIONS
from tests.support.pages import PageTestCase
from tests.support.tenants import execute, rows

BOT, FRIEND = "bot@agents.test", "friend@agents.test"
TEXT = "Can you <b>help</b>?"


class AgentPageTests(PageTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        for address in (BOT, FRIEND):
            await self.api_call("POST", "/api/v1/agents", {"slug": address.partition("@")[0], "agent_mode": "local"})

    async def arrived(self, **more: Any) -> str:
        """A message that FRIEND sent to BOT; the id of BOT's copy."""
        body = {"from": FRIEND, "to": [BOT], "subject": "A <i>question</i>", "body": TEXT, **more}
        await self.api_call("POST", "/api/v1/send", body)
        return str(
            (await self.api_call("GET", f"/api/v1/agents/{BOT}/messages?sort=desc"))["messages"][0]["message_id"]
        )

    async def test_strangers(self) -> None:
        """Another organisation's agents and messages are as unknown as those that never were, on every page."""
        message = await self.arrived()
        before = await self.state()
        self.gate.who = self.stranger
        for route in self.dashboard.routes:
            if "{email}" not in route.path:
                continue
            seen = []
            for email, message_id in ((BOT, message), ("nobody@agents.test", "msg_0")):
                path = route.path.replace("{email}", email).replace("{id}", message_id).replace("{index}", "0")
                form = {"confirm": BOT, "person": "p@people.test", "mode": "local", "time": "1", "unit": "days"}
                form |= {"to": FRIEND, "subject": "s", "body": "b", "id": "dlg_0", "reviewed": "yes"}
                answer = await (self.get(path) if route.method == "GET" else self.post(path, **form))
                seen.append((answer.responseCode, answer.text))
            self.assertEqual(seen[0], seen[1], route)
            self.assertEqual(seen[0][0], 404, route)
        answer = await self.post("/dashboard/deliveries", delivery=[f"{BOT} {message}"])
        self.assertEqual(answer.responseCode, 303)
        self.assertEqual((await self.get(f"/dashboard/deliveries?agent={BOT}")).responseCode, 404)
        self.assertEqual(await self.state(), before)

    async def state(self) -> list[Any]:
        return await rows(
            self.db,
            "SELECT (SELECT count(*) FROM agents) AS a, (SELECT count(*) FROM messages) AS m,"
            " (SELECT count(*) FROM delegations) AS d, (SELECT count(*) FROM webhook_deliveries) AS w,"
            " (SELECT count(*) FROM messages WHERE inbox_status = 'unread') AS u,"
            " (SELECT string_agg(a::text, ',' ORDER BY id) FROM agents a) AS text",
        )

    async def test_members(self) -> None:
        """A member reads, writes and is not offered what only admins may change; asking for it all the same fails."""
        message = await self.arrived()
        self.gate.who = replace(self.owner, permissions=ROLE_PERMISSIONS["member"], role="member")
        settings = (await self.get(f"/dashboard/agents/{BOT}/settings")).text
        self.assertNotIn("Delete agent", settings)
        self.assertIn("Owners and admins can change this", settings)
        page = (await self.get(f"/dashboard/agents/{BOT}/messages/{message}")).text
        self.assertIn("Reply", page)
        before = await self.state()
        for path in ("settings", "review", "delegations", "delete", f"messages/{message}/redeliver"):
            answer = await self.post(f"/dashboard/agents/{BOT}/{path}", confirm=BOT, mode="local", name="x")
            self.assertEqual(answer.responseCode, 403, path)
        self.assertEqual((await self.get("/dashboard/agents/new")).responseCode, 403)
        self.assertEqual(await self.state(), before)

    async def test_webhook(self) -> None:
        """The overview says whether an agent's webhook answers: it does, is tried again, or has missed messages."""
        wanted = {"slug": "hook", "agent_mode": "cloud", "webhook_url": "http://localhost:9/"}
        await self.api_call("POST", "/api/v1/agents", wanted)
        await self.api_call(
            "POST", "/api/v1/send", {"from": FRIEND, "to": ["hook@agents.test"], "subject": "s", "body": "b"}
        )
        # The first attempt is over and the next is far off, so that only this test changes the delivery.
        while not await rows(self.db, "SELECT FROM webhook_deliveries WHERE last_error <> ''"):
            await deferLater(reactor, 0.01)
        await execute(self.db, "UPDATE webhook_deliveries SET next_attempt_at = now() + interval '1 day'")
        for change, badge in (
            ("status = 'pending', last_error = ''", "healthy"),
            ("status = 'pending', last_error = 'the connection was refused'", "retrying"),
            ("status = 'failed'", "1 failed"),
            ("status = 'delivered'", "healthy"),
        ):
            await execute(self.db, f"UPDATE webhook_deliveries SET {change}")
            page = (await self.get("/dashboard")).text
            self.assertEqual([word for word in ("healthy", "retrying", "1 failed") if f">{word}<" in page], [badge])
            page = (await self.get("/dashboard/agents/hook@agents.test/deliveries")).text
            self.assertEqual(">Retrying<" in page, badge == "retrying")

    async def test_looking_changes_nothing(self) -> None:
        """Every page of an agent can be opened without its mail being marked as read; a button does that."""
        message = await self.arrived()
        before = await self.state()
        place = f"/dashboard/agents/{BOT}"
        thread = (await rows(self.db, "SELECT conversation_id FROM messages WHERE id = %s", message))[0][0]
        for path in ("", "/conversations", f"/thread?{urlencode({'id': thread})}", "/deliveries", "/settings"):
            answer = await self.get(place + path)
            self.assertEqual(answer.responseCode, 200, path)
        for path in ("", "/raw", "/reply"):
            self.assertEqual((await self.get(f"{place}/messages/{message}{path}")).responseCode, 200, path)
        self.assertEqual((await self.get(f"{place}/messages/{message}/read")).responseCode, 404)
        self.assertEqual(await self.state(), before)
        answer = await self.post(f"{place}/messages/{message}/read")
        self.assertTrue(answer.header("location").endswith(f"/messages/{message}?notice=read"))
        self.assertEqual(len(await rows(self.db, "SELECT FROM messages WHERE inbox_status = 'read'")), 1)

    async def test_message(self) -> None:
        """A message shows who it is proven to be from before what it says, escaped; its parts are downloads."""
        file = {"filename": 'a"<b>\u00e9.html', "content_type": "text/html", "data": "PHNjcmlwdD4="}
        message = await self.arrived(html_body="<script>x()</script><b>Hi</b>", attachments=[file])
        path = f"/dashboard/agents/{BOT}/messages/{message}"
        text = (await self.get(path)).text
        main = text.partition("<main")[2]
        self.assertLess(main.index("From an agent of this deployment"), main.index("Can you &lt;b&gt;help"))
        self.assertIn(f"Proven: {FRIEND} sent it", main)
        self.assertNotIn("<i>question", text)
        html = await self.get(f"{path}/html")
        self.assertNotIn("script", html.text)
        self.assertIn("<b>Hi</b>", html.text)
        self.assertTrue(html.header("content-security-policy").startswith("sandbox; default-src 'none';"))
        self.assertEqual(html.header("x-frame-options"), "SAMEORIGIN")
        attached = await self.get(f"{path}/attachments/0")
        self.assertEqual(b"".join(attached.written), b"<script>")
        self.assertEqual(attached.header("content-type"), "application/octet-stream")
        self.assertTrue(attached.header("content-disposition").startswith("attachment;"))
        self.assertEqual(attached.header("x-content-type-options"), "nosniff")
        raw = await self.get(f"{path}/raw")
        self.assertIn("attachment", raw.header("content-disposition"))
        for wrong in ("/attachments/1", "/attachments/x", "/attachments/-1", "/attachments/%00"):
            self.assertEqual((await self.get(path + wrong)).responseCode, 404, wrong)
        self.assertEqual((await self.get(f"/dashboard/agents/{FRIEND}/messages/{message}")).responseCode, 404)

    async def test_sent_once(self) -> None:
        """A form that is sent twice sends one message; what cannot be sent is said, and what was typed is kept."""
        path = f"/dashboard/agents/{BOT}/compose"
        form = {"to": f"{FRIEND}, x", "subject": "Hello", "body": "  <b>Text</b>"}
        wrong = await self.post(path, once="one", **form)
        self.assertEqual(wrong.responseCode, 400)
        self.assertIn('id="wrong-to"', wrong.text)
        self.assertIn('aria-describedby="wrong-to"', wrong.text)
        self.assertIn("  &lt;b&gt;Text&lt;/b&gt;</textarea>", wrong.text)
        form["to"] = FRIEND
        first = await self.post(path, once="one", **form)
        second = await self.post(path, once="one", **form)
        self.assertEqual(first.header("location"), second.header("location"))
        self.assertTrue(first.header("location").endswith("?notice=sent"))
        sent = await rows(self.db, "SELECT id FROM messages WHERE direction = 'outbound'")
        self.assertEqual(len(sent), 1)
        other = await self.post(path, once="one", **{**form, "body": "Another"})
        self.assertIn("This was sent already", other.text)
        fresh = re.findall(r'name="once" value="(\w{32})"', other.text)
        self.assertEqual(len(fresh), 1)
        await self.post(path, once=fresh[0], **{**form, "body": "Another"})
        self.assertEqual(len(await rows(self.db, "SELECT id FROM messages WHERE direction = 'outbound'")), 2)
        page = unescape((await self.get(f"/dashboard/agents/{BOT}/messages/{sent[0].id}")).text)
        self.assertIn("Every recipient's server has accepted it", page)
        self.assertEqual((await self.get(f"/dashboard/agents/{FRIEND}/messages/{sent[0].id}")).responseCode, 404)
        self.assertIn(FRIEND, page)

    async def test_sent_again(self) -> None:
        """What nobody is known to have taken is offered to be sent once more, and nothing else is."""
        await self.post(f"/dashboard/agents/{BOT}/compose", to=FRIEND, subject="Hello", body="Text")
        (sent,) = await rows(self.db, "SELECT id FROM messages WHERE direction = 'outbound'")
        path = f"/dashboard/agents/{BOT}/messages/{sent.id}"
        self.assertNotIn("Send again", (await self.get(path)).text)
        self.assertEqual((await self.post(f"{path}/resend")).responseCode, 409)
        await execute(self.db, "INSERT INTO raw_messages (id, size, data) VALUES ('raw_x', 1, 'x')")
        await execute(self.db, "UPDATE messages SET status = 'unknown', raw_id = 'raw_x' WHERE id = %s", sent.id)
        page = (await self.get(path)).text
        self.assertIn("It probably arrived", page)
        self.assertIn("Whoever has it already gets a second copy", page)
        # There is no way out in this test.
        self.assertEqual((await self.post(f"{path}/resend")).responseCode, 503)

    async def test_programs(self) -> None:
        """Mail of a program is answered only by somebody who says so."""
        message = await self.arrived(auto=True)
        path = f"/dashboard/agents/{BOT}/messages/{message}/reply"
        self.assertIn('name="force"', (await self.get(path)).text)
        answer = await self.post(path, body="Hello")
        self.assertEqual(answer.responseCode, 409)
        self.assertIn("A program sent this message", answer.text)
        answer = await self.post(path, body="Hello", force="yes")
        self.assertEqual(answer.responseCode, 303)
        (reply,) = await rows(self.db, "SELECT message_type, subject FROM messages WHERE message_type = 'reply'")
        self.assertEqual(tuple(reply), ("reply", "Re: A <i>question</i>"))

    async def test_settings(self) -> None:
        """Only what differs is changed; a wrong value is said beside its input; deleting wants the address typed."""
        path = f"/dashboard/agents/{BOT}"
        form = {"name": "Bot", "label": "team", "mode": "local", "webhook_url": ""}
        self.assertEqual((await self.post(f"{path}/settings", **form)).responseCode, 303)
        version = "SELECT xmin::text, name, label, agent_mode, hitl_ttl_seconds FROM agents WHERE id = %s"
        (before,) = await rows(self.db, version, BOT)
        self.assertEqual(before[1:4], ("Bot", "team", "local"))
        await self.post(f"{path}/settings", **form)
        self.assertEqual(await rows(self.db, version, BOT), [before])
        for wrong, where in (
            ({**form, "name": "x" * 201}, "name"),
            ({**form, "label": "x" * 129}, "label"),
            ({**form, "mode": "webhook"}, "webhook_url"),
            ({**form, "mode": "webhook", "webhook_url": "ftp://x.test/"}, "webhook_url"),
        ):
            answer = await self.post(f"{path}/settings", **wrong)
            self.assertEqual((answer.responseCode, f'id="wrong-{where}"' in answer.text), (400, True), where)
        for time, unit in (("0", "days"), ("8", "days"), ("1.5", "days"), ("\u00b2", "days"), ("1", "years"), ("", "")):
            answer = await self.post(f"{path}/review", time=time, unit=unit, reviewed="yes", expiry="reject")
            self.assertIn('id="wrong-time"', answer.text, (time, unit))
        self.assertEqual((await self.post(f"{path}/settings", **{**form, "mode": "pigeon"})).responseCode, 400)
        self.assertEqual(await rows(self.db, version, BOT), [before])
        self.assertIn('id="wrong-confirm"', (await self.post(f"{path}/delete", confirm=FRIEND)).text)
        self.assertIn('id="wrong-person"', (await self.post(f"{path}/delegations", person="not one")).text)
        answer = await self.post(f"{path}/delete", confirm=BOT.upper())
        self.assertEqual(answer.header("location"), "/dashboard?notice=deleted")
        self.assertEqual((await self.get(path)).responseCode, 404)

    async def test_making(self) -> None:
        """A new agent is made on a domain that is offered; every refusal is said beside the input it is about."""
        form = {"local": "new", "domain": "agents.test", "mode": "local", "name": "", "label": "", "webhook_url": ""}
        for wrong, where in (
            ({**form, "local": ""}, "local"),
            ({**form, "local": "a b"}, "local"),
            ({**form, "local": "bot"}, "local"),
            ({**form, "domain": "foreign.test"}, "local"),
            ({**form, "mode": "webhook"}, "webhook_url"),
        ):
            answer = await self.post("/dashboard/agents/new", **wrong)
            self.assertEqual(answer.responseCode, 400, wrong)
            self.assertIn(f'id="wrong-{where}"', answer.text)
        answer = await self.post("/dashboard/agents/new", **form)
        self.assertEqual(answer.header("location"), "/dashboard/agents/new@agents.test?notice=made")


class RegistrationLimitTests(PageTestCase):
    environment = {"E2A_LIMITS_REGISTRATIONS_PER_HOUR": "3"}

    async def test_making_many(self) -> None:
        """Attempts on the page count as those over REST do, whatever comes of them: the page is no way around."""
        form = {"local": "", "domain": "agents.test", "mode": "local"}
        codes = [(await self.post("/dashboard/agents/new", **form)).responseCode for _ in range(4)]
        self.assertEqual(codes, [400, 400, 400, 429])
        answer = await self.post("/dashboard/agents/new", **{**form, "local": "new"})
        self.assertEqual(answer.responseCode, 429)
        self.assertTrue(answer.header("retry-after"))
        self.assertEqual((await self.get("/dashboard/agents/new@agents.test")).responseCode, 404)
