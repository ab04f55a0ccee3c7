"""Keys, secrets, domains and agents as clients see them: through Klein, on PostgreSQL."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from typing import Any

import orjson
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from e2a.api.agents import AgentsResource
from e2a.api.app import Api
from e2a.api.auth import Authorizer
from e2a.api.domains import DomainsResource
from e2a.api.keys import KeysResource
from e2a.api.me import MeResource
from e2a.api.openapi import document
from e2a.api.secrets import SecretsResource
from e2a.core.entities import Principal
from e2a.core.rules.permissions import SELF
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows.accounts import Accounts
from e2a.flows.agents import Agents
from e2a.flows.bootstrap import bootstrap_user
from e2a.flows.directory import Directory
from e2a.flows.domainkeys import DomainKeys
from e2a.flows.domains import Domains, Key, Record
from e2a.flows.me import LimitStanding, Me, QuotaStanding, Standing
from e2a.flows.secrets import SecretBook
from tests.support.cpu import QuickCpu
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import OPERATOR_MAILBOX, OWN, SEALER, start

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"


class AccountsApiTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.dns_status: Any = "found"
        self.told = Standing()
        directory = Directory(self.db, time.time, operator=OPERATOR_MAILBOX)
        changed = directory.changed
        secrets = SecretBook(self.db, SEALER, time.time, os.urandom, fallback="deployment secret")
        agents = Agents(self.db, self.addresses, PageTokens(b"k" * 32), own=OWN, production=True, changed=changed)
        keys = DomainKeys(self.db, SEALER, QuickCpu(), time.time, self.check_key)
        domains = Domains(
            self.db, keys, self.check_records, os.urandom, time.time, own=OWN, production=True, changed=changed
        )
        self.api = Api(
            [
                KeysResource(Accounts(self.db, time.time, os.urandom, changed)),
                MeResource(Me(self.db, self)),
                SecretsResource(secrets),
                DomainsResource(domains, "mx.gateway.test"),
                AgentsResource(agents),
            ],
            Authorizer(directory.principal),
            clock=Clock(),
            random=os.urandom,
        )
        self.treq = StubTreq(self.api)
        # The first user owns the operator's organisation; the second is like every other.
        await bootstrap_user(self.db, "operator@people.test", SEALER, os.urandom)
        _, self.key = await bootstrap_user(self.db, "ana@people.test", SEALER, os.urandom)
        _, self.other = await bootstrap_user(self.db, "bo@people.test", SEALER, os.urandom)

    async def standing(self, principal: Principal, client_ip: str) -> Standing:
        return self.told

    async def addresses(self, host: str) -> Sequence[str]:
        return ("8.8.8.8",)

    async def check_records(self, name: str, token: str, keys: Sequence[Key]) -> Sequence[Record]:
        return (
            Record("ownership", "TXT", name, token, (token,), self.dns_status, ""),
            *(Record("dkim", "TXT", f"{key.host}.{name}", key.record, (), self.dns_status, "") for key in keys),
        )

    async def check_key(self, name: str, host: str, record: str) -> Record:
        raise AssertionError("not asked here")

    async def call(self, method: str, path: str, body: Any = None, key: str | None = None, status: int = 200) -> Any:
        """One request; its JSON answer, or its text; ``key`` defaults to Ana's."""
        headers = {"Authorization": f"Bearer {key or self.key}"} if key != "" else {}
        data = None if body is None else orjson.dumps(body)

        async def exchange() -> tuple[Any, bytes]:
            response = await self.treq.request(method, "http://api.test" + path, headers=headers, data=data)
            return response, await response.content()

        waiting = Deferred.fromCoroutine(exchange())
        while not waiting.called:
            await deferLater(reactor, 0.001)
            self.treq.flush()
        response, content = await waiting
        self.assertEqual(response.code, status, content)
        self.type = (response.headers.getRawHeaders("content-type") or [""])[0]
        return orjson.loads(content) if self.type == "application/json" else content.decode()

    async def test_everything_needs_a_credential(self) -> None:
        """No route here answers anything to a caller without a good key."""
        for route in self.api.routes:
            path = re.sub(r"\{\w+\}", "x", route.path)
            await self.call(route.method, path, {} if route.body else None, key="", status=401)
            await self.call(route.method, path, {} if route.body else None, key="e2a_" + "0" * 64, status=401)

    async def test_everything_needs_a_permission(self) -> None:
        """No route here answers a key that holds none of its permissions."""
        made = await self.call("POST", "/api/keys", {"permissions": ["audit:read"]}, status=201)
        for route in self.api.routes:
            path = re.sub(r"\{\w+\}", "x", route.path)
            if route.action != SELF:
                await self.call(route.method, path, {} if route.body else None, key=made["key"], status=403)

    async def test_documented(self) -> None:
        """Every route here is in the document with its answers."""
        paths = document(self.api.routes, version="0", server="")["paths"]
        for route in self.api.routes:
            self.assertIn(route.method.lower(), paths[route.path])

    async def test_keys(self) -> None:
        """A key is shown whole once, listed without its text in a bare array, and revoked at once."""
        made = await self.call("POST", "/api/keys", {"name": "prod"}, status=201)
        self.assertEqual(made["key"][:12], made["key_prefix"])
        self.assertTrue(re.fullmatch("apk_[0-9a-f]{32}", made["id"]))
        self.assertTrue(re.fullmatch("[0-9a-f]{32}", made["user_id"]))
        self.assertTrue(re.fullmatch(MOMENT, made["created_at"]))
        listed = await self.call("GET", "/api/keys")
        self.assertEqual([key["name"] for key in listed], ["prod", "bootstrap"])
        self.assertNotIn("key", listed[0])
        await self.call("GET", "/api/keys", key=made["key"])
        self.assertEqual(await self.call("DELETE", f"/api/keys/{made['id']}"), "")
        await self.call("GET", "/api/keys", key=made["key"], status=401)
        await self.call("DELETE", f"/api/keys/{made['id']}", status=404)

    async def test_key_without_a_body(self) -> None:
        """A key can be asked for without a body."""
        self.assertEqual((await self.call("POST", "/api/keys", status=201))["name"], "")

    async def test_key_wishes(self) -> None:
        """Permissions, agent and expiry of a key are answered as they were asked for."""
        await self.call("POST", "/api/v1/agents", {"slug": "bot", "agent_mode": "local"}, status=201)
        wishes = {
            "permissions": ["messages:read"],
            "agent": "bot@agents.test",
            "expires_at": "2200-01-01T02:00:00+02:00",
        }
        made = await self.call("POST", "/api/keys", wishes, status=201)
        self.assertEqual((made["permissions"], made["agent"]), (["messages:read"], "bot@agents.test"))
        self.assertEqual((made["expires_at"], made["last_used_at"]), ("2200-01-01T00:00:00Z", None))

    async def test_bad_keys(self) -> None:
        """What makes no sense in a key is 400 and named; what the caller does not hold is 403."""
        for body, field in (
            ({"permissions": ["fly"]}, "permissions"),
            ({"permissions": "all"}, "permissions"),
            ({"agent": "none@agents.test"}, "agent"),
            ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
            ({"expires_at": "2200-01-01T00:00:00"}, "expires_at"),
            ({"expires_at": 4102444800}, "expires_at"),
            ({"name": 7}, "name"),
            ({"name": "x" * 201}, "name"),
            ({"name": "a\0b"}, "name"),
        ):
            self.assertIn(field, await self.call("POST", "/api/keys", body, status=400))
        weak = await self.call("POST", "/api/keys", {"permissions": ["keys:write"]}, status=201)
        await self.call("POST", "/api/keys", {"permissions": ["agents:read"]}, key=weak["key"], status=403)

    async def test_bound_key(self) -> None:
        """A key bound to an agent reads that agent, and is refused everywhere else here."""
        for slug in ("bot", "ant"):
            await self.call("POST", "/api/v1/agents", {"slug": slug, "agent_mode": "local"}, status=201)
        bound = (await self.call("POST", "/api/keys", {"agent": "bot@agents.test"}, status=201))["key"]
        listed = await self.call("GET", "/api/v1/agents", key=bound)
        self.assertEqual([agent["id"] for agent in listed["agents"]], ["bot@agents.test"])
        await self.call("GET", "/api/v1/agents/bot@agents.test", key=bound)
        await self.call("GET", "/api/v1/agents/ant@agents.test", key=bound, status=404)
        await self.call("PUT", "/api/v1/agents/bot@agents.test", {"hitl_enabled": False}, key=bound, status=403)
        for path in ("/api/v1/users/me/signing-secrets", "/api/v1/domains"):
            await self.call("GET", path, key=bound, status=403)

    async def test_key_ends_itself(self) -> None:
        """A key that may do next to nothing sees itself, is not told whose it is, and ends itself and no other."""
        await self.call("POST", "/api/v1/agents", {"slug": "bot", "agent_mode": "local"}, status=201)
        other = await self.call("POST", "/api/keys", {"read_only": True}, status=201)
        made = await self.call("POST", "/api/keys", {"agent": "bot@agents.test"}, status=201)
        bound = made["key"]
        (shown,) = await self.call("GET", "/api/keys", key=bound)
        self.assertEqual((shown["id"], shown["user_id"]), (made["id"], ""))
        await self.call("DELETE", f"/api/keys/{other['id']}", key=bound, status=404)
        await self.call("DELETE", f"/api/keys/{made['id']}", key=bound, status=200)
        await self.call("GET", "/api/keys", key=bound, status=401)

    async def test_labelled_key(self) -> None:
        """A key with a label prefix makes agents with such labels, sees them alone, and is refused everywhere else."""
        await self.call("POST", "/api/v1/agents", {"slug": "us", "agent_mode": "local", "label": "us/1"}, status=201)
        made = await self.call("POST", "/api/keys", {"label_prefix": "eu/", "name": "eu"}, status=201)
        self.assertEqual((made["label_prefix"], made["agent"], made["read_only"]), ("eu/", None, False))
        key = made["key"]
        bot = {"slug": "bot", "agent_mode": "local"}
        self.assertIn("label", await self.call("POST", "/api/v1/agents", bot, key=key, status=403))
        await self.call("POST", "/api/v1/agents", {**bot, "label": "eu/1"}, key=key, status=201)
        listed = await self.call("GET", "/api/v1/agents", key=key)
        self.assertEqual([(agent["id"], agent["label"]) for agent in listed["agents"]], [("bot@agents.test", "eu/1")])
        outside = await self.call("GET", "/api/v1/agents/us@agents.test", key=key, status=404)
        self.assertEqual(await self.call("GET", "/api/v1/agents/no@agents.test", key=key, status=404), outside)
        for path in ("/api/v1/users/me/signing-secrets", "/api/v1/domains"):
            await self.call("GET", path, key=key, status=403)
        self.assertEqual([each["name"] for each in await self.call("GET", "/api/keys", key=key)], ["eu"])

    async def test_read_only_key(self) -> None:
        """The shorthand makes a key that looks at everything and changes nothing."""
        made = await self.call("POST", "/api/keys", {"read_only": True}, status=201)
        self.assertTrue(made["read_only"])
        await self.call("GET", "/api/v1/agents", key=made["key"])
        await self.call("POST", "/api/v1/agents", {"slug": "bot"}, key=made["key"], status=403)
        body = {"read_only": True, "permissions": ["messages:send"]}
        self.assertIn("read_only", await self.call("POST", "/api/keys", body, status=400))

    async def test_me(self) -> None:
        """A key is told what it is, whose, what it may do, and how it stands with limits and quotas."""
        self.told = Standing([LimitStanding("send", 60, 60, None)], [QuotaStanding("agents", 0, 3)])
        wishes = {"permissions": ["audit:read"], "name": "weak", "expires_at": "2200-01-01T00:00:00Z"}
        made = await self.call("POST", "/api/keys", wishes, status=201)
        me = await self.call("GET", "/api/v1/me", key=made["key"])
        self.assertEqual((me["credential"], me["permissions"], me["read_only"]), ("key", ["audit:read"], True))
        self.assertEqual((me["user"]["id"], me["user"]["email"]), (made["user_id"], "ana@people.test"))
        self.assertEqual(me["organisation"]["role"], "owner")
        shown = ("id", "name", "key_prefix", "agent", "label_prefix", "created_at", "expires_at")
        self.assertEqual(me["key"], {name: made[name] for name in shown})
        self.assertEqual(me["limits"], [{"name": "send", "limit": 60, "window_seconds": 60, "remaining": None}])
        self.assertEqual(me["quotas"], [{"name": "agents", "limit": None, "used": 3, "remaining": None}])

    async def test_me_restricted(self) -> None:
        """A key for a part of the agents is not told whose it is."""
        made = await self.call("POST", "/api/keys", {"label_prefix": "eu/"}, status=201)
        me = await self.call("GET", "/api/v1/me", key=made["key"])
        self.assertEqual((me["user"], me["key"]["label_prefix"]), (None, "eu/"))
        self.assertNotIn("ana@people.test", str(me))

    async def test_secrets(self) -> None:
        """A secret is shown whole once; the cap and the floor are 400, what is not there 404."""
        path = "/api/v1/users/me/signing-secrets"
        made = await self.call("POST", path, status=201)
        self.assertEqual(set(made), {"id", "name", "secret", "secret_prefix", "created_at"})
        self.assertEqual((made["name"], made["secret"][:12]), ("unnamed", made["secret_prefix"]))
        listed = (await self.call("GET", path))["secrets"]
        self.assertEqual([secret["name"] for secret in listed], ["unnamed", "default"])
        self.assertEqual(set(listed[0]), {"id", "name", "secret_prefix", "created_at"})
        self.assertTrue(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["created_at"]))
        for _ in range(3):
            await self.call("POST", path, {"name": "more"}, status=201)
        await self.call("POST", path, {}, status=400)
        await self.call("DELETE", f"{path}/{made['id']}", key=self.other, status=404)
        for secret in (await self.call("GET", path))["secrets"][1:]:
            self.assertEqual(await self.call("DELETE", f"{path}/{secret['id']}", status=204), "")
        (last,) = (await self.call("GET", path))["secrets"]
        await self.call("DELETE", f"{path}/{last['id']}", status=400)

    async def test_domains(self) -> None:
        """A claim says what to publish, is proved, cannot go while in use, and goes."""
        made = await self.call("POST", "/api/v1/domains", {"domain": "Corp.Test"}, status=201)
        token = made["verification_token"]
        self.assertTrue(re.fullmatch("e2a-verify=[0-9a-f]{32}", token))
        self.assertEqual((made["domain"], made["verified"]), ("corp.test", False))
        records = {
            "mx": {"host": "@", "value": "mx.gateway.test", "priority": 10},
            "txt": {"host": "@", "value": token},
        }
        dkim = made["dns_records"].pop("dkim")
        self.assertEqual(made["dns_records"], records)
        self.assertTrue(re.fullmatch(r"e2a\d{6}a\._domainkey", dkim["host"]))
        self.assertTrue(re.fullmatch("v=DKIM1; k=rsa; p=[A-Za-z0-9+/=]{392}", dkim["value"]))
        self.assertFalse(dkim["active"])
        self.assertNotIn("verified_at", made)
        agent = {"email": "bot@corp.test", "agent_mode": "local"}
        await self.call("POST", "/api/v1/agents", agent, status=400)
        self.dns_status = "missing"
        self.assertIn(token, await self.call("POST", "/api/v1/domains/corp.test/verify", status=412))
        self.dns_status = "deferred"
        await self.call("POST", "/api/v1/domains/corp.test/verify", status=503)
        self.dns_status = "found"
        proved = await self.call("POST", "/api/v1/domains/CORP.test/verify")
        self.assertEqual((proved["domain"], proved["verified"]), ("corp.test", True))
        self.assertTrue(re.fullmatch(MOMENT, proved["verified_at"]))
        report = await self.call("GET", "/api/v1/domains/corp.test")
        self.assertEqual(report["records"], proved["records"])
        expected = {"purpose": "ownership", "type": "TXT", "name": "corp.test", "expected": token, "found": [token]}
        self.assertEqual(report["records"][0], {**expected, "status": "found", "hint": ""})
        self.assertEqual(report["records"][1]["name"], dkim["host"] + ".corp.test")
        self.assertEqual(report["dns_records"]["dkim"], {**dkim, "active": True})
        (listed,) = (await self.call("GET", "/api/v1/domains"))["domains"]
        self.assertEqual(listed["dns_records"], report["dns_records"])
        rotated = await self.call("POST", "/api/v1/domains/corp.test/dkim/rotate")
        self.assertEqual([key["state"] for key in rotated["dkim_keys"]], ["active", "pending"])
        self.assertEqual(rotated["dns_records"], report["dns_records"])
        proved = await self.call("POST", "/api/v1/domains/corp.test/verify")
        self.assertEqual([record["purpose"] for record in proved["records"]].count("dkim"), 2)
        (listed,) = (await self.call("GET", "/api/v1/domains"))["domains"]
        keys = listed["dkim_keys"]
        self.assertEqual([(key["state"], key["active"]) for key in keys], [("active", True), ("retiring", False)])
        self.assertEqual((keys[0]["value"], keys[1]["value"]), (rotated["dkim_keys"][1]["value"], dkim["value"]))
        self.assertTrue(re.fullmatch(MOMENT, keys[1]["removable_at"]))
        self.assertNotIn("removable_at", keys[0])
        await self.call("POST", "/api/v1/agents", agent, status=201)
        await self.call("DELETE", "/api/v1/domains/corp.test", status=400)
        await self.call("DELETE", "/api/v1/agents/bot%40corp.test")
        self.assertEqual(await self.call("DELETE", "/api/v1/domains/corp.test", status=204), "")
        self.assertEqual(await self.call("GET", "/api/v1/domains"), {"domains": []})

    async def test_bad_domains(self) -> None:
        """A claim without a usable name is 400; a foreign or unknown one is 404 in the same words."""
        for body in ({}, {"domain": ""}, {"domain": 7}, {"domain": "a b"}, {"domain": "Agents.test"}):
            await self.call("POST", "/api/v1/domains", body, status=400)
        await self.call("POST", "/api/v1/domains", {"domain": "corp.test"}, status=201)
        answers = set()
        for name in ("corp.test", "unknown.test", "agents.test", "no%20domain"):
            answers.add(await self.call("POST", f"/api/v1/domains/{name}/verify", key=self.other, status=404))
            answers.add(await self.call("DELETE", f"/api/v1/domains/{name}", key=self.other, status=404))
            answers.add(await self.call("GET", f"/api/v1/domains/{name}", key=self.other, status=404))
        self.assertEqual(len(answers), 1)

    async def test_agents(self) -> None:
        """An agent is made, shown, changed and deleted, by its address with @ or %40, in whatever case."""
        made = await self.call("POST", "/api/v1/agents", {"slug": "bot", "agent_mode": "local"}, status=201)
        self.assertEqual(made, {"id": "bot@agents.test", "domain": "agents.test", "email": "bot@agents.test"})
        shown = await self.call("GET", "/api/v1/agents/Bot%40agents.test")
        self.assertTrue(re.fullmatch(MOMENT, shown.pop("created_at")))
        agent = {
            "id": "bot@agents.test",
            "email": "bot@agents.test",
            "domain": "agents.test",
            "name": "",
            "webhook_url": "",
            "agent_mode": "local",
            "domain_verified": True,
            "hitl_enabled": False,
            "hitl_ttl_seconds": 604800,
            "hitl_expiration_action": "reject",
            "label": "",
        }
        self.assertEqual(shown, agent)
        change = {"agent_mode": "cloud", "webhook_url": "https://hooks.corp.test/", "name": None, "color": "red"}
        changed = await self.call("PUT", "/api/v1/agents/bot@agents.test", change)
        self.assertEqual((changed["agent_mode"], changed["webhook_url"]), ("cloud", "https://hooks.corp.test/"))
        listed = await self.call("GET", "/api/v1/agents")
        self.assertEqual(listed, {"agents": [changed]})
        self.assertEqual(await self.call("DELETE", "/api/v1/agents/bot@agents.test"), {"status": "deleted"})
        self.assertEqual(self.type, "application/json")
        await self.call("GET", "/api/v1/agents/bot@agents.test", status=404)
        self.assertEqual(await self.call("GET", "/api/v1/agents"), {"agents": []})

    async def test_agent_pages(self) -> None:
        """Agents come in pages when that is asked for; a bad size or token is 400."""
        for number in range(3):
            await self.call("POST", "/api/v1/agents", {"slug": f"bot-{number}", "agent_mode": "local"}, status=201)
        first = await self.call("GET", "/api/v1/agents?page_size=2")
        second = await self.call("GET", f"/api/v1/agents?page_size=2&token={first['next_token']}")
        found = [agent["id"] for agent in first["agents"] + second["agents"]]
        self.assertEqual(found, ["bot-2@agents.test", "bot-1@agents.test", "bot-0@agents.test"])
        self.assertNotIn("next_token", second)
        for query in ("page_size=0", "page_size=1001", "page_size=x", "token=junk"):
            await self.call("GET", f"/api/v1/agents?{query}", status=400)

    async def test_bad_agents(self) -> None:
        """What makes no sense in an agent is 400 and named, a taken address 409, a foreign or unknown one 404."""
        for body, field in (
            ({}, "email"),
            ({"slug": "postmaster"}, "slug"),
            ({"slug": 7}, "slug"),
            ({"slug": "bot"}, "webhook_url"),
            ({"slug": "bot", "webhook_url": "http://hooks.corp.test/"}, "webhook_url"),
            ({"slug": "bot", "agent_mode": "x"}, "agent_mode"),
            ({"slug": "bot", "agent_mode": "local", "name": "a\nb"}, "name"),
            ({"email": "bot@unknown.test", "agent_mode": "local"}, "unknown.test"),
        ):
            self.assertIn(field, await self.call("POST", "/api/v1/agents", body, status=400))
        agent = {"slug": "bot", "agent_mode": "local"}
        await self.call("POST", "/api/v1/agents", agent, status=201)
        await self.call("POST", "/api/v1/agents", agent, key=self.other, status=409)
        path = "/api/v1/agents/bot@agents.test"
        for body in ({}, {"name": None}, {"hitl_ttl_seconds": 0}, {"hitl_ttl_seconds": 604801}, {"hitl_enabled": 1}):
            await self.call("PUT", path, body, status=400)
        for body in ({"hitl_ttl_seconds": True}, {"hitl_expiration_action": "x"}, {"agent_mode": "cloud"}):
            await self.call("PUT", path, body, status=400)
        answers = set()
        for address in ("bot@agents.test", "unknown@agents.test", OPERATOR_MAILBOX, "junk"):
            for method in ("GET", "PUT", "DELETE"):
                body = {"name": "x"} if method == "PUT" else None
                answers.add(await self.call(method, f"/api/v1/agents/{address}", body, key=self.other, status=404))
        self.assertEqual(len(answers), 1)
