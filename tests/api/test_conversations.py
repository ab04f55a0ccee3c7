"""Threads and suppressed addresses over REST: routes, rights and shapes, over the real flows."""

from __future__ import annotations

import os
from typing import Any

import orjson
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from e2a.api.app import Api
from e2a.api.auth import Authorizer
from e2a.api.conversations import ConversationList, ConversationsResource, ConversationThread
from e2a.api.suppressions import SuppressionEntry, SuppressionList, SuppressionsResource
from e2a.core.entities import Principal
from e2a.core.rules.permissions import AGENT_PERMISSIONS, ALL_PERMISSIONS
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.conversations import Conversations
from e2a.flows.suppressions import Suppressions
from tests.store.test_conversations import ANA, BOT, NOW, OTHER, ThreadCase
from tests.support.postgres import ORGANISATION, USER, make_agent

PRINCIPALS = {
    "whole": Principal(ORGANISATION, USER, frozenset(ALL_PERMISSIONS), key_id="apk_1"),
    "bound": Principal(ORGANISATION, USER, AGENT_PERMISSIONS, key_id="apk_2", agent_id=BOT),
    "foreign": Principal("org_other", "user_x", frozenset(ALL_PERMISSIONS), key_id="apk_3"),
}


class RestCase(ThreadCase):
    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, "far@agents.test", organisation="org_other")
        tokens = PageTokens(b"k" * 32)

        async def authenticate(token: str) -> Principal:
            return PRINCIPALS[token]

        api = Api(
            [
                ConversationsResource(Conversations(self.db, tokens, lambda: NOW)),
                SuppressionsResource(Suppressions(self.db, tokens)),
            ],
            Authorizer(authenticate),
            clock=Clock(),
            random=os.urandom,
        )
        self._http = StubTreq(api)

    async def ask(self, method: str, path: str, key: str = "whole", **rest: Any) -> tuple[int, Any]:
        """Status and body; JSON is read."""
        headers = {"Authorization": f"Bearer {key}"}

        async def exchange() -> tuple[Any, bytes]:
            response = await self._http.request(method, f"http://api.test/api/v1{path}", headers=headers, **rest)
            return response, await response.content()

        waiting = Deferred.fromCoroutine(exchange())
        while not waiting.called:
            await deferLater(reactor, 0.001)
            self._http.flush()
        response, content = await waiting
        kind = (response.headers.getRawHeaders("Content-Type") or [""])[0]
        return response.code, orjson.loads(content) if kind.startswith("application/json") else content.decode()


class ConversationTests(RestCase):
    async def test_list(self) -> None:
        """An agent's threads, newest first, in the declared shape, page by page."""
        for name in ("a", "b", "c"):
            await self.sent(name, subject=f"about {name}")
        code, first = await self.ask("GET", f"/agents/{BOT}/conversations?page_size=2")
        self.assertEqual(code, 200)
        ConversationList.model_validate(first)
        self.assertEqual([entry["id"] for entry in first["conversations"]], ["c", "b"])
        self.assertEqual(
            {**first["conversations"][0], "last_message_at": None},
            {
                "id": "c",
                "subject": "about c",
                "participants": [ANA],
                "message_count": 1,
                "unread": 0,
                "last_message_at": None,
            },
        )
        await self.sent("a")
        _, rest = await self.ask("GET", f"/agents/{BOT}/conversations?page_size=2&token={first['next_token']}")
        self.assertEqual([entry["id"] for entry in rest["conversations"]], ["a"])
        self.assertNotIn("next_token", rest)

    async def test_thread(self) -> None:
        """One thread's messages, oldest first, page by page; an id with odd characters is found."""
        name = "order 17/ü"
        ids_ = [await self.sent(name), await self.received(name), await self.sent(name, status="pending_approval")]
        path = f"/agents/{BOT}/conversations/order%2017%2F%C3%BC"
        code, first = await self.ask("GET", f"{path}?page_size=2")
        self.assertEqual((code, first["id"]), (200, name))
        ConversationThread.model_validate(first)
        _, rest = await self.ask("GET", f"{path}?page_size=2&token={first['next_token']}")
        self.assertEqual([one["message_id"] for one in [*first["messages"], *rest["messages"]]], ids_)
        self.assertEqual([one["status"] for one in first["messages"]], ["sent", "unread"])
        self.assertEqual(rest["messages"][0]["direction"], "outbound")

    async def test_unknown(self) -> None:
        """Unknown, foreign and another agent's are one answer, and a token is good for its own list only."""
        await self.sent("c1")
        _, page = await self.ask("GET", f"/agents/{BOT}/conversations?page_size=1")
        for path, key in (
            (f"/agents/{BOT}/conversations/none", "whole"),
            (f"/agents/{OTHER}/conversations/c1", "whole"),
            (f"/agents/{OTHER}/conversations", "bound"),
            (f"/agents/{BOT}/conversations", "foreign"),
            (f"/agents/{BOT}/conversations/c1", "foreign"),
            ("/agents/none@agents.test/conversations", "whole"),
        ):
            code, text = await self.ask("GET", path, key)
            self.assertEqual((code, text.strip()), (404, "not found"), (path, key))
        token = page.get("next_token", "x")
        self.assertEqual((await self.ask("GET", f"/agents/{OTHER}/conversations?token={token}"))[0], 400)
        self.assertEqual((await self.ask("GET", f"/agents/{BOT}/conversations", "bound"))[0], 200)


