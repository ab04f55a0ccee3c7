"""What a credential may do and hand on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Forbidden
from e2a.core.rules.permissions import (
    AGENT_PERMISSIONS,
    ALL_PERMISSIONS,
    READ_ONLY,
    grant,
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

    def test_unknown_action(self) -> None:
        """A misspelt action is a mistake of the program, even for who holds everything."""
        self.assertRaises(ValueError, require, READER, "agent:read")

    def test_bound_key_is_not_the_account(self) -> None:
        """A key bound to one agent is refused where the whole account is meant."""
        require_whole_account(READER)
        bound = Principal("org", "user", READER.permissions, agent_id="bot@agents.test")
        self.assertRaises(Forbidden, require_whole_account, bound)


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
