"""Signing in: what is asked of a provider, what is believed of it, and whose account it opens."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from e2a.core.entities import Origin
from e2a.core.errors import BadRequest, Conflict, Forbidden, TooManyRequests
from e2a.core.trust.browser import Attempts, challenge
from e2a.flows.accounts import Accounts
from e2a.flows.bootstrap import OPERATOR, bootstrap_user
from e2a.flows.handoff import HandOff
from e2a.flows.ports import Fetched
from e2a.flows.providers import Provider, ProviderFailed, ProviderSettings, gmail
from e2a.flows.signin import ATTEMPTS, LinkGone, SignedIn, SignIn, SignUpRules, make_link
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.support.signin import ORIGIN, FakeProvider, sessions_of, sign_in
from tests.support.tenants import SEALER, execute, make_tenant, rows

MOMENT = 1_800_000_000.0
BASE = "https://e2a.example"


class Case(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.provider = FakeProvider(self.clock.seconds, "ES256")
        self.settings = ProviderSettings("oidc", "ID", self.provider.issuer, "client", "s:cret")
        self.make()
        self.sessions = sessions_of(self.db, self.clock.seconds)

    def make(self, open_to_all: bool = True, domains: tuple[str, ...] = ()) -> None:
        self.signin = SignIn(
            self.db,
            [Provider(self.settings, self.provider, self.clock.seconds)],
            Attempts(b"attempts", os.urandom),
            SignUpRules(open_to_all, domains),
            base=BASE,
            sealer=SEALER,
            now=self.clock.seconds,
            random=os.urandom,
        )

    async def sign_in(self, next_path: str = "/dashboard", **claims: Any) -> SignedIn:
        self.provider.claims = claims
        begun = await self.signin.begin("oidc", next_path, "", ORIGIN)
        return await self.finish(self.provider.agree(begun.url), begun.browser)

    async def finish(self, answer: dict[str, str], browser: str, answered_by: str | None = None) -> SignedIn:
        return await self.signin.finish(answer["state"], answer["code"], answered_by, browser, ORIGIN)

    async def refused(self, kind: type[Exception], coroutine: Any) -> Any:
        error = await self.assertFailure(Deferred.fromCoroutine(coroutine), kind)
        return error

    async def audit(self) -> list[tuple[str, str]]:
        found = await rows(self.db, "SELECT action, result FROM audit_events ORDER BY at, id")
        return [(row.action, row.result) for row in found]

    async def me(self, signed_in: SignedIn) -> Any:
        principal = await self.sessions.find(signed_in.token, ORIGIN)
        assert principal is not None
        return principal


class ProtocolTests(Case):
    """What goes to the provider and comes from it."""

    async def test_request(self) -> None:
        """The browser is sent with PKCE, nonce and state; the code is exchanged with the verifier and the secret."""
        begun = await self.signin.begin("oidc", "/dashboard", "", ORIGIN)
        asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.url).query).items()}
        self.assertTrue(begun.url.startswith("https://id.example/authorize?"))
        self.assertEqual(asked["redirect_uri"], f"{BASE}/api/auth/callback")
        self.assertEqual((asked["client_id"], asked["response_type"]), ("client", "code"))
        self.assertEqual((asked["scope"], asked["code_challenge_method"]), ("openid email profile", "S256"))
        await self.finish(self.provider.agree(begun.url), begun.browser)
        ((_, _, headers, form),) = [each for each in self.provider.asked if each[1].endswith("/token")]
        self.assertEqual(challenge(form["code_verifier"]), asked["code_challenge"])
        self.assertEqual((form["grant_type"], form["redirect_uri"]), ("authorization_code", asked["redirect_uri"]))
        self.assertEqual(base64.b64decode(headers["Authorization"].removeprefix("Basic ")), b"client:s%3Acret")
        self.assertNotIn("client_secret", form)

    async def test_secret_in_the_form(self) -> None:
        """A provider that wants the secret in the form gets it there."""
        self.provider.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
        await self.sign_in()
        _, _, headers, form = self.provider.asked[1]
        self.assertEqual((form["client_id"], form["client_secret"]), ("client", "s:cret"))
        self.assertNotIn("Authorization", headers)

    async def test_once(self) -> None:
        """An answer counts once, in the browser that began, within ten minutes."""
        begun = await self.signin.begin("oidc", "/", "", ORIGIN)
        answer = self.provider.agree(begun.url)
        for browser in ("", "0" * 32, "\0"):
            await self.refused(BadRequest, self.finish(answer, browser))
        for state in ("", "0" * 64, begun.browser):
            await self.refused(BadRequest, self.finish({**answer, "state": state}, begun.browser))
        await self.finish(answer, begun.browser)
        await self.refused(BadRequest, self.finish(answer, begun.browser))
        begun = await self.signin.begin("oidc", "/", begun.browser, ORIGIN)
        self.clock.advance(600)
        await self.refused(BadRequest, self.finish(self.provider.agree(begun.url), begun.browser))
        self.assertEqual(await rows(self.db, "SELECT 1 FROM signin_states"), [])

    async def test_two_tabs(self) -> None:
        """Two sign-ins of one browser do not disturb each other, and their answers cannot be exchanged."""
        first = await self.signin.begin("oidc", "/one", "", ORIGIN)
        second = await self.signin.begin("oidc", "/two", first.browser, ORIGIN)
        self.assertEqual(first.browser, second.browser)
        one, two = self.provider.agree(first.url), self.provider.agree(second.url)
        await self.refused(ProviderFailed, self.finish({**one, "code": two["code"]}, first.browser))
        self.assertEqual((await self.finish(two, second.browser)).next, "/two")

    async def test_nothing_to_steal(self) -> None:
        """What the database holds of a sign-in under way completes it for nobody."""
        begun = await self.signin.begin("oidc", "/", "", ORIGIN)
        (row,) = await rows(self.db, "SELECT row_to_json(s)::text AS text FROM signin_states s")
        asked = parse_qs(urlsplit(begun.url).query)
        for secret in (begun.browser, asked["state"][0], asked["nonce"][0]):
            self.assertNotIn(secret, row.text)

    async def test_wrong_tokens(self) -> None:
        """A token for somebody else's client, of another sign-in or issuer, or without a signature of the provider's
        opens nothing, and the person reads nothing of why.
        """
        for claims in ({"aud": "other"}, {"nonce": "other"}, {"iss": "https://evil.example"}, {"exp": MOMENT - 100}):
            error = await self.refused(ProviderFailed, self.sign_in(**claims))
            self.assertEqual((error.status, error.text), (502, ProviderFailed.default))
        self.provider.token_answer = {"id_token": None}
        await self.refused(ProviderFailed, self.sign_in())
        self.provider.token_answer = {"id_token": FakeProvider(self.clock.seconds, "ES256").token("n")}
        await self.refused(ProviderFailed, self.sign_in())
        self.assertEqual(await rows(self.db, "SELECT 1 FROM users"), [])

    async def test_rotated_keys(self) -> None:
        """A new key of the provider's is looked up once a minute at the most."""
        await self.sign_in()
        self.provider.rotate()
        await self.refused(ProviderFailed, self.sign_in())
        self.clock.advance(60)
        await self.sign_in()
        self.assertEqual(len([each for each in self.provider.asked if each[1].endswith("/keys")]), 2)

    async def test_down(self) -> None:
        """A provider that does not answer is a 502; what it said before still counts, and it is asked again once a
        minute.
        """
        self.provider.down = True
        await self.refused(ProviderFailed, self.sign_in())
        self.provider.down = False
        await self.sign_in()
        self.provider.down = True
        self.clock.advance(4000)
        asked = len(self.provider.asked)
        for seconds, more in ((0, 1), (59, 1), (1, 2)):
            self.clock.advance(seconds)
            await self.signin.begin("oidc", "/", "", ORIGIN)
            self.assertEqual(len(self.provider.asked) - asked, more)

    async def test_junk(self) -> None:
        """An answer that is no JSON object, or one that cannot be read, is the provider's failure."""
        for junk in (b"", b"[]", b"\xff", b"[" * 100_000, b'{"issuer":' + b"1" * 10_000 + b"}"):

            async def answer(method: str, url: str, headers: Any, body: bytes = b"", junk: bytes = junk) -> Fetched:
                return Fetched(200, junk)

            self.provider = answer  # type: ignore[assignment]
            self.make()
            await self.refused(ProviderFailed, self.signin.begin("oidc", "/", "", ORIGIN))

    async def test_discovery(self) -> None:
        """A document of another issuer, or with endpoints that are not https, is not believed."""
        good = dict(self.provider.document)
        for wrong in (
            {"issuer": "https://evil.example"},
            {"issuer": None},
            {"token_endpoint": "http://id.example/token"},
            {"jwks_uri": None},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"userinfo_endpoint": "https://id.example/a b"},
        ):
            self.provider.document = good | wrong
            self.make()
            await self.refused(ProviderFailed, self.signin.begin("oidc", "/", "", ORIGIN))
        self.provider.document = good | {"issuer": self.provider.issuer + "/"}
        self.make()
        await self.sign_in(iss=self.provider.issuer + "/")

    async def test_mixed_up(self) -> None:
        """An answer that names another issuer, or none where the provider always does, is refused (RFC 9207)."""
        begun = await self.signin.begin("oidc", "/", "", ORIGIN)
        answer = self.provider.agree(begun.url)
        await self.refused(ProviderFailed, self.finish(answer, begun.browser, "https://evil.example"))
        self.provider.document["authorization_response_iss_parameter_supported"] = True
        self.make()
        await self.refused(ProviderFailed, self.sign_in())
        begun = await self.signin.begin("oidc", "/", "", ORIGIN)
        await self.finish(self.provider.agree(begun.url), begun.browser, self.provider.issuer)

    async def test_userinfo(self) -> None:
        """An address that is not in the token comes from the user information, if that is about the same person."""
        self.provider.userinfo = {"sub": "subject-1", "email": "eva@people.test", "email_verified": "true"}
        signed_in = await self.sign_in(email=None, email_verified=None)
        self.assertEqual((await self.sessions.user(await self.me(signed_in))).email, "eva@people.test")
        self.provider.userinfo["sub"] = "subject-2"
        await self.refused(ProviderFailed, self.sign_in(email=None))

    async def test_unknown_provider(self) -> None:
        """A provider that is not configured is a bad request."""
        self.assertEqual((await self.refused(BadRequest, self.signin.begin("x", "/", "", ORIGIN))).field, "provider")

    async def test_limit(self) -> None:
        """One address cannot begin sign-ins without end; another still can."""
        for _ in range(ATTEMPTS.most):
            await self.signin.begin("oidc", "/", "", ORIGIN)
        await self.refused(TooManyRequests, self.signin.begin("oidc", "/", "", ORIGIN))
        await self.signin.begin("oidc", "/", "", Origin("192.0.2.8"))


