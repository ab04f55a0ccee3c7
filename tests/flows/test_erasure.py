"""A person's account goes, and what is nobody else's goes with it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Conflict, Forbidden, Unauthenticated, Unavailable
from e2a.flows.bootstrap import OPERATOR, bootstrap_user
from e2a.flows.erasure import Erasure
from e2a.flows.retention import Retention
from e2a.store import erasure as store
from e2a.store.intake import Outcome, store_group
from e2a.store.users import find_user
from tests.flows.test_retention import Counts
from tests.store.test_intake import a_mail, a_row
from tests.support.accounts import fill, holding, tables
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import OPERATOR_MAILBOX, SEALER, execute, make_tenant, rows, start


class ErasureTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.erasure = Erasure(self.db, SEALER, os.urandom, operator=OPERATOR_MAILBOX)

    async def erase(self, principal: Principal) -> dict[str, Any]:
        return await self.erasure.delete_account(principal, "DELETE")

    async def everything(self) -> dict[str, list[str]]:
        """Every row of every table as text."""
        return {
            table: sorted(row.line for row in await rows(self.db, f"SELECT t::text AS line FROM {table} AS t"))
            for table in await tables(self.db)
        }

    async def join(self, organisation_id: str, user_id: str, role: str) -> None:
        await execute(
            self.db,
            "INSERT INTO memberships (organisation_id, user_id, role) VALUES (%s, %s, %s)",
            organisation_id,
            user_id,
            role,
        )

    # --- nothing is left ----------------------------------------------------------------------------------------------

    async def test_nothing_left(self) -> None:
        """No row of any table holds anything of the account any more, and no other account's row has changed."""
        await fill(self.db, self.dsn, "omega", "raw-shared")
        before = await self.everything()
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        words = ("alpha", owner.organisation_id, owner.user_id)
        held = await holding(self.db, *words)
        unmarked = {"schema_migrations", "signin_states"}
        self.assertEqual(set(await tables(self.db)) - set(held), unmarked, "tables without a row of the account")
        await self.erase(owner)
        self.assertEqual(await holding(self.db, *words), {})
        after = await self.everything()
        # What was sent to the operator stays, without its author; and the operator's log says that an account went.
        self.assertEqual(len(after.pop("feedback")), len(before.pop("feedback")) + 1)
        self.assertEqual(len(after.pop("audit_events")), len(before.pop("audit_events")) + 1)
        self.assertEqual(after, before)

    async def test_counts(self) -> None:
        """The answer says how many rows of each kind went."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        self.assertEqual(
            await self.erase(owner),
            {
                "usage_events_deleted": 1,
                "usage_summaries_deleted": 1,
                "messages_deleted": 5,
                "webhook_deliveries_deleted": 1,
                "agents_deleted": 1,
                "domains_deleted": 1,
                "api_keys_deleted": 1,
                "signing_secrets_deleted": 1,
                "suppressions_deleted": 1,
                "delegations_deleted": 1,
                "invitations_deleted": 1,
                "audit_events_deleted": 1,
                "sessions_deleted": 1,
                "user_deleted": True,
            },
        )

    async def test_audited(self) -> None:
        """The operator's log says that an account was deleted, and nothing of whose it was."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        await self.erase(owner)
        found = await rows(self.db, "SELECT * FROM audit_events WHERE action = 'account.deleted'")
        self.assertEqual([(row.organisation_id, row.user_id, row.client_ip) for row in found], [(OPERATOR, None, "")])
        self.assertEqual(found[0].detail["rows"]["agents_deleted"], 1)

    # --- who decides --------------------------------------------------------------------------------------------------

    async def test_confirmed(self) -> None:
        """Without the very word nothing happens, and a key for some agents only is refused."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        for word in ("", "delete", "DELETE "):
            with self.assertRaises(BadRequest) as caught:
                await self.erasure.delete_account(owner, word)
            self.assertEqual(caught.exception.field, "confirm")
        with self.assertRaises(Forbidden):
            await self.erasure.delete_account(replace(owner, agent_id="bot@alpha.test"), "DELETE")
        self.assertIn("messages", await holding(self.db, "alpha"))

    async def test_others_stay(self) -> None:
        """An organisation with another owner goes on without the person, whose keys to it are gone."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        partner = await make_tenant(self.db, "partner")
        await self.join(owner.organisation_id, partner.user_id, "owner")
        self.assertEqual((await self.erase(owner))["agents_deleted"], 0)
        left = await holding(self.db, "alpha.test")
        self.assertIn("agents", left)
        self.assertNotIn("api_keys", await holding(self.db, owner.user_id))
        lines = await rows(
            self.db, "SELECT action FROM audit_events WHERE organisation_id = %s ORDER BY id", owner.organisation_id
        )
        self.assertIn("member.left", [row.action for row in lines])
        self.assertEqual(len(await rows(self.db, "SELECT 1 AS n FROM mailboxes WHERE agent_id = 'bot@alpha.test'")), 1)

    async def test_sole_owner(self) -> None:
        """Who is the only owner of an organisation with other members must hand it over first; nothing was changed."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        await self.join(owner.organisation_id, (await make_tenant(self.db, "partner")).user_id, "admin")
        before = await self.everything()
        with self.assertRaises(Conflict):
            await self.erase(owner)
        self.assertEqual(await self.everything(), before)

    async def test_two_owners_at_once(self) -> None:
        """Of the last two owners of an organisation that has a member both cannot go, even at the same time."""
        one, two = await make_tenant(self.db, "one"), await make_tenant(self.db, "two")
        await self.join(one.organisation_id, two.user_id, "owner")
        await self.join(one.organisation_id, (await make_tenant(self.db, "three")).user_id, "member")
        outcomes = await gatherResults(
            [Deferred.fromCoroutine(self.erase(who)).addErrback(lambda f: f.value) for who in (one, two)]
        )
        self.assertEqual(sorted(type(outcome).__name__ for outcome in outcomes), ["Conflict", "dict"])

    async def test_twice(self) -> None:
        """Once is enough: the second time there is nobody."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        await self.erase(owner)
        with self.assertRaises(Unauthenticated):
            await self.erase(owner)

    async def test_operator(self) -> None:
        """The first user's account goes, and the deployment's own mailbox and organisation stay, for the next one."""
        user, key = await bootstrap_user(self.db, "first@people.test", SEALER, os.urandom)
        await self.receive(OPERATOR_MAILBOX, "one")
        owner = Principal(OPERATOR, user.id, frozenset())
        counts = await self.erase(owner)
        self.assertEqual((counts["agents_deleted"], counts["messages_deleted"]), (0, 1))
        self.assertEqual(await holding(self.db, "first@people.test"), {})
        # The operator's log says as an id who was made there.
        self.assertEqual(await holding(self.db, user.id), {"audit_events": 1})
        self.assertEqual(await self.receive(OPERATOR_MAILBOX, "two"), Outcome.STORED)
        secrets = await rows(self.db, "SELECT 1 AS n FROM signing_secrets WHERE organisation_id = %s", OPERATOR)
        self.assertEqual(len(secrets), 1)
        self.assertNotEqual((await bootstrap_user(self.db, "first@people.test", SEALER, os.urandom))[1], key)

    # --- while it goes on ---------------------------------------------------------------------------------------------

    async def receive(self, agent: str, name: str) -> Outcome:
        message = a_mail(a_row(agent, id=f"msg_{name}", fingerprint=None))
        outcomes = await self.db.run("intake", store_group, [message], False)
        return outcomes[message.rows[0].id]

    async def test_stopped_at_once(self) -> None:
        """From the first steps on no mail comes in, nothing waits to go out and keys are dead, whatever is left."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        self.patch(store, "erase_messages", self.broken)
        with self.assertRaises(Unavailable):
            await self.erase(owner)
        self.assertEqual(await self.receive("bot@alpha.test", "late"), Outcome.GONE)
        self.assertEqual(await rows(self.db, "SELECT 1 FROM outbox"), [])
        self.assertEqual(await rows(self.db, "SELECT 1 FROM api_keys"), [])
        self.assertEqual(await self.db.run("user", find_user, "alpha@people.test"), None)
        self.assertEqual(await rows(self.db, "SELECT 1 FROM agents WHERE webhook_url <> ''"), [])

    async def broken(self, *_: Any) -> int:
        raise Unavailable

    async def test_resumed(self) -> None:
        """What was interrupted is finished by the next round of retention."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        whole = store.erase_messages
        self.patch(store, "erase_messages", self.broken)
        with self.assertRaises(Unavailable):
            await self.erase(owner)
        self.assertIn("messages", await holding(self.db, "alpha"))
        self.patch(store, "erase_messages", whole)
        counts = Counts()
        await Retention(self.db, counts, erasure=self.erasure).forget()
        self.assertEqual(await holding(self.db, "alpha", owner.organisation_id, owner.user_id), {})
        self.assertEqual(counts.counted["forgotten accounts"], 1)

    async def test_in_batches(self) -> None:
        """A mailbox of several batches goes batch by batch, and the bytes that another account holds stay."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        await fill(self.db, self.dsn, "omega", "raw-shared")
        await execute(
            self.db,
            "INSERT INTO messages (id, agent_id, direction, uid, raw_id, inbox_status)"
            " SELECT 'msg_m' || n, 'bot@alpha.test', 'inbound', 100 + n, 'raw-shared', 'read'"
            " FROM generate_series(1, 2500) AS n",
        )
        self.assertEqual((await self.erase(owner))["messages_deleted"], 2505)
        self.assertEqual(len(await rows(self.db, "SELECT 1 AS n FROM raw_messages WHERE id = 'raw-shared'")), 1)
        self.assertEqual(await holding(self.db, "alpha"), {})

    async def test_mail_meanwhile(self) -> None:
        """Mail that comes in while the account goes is stored before and goes with it, or is answered that nobody is
        there; none of it is left."""
        owner = await fill(self.db, self.dsn, "alpha", "raw-shared")
        erasing = Deferred.fromCoroutine(self.erase(owner))
        outcomes = [await self.receive("bot@alpha.test", f"late-alpha{n}") for n in range(40)]
        await erasing
        self.assertEqual(outcomes[-1], Outcome.GONE)
        self.assertEqual(await holding(self.db, "alpha"), {})
