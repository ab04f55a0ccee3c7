"""Every route of the daemon, asked with every kind of credential: what is decided is what ``permissions.may`` says, and
nobody learns whether a thing exists that is not theirs.

A new route is walked by itself. If its path has a parameter of a new kind, this test fails until ``Victim`` says what
the parameter is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from e2a.api.routing import Route
from e2a.core.entities import Origin, Principal, User
from e2a.core.rules.permissions import ALL_PERMISSIONS, LABEL_PERMISSIONS, PUBLIC, ROLE_PERMISSIONS, SELF, Thing, may
from e2a.flows.accounts import make_key
from e2a.flows.directory import Directory
from e2a.flows.sessions import Opened, open_session
from tests.support.gateway import Answer, GatewayTestCase
from tests.support.mail import store_message
from tests.support.tenants import execute, rows

BOT, ANT = "victim-bot@agents.test", "victim-ant@agents.test"
RAW = (
    b"From: victim-ana@corp.test\r\nTo: victim-bot@agents.test\r\nSubject: victim\r\nMIME-Version: 1.0\r\n"
    b"Message-ID: <victim-1@corp.test>\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nUERG\r\n--b--\r\n"
)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = "/api/v1/agents/{email}/messages/{id}"

#: What stands for {id}, by how the path begins; the longest beginning counts.
IDS = {
    MESSAGE: "message",
    "/api/v1/agents/{email}/delegations/{id}": "delegation",
    "/api/v1/messages/{id}": "held",
    "/api/keys/{id}": "key",
    "/api/v1/users/me/signing-secrets/{id}": "secret",
    "/api/v1/invitations/{id}": "invitation",
    "/api/v1/sessions/{id}": "session",
    "/api/v1/operator/organisations/{id}": "organisation",
}
#: What stands for every other parameter.
PARAMETERS = {
    "email": "agent",
    "index": "index",
    "domain": "domain",
    "address": "suppression",
    "conversation": "conversation",
    "user_id": "member",
}
#: What nobody has, of each kind.
UNKNOWN = {
    "agent": "nobody@agents.test",
    "message": "msg_" + "0" * 32,
    "held": "msg_" + "0" * 32,
    "delegation": "dlg_" + "0" * 32,
    "key": "apk_" + "0" * 32,
    "secret": "wsec_" + "0" * 32,
    "invitation": "inv_" + "0" * 32,
    "session": "ses_" + "0" * 32,
    "organisation": "org_" + "0" * 32,
    "index": "7",
    "domain": "nobody.test",
    "suppression": "nobody@people.test",
    "conversation": "nobody-1",
    "member": "0" * 32,
}
#: What belongs to an agent: all else is the organisation's.
OF_AN_AGENT = {"agent", "message", "held", "delegation", "conversation", "index"}

#: Bodies with which the request means something; {agent} is put in.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/send"): {"from": "{agent}", "to": [ANT], "subject": "s", "body": "b", "wait": 0},
    ("POST", MESSAGE + "/reply"): {"body": "b", "wait": 0},
    ("POST", MESSAGE + "/forward"): {"to": [ANT], "wait": 0},
    ("POST", "/api/v1/agents/{email}/test"): {"wait": 0},
    ("POST", "/api/v1/agents/{email}/delegations"): {"person": "ann@people.test"},
    ("PUT", "/api/v1/agents/{email}"): {"name": "changed"},
    ("POST", "/api/keys"): {"agent": "{agent}"},
    ("PUT", "/api/v1/members/{user_id}"): {"role": "member"},
    ("POST", "/api/v1/domains"): {"domain": "new.test"},
    ("POST", "/api/v1/suppressions"): {"address": "new@people.test"},
    ("PUT", "/api/v1/organisation"): {"name": "renamed"},
    ("POST", "/api/v1/invitations"): {"email": "new@people.test", "role": "member"},
    ("PUT", "/api/v1/session/organisation"): {"organisation_id": "{organisation}"},
}
QUERIES = {"/api/v1/agents/{email}/messages/wait": "?timeout=0", MESSAGE: "?mark_read=false"}

#: Reads of what is there that are not answered with 2xx: the WebSocket wants an upgrade; what only the operator sees.
READS = {"/api/v1/agents/{email}/ws": 426, "/api/v1/operator/organisations/{id}/quotas": 404}

#: Changes that even the owner is not done, as this test asks for them.
UNDONE = {
    ("POST", "/api/v1/agents"): 400,
    ("DELETE", "/api/v1/users/me"): 400,
    ("PUT", "/api/v1/operator/organisations/{id}/quotas"): 404,
    # The agent has no webhook, mail to people has no way out here, and the message is approved by then.
    ("POST", MESSAGE + "/redeliver"): 409,
    ("POST", MESSAGE + "/reply"): 503,
    ("POST", "/api/v1/agents/{email}/delegations"): 503,
    ("POST", "/api/v1/messages/{id}/reject"): 409,
    ("POST", "/api/v1/messages/{id}/resend"): 409,
}

#: What a credential must hold beside a route's permission, because the request of this test gives it to somebody.
GIVES = {("POST", "/api/v1/invitations"): ROLE_PERMISSIONS["member"]}


@dataclass
class Credential:
    """:ivar headers: what is sent.
    :ivar principal: what that makes of the caller.
    """

    name: str
    headers: dict[str, str]
    principal: Principal | None = None


@dataclass
class Victim:
    """An organisation with one of everything. :ivar things: by kind, what its parameter is."""

    organisation_id: str = ""
    things: dict[str, str] = field(default_factory=dict)


def kinds(route: Route) -> list[tuple[str, str]]:
    """The path's parameters, each with what kind of thing it names.

    :raises AssertionError: the test does not know; tell it in ``IDS`` or ``PARAMETERS``.
    """
    found = []
    for name in route.parameters:
        if name == "id":
            beginnings = [beginning for beginning in IDS if route.path.startswith(beginning)]
            assert beginnings, f"what is {{id}} of {route.path}? add it to IDS"
            found.append((name, IDS[max(beginnings, key=len)]))
        else:
            assert name in PARAMETERS, f"what is {{{name}}} of {route.path}? add it to PARAMETERS"
            found.append((name, PARAMETERS[name]))
    return found


class IsolationTests(GatewayTestCase):
    timeout = 120

    async def setUp(self) -> None:
        await super().setUp()
        self.directory = Directory(self.db, lambda: 0.0, operator="postmaster@mx.gateway.test")
        await self.bootstrap("operator@people.test")
        self.victim = Victim()
        self.owner = await self.credential("owner's key", await self.bootstrap("victim@people.test"))
        self.stranger = await self.credential("foreign key", await self.bootstrap("stranger@people.test"))
        await self.fill()
        self.routes = [route for route in self.api.routes if route.action != PUBLIC]
        self.assertGreater(len(self.routes), 50)

    # --- who and what ---------------------------------------------------------------------------------------------

    async def credential(self, name: str, key: str) -> Credential:
        return Credential(name, {"Authorization": f"Bearer {key}"}, await self.directory.principal(key))

    async def made(self, method: str, path: str, body: Any) -> Any:
        """What the victim's owner makes."""
        answer = await self.ask(method, path, self.owner.headers, body)
        self.assertIn(answer.code, (200, 201, 202), (path, answer.content))
        return answer.json

    async def key(self, name: str, **wishes: Any) -> Credential:
        return await self.credential(name, (await self.made("POST", "/api/keys", {"name": name, **wishes}))["key"])

    async def fill(self) -> None:
        """One of everything for the victim."""
        assert self.owner.principal is not None
        organisation_id = self.owner.principal.organisation_id
        for slug, label in (("victim-bot", "victim/1"), ("victim-ant", "other/1")):
            await self.made("POST", "/api/v1/agents", {"slug": slug, "agent_mode": "local", "label": label})
        await self.made("PUT", f"/api/v1/agents/{BOT}", {"hitl_enabled": True})
        await store_message(self.db, "msg_victim", BOT, raw=RAW, sender="victim-ana@corp.test", delivery=True)
        await execute(self.db, "UPDATE webhook_deliveries SET status = 'delivered'")
        await execute(self.db, "UPDATE messages SET conversation_id = 'victim-talk' WHERE id = 'msg_victim'")
        draft = {"from": BOT, "to": [ANT], "subject": "victim", "body": "b", "wait": 0}
        file = {"filename": "a.txt", "content_type": "text/plain", "data": "aGk="}
        held = await self.made("POST", "/api/v1/send", {**draft, "attachments": [file]})
        self.assertEqual(held["status"], "pending_approval")
        await self.made("POST", "/api/v1/domains", {"domain": "victim.test"})
        await self.made("POST", "/api/v1/suppressions", {"address": "victim-ann@people.test"})
        await execute(
            self.db,
            "INSERT INTO delegations (id, agent_id, person) VALUES ('dlg_victim', %s, 'victim-cy@people.test')",
            BOT,
        )
        member = User("victim" + "0" * 26, "victim-member@people.test", "", MOMENT)
        await self.join(member, "member", organisation_id)
        session = await self.sign_in(member)
        assert session.principal is not None
        invitation = await self.made("POST", "/api/v1/invitations", {"email": "victim-i@p.test", "role": "member"})
        self.victim.organisation_id = organisation_id
        self.victim.things = {
            "agent": BOT,
            "message": "msg_victim",
            "held": held["message_id"],
            "delegation": "dlg_victim",
            "key": (await self.made("POST", "/api/keys", {"name": "victim"}))["id"],
            "secret": (await self.made("POST", "/api/v1/users/me/signing-secrets", {"name": "victim"}))["id"],
            "invitation": invitation["id"],
            "session": str(session.principal.session_id),
            "organisation": organisation_id,
            "index": "0",
            "domain": "victim.test",
            "suppression": "victim-ann@people.test",
            "conversation": "victim-talk",
            "member": member.id,
        }

    async def join(self, user: User, role: str, organisation_id: str) -> None:
        await execute(
            self.db, "INSERT INTO users (id, email, subject) VALUES (%s, %s, %s)", user.id, user.email, user.id
        )
        await execute(self.db, "INSERT INTO memberships VALUES (%s, %s, %s)", organisation_id, user.id, role)

    async def full_key(self, user: User, name: str) -> Credential:
        """A key with every permission, whatever the user may do."""

        async def work(cur: Any) -> str:
            organisation_id = self.victim.organisation_id
            made = await make_key(
                cur, organisation_id, user.id, name=name, permissions=ALL_PERMISSIONS, random=os.urandom
            )
            return made[1]

        return await self.credential(name, await self.db.run("key", work))

    async def sign_in(self, user: User) -> Credential:
        """A browser in which the user is signed in."""

        async def work(cur: Any) -> Opened:
            return await open_session(
                cur, user, "test", origin=Origin(), now=datetime.now(UTC), sealer=self.sealer, random=os.urandom
            )

        opened = await self.db.run("sign in", work)
        headers = {"Cookie": f"e2a_session={opened.token}"}
        me = await self.ask("GET", "/api/auth/me", headers)
        return Credential(
            f"session of {opened.principal.role}", {**headers, "X-CSRF-Token": me.json["csrf_token"]}, opened.principal
        )

    # --- asking -----------------------------------------------------------------------------------------------------

    def request(self, route: Route, things: dict[str, str]) -> tuple[str, Any]:
        """The path with its query, and the body, about these things."""
        path = route.path
        for name, kind in kinds(route):
            path = path.replace(f"{{{name}}}", quote(things[kind], safe=""))
        body = None
        if route.body is not None:
            text = orjson.dumps(BODIES.get((route.method, route.path), {})).decode()
            body = orjson.loads(re.sub(r"\{(agent|organisation)\}", lambda match: things[match[1]], text))
        return path + QUERIES.get(route.path, ""), body

    async def try_route(self, route: Route, who: Credential, things: dict[str, str]) -> Answer:
        path, body = self.request(route, things)
        answer = await self.ask(route.method, path, who.headers, body)
        if answer.code != 503:
            self.assertLess(answer.code, 500, (who.name, route.method, path, answer.content))
        return answer

    def thing(self, route: Route) -> Thing | None:
        """What the route is about when it is asked about the victim's things; None when it has no parameter."""
        found = {kind for _, kind in kinds(route)}
        if not found:
            return None
        if found <= OF_AN_AGENT:
            return Thing(self.victim.organisation_id, BOT, "victim/1")
        return Thing(self.victim.organisation_id)

    async def state(self) -> list[str]:
        """Everything in the database that bears a name of the victim, as text."""
        tables = await rows(
            self.db,
            "SELECT table_name AS name FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1",
        )
        found = []
        for table in tables:
            lines = await rows(
                self.db, f"SELECT (to_jsonb(t) - 'last_used_at' - 'last_signed_at')::text AS line FROM {table.name} t"
            )
            found += [f"{table.name} {row.line}" for row in lines if self.names_victim(row.line)]
        return sorted(found)

    def names_victim(self, text: str) -> bool:
        return "victim" in text or any(
            self.victim.things[kind] in text for kind in ("organisation", "key", "secret", "held", "invitation")
        )

    async def indistinguishable(self, route: Route, who: Credential) -> Answer:
        """What the route answers about the victim's things, which is what it answers about nothing."""
        there = await self.try_route(route, who, self.victim.things)
        if self.request(route, UNKNOWN) == self.request(route, self.victim.things):
            return there
        nothing = await self.try_route(route, who, UNKNOWN)
        contents = []
        for answer, things in ((there, self.victim.things), (nothing, UNKNOWN)):
            content = answer.content.decode()
            for kind in sorted(things):
                content = content.replace(things[kind], "") if len(things[kind]) > 1 else content
            contents.append(content)
        where = (who.name, route.method, route.path)
        self.assertEqual((there.code, contents[0]), (nothing.code, contents[1]), where)
        return there

    def walk(self, *credentials: Credential) -> Iterator[tuple[Route, Credential]]:
        for who in credentials:
            for route in self.routes:
                yield route, who

    # --- the walks --------------------------------------------------------------------------------------------------

    async def test_nobody(self) -> None:
        """Without a credential, and with one that nobody has, every route but the public ones is 401."""
        unknown = Credential("unknown key", {"Authorization": "Bearer e2a_" + "0" * 64})
        junk = Credential("junk", {"Authorization": "Bearer junk"})
        cookie = Credential("junk cookie", {"Cookie": "e2a_session=e2a_" + "0" * 64})
        before = await self.state()
        for route, who in self.walk(Credential("none", {}), unknown, junk, cookie):
            answer = await self.try_route(route, who, self.victim.things)
            self.assertEqual(answer.code, 401, (who.name, route.method, route.path))
        self.assertEqual(await self.state(), before)

    async def test_strangers(self) -> None:
        """Whoever may do everything in another organisation finds nothing here, learns nothing and changes nothing."""
        (user,) = await rows(self.db, "SELECT id, email FROM users WHERE email = 'stranger@people.test'")
        session = await self.sign_in(User(user.id, user.email, "", MOMENT))
        before = await self.state()
        for route, who in self.walk(self.stranger, session):
            where = (who.name, route.method, route.path)
            answer = await self.indistinguishable(route, who)
            if route.action == SELF and who is self.stranger:
                # What is for people only may say so.
                self.assertIn(answer.code, (200, 400, 401, 403, 404), where)
            elif route.parameters:
                self.assertEqual(answer.code, 404, where)
            elif self.request(route, UNKNOWN) != self.request(route, self.victim.things):
                self.assertIn(answer.code, (400, 404), where)
            self.assertFalse(self.names_victim(answer.content.decode()) and answer.code < 300, (where, answer.content))
        self.assertEqual(await self.state(), before)

    async def test_out_of_reach(self) -> None:
        """Keys of the same organisation for other agents are as blind as strangers, and told what may() says."""
        bound = await self.key("bound", agent=ANT)
        writer = await self.key("labelled", label_prefix="other/")
        reviewer = await self.key(
            "reviewer", label_prefix="other/", permissions=sorted(LABEL_PERMISSIONS - {"messages:send"})
        )
        before = await self.state()
        for route, who in self.walk(bound, writer, reviewer):
            where = (who.name, route.method, route.path)
            if route.action == SELF:
                continue
            answer = await self.indistinguishable(route, who)
            thing = self.thing(route)
            decided = may(who.principal, route.action, thing)
            if thing is None:
                self.assertEqual(answer.code == 403, decided == "no", where)
                self.assertFalse(answer.code < 300 and BOT in answer.content.decode(), where)
            else:
                self.assertEqual(decided, "hidden", where)
                # Who could do nothing with it anyway is told one of the two, whether it is there or not.
                lacking = may(who.principal, route.action) == "no"
                self.assertIn(answer.code, (403, 404) if lacking else (404,), where)
        self.assertEqual(await self.state(), before)

    async def test_permissions(self) -> None:
        """A key without a route's permission is 403 and changes nothing; with it, it reads what is there."""
        weak = [await self.key(name, permissions=[name]) for name in ALL_PERMISSIONS]
        await self.permitted([*weak, await self.key("read only", read_only=True)])

    async def test_roles(self) -> None:
        """A signed-in person may do what their role gives, and a key no more than its creator's role gives today."""
        credentials = []
        for role in ROLE_PERMISSIONS:
            user = User(f"{role:x<32}", f"victim-the-{role}@people.test", "", MOMENT)
            await self.join(user, role, self.victim.organisation_id)
            credentials.append(await self.sign_in(user))
            credentials.append(await self.full_key(user, f"key of {role}"))
            for who in credentials[-2:]:
                assert who.principal is not None
                self.assertEqual(who.principal.permissions, ROLE_PERMISSIONS[role])
        await self.permitted(credentials)

    async def test_the_questions_mean_something(self) -> None:
        """What is refused to others here is done for the owner: every change that is asked for in this test can be."""
        changes = [route for route in self.routes if route.method != "GET" and route.action != SELF]
        # What hangs on another thing goes before it.
        for route in sorted(changes, key=lambda each: (each.method == "DELETE", -len(each.path))):
            code = (await self.try_route(route, self.owner, self.victim.things)).code
            where = (route.method, route.path, code)
            expected = UNDONE.get((route.method, route.path))
            self.assertTrue(code == expected if expected else code < 300, where)

    async def permitted(self, credentials: list[Credential]) -> None:
        before = await self.state()
        for route, who in self.walk(*credentials):
            if may(who.principal, route.action, self.thing(route)) == "no":
                answer = await self.try_route(route, who, self.victim.things)
                self.assertEqual(answer.code, 403, (who.name, route.method, route.path))
        self.assertEqual(await self.state(), before)
        for route, who in self.walk(*credentials):
            if may(who.principal, route.action, self.thing(route)) == "yes" and route.action != SELF:
                where = (who.name, route.method, route.path)
                if route.method == "GET":
                    code = (await self.try_route(route, who, self.victim.things)).code
                    expected = READS.get(route.path)
                    self.assertTrue(code == expected if expected else code < 300, (where, code))
                else:
                    # About nothing, so that the next credential finds everything in place.
                    code = (await self.try_route(route, who, UNKNOWN)).code
                    given = GIVES.get((route.method, route.path), frozenset())
                    assert who.principal is not None
                    if given <= who.principal.permissions:
                        self.assertNotIn(code, (401, 403), where)
                    else:
                        self.assertEqual(code, 403, where)
