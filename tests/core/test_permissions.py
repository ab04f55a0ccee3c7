"""What a credential may do and hand on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden
from e2a.core.rules.permissions import (
    AGENT_PERMISSIONS,
    ALL_PERMISSIONS,
    LABEL_PERMISSIONS,
    READ_ONLY,
    REVIEWER,
    ROLE_PERMISSIONS,
    WRITER,
    Thing,
    effective,
    grant,
    is_read_only,
    may,
    require,
    require_whole_account,
)

READER = Principal("org", "user", frozenset({"agents:read"}))


class RequireTests(SynchronousTestCase):
    def test_held_and_missing(self) -> None:
        """What is held is allowed; what is not is forbidden by name."""
        require(READER, "agents:read")
        error = self.assertRaises(Forbidden, require, READER, "agents:write")
        self.assertIn("agents:write", error.text)

    def test_public(self) -> None:
        """Anybody may do what is public, nobody anything else."""
        require(None, "public")
        self.assertRaises(Forbidden, require, None, "agents:read")

    def test_self(self) -> None:
        """What is about the caller needs a credential and no permission."""
        require(Principal("org", "user", frozenset()), "self")
        self.assertRaises(Forbidden, require, None, "self")

    def test_unknown_action(self) -> None:
        """A misspelt action is a mistake of the program, even for who holds everything."""
        self.assertRaises(ValueError, require, READER, "agent:read")

    def test_bound_key_is_not_the_account(self) -> None:
        """A key bound to one agent is refused where the whole account is meant."""
        require_whole_account(READER)
        bound = Principal("org", "user", READER.permissions, agent_id="bot@agents.test")
        self.assertRaises(Forbidden, require_whole_account, bound)
        labelled = Principal("org", "user", READER.permissions, label_prefix="eu/")
        self.assertRaises(Forbidden, require_whole_account, labelled)


class MayTests(SynchronousTestCase):
    """``may``, about things."""

    def answers(self, principal: Principal) -> list[str]:
        """About an agent with a label, one without, the organisation, and the same agent of another organisation."""
        labelled, plain = Thing("org", "eu@a.test", "eu/sales"), Thing("org", "us@a.test", "us")
        foreign = Thing("other", "eu@a.test", "eu/sales")
        return [may(principal, "agents:read", thing) for thing in (labelled, plain, Thing("org"), foreign)]

    def test_whole(self) -> None:
        """A key to the whole account sees everything in it and nothing else."""
        self.assertEqual(self.answers(READER), ["yes", "yes", "yes", "hidden"])

    def test_hidden_before_missing(self) -> None:
        """What is foreign is hidden whatever the permissions say; what is seen is refused for want of one."""
        self.assertEqual(self.answers(Principal("org", "user", frozenset())), ["no", "no", "no", "hidden"])

    def test_bound(self) -> None:
        """A bound key sees its agent."""
        bound = Principal("org", "user", READER.permissions, agent_id="us@a.test")
        self.assertEqual(self.answers(bound), ["hidden", "yes", "hidden", "hidden"])

    def test_labelled(self) -> None:
        """A key with a label prefix sees the agents whose label begins with it, case and all."""
        for prefix, answer in (("eu/", "yes"), ("eu/sales", "yes"), ("eu/sales2", "hidden"), ("EU/", "hidden")):
            labelled = Principal("org", "user", READER.permissions, label_prefix=prefix)
            self.assertEqual(self.answers(labelled), [answer, "hidden", "hidden", "hidden"], prefix)

    def test_bound_and_labelled(self) -> None:
        """Both limits hold at once."""
        both = Principal("org", "user", READER.permissions, agent_id="eu@a.test", label_prefix="us")
        self.assertEqual(self.answers(both), ["hidden"] * 4)


class EffectiveTests(SynchronousTestCase):
    def test_role(self) -> None:
        """A key never does what its creator's role does not give."""
        self.assertEqual(effective(ALL_PERMISSIONS, "owner"), set(ALL_PERMISSIONS))
        self.assertEqual(effective(ALL_PERMISSIONS, "member"), ROLE_PERMISSIONS["member"])
        self.assertEqual(effective(["keys:write", "messages:read"], "member"), {"messages:read"})

    def test_kind(self) -> None:
        """Whatever is stored with it, a restricted key does no more than its kind may."""
        self.assertEqual(effective(ALL_PERMISSIONS, "owner", agent_id="a@a.test"), AGENT_PERMISSIONS)
        self.assertEqual(effective(ALL_PERMISSIONS, "owner", label_prefix="eu"), LABEL_PERMISSIONS)


