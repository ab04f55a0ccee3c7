"""Keys people make, the first user, and what a start makes sure of."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthenticated
from e2a.core.rules.domains import OwnNames
from e2a.core.rules.permissions import AGENT_PERMISSIONS, ALL_PERMISSIONS, ROLE_PERMISSIONS
from e2a.flows import accounts as module
from e2a.flows.accounts import Accounts, make_user
from e2a.flows.bootstrap import OPERATOR, bootstrap_user
from e2a.flows.directory import Directory
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.tenants import OPERATOR_MAILBOX, OWN, SEALER, execute, make_tenant, rows, start

MOMENT = 1_800_000_000.0


class KeyTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.accounts = Accounts(self.db, self.clock.seconds, os.urandom)
        self.owner = await make_tenant(self.db, "owner")
        self.directory = Directory(self.db, self.clock.seconds, operator=OPERATOR_MAILBOX)

    async def refused(self, error: type[Exception], *args: Any, **values: Any) -> Any:
        return await self.assertFailure(Deferred.fromCoroutine(self.accounts.create_key(*args, **values)), error)

    async def test_default(self) -> None:
        """A key without wishes can do what its creator can, for ever."""
        key, text = await self.accounts.create_key(self.owner, " prod ")
        self.assertEqual((key.name, key.key_prefix, key.permissions), ("prod", text[:12], ALL_PERMISSIONS))
        self.assertIsNone(key.expires_at)
        holder = await self.directory.principal(text)
        self.assertEqual(holder, replace(self.owner, key_id=key.id, key_prefix=key.key_prefix))

    async def test_only_the_digest_is_kept(self) -> None:
        """No key can be read in the database."""
        _, text = await self.accounts.create_key(self.owner)
        (row,) = await rows(self.db, "SELECT row_to_json(k)::text AS text FROM api_keys k")
        self.assertNotIn(text[12:], row.text)

    async def test_weaker(self) -> None:
        """A key gives on what it holds and nothing else."""
        _, text = await self.accounts.create_key(self.owner, permissions=["keys:write", "messages:read"])
        weak = await self.directory.principal(text)
        key, _ = await self.accounts.create_key(weak)
        self.assertEqual(key.permissions, ("messages:read", "keys:write"))
        await self.refused(Forbidden, weak, permissions=["messages:send"])

    async def test_bound(self) -> None:
        """A key bound to an agent, in whatever case it is named, holds what an agent may hold."""
        await make_agent(self.db, "bot@agents.test", organisation=self.owner.organisation_id)
        key, text = await self.accounts.create_key(self.owner, agent="Bot@Agents.test")
        self.assertEqual((key.agent_id, set(key.permissions)), ("bot@agents.test", AGENT_PERMISSIONS))
        self.assertEqual((await self.directory.principal(text)).agent_id, "bot@agents.test")
        error = await self.refused(BadRequest, self.owner, agent="bot@agents.test", permissions=["reviews:decide"])
        self.assertEqual(error.field, "permissions")

    async def test_bound_to_whom(self) -> None:
        """A key cannot be bound to an agent that is unknown or another's, indistinguishably."""
        await make_agent(self.db, "other@agents.test", organisation="org_other")
        texts = {
            (await self.refused(BadRequest, self.owner, agent=agent)).text
            for agent in ("other@agents.test", "none@agents.test", "junk")
        }
        self.assertEqual(len(texts), 1)

    async def test_bound_stays_bound(self) -> None:
        """Even a bound key that could mint would mint for its own agent only, and see only such keys."""
        await make_agent(self.db, "bot@agents.test", organisation=self.owner.organisation_id)
        await make_agent(self.db, "ant@agents.test", organisation=self.owner.organisation_id)
        whole, _ = await self.accounts.create_key(self.owner)
        bound = replace(self.owner, agent_id="bot@agents.test")
        await self.refused(BadRequest, bound, agent="ant@agents.test")
        key, _ = await self.accounts.create_key(bound)
        self.assertEqual(key.agent_id, "bot@agents.test")
        self.assertEqual([each.id for each in await self.accounts.list_keys(bound)], [key.id])
        await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(bound, whole.id)), NotFound)

    async def test_expiry(self) -> None:
        """A key may end in the future, not in the past."""
        await self.refused(BadRequest, self.owner, expires_at=datetime.fromtimestamp(MOMENT, UTC))
        later = datetime.fromtimestamp(MOMENT + 60, UTC)
        key, _ = await self.accounts.create_key(self.owner, expires_at=later)
        self.assertEqual(key.expires_at, later)

    async def test_expiry_far_from_utc(self) -> None:
        """An end is a moment, whatever its offset; one that is in no year of UTC is refused."""
        west = timezone(-timedelta(hours=23, minutes=59))
        later = datetime(2100, 1, 1, tzinfo=west)
        self.assertEqual((await self.accounts.create_key(self.owner, expires_at=later))[0].expires_at, later)
        for end in (
            datetime(9999, 12, 31, 23, 59, tzinfo=west),
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        ):
            self.assertEqual((await self.refused(BadRequest, self.owner, expires_at=end)).field, "expires_at")

    async def test_no_outliving(self) -> None:
        """What a key makes ends with it at the latest, and a revoked key makes nothing, even where it is cached."""
        end = datetime(2200, 1, 1, tzinfo=UTC)
        maker, text = await self.accounts.create_key(self.owner, expires_at=end)
        holder = await self.directory.principal(text)
        self.assertEqual((await self.accounts.create_key(holder))[0].expires_at, end)
        earlier = end - timedelta(minutes=1)
        self.assertEqual((await self.accounts.create_key(holder, expires_at=earlier))[0].expires_at, earlier)
        error = await self.refused(BadRequest, holder, expires_at=end + timedelta(seconds=1))
        self.assertEqual(error.field, "expires_at")
        await self.accounts.revoke_key(self.owner, maker.id)
        await self.refused(Unauthenticated, holder)

    async def test_rights_lost_meanwhile(self) -> None:
        """Who was demoted or removed while the request was under way makes no key that would count when they return."""
        other = await make_tenant(self.db, "other")
        scope = self.owner.organisation_id, other.user_id
        await execute(self.db, "INSERT INTO memberships VALUES (%s, %s, 'member')", *scope)
        was_admin = replace(
            other, organisation_id=scope[0], session_id="ses_1", permissions=ROLE_PERMISSIONS["admin"], role="admin"
        )
        await self.refused(Forbidden, was_admin)
        await execute(self.db, "DELETE FROM memberships WHERE organisation_id = %s AND user_id = %s", *scope)
        await self.refused(Unauthenticated, replace(was_admin, permissions=ROLE_PERMISSIONS["member"]))
        self.assertEqual(await rows(self.db, "SELECT 1 FROM api_keys"), [])

    async def labelled(self, prefix: str = "eu/", **values: Any) -> Principal:
        _, text = await self.accounts.create_key(self.owner, label_prefix=prefix, **values)
        return await self.directory.principal(text)

    async def test_labels(self) -> None:
        """A key with a label prefix makes keys with prefixes that extend its own, which is what they get by default."""
        holder = await self.labelled()
        self.assertEqual(holder.label_prefix, "eu/")
        for wanted, made in ((None, "eu/"), ("eu/", "eu/"), ("eu/sales", "eu/sales")):
            self.assertEqual((await self.accounts.create_key(holder, label_prefix=wanted))[0].label_prefix, made)
        for wanted in ("eu", "us/", "EU/"):
            await self.refused(Forbidden, holder, label_prefix=wanted)

    async def test_bad_labels(self) -> None:
        """An empty prefix would be no limit; one that no label can begin with is a mistake."""
        for wanted in ("", "x" * 129, "a\nb"):
            error = await self.refused(BadRequest, self.owner, label_prefix=wanted)
            self.assertEqual(error.field, "label_prefix")

    async def test_labels_and_agents(self) -> None:
        """A key with a label prefix binds keys to agents that it sees, and they lose the agent when it does."""
        for address in ("eu@agents.test", "us@agents.test"):
            await make_agent(self.db, address, organisation=self.owner.organisation_id)
        await execute(self.db, "UPDATE agents SET label = split_part(id, '@', 1) || '/'")
        holder = await self.labelled()
        key, _ = await self.accounts.create_key(holder, agent="eu@agents.test")
        self.assertEqual((key.agent_id, key.label_prefix), ("eu@agents.test", "eu/"))
        await self.refused(BadRequest, holder, agent="us@agents.test")
        error = await self.refused(BadRequest, self.owner, agent="us@agents.test", label_prefix="eu/")
        self.assertEqual(error.field, "label_prefix")

    async def test_keys_within_reach(self) -> None:
        """A key with a label prefix lists and revokes the keys that reach no further than itself."""
        for address in ("eu@agents.test", "us@agents.test"):
            await make_agent(self.db, address, organisation=self.owner.organisation_id)
        await execute(self.db, "UPDATE agents SET label = split_part(id, '@', 1) || '/'")
        whole, _ = await self.accounts.create_key(self.owner, "whole")
        wider, _ = await self.accounts.create_key(self.owner, "wider", label_prefix="eu")
        foreign, _ = await self.accounts.create_key(self.owner, "us", agent="us@agents.test")
        inside, _ = await self.accounts.create_key(self.owner, "eu", agent="eu@agents.test")
        holder = await self.labelled(name="eu/")
        self.assertEqual([key.name for key in await self.accounts.list_keys(holder)], ["eu/", "eu"])
        for key in (whole, wider, foreign):
            await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(holder, key.id)), NotFound)
        await self.accounts.revoke_key(holder, inside.id)

    async def test_own(self) -> None:
        """Who manages no keys sees and ends their own: a person those they made, a key itself; nothing of others."""
        await make_agent(self.db, "bot@agents.test", organisation=self.owner.organisation_id)
        other = await make_tenant(self.db, "other")
        await execute(
            self.db, "INSERT INTO memberships VALUES (%s, %s, 'member')", self.owner.organisation_id, other.user_id
        )
        member = replace(
            other,
            organisation_id=self.owner.organisation_id,
            session_id="ses_1",
            permissions=ROLE_PERMISSIONS["member"],
        )
        owners, owners_text = await self.accounts.create_key(self.owner, "theirs", read_only=True)
        bound, bound_text = await self.accounts.create_key(member, "bound", agent="bot@agents.test")
        mine, mine_text = await self.accounts.create_key(member, "mine")
        self.assertEqual([key.name for key in await self.accounts.list_keys(member)], ["mine", "bound"])
        for text, own in ((owners_text, owners), (bound_text, bound), (mine_text, mine)):
            holder = await self.directory.principal(text)
            self.assertEqual([key.id for key in await self.accounts.list_keys(holder)], [own.id])
            for foreign in {owners.id, bound.id, mine.id} - {own.id}:
                await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(holder, foreign)), NotFound)
        await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(member, owners.id)), NotFound)
        await self.accounts.revoke_key(member, bound.id)
        await self.accounts.revoke_key(await self.directory.principal(mine_text), mine.id)
        self.assertEqual([key.id for key in await self.accounts.list_keys(self.owner)], [owners.id])

    async def test_audited(self) -> None:
        """Making and revoking a key is written down, with what it could do and never with its text."""
        key, text = await self.accounts.create_key(self.owner, "prod", ["messages:read"])
        await self.accounts.revoke_key(self.owner, key.id)
        lines = await rows(self.db, "SELECT action, resource_id, user_id, detail FROM audit_events ORDER BY at")
        self.assertEqual([line.action for line in lines], ["key.created", "key.revoked"])
        for line in lines:
            self.assertEqual((line.resource_id, line.user_id), (key.id, self.owner.user_id))
            self.assertEqual((line.detail["name"], line.detail["permissions"]), ("prod", ["messages:read"]))
            self.assertNotIn(text[12:], repr(line))

    async def test_refusals_are_not_audited(self) -> None:
        """A key that was not made leaves no line."""
        await self.refused(BadRequest, self.owner, agent="none@agents.test")
        self.assertEqual(await rows(self.db, "SELECT 1 FROM audit_events"), [])

    async def test_list(self) -> None:
        """The newest key comes first; revoked ones and those of others are not shown."""
        stranger = await make_tenant(self.db, "stranger")
        await self.accounts.create_key(stranger, "theirs")
        made = [(await self.accounts.create_key(self.owner, name))[0] for name in ("a", "b", "c")]
        await self.accounts.revoke_key(self.owner, made[1].id)
        self.assertEqual([key.name for key in await self.accounts.list_keys(self.owner)], ["c", "a"])

    async def test_revoke_once(self) -> None:
        """Revoking again, or what is unknown or another's, finds nothing."""
        stranger = await make_tenant(self.db, "stranger")
        key, _ = await self.accounts.create_key(self.owner)
        for principal, key_id in ((stranger, key.id), (self.owner, "apk_unknown")):
            await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(principal, key_id)), NotFound)
        await self.accounts.revoke_key(self.owner, key.id)
        await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(self.owner, key.id)), NotFound)

    async def test_cap(self) -> None:
        """There is a most of keys; revoking makes room."""
        self.patch(module, "MOST_KEYS", 2)
        attempts = [Deferred.fromCoroutine(self.accounts.create_key(self.owner)) for _ in range(4)]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(Conflict)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 2)
        await self.accounts.revoke_key(self.owner, (await self.accounts.list_keys(self.owner))[0].id)
        await self.accounts.create_key(self.owner)
        await self.refused(Conflict, self.owner)
        await execute(self.db, "UPDATE api_keys SET expires_at = now() - interval '1 day'")
        await self.accounts.create_key(self.owner)

    async def test_cap_of_a_member(self) -> None:
        """A member who signs in on the command line again and again does not use up the organisation's keys."""
        self.patch(module, "MOST_OWN_KEYS", 2)
        other = await make_tenant(self.db, "other")
        scope = self.owner.organisation_id, other.user_id
        await execute(self.db, "INSERT INTO memberships VALUES (%s, %s, 'member')", *scope)
        member = replace(other, organisation_id=scope[0], session_id="ses_1", permissions=ROLE_PERMISSIONS["member"])
        for _ in range(3):
            await self.accounts.create_key(self.owner)
        made = [(await self.accounts.create_key(member))[0] for _ in range(2)]
        await self.refused(Conflict, member)
        await self.accounts.revoke_key(member, made[0].id)
        await self.accounts.create_key(member)