class AccountTests(Case):
    """Whose account a person gets."""

    async def test_new(self) -> None:
        """A new person gets an account with an organisation and a signing secret, and lands where they wanted."""
        signed_in = await self.sign_in("/dashboard/agents?x=1")
        self.assertEqual(signed_in.next, "/dashboard/agents?x=1")
        principal = await self.me(signed_in)
        user = await self.sessions.user(principal)
        self.assertEqual((user.email, user.name, principal.role), ("ana@people.test", "Ana", "owner"))
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM signing_secrets")), 1)
        wanted = [("user.created", "ok"), ("identity.linked", "ok"), ("session.opened", "ok")]
        self.assertEqual(await self.audit(), wanted)
        (line,) = await rows(self.db, "SELECT * FROM audit_events WHERE action = 'user.created'")
        self.assertEqual(
            (line.organisation_id, line.user_id, line.client_ip), (principal.organisation_id, user.id, "192.0.2.7")
        )

    async def test_again(self) -> None:
        """The subject is who counts: a changed address or name is taken over, and no second account is made."""
        first = await self.me(await self.sign_in())
        again = await self.me(await self.sign_in(email="ana.new@people.test", name="Ana New"))
        self.assertEqual(again.user_id, first.user_id)
        user = await self.sessions.user(again)
        self.assertEqual((user.email, user.name), ("ana.new@people.test", "Ana New"))

    async def test_address_of_another(self) -> None:
        """An address that changed to somebody else's does not take it from them."""
        await make_tenant(self.db, "bob")
        first = await self.me(await self.sign_in())
        again = await self.me(await self.sign_in(email="bob@people.test"))
        self.assertEqual(again.user_id, first.user_id)
        self.assertEqual((await self.sessions.user(again)).email, "ana@people.test")

    async def test_bootstrapped(self) -> None:
        """Who was made by the command line is found by the verified address, whatever its case."""
        user, _ = await bootstrap_user(self.db, "Ana@people.test", SEALER, os.urandom)
        principal = await self.me(await self.sign_in())
        self.assertEqual((principal.user_id, principal.organisation_id), (user.id, OPERATOR))
        self.assertEqual((await self.sessions.user(principal)).name, "Ana")
        wanted = ("user.created", "key.created", "identity.linked", "session.opened")
        self.assertEqual(await self.audit(), [(action, "ok") for action in wanted])

    async def test_no_takeover(self) -> None:
        """Another subject of the same provider with the same address is refused, which the owner can read."""
        first = await self.me(await self.sign_in())
        await self.refused(Conflict, self.sign_in(sub="subject-2"))
        lines = await rows(self.db, "SELECT organisation_id, action FROM audit_events WHERE result = 'refused'")
        self.assertEqual([tuple(row) for row in lines], [(first.organisation_id, "identity.linked")])
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM identities")), 1)
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM user_sessions")), 1)

    def other(self, **settings: Any) -> None:
        """From now on people sign in with another provider."""
        self.provider.issuer = "https://other.example"
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"):
            self.provider.document[name] = self.provider.document[name].replace("id.example", "other.example")
        self.provider.document["issuer"] = self.provider.issuer
        self.settings = ProviderSettings("oidc", "Other", self.provider.issuer, "client", "", **settings)
        self.make()

    async def test_second_provider(self) -> None:
        """A person may have an identity at each provider, where both are worth the same."""
        first = await self.me(await self.sign_in())
        self.other(link="always")
        again = await self.me(await self.sign_in(sub="another"))
        self.assertEqual(again.user_id, first.user_id)
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM identities")), 2)

    async def test_word_of_another_provider(self) -> None:
        """A provider alone does not open an account that is signed in to with another, unless it is told to: who runs
        it could open every account.
        """
        first = await self.me(await self.sign_in())
        self.other()
        await self.refused(Conflict, self.sign_in(sub="another"))
        (line,) = await rows(self.db, "SELECT organisation_id, detail FROM audit_events WHERE result = 'refused'")
        self.assertEqual((line.organisation_id, line.detail["issuer"]), (first.organisation_id, self.provider.issuer))
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM identities")), 1)
        self.other(link="always", owns=lambda claims: False)
        await self.refused(Conflict, self.sign_in(sub="another"))

    async def test_left_all(self) -> None:
        """Who has left all organisations signs in to a new one, also from another provider or with another address."""
        first = await self.me(await self.sign_in())
        self.other(link="always")
        for given in ({"email": "ana@people.test"}, {"email": "new@people.test"}):
            await execute(self.db, "DELETE FROM memberships WHERE user_id = %s", first.user_id)
            again = await self.me(await self.sign_in(sub="another", **given))
            self.assertEqual((again.user_id, again.role), (first.user_id, "owner"))
        await execute(self.db, "DELETE FROM memberships WHERE user_id = %s", first.user_id)
        await self.refused(Conflict, self.sign_in(sub="stranger", email="new@people.test"))

    async def test_never(self) -> None:
        """A provider that links nothing opens only what it made, not even a bootstrapped account."""
        await bootstrap_user(self.db, "ana@people.test", SEALER, os.urandom)
        self.other(link="never")
        await self.refused(Conflict, self.sign_in())
        made = await self.me(await self.sign_in(email="new@people.test"))
        self.assertEqual((await self.me(await self.sign_in(email="new@people.test"))).user_id, made.user_id)

    async def test_address_by_the_way(self) -> None:
        """A provider that may not open accounts by address does not change the address of one that others open; what it
        changes is audited.
        """
        first = await self.me(await self.sign_in())
        self.other(link="always")
        await self.sign_in(sub="another")
        self.other()
        await self.sign_in(sub="another", email="boss@people.test", name="Boss")
        user = await self.sessions.user(first)
        self.assertEqual((user.email, user.name), ("ana@people.test", "Boss"))
        self.assertNotIn(("user.address_changed", "ok"), await self.audit())
        self.other(link="always")
        await self.sign_in(sub="another", email="boss@people.test")
        self.assertEqual((await self.sessions.user(first)).email, "boss@people.test")
        self.assertIn(("user.address_changed", "ok"), await self.audit())

    def test_mailboxes_of_google(self) -> None:
        """Google runs gmail.com and the domains of its Workspace; what else it calls verified it has seen once."""
        for claims, owned in (
            ({"email": "Ana@Gmail.com"}, True),
            ({"email": "ana@corp.test", "hd": "corp.test"}, True),
            ({"email": "ana@corp.test"}, False),
            ({"email": "ana@notgmail.com"}, False),
            ({"email": None}, False),
        ):
            self.assertEqual(gmail(claims), owned, claims)

    async def test_address_must_be_verified(self) -> None:
        """An address that is missing, junk or not confirmed opens nothing; trust goes as far as it is configured."""
        self.provider.userinfo = {"sub": "subject-1"}
        await bootstrap_user(self.db, "ana@people.test", SEALER, os.urandom)
        for claims in (
            {"email_verified": False},
            {"email_verified": None},
            {"email_verified": "false"},
            {"email_verified": 1},
            {"email": None},
            {"email": "no address"},
            {"email": ["ana@people.test"]},
        ):
            await self.refused(Forbidden, self.sign_in(**claims))
        self.settings = ProviderSettings("oidc", "ID", self.provider.issuer, "client", "", trust_email=True)
        self.make()
        await self.refused(Forbidden, self.sign_in(email_verified=False))
        await self.sign_in(email_verified=None)

    async def test_address_is_taken_literally(self) -> None:
        """An address that only looks like an account's opens nothing: none is made to fit by leaving characters out."""
        await bootstrap_user(self.db, "ana@people.test", SEALER, os.urandom)
        for email in (
            "an\u200ba@people.test",
            "ana@people.test\u2060",
            "ana@people.test ",
            "\tana@people.test",
            f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.people.test"[:254] + ".elsewhere.test",
        ):
            await self.refused(Forbidden, self.sign_in(email=email))
        self.assertEqual(len(await rows(self.db, "SELECT 1 FROM users")), 1)

    async def test_invited_only(self) -> None:
        """Where sign-up is not open, only people with an account, an open invitation or the right domain come in."""
        self.make(open_to_all=False)
        await self.refused(Forbidden, self.sign_in())
        self.assertEqual(await rows(self.db, "SELECT 1 FROM users"), [])
        other = await make_tenant(self.db, "other")
        await execute(
            self.db,
            "INSERT INTO invitations (id, organisation_id, email, role, token_hash, created_at, expires_at)"
            " VALUES ('inv', %s, 'Ana@people.test', 'member', 'x', now(), to_timestamp(%s))",
            other.organisation_id,
            MOMENT + 1,
        )
        self.clock.advance(1)
        await self.refused(Forbidden, self.sign_in())
        await execute(self.db, "UPDATE invitations SET expires_at = expires_at + interval '1 day'")
        await self.sign_in()
        self.make(open_to_all=False)
        await self.sign_in()
        self.make(open_to_all=False, domains=("people.test",))
        await self.sign_in(sub="subject-3", email="cy@people.test")
        await self.refused(Forbidden, self.sign_in(sub="subject-4", email="di@other.test"))