class GrantTests(SynchronousTestCase):
    def test_default(self) -> None:
        """Without a wish a new key gets what its creator holds, in one order."""
        self.assertEqual(grant(reversed(ALL_PERMISSIONS), None, bound=False), ALL_PERMISSIONS)
        self.assertEqual(grant({"messages:read", "agents:read"}, None, bound=False), ("agents:read", "messages:read"))

    def test_never_more(self) -> None:
        """Nobody gives what they do not hold."""
        self.assertRaises(Forbidden, grant, {"keys:write"}, ["keys:write", "messages:send"], bound=False)
        self.assertEqual(grant({"keys:write", "messages:send"}, ["messages:send"], bound=False), ("messages:send",))

    def test_bound_keys_cannot_free_themselves(self) -> None:
        """A key bound to an agent never holds what could approve its mail, change its agent or mint keys."""
        self.assertEqual(set(grant(ALL_PERMISSIONS, None, bound=True)), AGENT_PERMISSIONS)
        for name in sorted(set(ALL_PERMISSIONS) - AGENT_PERMISSIONS):
            error = self.assertRaises(BadRequest, grant, ALL_PERMISSIONS, [name], bound=True)
            self.assertEqual(error.field, "permissions")
        self.assertTrue(AGENT_PERMISSIONS.isdisjoint({"reviews:decide", "agents:write", "keys:write", "secrets:write"}))

    def test_senseless(self) -> None:
        """Unknown permissions and none at all are bad requests."""
        for wanted in (["fly"], [], ["agents:read", ""]):
            error = self.assertRaises(BadRequest, grant, ALL_PERMISSIONS, wanted, bound=False)
            self.assertEqual(error.field, "permissions")

    def test_read_only(self) -> None:
        """The read-only set changes nothing and misses nothing that reads."""
        self.assertEqual(READ_ONLY, {"agents:read", "domains:read", "messages:read", "account:read", "audit:read"})

    def test_read_only_shorthand(self) -> None:
        """``read_only`` gives everything that looks and nothing else, and is not mixed with a list."""
        granted = grant(ALL_PERMISSIONS, None, bound=False, read_only=True)
        self.assertEqual(set(granted), READ_ONLY)
        self.assertTrue(is_read_only(granted))
        self.assertFalse(is_read_only([*granted, "messages:send"]))
        self.assertEqual(grant(ALL_PERMISSIONS, None, bound=True, read_only=True), ("agents:read", "messages:read"))
        error = self.assertRaises(BadRequest, grant, ALL_PERMISSIONS, ["agents:read"], bound=False, read_only=True)
        self.assertEqual(error.field, "read_only")

    def test_labelled(self) -> None:
        """A key limited by labels holds nothing about the organisation as a whole."""
        self.assertEqual(set(grant(ALL_PERMISSIONS, None, bound=False, labelled=True)), LABEL_PERMISSIONS - {REVIEWER})
        for name in sorted(set(ALL_PERMISSIONS) - LABEL_PERMISSIONS):
            error = self.assertRaises(BadRequest, grant, ALL_PERMISSIONS, [name], bound=False, labelled=True)
            self.assertEqual(error.field, "permissions")

    def test_labelled_writer_is_no_reviewer(self) -> None:
        """A key limited by labels reviews mail or writes it, not both."""
        self.assertEqual(grant(ALL_PERMISSIONS, [REVIEWER], bound=False, labelled=True), (REVIEWER,))
        both = [WRITER, REVIEWER]
        error = self.assertRaises(BadRequest, grant, ALL_PERMISSIONS, both, bound=False, labelled=True)
        self.assertEqual(error.field, "permissions")
        self.assertEqual(set(grant(ALL_PERMISSIONS, both, bound=False)), set(both))
        self.assertEqual(grant([REVIEWER], None, bound=False, labelled=True), (REVIEWER,))