class SuppressionTests(RestCase):
    async def test_life(self) -> None:
        """An address is added in any spelling, listed, found, and removed."""
        code, entry = await self.ask("POST", "/suppressions", json={"address": " Ana@Corp.TEST ", "reason": "asked us"})
        self.assertEqual((code, entry["address"], entry["reason"]), (201, ANA, "asked us"))
        SuppressionEntry.model_validate(entry)
        self.assertEqual(await self.ask("POST", "/suppressions", json={"address": ANA}), (201, entry))
        self.assertEqual(await self.ask("GET", "/suppressions/ANA@corp.test"), (200, entry))
        self.assertEqual((await self.ask("DELETE", f"/suppressions/{ANA}"))[0], 204)
        self.assertEqual((await self.ask("DELETE", f"/suppressions/{ANA}"))[0], 404)
        self.assertEqual((await self.ask("GET", f"/suppressions/{ANA}"))[0], 404)

    async def test_list(self) -> None:
        """Pages follow each other in the order of addresses."""
        for name in ("c", "a", "b"):
            await self.ask("POST", "/suppressions", json={"address": f"{name}@x.test"})
        _, first = await self.ask("GET", "/suppressions?page_size=2")
        SuppressionList.model_validate(first)
        _, rest = await self.ask("GET", f"/suppressions?page_size=2&token={first['next_token']}")
        found = [entry["address"] for entry in [*first["suppressions"], *rest["suppressions"]]]
        self.assertEqual(found, ["a@x.test", "b@x.test", "c@x.test"])
        self.assertEqual({entry["reason"] for entry in first["suppressions"]}, {"manual"})
        self.assertEqual(await self.ask("GET", "/suppressions", "foreign"), (200, {"suppressions": []}))

    async def test_refused(self) -> None:
        """What is no address, and a reason that is none, are named; nothing is stored."""
        for body, field in (
            ({"address": "nobody"}, "address"),
            ({"address": "a@b.test, c@d.test"}, "address"),
            ({"address": "a@b.test>\r\nRCPT TO:<c@d.test"}, "address"),
            ({"address": "Ana <a@b.test>"}, "address"),
            ({"address": "a\0@b.test"}, "address"),
            ({"address": "a@b.test", "reason": "x" * 201}, "reason"),
            ({"address": "a@b.test", "reason": "a\nb"}, "reason"),
            ({}, "address"),
        ):
            code, text = await self.ask("POST", "/suppressions", json=body)
            self.assertEqual(code, 400, body)
            self.assertIn("address" if field == "address" else "reason", text, body)
        self.assertEqual(await self.ask("GET", "/suppressions"), (200, {"suppressions": []}))

    async def test_rights(self) -> None:
        """An agent's own key cannot lift what protects its recipients, nor see the list."""
        await self.ask("POST", "/suppressions", json={"address": ANA})
        for method, path, body in (
            ("GET", "/suppressions", None),
            ("GET", f"/suppressions/{ANA}", None),
            ("POST", "/suppressions", {"address": "b@x.test"}),
            ("DELETE", f"/suppressions/{ANA}", None),
        ):
            rest = {"json": body} if body else {}
            self.assertEqual((await self.ask(method, path, "bound", **rest))[0], 403, (method, path))
        self.assertEqual((await self.ask("DELETE", f"/suppressions/{ANA}", "foreign"))[0], 404)
        self.assertEqual((await self.ask("GET", f"/suppressions/{ANA}"))[0], 200)
