"""Agents: where they may live, what may change, and what goes with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.entities import Agent
from e2a.core.errors import BadRequest, Conflict, Forbidden, KeyReuse, NotFound, Unavailable
from e2a.core.rules.domains import OwnNames
from e2a.core.rules.idempotency import once
from e2a.core.trust.pagetoken import PageTokens
from e2a.flows import agents as module
from e2a.flows.accounts import Accounts
from e2a.flows.agents import AgentChange, Agents
from e2a.flows.bootstrap import bootstrap_user
from e2a.flows.directory import Directory
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import OPERATOR_MAILBOX, OWN, SEALER, execute, make_tenant, rows, start

HOOK = "https://hooks.corp.test/in"


class AgentTestCase(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")
        self.bo = await make_tenant(self.db, "bo")
        #: What DNS says; a missing name gives no answer at all.
        self.dns: dict[str, tuple[str, ...]] = {"hooks.corp.test": ("8.8.8.8",)}
        self.changes: list[str] = []
        self.agents = self.make()

    def make(self, production: bool = True, own: OwnNames = OWN) -> Agents:
        return Agents(
            self.db,
            self.addresses,
            PageTokens(b"k" * 32),
            own=own,
            production=production,
            changed=self.changes.append,
        )

    async def addresses(self, host: str) -> Sequence[str]:
        if host not in self.dns:
            raise Unavailable
        return self.dns[host]

    async def refused(self, error: type[Exception], work: Any, field: str | None = None) -> Any:
        found = await self.assertFailure(Deferred.fromCoroutine(work), error)
        if field is not None:
            self.assertEqual(found.field, field)
        return found

    async def local(self, slug: str = "bot") -> Agent:
        return await self.agents.register(self.ana, slug=slug, agent_mode="local")

    async def own_domain(self, name: str = "corp.test", verified: bool = True) -> None:
        await execute(
            self.db,
            "INSERT INTO domains (name, organisation_id, verified_at) VALUES (%s, %s, CASE WHEN %s THEN now() END)",
            name,
            self.ana.organisation_id,
            verified,
        )

    async def host(self, agent_id: str) -> str:
        (row,) = await rows(self.db, "SELECT webhook_host FROM agents WHERE id = %s", agent_id)
        return str(row.webhook_host)


class RegisterTests(AgentTestCase):
    async def test_slug(self) -> None:
        """A slug becomes an address on the shared domain, reachable at once."""
        agent = await self.agents.register(self.ana, slug=" Bot-1 ", name=" My bot ", webhook_url=HOOK)
        self.assertEqual((agent.id, agent.domain, agent.name), ("bot-1@agents.test", "agents.test", "My bot"))
        self.assertEqual((agent.agent_mode, agent.webhook_url, agent.domain_verified), ("cloud", HOOK, True))
        self.assertEqual(
            (agent.hitl_enabled, agent.hitl_ttl_seconds, agent.hitl_expiration_action), (False, 604800, "reject")
        )
        self.assertEqual(await self.host(agent.id), "hooks.corp.test:443")
        found = await Directory(self.db, lambda: 0.0, operator=OPERATOR_MAILBOX).recipient("bot-1@agents.test")
        self.assertIsNotNone(found)
        mailboxes = await rows(self.db, "SELECT uid_next FROM mailboxes WHERE agent_id = %s", agent.id)
        self.assertEqual([row.uid_next for row in mailboxes], [1])

    async def test_custom_domain(self) -> None:
        """An address on a proved domain of the organisation is lower-cased; reserved slugs do not matter there."""
        await self.own_domain()
        agent = await self.agents.register(self.ana, email="Admin@Corp.TEST", agent_mode="local")
        self.assertEqual((agent.id, agent.domain), ("admin@corp.test", "corp.test"))

    async def test_slug_wins(self) -> None:
        """When both are given the slug counts."""
        agent = await self.agents.register(self.ana, slug="bot", email="x@corp.test", agent_mode="local")
        self.assertEqual(agent.id, "bot@agents.test")

    async def test_bad_slugs(self) -> None:
        """Slugs that are too short, too long, reserved or of other characters are refused."""
        for slug in ("a", "x" * 41, "postmaster", "Admin", "-a", "a-", "a.b", "a+b", "a b", "\u00e4\u00e4"):
            await self.refused(BadRequest, self.agents.register(self.ana, slug=slug, agent_mode="local"), "slug")

    async def test_no_shared_domain(self) -> None:
        """Without a shared domain there are no slugs."""
        agents = self.make(own=OwnNames(smtp=OWN.smtp))
        await self.refused(BadRequest, agents.register(self.ana, slug="bot", agent_mode="local"), "slug")

    async def test_bad_addresses(self) -> None:
        """Nothing, no address, or an address with odd characters is refused."""
        await self.own_domain()
        for email in (
            "",
            "bot",
            "@corp.test",
            "a b@corp.test",
            '"a"@corp.test',
            "a@b@corp.test",
            "a@corp",
            "a..b@corp.test",
        ):
            await self.refused(BadRequest, self.agents.register(self.ana, email=email, agent_mode="local"), "email")

    async def test_domains(self) -> None:
        """An address on a domain that is unknown, another's, unproved or shared is refused."""
        await self.own_domain()
        await self.own_domain("later.test", verified=False)
        for principal, domain in (
            (self.ana, "no.test"),
            (self.bo, "corp.test"),
            (self.ana, "later.test"),
            (self.ana, "agents.test"),
        ):
            work = self.agents.register(principal, email=f"bot@{domain}", agent_mode="local")
            await self.refused(BadRequest, work, "email")

    async def test_modes(self) -> None:
        """The mode is cloud or local, and cloud needs a webhook."""
        await self.refused(BadRequest, self.agents.register(self.ana, slug="bot", agent_mode="Cloud"), "agent_mode")
        await self.refused(BadRequest, self.agents.register(self.ana, slug="bot"), "webhook_url")
        await self.refused(BadRequest, self.agents.register(self.ana, slug="bot", webhook_url=""), "webhook_url")

    async def test_names(self) -> None:
        """A name cannot carry what would break a header."""
        for name in ("a\r\nBcc: x", "a\nb", "a\u2028b", "a\x7fb"):
            await self.refused(
                BadRequest, self.agents.register(self.ana, slug="bot", name=name, agent_mode="local"), "name"
            )

    async def test_taken(self) -> None:
        """An address is taken whoever has it, and of two who come at once one gets it."""
        attempts = [
            Deferred.fromCoroutine(self.agents.register(tenant, slug="bot", agent_mode="local"))
            for tenant in (self.ana, self.bo)
        ]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(Conflict)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 1)
        await self.refused(Conflict, self.agents.register(self.ana, slug="BOT", agent_mode="local"))

    async def test_bound_key(self) -> None:
        """A key bound to an agent makes no others."""
        await self.refused(Forbidden, self.agents.register(replace(self.ana, agent_id="a@b.test"), slug="bot"))

    async def test_cap(self) -> None:
        """There is a most of agents; another's do not count."""
        self.patch(module, "MOST_AGENTS", 1)
        await self.local()
        await self.refused(Conflict, self.agents.register(self.ana, slug="ant", agent_mode="local"))
        await self.agents.register(self.bo, slug="ant", agent_mode="local")

    async def test_told(self) -> None:
        """Caches here hear of the new agent without waiting for the notification."""
        await self.local()
        self.assertEqual(self.changes, ["agent bot@agents.test"])


