"""Whose address, whose key: the answers, and how long they are believed."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Principal, Recipient
from e2a.core.errors import NotFound, Unauthenticated, Unavailable
from e2a.core.rules.permissions import ALL_PERMISSIONS, ROLE_PERMISSIONS
from e2a.core.trust import apikeys
from e2a.flows.accounts import Accounts, make_key
from e2a.flows.answers import MISS
from e2a.flows.bootstrap import OPERATOR
from e2a.flows.directory import Directory
from e2a.store import agents, erasure, keys
from tests.support.postgres import ORGANISATION, USER, DatabaseTestCase, make_agent
from tests.support.tenants import OPERATOR_MAILBOX, execute, make_tenant, rows, start

MOMENT = 1_800_000_000.0


class FakeDatabase:
    """Answers the directory's two questions from dictionaries; ``hold`` makes it wait to be asked to go on."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.agents: set[str] = set()
        self.hosted: set[str] = set()
        self.keys: dict[bytes, Any] = {}
        self.down = False
        self.hold: Deferred[None] | None = None

    async def run(self, name: str, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        self.asked.append((name, *args))
        if self.down:
            raise Unavailable
        if work is agents.reach:
            candidates, domains, _ = args
            if "broken" in "".join(candidates):
                raise ValueError
            answer: Any = (frozenset(self.agents & set(candidates)), frozenset(self.hosted & set(domains)))
        elif work is keys.find_key:
            answer = self.keys.get(args[0])
        else:
            raise AssertionError(name)
        if self.hold is not None:
            await self.hold
        return answer

    read = statement = run


class CacheTests(SynchronousTestCase):
    """Caching, with a database that is counted and can be held up."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.database = FakeDatabase()
        self.database.agents = {"bot@agents.test"}
        self.directory = Directory(
            self.database,
            self.clock.seconds,
            operator=OPERATOR_MAILBOX,
            recipient_seconds=30,
            key_seconds=5,
            capacity=3,
        )

    def ask(self, address: str) -> Recipient | None:
        return self.successResultOf(Deferred.fromCoroutine(self.directory.recipient(address)))

    def holder(self, token: str) -> Principal:
        return self.successResultOf(Deferred.fromCoroutine(self.directory.principal(token)))

    def test_hit(self) -> None:
        """The second question is answered from memory, in whatever case, without waiting."""
        self.assertIs(self.directory.cached_recipient("bot@agents.test"), MISS)
        self.assertEqual(self.ask("bot@agents.test"), Recipient("bot@agents.test", "bot@agents.test"))
        self.database.hold = Deferred()
        self.assertEqual(self.ask("Bot@Agents.TEST"), Recipient("Bot@Agents.TEST", "bot@agents.test"))
        self.assertEqual(len(self.database.asked), 1)

    def test_believed_for_a_while(self) -> None:
        """An answer is asked for again when its time is over."""
        self.ask("bot@agents.test")
        self.clock.advance(29.9)
        self.ask("bot@agents.test")
        self.assertEqual(len(self.database.asked), 1)
        self.clock.advance(0.2)
        self.ask("bot@agents.test")
        self.assertEqual(len(self.database.asked), 2)

    def test_absence_is_short(self) -> None:
        """That there is no such agent is believed for a second at the most."""
        self.assertIsNone(self.ask("new@agents.test"))
        self.database.agents.add("new@agents.test")
        self.assertIsNone(self.directory.cached_recipient("new@agents.test"))
        self.clock.advance(1)
        self.assertIsNotNone(self.ask("new@agents.test"))

    def test_absent_after_present(self) -> None:
        """An agent that went stays gone when its answer has expired, and one that came back is found."""
        self.ask("bot@agents.test")
        self.clock.advance(31)
        self.database.agents.clear()
        self.assertIsNone(self.ask("bot@agents.test"))
        self.database.agents.add("bot@agents.test")
        self.clock.advance(1)
        self.assertIsNotNone(self.ask("bot@agents.test"))

    def test_bounded(self) -> None:
        """No flood of addresses makes it grow, and one of unknown addresses pushes out no known one."""
        self.ask("bot@agents.test")
        for number in range(10):
            self.ask(f"nobody{number}@agents.test")
        self.assertIsNot(self.directory.cached_recipient("bot@agents.test"), MISS)
        self.assertIs(self.directory.cached_recipient("nobody0@agents.test"), MISS)
        for number in range(3):
            self.ask(f"bot+{number}@agents.test")
        self.assertIs(self.directory.cached_recipient("bot@agents.test"), MISS)

    def test_one_question(self) -> None:
        """Many who ask for the same address meanwhile share one question."""
        self.database.hold = Deferred()
        waiting = [Deferred.fromCoroutine(self.directory.recipient("bot@agents.test")) for _ in range(5)]
        self.assertEqual(len(self.database.asked), 1)
        self.database.hold.callback(None)
        self.assertEqual([self.successResultOf(each) is not None for each in waiting], [True] * 5)

    def test_addresses_share_questions(self) -> None:
        """Whoever asks while questions are under way shares the next, each with an answer of his own."""
        self.database.agents.update(f"a{number}@agents.test" for number in range(10))
        held = self.database.hold = Deferred()
        waiting = [Deferred.fromCoroutine(self.directory.recipient(f"a{number}@agents.test")) for number in range(12)]
        self.assertEqual(len(self.database.asked), 2)
        self.database.hold = None
        held.callback(None)
        self.assertEqual(len(self.database.asked), 3)
        answers = [self.successResultOf(each) for each in waiting]
        self.assertEqual(
            [answer.agent_id if answer else None for answer in answers],
            [f"a{number}@agents.test" for number in range(10)] + [None] * 2,
        )

    def test_one_address_that_cannot_be_asked_about(self) -> None:
        """An address at which a question breaks does not keep the others from their answers."""
        held = self.database.hold = Deferred()
        names = ["x@agents.test", "y@agents.test", "broken@agents.test", "bot@agents.test"]
        waiting = [Deferred.fromCoroutine(self.directory.recipient(name)) for name in names]
        self.database.hold = None
        held.callback(None)
        self.assertIsNotNone(self.successResultOf(waiting.pop()))
        self.failureResultOf(waiting.pop(), ValueError)
        self.assertEqual([self.successResultOf(each) for each in waiting], [None, None])

    def test_leaving_caller(self) -> None:
        """A caller who leaves takes the answer from nobody else."""
        self.database.hold = Deferred()
        first = Deferred.fromCoroutine(self.directory.recipient("bot@agents.test"))
        second = Deferred.fromCoroutine(self.directory.recipient("bot@agents.test"))
        first.cancel()
        self.failureResultOf(first)
        self.database.hold.callback(None)
        self.assertIsNotNone(self.successResultOf(second))

    def test_unavailable(self) -> None:
        """Without a database the question fails for everybody who asked, and is asked again later."""
        self.database.down = True
        self.failureResultOf(Deferred.fromCoroutine(self.directory.recipient("bot@agents.test")), Unavailable)
        self.failureResultOf(Deferred.fromCoroutine(self.directory.principal("e2a_" + "0" * 64)), Unavailable)
        self.database.down = False
        self.assertIsNotNone(self.ask("bot@agents.test"))

    def test_changed_agent(self) -> None:
        """A changed agent is forgotten with all its tags, and so is its absence; others stay."""
        self.database.agents.add("ant@agents.test")
        self.ask("bot@agents.test")
        self.ask("bot+tag@agents.test")
        self.ask("ant@agents.test")
        self.ask("new+x@agents.test")
        self.directory.changed("agent bot@agents.test")
        self.directory.changed("agent new@agents.test")
        for address in ("bot@agents.test", "bot+tag@agents.test", "new+x@agents.test"):
            self.assertIs(self.directory.cached_recipient(address), MISS, address)
        self.assertIsNot(self.directory.cached_recipient("ant@agents.test"), MISS)

    def test_changed_domain(self) -> None:
        """Every address of a changed domain is forgotten, and of no other."""
        self.database.agents.add("bot@other.test")
        self.ask("bot@agents.test")
        self.ask("bot@other.test")
        self.directory.changed("domain other.test")
        self.assertIs(self.directory.cached_recipient("bot@other.test"), MISS)
        self.assertIsNot(self.directory.cached_recipient("bot@agents.test"), MISS)

    def test_changed_while_asking(self) -> None:
        """What changed while it was asked is answered to who asked before, and kept for nobody."""
        self.database.hold = Deferred()
        first = Deferred.fromCoroutine(self.directory.recipient("bot@agents.test"))
        held, self.database.hold = self.database.hold, None
        self.database.agents.clear()
        self.directory.changed("agent bot@agents.test")
        self.assertIsNone(self.ask("bot@agents.test"))
        held.callback(None)
        self.assertIsNotNone(self.successResultOf(first))
        self.assertIsNone(self.directory.cached_recipient("bot@agents.test"))

    def test_clear(self) -> None:
        """After a gap nothing is believed, not even what is being asked."""
        self.ask("bot@agents.test")
        self.database.hold = Deferred()
        Deferred.fromCoroutine(self.directory.recipient("bot+x@agents.test"))
        self.directory.clear()
        self.database.hold.callback(None)
        for address in ("bot@agents.test", "bot+x@agents.test"):
            self.assertIs(self.directory.cached_recipient(address), MISS)

    def test_odd_notifications(self) -> None:
        """A notification in words of a later release is let pass."""
        for payload in ("", "agent", "planet x", "key", "agent \u2603"):
            self.directory.changed(payload)

    def test_malformed_tokens(self) -> None:
        """What cannot be a key is refused without a question."""
        for token in ("", "e2a_", "x" * 68, "e2a_" + "A" * 64, "\ud800"):
            self.failureResultOf(Deferred.fromCoroutine(self.directory.principal(token)), Unauthenticated)
        self.assertEqual(self.database.asked, [])


class RecipientTests(DatabaseTestCase):
    """The rules of addressing, on PostgreSQL."""

    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        await make_agent(self.db, "bot@agents.test")
        self.directory = Directory(self.db, lambda: MOMENT, operator=OPERATOR_MAILBOX)

    async def check(self, address: str, agent_id: str | None, tag: str = "") -> None:
        expected = None if agent_id is None else Recipient(address, agent_id, tag)
        self.assertEqual(await self.directory.recipient(address), expected, address)
        self.assertEqual(self.directory.cached_recipient(address), expected, address)

    async def test_case(self) -> None:
        """Case does not matter, and the address stays as the client gave it."""
        await self.check("BOT@Agents.Test", "bot@agents.test")

    async def test_tags(self) -> None:
        """A tag is cut at the first plus and kept as it was written."""
        await self.check("bot+News+2@agents.test", "bot@agents.test", "News+2")
        await self.check("bot+@agents.test", "bot@agents.test")
        await self.check("nobody+news@agents.test", None)
        await self.check("+bot@agents.test", None)

    async def test_exact_address_wins(self) -> None:
        """An agent that has the tagged address itself gets its mail, without a tag."""
        await make_agent(self.db, "bot+news@agents.test")
        await self.check("Bot+News@agents.test", "bot+news@agents.test")
        await self.check("bot+other@agents.test", "bot@agents.test", "other")

    async def test_operator(self) -> None:
        """postmaster and abuse of every hosted domain, and postmaster alone, reach the operator."""
        for address in (
            "postmaster",
            "Postmaster",
            "PostMaster@agents.test",
            "abuse@agents.test",
            "abuse@mx.gateway.test",
        ):
            await self.check(address, OPERATOR_MAILBOX)
        await self.check("postmaster+x@agents.test", OPERATOR_MAILBOX)
        for address in ("abuse", "postmaster@elsewhere.test", "root@agents.test", "bot", "", "@agents.test", "@"):
            await self.check(address, None)

    async def test_being_deleted(self) -> None:
        """An agent is none any more from the moment its account's deletion begins, cached or not, and another account's
        agent stays one; the operator's mailbox is always there."""
        owner = await make_tenant(self.db, "omega")
        await make_agent(self.db, "bot@omega.test")
        await execute(
            self.db, "UPDATE agents SET organisation_id = %s WHERE id = 'bot@omega.test'", owner.organisation_id
        )
        await self.check("bot@omega.test", "bot@omega.test")
        await self.check("bot@agents.test", "bot@agents.test")
        told: list[str] = []

        async def tell(_: Any, kind: str, names: Sequence[str]) -> None:
            told.extend(f"{kind} {name}" for name in names)

        self.patch(erasure, "tell", tell)
        await self.db.run("begin", erasure.mark, [owner.organisation_id, OPERATOR])
        for payload in told:
            self.directory.changed(payload)
        await self.check("bot@omega.test", None)
        await self.check("bot@agents.test", "bot@agents.test")
        await self.check(OPERATOR_MAILBOX, OPERATOR_MAILBOX)

    async def test_own_postmaster(self) -> None:
        """Whoever has an agent at postmaster of their own domain gets that mail."""
        await make_agent(self.db, "postmaster@corp.test")
        await self.check("postmaster@corp.test", "postmaster@corp.test")
        await self.check("abuse@corp.test", OPERATOR_MAILBOX)

    async def test_unverified_domain(self) -> None:
        """No mail is taken for a domain that nobody has proved."""
        await execute(self.db, "UPDATE domains SET verified_at = NULL WHERE name = 'agents.test'")
        await self.check("bot@agents.test", None)
        await self.check("postmaster@agents.test", None)

    async def test_hostile_addresses(self) -> None:
        """NUL, quotes, wildcards and other scripts reach nobody and break nothing."""
        for address in (
            "b\0t@agents.test",
            '"bot"@agents.test',
            "b%@agents.test",
            "bo_@agents.test",
            "b\u00f6t@agents.test",
        ):
            await self.check(address, None)


class KeyTests(DatabaseTestCase):
    """Keys, on PostgreSQL."""

    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db, "bot@agents.test")
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.directory = Directory(self.db, self.clock.seconds, operator=OPERATOR_MAILBOX)
        self.accounts = Accounts(self.db, self.clock.seconds, os.urandom, self.directory.changed)

    async def key(self, **values: Any) -> tuple[str, str]:
        """A new key's id and text."""
        defaults = {"name": "k", "permissions": ["agents:read", "keys:write"], "random": os.urandom}
        key, text = await self.db.run("key", lambda cur: make_key(cur, ORGANISATION, USER, **{**defaults, **values}))
        return key.id, text

    async def test_principal(self) -> None:
        """A key stands for its organisation, user, agent, and the permissions that such a key can have."""
        key_id, text = await self.key(agent_id="bot@agents.test")
        permissions = frozenset({"agents:read"})
        expected = Principal(ORGANISATION, USER, permissions, key_id, "bot@agents.test", key_prefix=text[:12])
        self.assertEqual(await self.directory.principal(text), expected)

    async def test_labelled(self) -> None:
        """A key stands for the labels that it is limited to."""
        _, text = await self.key(label_prefix="eu/")
        self.assertEqual((await self.directory.principal(text)).label_prefix, "eu/")

    async def test_role(self) -> None:
        """A key does what its creator's role gives today: less after a demotion, nothing after they left."""
        key_id, text = await self.key(permissions=ALL_PERMISSIONS)
        self.assertEqual((await self.directory.principal(text)).permissions, set(ALL_PERMISSIONS))
        await execute(self.db, "UPDATE memberships SET role = 'member'")
        self.directory.changed(f"key {key_id}")
        self.assertEqual((await self.directory.principal(text)).permissions, ROLE_PERMISSIONS["member"])
        await execute(self.db, "DELETE FROM memberships")
        self.clock.advance(5.1)
        await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(text)), Unauthenticated)

    async def test_unknown(self) -> None:
        """A key that nobody has, or whose text differs in one digit, opens nothing."""
        _, text = await self.key()
        other = text[:-1] + ("0" if text[-1] != "0" else "1")
        for bad in (other, apikeys.mint(os.urandom).text):
            await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(bad)), Unauthenticated)

    async def test_revoked_at_once(self) -> None:
        """A revoked key fails at the next request, even where it was cached."""
        key_id, text = await self.key()
        principal = await self.directory.principal(text)
        await self.accounts.revoke_key(principal, key_id)
        await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(text)), Unauthenticated)

    async def test_revoked_elsewhere(self) -> None:
        """A key revoked without a notification dies with its cached answer, after five seconds."""
        key_id, text = await self.key()
        await self.directory.principal(text)
        await execute(self.db, "UPDATE api_keys SET revoked_at = now() WHERE id = %s", key_id)
        await self.directory.principal(text)
        self.clock.advance(5)
        await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(text)), Unauthenticated)

    async def test_expires(self) -> None:
        """A key ends at its time, to the moment, cached or not."""
        ends = datetime.fromtimestamp(MOMENT + 2, UTC)
        _, text = await self.key(expires_at=ends)
        await self.directory.principal(text)
        self.clock.advance(1.9)
        await self.directory.principal(text)
        self.clock.advance(0.1)
        await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(text)), Unauthenticated)
        self.directory.clear()
        await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(text)), Unauthenticated)

    async def test_agent_gone(self) -> None:
        """A key bound to an agent is forgotten when the agent goes."""
        _, text = await self.key(agent_id="bot@agents.test")
        await self.directory.principal(text)
        await execute(self.db, "DELETE FROM agents WHERE id = 'bot@agents.test'")
        self.directory.changed("agent bot@agents.test")
        await self.assertFailure(Deferred.fromCoroutine(self.directory.principal(text)), Unauthenticated)

    async def test_last_use_is_written_in_batches(self) -> None:
        """Requests write nothing; the batch writes each key's last use once."""
        key_id, text = await self.key()
        idle, _ = await self.key()
        for _ in range(3):
            await self.directory.principal(text)
            self.clock.advance(1)
        self.assertEqual(await rows(self.db, "SELECT id FROM api_keys WHERE last_used_at IS NOT NULL"), [])
        await self.directory.record_use()
        found = await rows(self.db, "SELECT id, last_used_at FROM api_keys WHERE last_used_at IS NOT NULL")
        self.assertEqual([tuple(row) for row in found], [(key_id, datetime.fromtimestamp(MOMENT + 2, UTC))])
        self.assertNotEqual(idle, key_id)

    async def test_last_use_survives_trouble(self) -> None:
        """What could not be written is written by the next batch."""
        key_id, text = await self.key()
        await self.directory.principal(text)
        await self.db.stop()
        await self.assertFailure(Deferred.fromCoroutine(self.directory.record_use()), Unavailable)
        await self.db.start()
        await self.directory.record_use()
        (row,) = await rows(self.db, "SELECT last_used_at FROM api_keys WHERE id = %s", key_id)
        self.assertEqual(row.last_used_at, datetime.fromtimestamp(MOMENT, UTC))

    async def test_last_use_never_goes_back(self) -> None:
        """A later use that another process wrote stays."""
        key_id, text = await self.key()
        await self.directory.principal(text)
        later = datetime.fromtimestamp(MOMENT + 60, UTC)
        await execute(self.db, "UPDATE api_keys SET last_used_at = %s", later)
        await self.directory.record_use()
        (row,) = await rows(self.db, "SELECT last_used_at FROM api_keys WHERE id = %s", key_id)
        self.assertEqual(row.last_used_at, later)

    async def test_foreign_key_stays(self) -> None:
        """Nobody revokes another organisation's key."""
        key_id, text = await self.key()
        stranger = await make_tenant(self.db, "stranger")
        await self.assertFailure(Deferred.fromCoroutine(self.accounts.revoke_key(stranger, key_id)), NotFound)
        await self.directory.principal(text)
