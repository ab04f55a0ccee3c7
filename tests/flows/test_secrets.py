"""Signing secrets: who signs, the cap, the floor, and rotation with an overlap."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from e2a.core.entities import Principal
from e2a.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unavailable
from e2a.core.trust.sealing import Sealer
from e2a.flows.secrets import CACHE_SECONDS, SecretBook
from tests.support.postgres import DatabaseTestCase
from tests.support.tenants import SEALER, execute, make_tenant, rows

MOMENT = 1_800_000_000.0
FALLBACK = "the deployment secret"


class SecretBookTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.clock = Clock()
        self.clock.advance(MOMENT)
        self.owner = await make_tenant(self.db, "owner")
        self.book = self.make_book()

    def make_book(self, sealer: Sealer = SEALER) -> SecretBook:
        return SecretBook(self.db, sealer, self.clock.seconds, os.urandom, fallback=FALLBACK)

    async def names(self) -> list[str]:
        return [secret.name for secret in await self.book.list_secrets(self.owner)]

    async def test_default(self) -> None:
        """Every organisation starts with one secret named default, which signs."""
        self.assertEqual(await self.names(), ["default"])
        newest = (await self.book.signers(self.owner.organisation_id))[0]
        self.assertTrue(re.fullmatch("[0-9a-f]{64}", newest))
        self.assertEqual(await self.book.signers(self.owner.organisation_id), (newest,))

    async def test_newest_signs_at_once(self) -> None:
        """A new secret signs the next message; the older ones still verify, newest first."""
        old = (await self.book.signers(self.owner.organisation_id))[0]
        secret, text = await self.book.create(self.owner, " second ")
        self.assertEqual((secret.name, secret.secret_prefix), ("second", text[:12]))
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], text)
        self.assertEqual(await self.book.signers(self.owner.organisation_id), (text, old))

    async def test_sealed(self) -> None:
        """No secret can be read in the database."""
        _, text = await self.book.create(self.owner, "")
        for row in await rows(self.db, "SELECT row_to_json(s)::text AS text FROM signing_secrets s"):
            self.assertNotIn(text, row.text)
            self.assertNotIn(text.encode().hex(), row.text)

    async def test_unnamed(self) -> None:
        """A secret without a name is called unnamed."""
        secret, _ = await self.book.create(self.owner, "  ")
        self.assertEqual(secret.name, "unnamed")

    async def test_cap(self) -> None:
        """There are five at the most, also when many are made at once."""
        attempts = [Deferred.fromCoroutine(self.book.create(self.owner, f"{number}")) for number in range(7)]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(BadRequest)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 3)
        self.assertEqual(len(await self.names()), 5)

    async def test_floor(self) -> None:
        """The last one stays, also when both of two are deleted at once."""
        await self.book.create(self.owner, "second")
        secrets = await self.book.list_secrets(self.owner)
        attempts = [Deferred.fromCoroutine(self.book.delete(self.owner, secret.id)) for secret in secrets]
        failed = []
        for attempt in attempts:
            attempt.addErrback(lambda failure: failed.append(failure.trap(BadRequest)))
        await gatherResults(attempts)
        self.assertEqual(len(failed), 1)
        self.assertEqual(len(await self.names()), 1)

    async def test_deleted_verifies_no_more(self) -> None:
        """A deleted secret neither signs nor verifies from then on."""
        secret, text = await self.book.create(self.owner, "second")
        await self.book.signers(self.owner.organisation_id)
        await self.book.delete(self.owner, secret.id)
        self.assertNotIn(text, await self.book.signers(self.owner.organisation_id))

    async def test_foreign(self) -> None:
        """Another organisation's secret is not found, before anything else is said of it."""
        stranger = await make_tenant(self.db, "stranger")
        (secret,) = await self.book.list_secrets(self.owner)
        for secret_id in (secret.id, "wsec_unknown"):
            await self.assertFailure(Deferred.fromCoroutine(self.book.delete(stranger, secret_id)), NotFound)
        self.assertEqual(await self.names(), ["default"])

    async def test_bound_key(self) -> None:
        """A key bound to an agent has no business with secrets, whatever it holds."""
        bound = Principal(
            self.owner.organisation_id, self.owner.user_id, self.owner.permissions, "apk_1", "bot@agents.test"
        )
        await self.assertFailure(Deferred.fromCoroutine(self.book.list_secrets(bound)), Forbidden)
        await self.assertFailure(Deferred.fromCoroutine(self.book.create(bound, "")), Forbidden)
        await self.assertFailure(Deferred.fromCoroutine(self.book.delete(bound, "wsec_1")), Forbidden)

    async def test_fallback(self) -> None:
        """The deployment secret signs for an organisation that has none of its own."""
        self.assertEqual((await self.book.signers("org_none"))[0], FALLBACK)
        self.assertEqual(await self.book.signers("org_none"), (FALLBACK,))

    async def test_cached_until_told(self) -> None:
        """Secrets are read once, again after a notification or a gap, and after a while without any."""
        first = (await self.book.signers(self.owner.organisation_id))[0]
        await execute(self.db, "DELETE FROM signing_secrets")
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], first)
        self.book.changed("secret org_other")
        self.book.changed(f"agent {self.owner.organisation_id}")
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], first)
        self.book.changed(f"secret {self.owner.organisation_id}")
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], FALLBACK)
        _, second = await self.book.create(self.owner, "")
        await self.book.signers(self.owner.organisation_id)
        await execute(self.db, "DELETE FROM signing_secrets")
        self.clock.advance(CACHE_SECONDS - 1)
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], second)
        self.clock.advance(1)
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], FALLBACK)

    async def test_gap(self) -> None:
        """After a gap nothing is believed."""
        await self.book.signers(self.owner.organisation_id)
        await execute(self.db, "DELETE FROM signing_secrets")
        self.book.clear()
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], FALLBACK)

    async def test_changed_while_reading(self) -> None:
        """What changed while it was read is not kept."""
        reading = Deferred.fromCoroutine(self.book.signers(self.owner.organisation_id))
        self.book.changed(f"secret {self.owner.organisation_id}")
        await reading
        await execute(self.db, "DELETE FROM signing_secrets")
        self.assertEqual((await self.book.signers(self.owner.organisation_id))[0], FALLBACK)

    async def test_last_signed(self) -> None:
        """When a secret last signed is written in batches, and not lost when that fails once."""
        await self.book.signers(self.owner.organisation_id)
        await self.db.stop()
        await self.assertFailure(Deferred.fromCoroutine(self.book.record_signing()), Unavailable)
        await self.db.start()
        await self.book.record_signing()
        (secret,) = await self.book.list_secrets(self.owner)
        self.assertEqual(secret.last_signed_at, datetime.fromtimestamp(MOMENT, UTC))

    # --- rotation ---------------------------------------------------------------------------------------------------

    async def signers(self, attempt: int = 1) -> tuple[str, ...]:
        return await self.book.signers(self.owner.organisation_id, attempt)

    async def actions(self) -> list[str]:
        return [row.action for row in await rows(self.db, "SELECT action FROM audit_events ORDER BY at, id")]

    async def test_overlap(self) -> None:
        """During a rotation both secrets sign, the earlier one first; after it the new one alone."""
        (old,) = await self.signers()
        secret, new = await self.book.rotate(self.owner, "next", 3600)
        self.assertEqual(secret.signs_from, datetime.fromtimestamp(MOMENT + 3600, UTC))
        self.assertEqual(await self.signers(), (old, new))
        self.clock.advance(3599)
        self.assertEqual(await self.signers(), (old, new))
        self.clock.advance(1)
        self.assertEqual(await self.signers(), (new,))
        self.assertEqual(await self.names(), ["next"])

    async def test_turns(self) -> None:
        """During a rotation the second attempt is signed by the new secret, the third by the earlier one again."""
        (old,) = await self.signers()
        _, new = await self.book.rotate(self.owner, "", 3600)
        firsts = [(await self.signers(attempt))[0] for attempt in (1, 2, 3, 4)]
        self.assertEqual(firsts, [old, new, old, new])
        self.assertEqual(set(await self.signers(2)), {old, new})

    async def test_no_turns_without_rotation(self) -> None:
        """Of secrets that were simply made, the newest signs every attempt."""
        (old,) = await self.signers()
        _, new = await self.book.create(self.owner, "")
        self.assertEqual(await self.signers(2), (new, old))

    async def test_no_overlap(self) -> None:
        """Without an overlap the earlier secrets are gone at once."""
        await self.signers()
        _, new = await self.book.rotate(self.owner, "next", 0)
        self.assertEqual(await self.signers(), (new,))
        self.assertEqual(await self.names(), ["next"])

    async def test_earlier_retired_by_hand(self) -> None:
        """Deleting the earlier secret ends the overlap: the new one signs at once."""
        await self.signers()
        (earlier,) = await self.book.list_secrets(self.owner)
        _, new = await self.book.rotate(self.owner, "next", 3600)
        await self.book.delete(self.owner, earlier.id)
        self.assertEqual(await self.signers(), (new,))

    async def test_cancelled(self) -> None:
        """Deleting the new secret cancels the rotation: the earlier one stays."""
        (old,) = await self.signers()
        secret, _ = await self.book.rotate(self.owner, "next", 3600)
        await self.book.delete(self.owner, secret.id)
        self.clock.advance(4000)
        await self.book.remove_retired()
        self.book.clear()
        self.assertEqual(await self.signers(), (old,))

    async def test_one_rotation_at_a_time(self) -> None:
        """A rotation cannot begin while another one overlaps; afterwards it can."""
        await self.book.rotate(self.owner, "next", 3600)
        await self.assertFailure(Deferred.fromCoroutine(self.book.rotate(self.owner, "more", 3600)), Conflict)
        self.clock.advance(3600)
        await self.book.rotate(self.owner, "more", 3600)
        self.assertEqual(await self.names(), ["more", "next"])

    async def test_rotation_keeps_the_cap(self) -> None:
        """Five secrets leave no room for a sixth by rotation, and those that have retired take none."""
        for number in range(4):
            await self.book.create(self.owner, f"{number}")
        await self.assertFailure(Deferred.fromCoroutine(self.book.rotate(self.owner, "next", 60)), BadRequest)
        (last, *_) = await self.book.list_secrets(self.owner)
        await self.book.delete(self.owner, last.id)
        await self.book.rotate(self.owner, "next", 60)
        self.clock.advance(60)
        await self.book.create(self.owner, "another")
        self.assertEqual(await self.names(), ["another", "next"])

    async def test_retired_are_removed(self) -> None:
        """What retired is removed from the database, once, with a line in the audit log."""
        await self.book.rotate(self.owner, "next", 60)
        await self.book.remove_retired()
        self.assertEqual(len(await rows(self.db, "SELECT FROM signing_secrets")), 2)
        self.clock.advance(60)
        await gatherResults([Deferred.fromCoroutine(self.book.remove_retired()) for _ in range(2)])
        self.assertEqual(len(await rows(self.db, "SELECT FROM signing_secrets")), 1)
        self.assertEqual(await self.actions(), ["secret.created", "secret.superseded", "secret.retired"])

    async def test_audit(self) -> None:
        """Making and deleting a secret leave a line each, without the secret."""
        secret, text = await self.book.create(self.owner, "second")
        await self.book.delete(self.owner, secret.id)
        self.assertEqual(await self.actions(), ["secret.created", "secret.deleted"])
        for row in await rows(self.db, "SELECT row_to_json(e)::text AS text FROM audit_events e"):
            self.assertNotIn(text[:12], row.text)

    async def test_foreign_rotation(self) -> None:
        """Rotating touches nobody else's secrets, and is not for keys that see only some agents."""
        stranger = await make_tenant(self.db, "stranger")
        before = await self.book.signers(stranger.organisation_id)
        await self.book.rotate(self.owner, "", 0)
        self.book.clear()
        self.assertEqual(await self.book.signers(stranger.organisation_id), before)
        limited = replace(self.owner, label_prefix="team/")
        await self.assertFailure(Deferred.fromCoroutine(self.book.rotate(limited, "")), Forbidden)