class WebhookTests(AgentTestCase):
    async def test_production(self) -> None:
        """In production only https to names with public addresses is let in, at registration and at update."""
        await self.local()
        self.dns |= {
            "inside.corp.test": ("10.1.2.3",),
            "mixed.corp.test": ("8.8.8.8", "::ffff:127.0.0.1"),
            "none.corp.test": (),
        }
        for url in (
            "http://hooks.corp.test/in",
            "ftp://hooks.corp.test/in",
            "https://8.8.8.8/in",
            "https://localhost/in",
            "https://u:p@hooks.corp.test/in",
            "https://inside.corp.test/in",
            "https://mixed.corp.test/in",
            "https://none.corp.test/in",
            "nonsense",
        ):
            await self.refused(BadRequest, self.agents.register(self.ana, slug="ant", webhook_url=url), "webhook_url")
            change = AgentChange(agent_mode="cloud", webhook_url=url)
            await self.refused(BadRequest, self.agents.update(self.ana, "bot@agents.test", change), "webhook_url")
        self.assertEqual((await self.agents.get(self.ana, "bot@agents.test")).agent_mode, "local")

    async def test_dns_is_silent(self) -> None:
        """In production a host that cannot be looked up now is to be tried again."""
        await self.refused(Unavailable, self.agents.register(self.ana, slug="bot", webhook_url="https://silent.test/"))

    async def test_development(self) -> None:
        """Development allows http, loopback and hosts that DNS does not know, not the operator's network."""
        agents = self.make(production=False)
        self.dns["inside.corp.test"] = ("10.1.2.3",)
        good = ("http://127.0.0.1:9000/in", "http://localhost:9000/in", "http://silent.test/in")
        for number, url in enumerate(good):
            await agents.register(self.ana, slug=f"bot-{number}", webhook_url=url)
        for url in ("http://10.0.0.1/in", "http://inside.corp.test/in"):
            await self.refused(BadRequest, agents.register(self.ana, slug="ant", webhook_url=url), "webhook_url")