class LinkTests(Case):
    async def test_once(self) -> None:
        """A link signs its person in once within a quarter of an hour, and looking at it does not use it up."""
        owner = await make_tenant(self.db, "owner")

        async def new(cur: Any) -> str:
            return await make_link(cur, owner.user_id, datetime.fromtimestamp(self.clock.seconds(), UTC), os.urandom)

        token = await self.db.run("link", new)
        (row,) = await rows(self.db, "SELECT row_to_json(l)::text AS text FROM signin_links l")
        self.assertNotIn(token, row.text)
        for _ in range(2):
            self.assertEqual(await self.signin.look(token, ORIGIN), "owner@people.test")
        principal = await self.me(await self.signin.use(token, ORIGIN))
        self.assertEqual(principal.user_id, owner.user_id)
        for gone in (token, "", "\0"):
            await self.refused(LinkGone, self.signin.look(gone, ORIGIN))
            await self.refused(LinkGone, self.signin.use(gone, ORIGIN))
        token = await self.db.run("link", new)
        self.clock.advance(900)
        await self.refused(LinkGone, self.signin.use(token, ORIGIN))
        lines = await rows(
            self.db,
            "SELECT action, user_id, detail FROM audit_events WHERE organisation_id = %s ORDER BY id",
            owner.organisation_id,
        )
        made = ("link.created", None, {"minutes": 15})
        used = ("session.opened", owner.user_id, {"via": "link"})
        self.assertEqual([tuple(line) for line in lines], [made, used, made])


class HandOffTests(Case):
    async def test_key(self) -> None:
        """The command line's key can do what its owner's role can, ends after ninety days, and is audited."""
        owner = await make_tenant(self.db, "owner")
        await execute(self.db, "UPDATE memberships SET role = 'member'")
        _, principal = await sign_in(self.db, owner.user_id, self.clock.seconds)
        handoff = HandOff(self.db, Accounts(self.db, self.clock.seconds, os.urandom), self.clock.seconds)
        offer = await handoff.offer(principal)
        self.assertEqual((offer.user.email, offer.organisation.name), ("owner@people.test", "owner@people.test"))
        self.assertEqual((await handoff.agree(principal)).agent, "")
        await make_agent(self.db, organisation=owner.organisation_id)
        given = await handoff.agree(principal)
        self.assertEqual(given.agent, "bot@agents.test")
        keys = await rows(self.db, "SELECT name, permissions, expires_at FROM api_keys")
        self.assertEqual({(key.name, tuple(key.permissions)) for key in keys}, {("CLI login", offer.permissions)})
        self.assertEqual(keys[0].expires_at.timestamp(), MOMENT + 90 * 86_400)
        self.assertNotIn("keys:write", offer.permissions)
        self.assertIn(("key.created", "ok"), await self.audit())