class UserTests(DatabaseTestCase):
    async def test_address_is_taken(self) -> None:
        """Nobody else gets an account with the same address in another case, and nothing is left behind."""
        await make_tenant(self.db, "owner")

        async def work(cur: Any) -> None:
            await make_user(cur, "OWNER@people.test", "x", issuer="test", sealer=SEALER, random=os.urandom)

        await self.assertFailure(Deferred.fromCoroutine(self.db.run("user", work)), Conflict)
        self.assertEqual(len(await rows(self.db, "SELECT id FROM organisations")), 1)


class BootstrapTests(DatabaseTestCase):
    async def bootstrap(self, email: str) -> Principal:
        user, key = await bootstrap_user(self.db, email, SEALER, os.urandom)
        principal = await Directory(self.db, lambda: MOMENT, operator=OPERATOR_MAILBOX).principal(key)
        self.assertEqual(principal.user_id, user.id)
        return principal

    async def test_first_user_is_the_operator(self) -> None:
        """The first user owns the operator's organisation, before or after the first start; later ones their own."""
        first = await self.bootstrap("first@people.test")
        await start(self.db)
        second = await self.bootstrap("second@people.test")
        self.assertEqual(first.organisation_id, OPERATOR)
        self.assertNotEqual(second.organisation_id, OPERATOR)
        (row,) = await rows(self.db, "SELECT organisation_id FROM agents WHERE id = %s", OPERATOR_MAILBOX)
        self.assertEqual(row.organisation_id, first.organisation_id)

    async def test_audited(self) -> None:
        """What the command on the server makes is in the log of whom it is for, and by nobody who has signed in."""
        first = await self.bootstrap("first@people.test")
        await self.bootstrap("first@people.test")
        lines = await rows(
            self.db, "SELECT organisation_id, user_id, action, resource_id, detail FROM audit_events ORDER BY at, id"
        )
        self.assertEqual([line.action for line in lines], ["user.created", "key.created", "key.created"])
        self.assertEqual({(line.organisation_id, line.user_id) for line in lines}, {(OPERATOR, None)})
        self.assertEqual((lines[0].resource_id, lines[1].resource_id), (first.user_id, first.key_id))
        self.assertEqual({line.detail["by"] for line in lines}, {"e2a bootstrap"})

    async def test_again(self) -> None:
        """The same user in whatever case gets one more key and stays who they are."""
        first = await self.bootstrap("First@People.test")
        again = await self.bootstrap(" first@people.test ")
        self.assertEqual((first.user_id, first.organisation_id), (again.user_id, again.organisation_id))
        self.assertNotEqual(first.key_id, again.key_id)
        self.assertEqual(again.permissions, frozenset(ALL_PERMISSIONS))
        names = await rows(self.db, "SELECT name FROM api_keys")
        self.assertEqual([row.name for row in names], ["bootstrap", "bootstrap"])

    async def test_no_more_keys(self) -> None:
        """Where no other key is wanted only a new user gets one."""
        _, key = await bootstrap_user(self.db, "first@people.test", SEALER, os.urandom, another=False)
        _, none = await bootstrap_user(self.db, "first@people.test", SEALER, os.urandom, another=False)
        self.assertEqual((key[:4], none), ("e2a_", ""))
        self.assertEqual(len(await rows(self.db, "SELECT id FROM api_keys")), 1)

    async def test_existing_user_keeps_their_organisation(self) -> None:
        """Somebody who has a personal organisation gets a key to that one."""
        owner = await make_tenant(self.db, "owner")
        found = await self.bootstrap("owner@people.test")
        self.assertEqual((found.user_id, found.organisation_id), (owner.user_id, owner.organisation_id))

    async def test_one_secret_each(self) -> None:
        """Every organisation has its default secret, the operator's too, whatever came first."""
        await self.bootstrap("first@people.test")
        await start(self.db)
        await self.bootstrap("second@people.test")
        found = await rows(self.db, "SELECT count(*), count(DISTINCT organisation_id) AS owners FROM signing_secrets")
        self.assertEqual(tuple(found[0]), (2, 2))

    async def test_two_first_users(self) -> None:
        """Of two who come first at once one is the operator."""
        await start(self.db)
        found = await gatherResults(
            [Deferred.fromCoroutine(self.bootstrap(f"{name}@people.test")) for name in ("a", "b")]
        )
        self.assertEqual([each.organisation_id for each in found].count(OPERATOR), 1)

    async def test_no_address(self) -> None:
        """What is no e-mail address makes no user."""
        for email in ("", "you", "a@b@c.test", "a b@c.test", "<a@b.test>", "a@b.test\r\nx", "a\0@b.test"):
            await self.assertFailure(Deferred.fromCoroutine(self.bootstrap(email)), BadRequest)
        self.assertEqual(await rows(self.db, "SELECT id FROM users"), [])