class ReadTests(AgentTestCase):
    async def test_get(self) -> None:
        """An agent is found by its organisation only; unknown and another's look alike."""
        agent = await self.local()
        self.assertEqual(await self.agents.get(self.ana, agent.id), agent)
        foreign = await self.refused(NotFound, self.agents.get(self.bo, agent.id))
        unknown = await self.refused(NotFound, self.agents.get(self.bo, "none@agents.test"))
        self.assertEqual(foreign.text, unknown.text)

    async def test_list(self) -> None:
        """The newest comes first; others' are not shown."""
        await self.agents.register(self.bo, slug="theirs", agent_mode="local")
        made = [await self.local(slug) for slug in ("bot-a", "bot-b", "bot-c")]
        page, token = await self.agents.list_page(self.ana)
        self.assertEqual((page, token), (made[::-1], None))

    async def test_pages(self) -> None:
        """Pages follow each other without gap or repeat, also when agents come and go between them."""
        made = [(await self.local(f"bot-{number}")).id for number in range(5)]
        first, token = await self.agents.list_page(self.ana, 2)
        await self.local("newer")
        await self.agents.delete(self.ana, first[1].id)
        second, token = await self.agents.list_page(self.ana, 2, token)
        third, end = await self.agents.list_page(self.ana, 2, token)
        self.assertEqual([agent.id for agent in (*first, *second, *third)], made[::-1])
        self.assertIsNone(end)

    async def test_pages_of_one_moment(self) -> None:
        """Agents made in one moment are not lost between pages."""
        for slug in ("bot-a", "bot-b", "bot-c"):
            await self.local(slug)
        await execute(self.db, "UPDATE agents SET created_at = '2026-01-01T00:00:00.123456Z'")
        seen, token = [], None
        for _ in range(3):
            page, token = await self.agents.list_page(self.ana, 1, token)
            seen += [agent.id for agent in page]
        self.assertEqual(sorted(seen), ["bot-a@agents.test", "bot-b@agents.test", "bot-c@agents.test"])

    async def test_foreign_token(self) -> None:
        """A page token of another organisation is refused."""
        for slug in ("bot-a", "bot-b"):
            await self.local(slug)
        _, token = await self.agents.list_page(self.ana, 1)
        await self.refused(BadRequest, self.agents.list_page(self.bo, 1, token), "token")

    async def test_operator_mailbox(self) -> None:
        """The first user reads the operator's mailbox by its address; it is not among their agents and stays."""
        _, key = await bootstrap_user(self.db, "first@people.test", SEALER, os.urandom)
        operator = await Directory(self.db, lambda: 0.0, operator=OPERATOR_MAILBOX).principal(key)
        self.assertEqual((await self.agents.get(operator, OPERATOR_MAILBOX)).agent_mode, "local")
        self.assertEqual(await self.agents.list_page(operator), ([], None))
        await self.refused(Conflict, self.agents.delete(operator, OPERATOR_MAILBOX))
        await self.refused(NotFound, self.agents.get(self.ana, OPERATOR_MAILBOX))
        await self.refused(NotFound, self.agents.delete(self.ana, OPERATOR_MAILBOX))

    async def test_bound_key(self) -> None:
        """A key bound to an agent sees that agent and no other."""
        await self.local("bot")
        await self.local("ant")
        bound = replace(self.ana, agent_id="bot@agents.test")
        page, _ = await self.agents.list_page(bound)
        self.assertEqual([agent.id for agent in page], ["bot@agents.test"])
        await self.agents.get(bound, "bot@agents.test")
        for work in (self.agents.get, self.agents.delete):
            await self.refused(NotFound, work(bound, "ant@agents.test"))


