"""Delegations: proposed by the owner, confirmed by the person, ended by either."""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from e2a.core.errors import BadRequest, Conflict, Forbidden, NotFound, SendingNotConfigured, TooManyRequests
from e2a.core.rules.drafts import Draft
from e2a.core.rules.limits import Limit
from e2a.core.trust.delegation import Delegation, DelegationTokens
from e2a.flows import delegations as module
from e2a.flows.delegations import Delegations, delegated
from e2a.flows.directory import Directory
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.tenants import OPERATOR_MAILBOX, OWN, execute, make_tenant, rows, start

BOT = "bot@corp.test"
ANN = "ann@people.test"
IP = "192.0.2.1"


class Writer:
    """Keeps what would be written."""

    def __init__(self) -> None:
        self.sends_system_mail = True
        self.drafts: list[Draft] = []

    async def system_mail(self, cur: Any, draft: Draft) -> None:
        self.drafts.append(draft)

    def token(self) -> str:
        """That of the last mail."""
        match = re.search(r"https://api\.test/api/v1/delegation\?token=([\w-]+)\n", self.drafts[-1].text)
        assert match is not None
        return match[1]


class DelegationsTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        await start(self.db)
        self.ana = await make_tenant(self.db, "ana")
        self.bo = await make_tenant(self.db, "bo")
        await make_agent(self.db, BOT, organisation=self.ana.organisation_id)
        self.writer = Writer()
        self.flow = self.make()

    def make(self, public_url: str = "https://api.test") -> Delegations:
        return Delegations(
            self.db,
            Directory(self.db, time.time, operator=OPERATOR_MAILBOX),
            self.writer,
            DelegationTokens(b"k" * 32),
            own=OWN,
            public_url=public_url,
            now=time.time,
            random=os.urandom,
        )

    async def refused(self, error: type[Exception], work: Any) -> Any:
        return await self.assertFailure(Deferred.fromCoroutine(work), error)

    async def spoken(self, on_behalf_of: str = "") -> str:
        (text,) = await self.db.run("delegated", delegated, [(BOT, on_behalf_of)])
        return text

    async def asked(self, person: str = ANN) -> str:
        """Propose; the token that the person got."""
        await self.flow.propose(self.ana, BOT, person)
        return self.writer.token()

    async def age(self, days: int) -> None:
        """Let days pass."""
        await execute(
            self.db,
            "UPDATE delegations SET created_at = created_at - make_interval(days => %(days)s),"
            " ended_at = ended_at - make_interval(days => %(days)s)".replace("%(days)s", str(days)),
        )
        await execute(self.db, "DELETE FROM rate_events")

    async def test_agreed(self) -> None:
        """From the person's yes to the end the agent's mail says for whom it acts."""
        made = await self.flow.propose(self.ana, BOT, " Ann@People.test ")
        self.assertEqual((made.agent_id, made.person, self.flow.state(made)), (BOT, ANN, "proposed"))
        self.assertEqual(await self.spoken(), "")
        confirmed = await self.flow.decide(self.writer.token(), "confirm", IP)
        self.assertEqual((confirmed.id, self.flow.state(confirmed)), (made.id, "active"))
        self.assertEqual(await self.spoken(), f"agent={BOT};human={ANN}")
        self.assertEqual(await self.flow.list_live(self.ana, BOT), [confirmed])
        await self.flow.end(self.ana, BOT, made.id)
        self.assertEqual(await self.spoken(), "")
        self.assertEqual(await self.flow.list_live(self.ana, BOT), [])

    async def test_mail(self) -> None:
        """The mail goes to the person alone, and holds nothing that the owner could have worded."""
        await execute(self.db, "UPDATE agents SET name = 'Click https://evil.test' WHERE id = %s", BOT)
        await self.asked()
        (draft,) = self.writer.drafts
        self.assertEqual(draft.recipients.envelope(), ((ANN, "to"),))
        self.assertIn(BOT, draft.subject)
        self.assertNotIn("evil", draft.subject + draft.text)

    async def test_looking_changes_nothing(self) -> None:
        """Opening the link is no answer."""
        token = await self.asked()
        before = await self.flow.list_live(self.ana, BOT)
        self.assertEqual([await self.flow.look(token, IP)], before)
        self.assertEqual(await self.flow.list_live(self.ana, BOT), before)

    async def test_person_ends(self) -> None:
        """The person declines, or ends later, by the same link, at any time; the agent cannot ask again at once."""
        token = await self.asked()
        declined = await self.flow.decide(token, "end", IP)
        self.assertEqual(declined.ended_by, "person")
        again = await self.flow.decide(token, "confirm", IP)
        self.assertEqual((self.flow.state(again), await self.spoken()), ("ended", ""))
        await self.refused(Conflict, self.flow.propose(self.ana, BOT, ANN))
        await self.age(31)
        token = await self.asked()
        await self.flow.decide(token, "confirm", IP)
        await self.age(400)
        self.assertEqual(await self.spoken(), f"agent={BOT};human={ANN}")
        self.assertEqual(self.flow.state(await self.flow.decide(token, "end", IP)), "ended")
        self.assertEqual(await self.spoken(), "")

    async def test_too_late(self) -> None:
        """After seven days a question cannot be agreed to; the owner can ask again, and only the new link counts."""
        token = await self.asked()
        await self.age(7)
        late = await self.flow.decide(token, "confirm", IP)
        self.assertEqual((self.flow.state(late), await self.spoken()), ("expired", ""))
        fresh = await self.asked()
        await self.flow.decide(token, "confirm", IP)
        self.assertEqual(await self.spoken(), "")
        await self.flow.decide(fresh, "confirm", IP)
        self.assertEqual(await self.spoken(), f"agent={BOT};human={ANN}")

    async def test_said_twice(self) -> None:
        """An answer given twice, or at once, is one answer."""
        token = await self.asked()
        done = await gatherResults([Deferred.fromCoroutine(self.flow.decide(token, "confirm", IP)) for _ in "abc"])
        self.assertEqual({self.flow.state(each) for each in done}, {"active"})
        self.assertEqual(len({each.confirmed_at for each in done}), 1)
        await self.refused(Conflict, self.flow.propose(self.ana, BOT, ANN))

    async def test_several_persons(self) -> None:
        """With several persons the mail must name the one it is for."""
        for person in (ANN, "carl@people.test"):
            await self.flow.decide(await self.asked(person), "confirm", IP)
        self.assertEqual(await self.spoken(), "")
        self.assertEqual(await self.spoken("Carl@people.test"), f"agent={BOT};human=carl@people.test")
        self.assertEqual(await self.spoken("dora@people.test"), "")

    async def test_proposed_at_once(self) -> None:
        """Two proposals at once leave one question."""
        await gatherResults([Deferred.fromCoroutine(self.flow.propose(self.ana, BOT, ANN)) for _ in "ab"])
        self.assertEqual(len(await self.flow.list_live(self.ana, BOT)), 1)

    async def test_not_a_person(self) -> None:
        """An address whose mail an owner of agents could read is no person's."""
        await make_agent(self.db, "other@corp.test", organisation=self.bo.organisation_id)
        for address in ("other@corp.test", "other+x@corp.test", BOT, "anybody@agents.test", "x@mx.gateway.test"):
            self.assertEqual(
                (await self.refused(BadRequest, self.flow.propose(self.ana, BOT, address))).field, "person"
            )
        for text in ("", "ann", "ann@people.test, bob@people.test", "ann@people.test\r\nBcc: x@x.test", '";"@x.test@'):
            error = await self.refused(BadRequest, self.flow.propose(self.ana, BOT, text))
            self.assertEqual(error.field, "person")
        self.assertEqual((self.writer.drafts, await self.flow.list_live(self.ana, BOT)), ([], []))

    async def test_foreign(self) -> None:
        """Another organisation's agent and binding are not found, and keys bound to an agent propose nothing."""
        made = await self.flow.propose(self.ana, BOT, ANN)
        await self.refused(NotFound, self.flow.propose(self.bo, BOT, ANN))
        await self.refused(NotFound, self.flow.list_live(self.bo, BOT))
        await self.refused(NotFound, self.flow.end(self.bo, BOT, made.id))
        await make_agent(self.db, "second@corp.test", organisation=self.ana.organisation_id)
        await self.refused(NotFound, self.flow.end(self.ana, "second@corp.test", made.id))
        await self.refused(NotFound, self.flow.end(self.ana, BOT, "dlg_" + "0" * 32))
        bound = replace(self.ana, agent_id=BOT)
        await self.refused(Forbidden, self.flow.propose(bound, BOT, ANN))
        await self.refused(Forbidden, self.flow.end(bound, BOT, made.id))
        self.assertEqual(await self.flow.list_live(bound, BOT), [made])
        await self.refused(NotFound, self.flow.list_live(replace(self.ana, agent_id="second@corp.test"), BOT))

    async def test_bad_links(self) -> None:
        """A link that was not made here, or whose binding is gone with its agent, leads nowhere."""
        token = await self.asked()
        for work in (self.flow.look("x" * 43, IP), self.flow.decide("", "confirm", IP)):
            await self.refused(BadRequest, work)
        await execute(self.db, "DELETE FROM mailboxes")
        await execute(self.db, "DELETE FROM agents WHERE id = %s", BOT)
        await self.refused(NotFound, self.flow.look(token, IP))
        await self.refused(NotFound, self.flow.decide(token, "end", IP))

    async def test_limits(self) -> None:
        """Nobody is flooded with questions, by one account or by several, and a refused one stores nothing."""
        self.patch(module, "QUESTIONS", Limit("q", 2, 86_400))
        self.patch(module, "PROPOSALS", Limit("p", 3, 86_400))
        await make_agent(self.db, "his@other.test", organisation=self.bo.organisation_id)
        await self.asked()
        await self.flow.propose(self.bo, "his@other.test", ANN)
        await self.refused(TooManyRequests, self.flow.propose(self.ana, BOT, ANN))
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM delegations")), 2)
        for person in ("a@people.test", "b@people.test"):
            await self.asked(person)
        await self.refused(TooManyRequests, self.flow.propose(self.ana, BOT, "c@people.test"))
        self.assertEqual(len(self.writer.drafts), 4)

    async def test_several_organisations(self) -> None:
        """Whoever belongs to several organisations does not ask more people for that."""
        self.patch(module, "PROPOSALS_BY", Limit("by", 1, 86_400))
        await make_agent(self.db, "his@other.test", organisation=self.bo.organisation_id)
        await self.asked()
        there = replace(self.ana, organisation_id=self.bo.organisation_id)
        await self.refused(TooManyRequests, self.flow.propose(there, "his@other.test", "b@people.test"))
        await self.flow.propose(self.bo, "his@other.test", "b@people.test")

    async def test_link_limit(self) -> None:
        """One client cannot open a good link without end."""
        self.patch(module, "PAGES", Limit("pages", 2, 60))
        token = await self.asked()
        for _ in range(2):
            await self.flow.look(token, IP)
        await self.refused(TooManyRequests, self.flow.look(token, IP))
        await self.flow.look(token, "192.0.2.2")

    async def test_cap(self) -> None:
        """There is a most of living bindings."""
        self.patch(module, "MOST_DELEGATIONS", 1)
        await self.asked()
        await self.asked()
        await self.refused(Conflict, self.flow.propose(self.ana, BOT, "b@people.test"))

    async def test_not_configured(self) -> None:
        """Without a way to write to people, or a place for the link to lead to, nothing is proposed."""
        await self.refused(SendingNotConfigured, self.make("").propose(self.ana, BOT, ANN))
        self.writer.sends_system_mail = False
        await self.refused(SendingNotConfigured, self.flow.propose(self.ana, BOT, ANN))
        self.assertEqual(await self.flow.list_live(self.ana, BOT), [])

    async def test_mail_fails(self) -> None:
        """A question that could not be written down is no proposal."""

        async def broken(cur: Any, draft: Draft) -> None:
            raise SendingNotConfigured

        self.patch(self.writer, "system_mail", broken)
        await self.refused(SendingNotConfigured, self.flow.propose(self.ana, BOT, ANN))
        found: list[Delegation] = await self.flow.list_live(self.ana, BOT)
        self.assertEqual(found, [])