class StartTests(DatabaseTestCase):
    async def test_twice_and_at_once(self) -> None:
        """Starting again, or two daemons at once, makes everything once."""
        await gatherResults([Deferred.fromCoroutine(start(self.db)) for _ in range(2)])
        await start(self.db)
        domains = await rows(
            self.db, "SELECT name, organisation_id, verified_at IS NOT NULL AS ok FROM domains ORDER BY 1"
        )
        self.assertEqual(
            [tuple(row) for row in domains],
            [(name, None, True) for name in ("agents.test", "mx.gateway.test", "send.gateway.test")],
        )
        agents = await rows(
            self.db, "SELECT a.id, agent_mode, uid_next FROM agents a JOIN mailboxes ON agent_id = a.id"
        )
        self.assertEqual([tuple(row) for row in agents], [(OPERATOR_MAILBOX, "local", 1)])

    async def test_one_name_for_both(self) -> None:
        """The mail server and the shared domain may have one name, and there need be no shared domain."""
        await start(self.db, OwnNames(smtp="localhost"))
        await start(self.db, OwnNames(shared="localhost", smtp="localhost"))
        self.assertEqual([row.name for row in await rows(self.db, "SELECT name FROM domains")], ["localhost"])

    async def test_shared_domain_that_was_claimed(self) -> None:
        """The shared domain is the deployment's even if somebody proved it before; their agents stay."""
        await make_agent(self.db, "bot@agents.test")
        await execute(self.db, "UPDATE domains SET organisation_id = 'org_test', verification_token = 'e2a-verify=x'")
        await start(self.db)
        (row,) = await rows(self.db, "SELECT organisation_id FROM domains WHERE name = 'agents.test'")
        self.assertIsNone(row.organisation_id)
        found = await Directory(self.db, lambda: MOMENT, operator=OPERATOR_MAILBOX).recipient("bot@agents.test")
        self.assertIsNotNone(found)

    async def test_mail_server_name_that_was_claimed(self) -> None:
        """Whoever proved the mail server's name keeps the domain; the operator's mailbox is there all the same."""
        await make_agent(self.db, "bot@mx.gateway.test")
        await execute(self.db, "UPDATE domains SET organisation_id = 'org_test'")
        await start(self.db)
        (row,) = await rows(self.db, "SELECT organisation_id FROM domains WHERE name = %s", OWN.smtp)
        self.assertEqual(row.organisation_id, "org_test")
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM agents WHERE id = %s", OPERATOR_MAILBOX)), 1)