class UpdateTests(AgentTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.bot = (await self.local()).id

    async def update(self, principal: Any = None, **change: Any) -> Agent:
        return await self.agents.update(principal or self.ana, self.bot, AgentChange(**change))

    async def test_name(self) -> None:
        """The name can change, to nothing too, and nothing else changes with it."""
        before = await self.agents.get(self.ana, self.bot)
        self.assertEqual(await self.update(name=" New "), replace(before, name="New"))
        self.assertEqual((await self.update(name="")).name, "")
        await self.refused(BadRequest, self.update(name="a\nb"), "name")

    async def test_receivers_are_told_apart_by_port(self) -> None:
        """Two ports of one host are two receivers, at registration and after a change."""
        agent = await self.agents.register(self.ana, slug="ported", webhook_url="https://hooks.corp.test:8443/in")
        self.assertEqual(await self.host(agent.id), "hooks.corp.test:8443")
        await self.update(agent_mode="cloud", webhook_url="https://hooks.corp.test:9443/in")
        self.assertEqual(await self.host(self.bot), "hooks.corp.test:9443")

    async def test_to_cloud_and_back(self) -> None:
        """Going to the cloud takes a webhook in the same request; going local drops it."""
        await self.refused(BadRequest, self.update(agent_mode="cloud"), "webhook_url")
        await self.refused(BadRequest, self.update(agent_mode="cloud", webhook_url=""), "webhook_url")
        agent = await self.update(agent_mode="cloud", webhook_url=HOOK)
        self.assertEqual(
            (agent.agent_mode, agent.webhook_url, await self.host(self.bot)), ("cloud", HOOK, "hooks.corp.test:443")
        )
        agent = await self.update(agent_mode="local")
        self.assertEqual((agent.agent_mode, agent.webhook_url, await self.host(self.bot)), ("local", "", ""))

    async def test_local_keeps_a_webhook_that_is_named(self) -> None:
        """A local agent may remember a webhook; the mode stays when only the webhook changes."""
        agent = await self.update(agent_mode="local", webhook_url=HOOK)
        self.assertEqual((agent.agent_mode, agent.webhook_url), ("local", HOOK))
        self.assertEqual((await self.update(webhook_url="")).webhook_url, "")

    async def test_cloud_keeps_its_webhook(self) -> None:
        """The webhook of a cloud agent can change but not go."""
        await self.update(agent_mode="cloud", webhook_url=HOOK)
        await self.refused(BadRequest, self.update(webhook_url=""), "webhook_url")
        self.assertEqual((await self.update(webhook_url=HOOK + "/2")).agent_mode, "cloud")
        self.assertEqual((await self.update(name="n")).webhook_url, HOOK + "/2")

    async def test_review(self) -> None:
        """How mail is reviewed can change, by those who may decide reviews."""
        agent = await self.update(hitl_enabled=True, hitl_ttl_seconds=60, hitl_expiration_action="approve")
        self.assertEqual(
            (agent.hitl_enabled, agent.hitl_ttl_seconds, agent.hitl_expiration_action), (True, 60, "approve")
        )
        writer = replace(self.ana, permissions=frozenset({"agents:read", "agents:write"}))
        for change in ({"hitl_enabled": False}, {"hitl_ttl_seconds": 5}, {"hitl_expiration_action": "reject"}):
            await self.refused(Forbidden, self.update(writer, **change))
            # Whatever a key that is bound to the agent may hold.
            await self.refused(Forbidden, self.update(replace(self.ana, agent_id=self.bot), **change))
        self.assertTrue((await self.update(writer, name="n")).hitl_enabled)
        self.assertFalse((await self.update(hitl_enabled=False)).hitl_enabled)

    async def test_nothing(self) -> None:
        """A change of nothing is a mistake."""
        await self.refused(BadRequest, self.update())

    async def test_all_or_nothing(self) -> None:
        """When one part is refused no part is stored."""
        before = await self.agents.get(self.ana, self.bot)
        await self.refused(
            BadRequest, self.update(name="n", hitl_enabled=True, webhook_url="http://10.0.0.1/"), "webhook_url"
        )
        self.assertEqual(await self.agents.get(self.ana, self.bot), before)

    async def test_changes_at_once(self) -> None:
        """Two changes of different parts both stay."""
        await gatherResults(
            [Deferred.fromCoroutine(self.update(name="n")), Deferred.fromCoroutine(self.update(hitl_enabled=True))]
        )
        agent = await self.agents.get(self.ana, self.bot)
        self.assertEqual((agent.name, agent.hitl_enabled), ("n", True))

    async def test_foreign(self) -> None:
        """Another's agent is not found, before anything is said about the change."""
        await self.refused(NotFound, self.update(self.bo))
        await self.refused(NotFound, self.update(self.bo, webhook_url="http://10.0.0.1/"))


class DeleteTests(AgentTestCase):
    async def test_everything_goes(self) -> None:
        """With the agent go its mail, its raw bytes that nobody else holds, and the keys bound to it."""
        bot, ant = (await self.local("bot")).id, (await self.local("ant")).id
        for raw_id in ("raw_own", "raw_shared"):
            await execute(self.db, "INSERT INTO raw_messages (id, size, data) VALUES (%s, 1, 'x')", raw_id)
        copies = (("msg_1", bot, "raw_own"), ("msg_2", bot, "raw_shared"), ("msg_3", ant, "raw_shared"))
        for uid, (message_id, agent_id, raw_id) in enumerate(copies):
            await execute(
                self.db,
                "INSERT INTO messages (id, agent_id, direction, uid, raw_id, inbox_status)"
                " VALUES (%s, %s, 'inbound', %s, %s, 'unread')",
                message_id,
                agent_id,
                uid,
                raw_id,
            )
        await Accounts(self.db, lambda: 0.0, os.urandom).create_key(self.ana, agent=bot)
        await self.agents.delete(self.ana, bot)
        self.assertEqual([row.id for row in await rows(self.db, "SELECT id FROM raw_messages")], ["raw_shared"])
        self.assertEqual([row.id for row in await rows(self.db, "SELECT id FROM messages")], ["msg_3"])
        self.assertEqual(await rows(self.db, "SELECT id FROM api_keys"), [])
        await self.refused(NotFound, self.agents.get(self.ana, bot))
        self.assertEqual(self.changes[-1], f"agent {bot}")

    async def test_free_again(self) -> None:
        """The address is free afterwards."""
        await self.agents.delete(self.ana, (await self.local()).id)
        await self.agents.register(self.bo, slug="bot", agent_mode="local")

    async def test_foreign(self) -> None:
        """Nobody deletes another's agent."""
        agent = await self.local()
        await self.refused(NotFound, self.agents.delete(self.bo, agent.id))
        await self.agents.get(self.ana, agent.id)


class OnceTests(AgentTestCase):
    async def test_repeated(self) -> None:
        """The same request again is the same agent; another under its key is refused, and a refused one frees it."""
        key = once(self.ana.organisation_id, "register agent", "k", b"1")
        with self.assertRaises(BadRequest):
            await self.agents.register_once(self.ana, key, slug="bot")
        made = await self.agents.register_once(self.ana, key, slug="bot", agent_mode="local")
        again = await self.agents.register_once(self.ana, key, slug="bot", agent_mode="local")
        self.assertEqual((made, again), ((made[0], False), (made[0], True)))
        other = once(self.ana.organisation_id, "register agent", "k", b"2")
        with self.assertRaises(KeyReuse):
            await self.agents.register_once(self.ana, other, slug="ant", agent_mode="local")
        await self.agents.delete(self.ana, made[0].id)
        with self.assertRaises(NotFound):
            await self.agents.register_once(self.ana, key, slug="bot", agent_mode="local")


class LabelTests(AgentTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.eu = replace(self.ana, label_prefix="eu/")

    async def make_labelled(self, slug: str, label: str) -> str:
        agent = await self.agents.register(self.ana, slug=slug, agent_mode="local", label=label)
        self.assertEqual(agent.label, label)
        return agent.id

    async def test_set_and_cleared(self) -> None:
        """A label is given with the agent, changed, and taken away."""
        bot = await self.make_labelled("bot", "eu/sales")
        for label in ("us/sales", ""):
            await self.agents.update(self.ana, bot, AgentChange(label=label))
            self.assertEqual((await self.agents.get(self.ana, bot)).label, label)

    async def test_bad(self) -> None:
        """A label is at most 128 printable characters."""
        await self.make_labelled("bot", "x" * 128)
        for label in ("x" * 129, "a\nb", "a\0"):
            await self.refused(
                BadRequest, self.agents.register(self.ana, slug="ant", agent_mode="local", label=label), "label"
            )
            await self.refused(
                BadRequest, self.agents.update(self.ana, "bot@agents.test", AgentChange(label=label)), "label"
            )

    async def test_within_reach(self) -> None:
        """A key with a label prefix sees, changes and deletes the agents whose label begins with it."""
        bot, ant = await self.make_labelled("bot", "eu/1"), await self.make_labelled("ant", "us/1")
        await self.make_labelled("cat", "")
        self.assertEqual([agent.id for agent in (await self.agents.list_page(self.eu))[0]], [bot])
        await self.agents.update(self.eu, bot, AgentChange(name="n"))
        await self.refused(NotFound, self.agents.get(self.eu, ant))
        await self.refused(NotFound, self.agents.update(self.eu, ant, AgentChange(name="n")))
        await self.refused(NotFound, self.agents.delete(self.eu, ant))
        await self.agents.delete(self.eu, bot)

    async def test_stays_within_reach(self) -> None:
        """Such a key makes agents with such labels only, and moves none out of its own reach."""
        for label in ("", "eu", "us/1"):
            error = await self.refused(
                Forbidden, self.agents.register(self.eu, slug="bot", agent_mode="local", label=label)
            )
            self.assertIn("'eu/'", error.text)
        bot = (await self.agents.register(self.eu, slug="bot", agent_mode="local", label="eu/1")).id
        for label in ("", "us/1"):
            await self.refused(Forbidden, self.agents.update(self.eu, bot, AgentChange(label=label)))
        self.assertEqual((await self.agents.update(self.eu, bot, AgentChange(label="eu/2"))).label, "eu/2")

    async def test_moved_meanwhile(self) -> None:
        """An agent that is moved away between the look and the change is not changed."""
        bot = await self.make_labelled("bot", "us/1")
        change = AgentChange(name="n")
        await self.refused(NotFound, self.db.run("update", self.agents._update, self.eu, bot, change))
        await self.refused(NotFound, self.db.run("delete", self.agents._delete, self.eu, bot))
        self.assertEqual((await self.agents.get(self.ana, bot)).name, "")

    async def test_repeated(self) -> None:
        """What the whole account made under a request's key is not shown to a key that does not see it."""
        key = once(self.ana.organisation_id, "register agent", "k", b"1")
        await self.agents.register_once(self.ana, key, slug="bot", agent_mode="local")
        await self.refused(
            NotFound, self.agents.register_once(self.eu, key, slug="bot", agent_mode="local", label="eu/1")
        )


class AuditTests(AgentTestCase):
    async def test_lines(self) -> None:
        """Making, changing and deleting an agent is written down once each, and a webhook's address never."""
        bot = (await self.local()).id
        await self.agents.update(self.ana, bot, AgentChange(hitl_enabled=True, webhook_url=HOOK))
        await self.refused(BadRequest, self.agents.update(self.ana, bot, AgentChange(webhook_url="http://10.0.0.1/")))
        await self.refused(NotFound, self.agents.delete(self.bo, bot))
        await self.agents.delete(self.ana, bot)
        lines = await rows(
            self.db, "SELECT action, organisation_id, resource_type, resource_id, detail FROM audit_events ORDER BY at"
        )
        self.assertEqual([line.action for line in lines], ["agent.created", "agent.updated", "agent.deleted"])
        for line in lines:
            whom = (line.organisation_id, line.resource_type, line.resource_id)
            self.assertEqual(whom, (self.ana.organisation_id, "agent", bot))
            self.assertNotIn("hooks.corp.test", repr(line.detail))
        self.assertEqual(
            lines[1].detail, {"changed": ["hitl_enabled", "webhook_url"], "values": {"hitl_enabled": True}}
        )
