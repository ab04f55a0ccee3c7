"""The page on which a person answers, and the calls of the owner, on PostgreSQL."""

from __future__ import annotations

import os
import re
import time
from typing import Any
from urllib.parse import urlencode

import orjson
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from e2a.api.app import Api
from e2a.api.auth import Authorizer
from e2a.api.delegations import DelegationsResource
from e2a.api.openapi import document
from e2a.core.errors import BadRequest
from e2a.core.mail.conversations import ConversationMac
from e2a.core.rules.drafts import Asked, new_message
from e2a.core.trust.delegation import DelegationTokens
from e2a.flows.bootstrap import OPERATOR, bootstrap_user
from e2a.flows.delegations import Delegations, delegated
from e2a.flows.directory import Directory
from e2a.flows.outbound import Outbound
from e2a.flows.outcomes import Outcomes
from e2a.flows.signing import Signing
from e2a.store.agents import get_agent
from e2a.store.rawmail import load_raw
from e2a.web.delegation import DelegationPage
from e2a.web.pages import Pages
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.tenants import OPERATOR_MAILBOX, OWN, SEALER, execute, rows, start

BOT = "bot@corp.test"
ANN = "ann@people.test"
AGENT_PATH = "/api/v1/agents/bot%40corp.test/delegations"


class DelegationPageTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        await bootstrap_user(self.db, "operator@people.test", SEALER, os.urandom)
        user, self.key = await bootstrap_user(self.db, "ana@people.test", SEALER, os.urandom)
        (member,) = await rows(self.db, "SELECT organisation_id FROM memberships WHERE user_id = %s", user.id)
        self.organisation = str(member.organisation_id)
        await make_agent(self.db, BOT, organisation=self.organisation)
        directory = Directory(self.db, time.time, operator=OPERATOR_MAILBOX)
        self.outbound = Outbound(
            self.db,
            directory,
            Signing(self.db, SEALER, QuickCpu(), time.time, sender_domain=OWN.sender),
            Outcomes(self.db, Clock()),
            QuickCpu(),
            ConversationMac(b"m" * 32),
            now=time.time,
            random=os.urandom,
            system_agent=(OPERATOR_MAILBOX, OPERATOR),
            sender_domain=OWN.sender,
            reaches_people=True,
            max_message_bytes=2**20,
            delegated=delegated,
        )
        flow = Delegations(
            self.db,
            directory,
            self.outbound,
            DelegationTokens(b"k" * 32),
            own=OWN,
            public_url="https://api.test",
            now=time.time,
            random=os.urandom,
        )
        self.api = Api([DelegationsResource(flow)], Authorizer(directory.principal), clock=Clock(), random=os.urandom)
        page = DelegationPage(flow)
        pages = Pages({page.path: page}, self.api, client_address=lambda _: "192.0.2.1", random=os.urandom)
        self.treq = StubTreq(pages)

    async def call(self, method: str, path: str, body: Any = None, status: int = 200, key: str | None = None) -> Any:
        """One API request; its JSON answer, or its text."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return await self.exchange(method, path, status, headers, None if body is None else orjson.dumps(body))

    async def page(self, path: str, status: int, **fields: str) -> str:
        """The page; posted to when fields are given."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        if fields:
            return str(await self.exchange("POST", path, status, kind, urlencode(fields).encode()))
        return str(await self.exchange("GET", path, status, {}, None))

    async def exchange(self, method: str, path: str, status: int, headers: Any, data: Any) -> Any:
        async def work() -> tuple[Any, bytes]:
            response = await self.treq.request(method, "https://api.test" + path, headers=headers, data=data)
            return response, await response.content()

        waiting = Deferred.fromCoroutine(work())
        while not waiting.called:
            await deferLater(reactor, 0.001)
            self.treq.flush()
        response, content = await waiting
        self.assertEqual(response.code, status, content)
        kinds = response.headers.getRawHeaders("content-type") or [""]
        return orjson.loads(content) if kinds == ["application/json"] else content.decode()

    async def mails(self) -> list[Any]:
        """The deployment's own mail: who it is for, whose it is, and its bytes."""
        found = await rows(
            self.db,
            "SELECT m.agent_id, m.sender, r.address, m.raw_id FROM messages m"
            " JOIN outbound_recipients r ON r.message_id = m.id JOIN outbox o ON o.message_id = m.id ORDER BY m.id",
        )
        return [(row, await self.db.run("raw", load_raw, row.raw_id)) for row in found]

    async def link(self) -> str:
        """Where the last mail's link leads, on this site."""
        text = (await self.mails())[-1][1].decode().replace("=\r\n", "").replace("=3D", "=")
        match = re.search(r"https://api\.test(/api/v1/delegation\?token=[\w-]+)\r\n", text)
        assert match is not None, text
        return match[1]

    async def handed_over(self, on_behalf_of: str = "") -> str:
        """What the headers of a message from the agent to another say of delegation."""
        agent = await self.db.run("agent", get_agent, self.organisation, BOT)
        assert agent is not None
        if not await rows(self.db, "SELECT 1 FROM agents WHERE id = 'peer@corp.test'"):
            await make_agent(self.db, "peer@corp.test", organisation=self.organisation)
        asked = Asked(to=("peer@corp.test",), subject="Hi", body="Hello", on_behalf_of=on_behalf_of)
        await self.outbound.submit(agent, new_message(asked, self.outbound.own_addresses(BOT)))
        received = await rows(
            self.db, "SELECT delegation FROM messages WHERE agent_id = 'peer@corp.test' ORDER BY uid DESC LIMIT 1"
        )
        return str(received[0].delegation)

    async def test_whole_way(self) -> None:
        """The owner asks, the person reads and agrees, the agent's mail says so until the person ends it."""
        made = await self.call("POST", AGENT_PATH, {"person": "Ann@people.test"}, status=201)
        self.assertEqual((made["agent"], made["person"], made["state"]), (BOT, ANN, "proposed"))
        self.assertEqual(await self.handed_over(), "")
        ((row, raw),) = await self.mails()
        self.assertEqual((row.agent_id, row.sender, row.address), (OPERATOR_MAILBOX, "noreply@send.gateway.test", ANN))
        self.assertIn(b"\r\nAuto-Submitted: auto-generated\r\n", raw)
        link = await self.link()
        text = await self.page(link, 200)
        self.assertIn("I agree", text)
        self.assertIn(BOT, text)
        self.assertEqual(await self.handed_over(), "")
        token = link.partition("token=")[2]
        text = await self.page("/api/v1/delegation", 200, token=token, choice="confirm")
        self.assertIn("acts for you", text)
        (listed,) = (await self.call("GET", AGENT_PATH))["delegations"]
        self.assertEqual((listed["id"], listed["state"]), (made["id"], "active"))
        self.assertEqual(await self.handed_over(), f"agent={BOT};human={ANN}")
        self.assertEqual(await self.handed_over(ANN), f"agent={BOT};human={ANN}")
        await self.assertFailure(Deferred.fromCoroutine(self.handed_over("x@people.test")), BadRequest)
        self.assertIn("End it", await self.page(link, 200))
        self.assertIn("does not act", await self.page(link, 200, choice="end"))
        self.assertEqual(await self.handed_over(), "")
        self.assertEqual(await self.call("GET", AGENT_PATH), {"delegations": []})
        self.assertIn("does not act", await self.page(link, 409))
        await self.page(link, 409, choice="confirm")
        await self.call("POST", AGENT_PATH, {"person": ANN}, status=409)

    async def test_owner_ends(self) -> None:
        """The owner ends what is proposed; its link then says that it is over."""
        made = await self.call("POST", AGENT_PATH, {"person": ANN}, status=201)
        await self.call("DELETE", f"{AGENT_PATH}/{made['id']}", status=204)
        await self.call("DELETE", f"{AGENT_PATH}/{made['id']}", status=404)
        await self.page(await self.link(), 409)

    async def test_too_late(self) -> None:
        """After a week the page says so; agreeing is not possible, declining is."""
        await self.call("POST", AGENT_PATH, {"person": ANN}, status=201)
        link = await self.link()
        await execute(self.db, "UPDATE delegations SET created_at = created_at - interval '8 days'")
        self.assertNotIn("I agree", await self.page(link, 410))
        await self.page(link, 410, choice="confirm")
        self.assertEqual(await self.handed_over(), "")
        await self.page(link, 200, choice="end")

    async def test_bad_links(self) -> None:
        """A damaged link is 400, a link to nothing 404, and an answer that says nothing 400."""
        await self.call("POST", AGENT_PATH, {"person": ANN}, status=201)
        link = await self.link()
        for path in ("/api/v1/delegation", link[:-1], link + "x", "/api/v1/delegation?token=" + "x" * 43):
            await self.page(path, 400)
            await self.page(path, 400, choice="confirm")
        await self.page(link, 400, other="x")
        await self.page(link, 400, choice="maybe")
        (listed,) = (await self.call("GET", AGENT_PATH))["delegations"]
        self.assertEqual(listed["state"], "proposed")
        await execute(self.db, "DELETE FROM delegations")
        await self.page(link, 404)

    async def test_calls(self) -> None:
        """What is malformed is 400; unknown and foreign agents and bindings are 404."""
        for body in ({}, {"person": ""}, {"person": 7}, {"person": BOT}):
            await self.call("POST", AGENT_PATH, body, status=400)
        unknown = AGENT_PATH.replace("bot", "none")
        await self.call("GET", unknown, status=404)
        await self.call("POST", unknown, {"person": ANN}, status=404)
        made = await self.call("POST", AGENT_PATH, {"person": ANN}, status=201)
        _, other = await bootstrap_user(self.db, "bo@people.test", SEALER, os.urandom)
        await self.call("GET", AGENT_PATH, status=404, key=other)
        await self.call("DELETE", f"{AGENT_PATH}/{made['id']}", status=404, key=other)

    async def test_documented(self) -> None:
        """Every call is in the document."""
        paths = document(self.api.routes, version="0", server="")["paths"]
        self.assertEqual(
            {(path, method) for path, methods in paths.items() for method in methods if method in ("get", "post")},
            {("/api/v1/agents/{email}/delegations", "get"), ("/api/v1/agents/{email}/delegations", "post")},
        )
