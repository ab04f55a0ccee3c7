"""The database: whether it keeps its promises, and how far the work in it is behind."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from ...core.settings import Settings
from ...core.trust.sealing import Sealer
from ...flows.masterkey import examine
from ...store import diagnosis, outbox, schema
from ...store.backlog import read_backlog
from ...store.database import Database
from .report import Check, Finding, fail, ok, skip, warn

#: Seconds by which clocks may differ: doubtful, and wrong (``core.trust.signing.FUTURE_SKEW``).
CLOCK_WARN, CLOCK_FAIL = 2.0, 30.0
_REPLICA_SECONDS, _REPLICA_OCTETS = 60.0, 256 * 2**20
_WEBHOOK_SECONDS, _OUTBOX_SECONDS = 600.0, 3600.0
_MIGRATE = "Start this version of the daemon: it brings the database up to date."


class DatabaseChecks:
    """:param sealer: None while there is no deployment secret."""

    def __init__(self, settings: Settings, database: Database, sealer: Sealer | None) -> None:
        self._settings, self._database, self._sealer = settings, database, sealer

    def checks(self, migrated: bool) -> list[Check]:
        """:param migrated: whether the tables are there to be asked."""
        always: list[tuple[str, Callable[[], Awaitable[Sequence[Finding]]]]] = [
            ("database", self.server),
            ("durability", self.durability),
            ("replication", self.replication),
            ("migrations", self.migrations),
        ]
        later = [("seals", self.seals), ("webhook_queue", self.webhooks), ("outbox", self.outbox)]
        return [Check(name, look) for name, look in (*always, *(later if migrated else ()))]

    async def server(self) -> list[Finding]:
        """Version, encoding, connections, clock."""
        before = time.time()
        server = await self._database.snapshot("diagnosis", diagnosis.server)
        now = (before + time.time()) / 2
        found = []
        if server.number < schema.OLDEST_SERVER:
            needed = schema.OLDEST_SERVER // 10000
            found.append(fail("database", f"PostgreSQL {server.version}", f"PostgreSQL {needed} or newer is needed."))
        elif server.encoding != "UTF8":
            found.append(fail("database", f"in {server.encoding}", "The database must be created in UTF8."))
        else:
            found.append(ok("database", f"PostgreSQL {server.version}"))
        return [*found, self._connections(server), clock("clock_database", server.clock - now, "the database")]

    def _connections(self, server: diagnosis.Server) -> Finding:
        """A daemon needs its pool, one connection to listen, and one beside them while it starts."""
        needed = self._settings.database.pool_size + 2
        available = server.max_connections - server.reserved
        text = f"{needed} for each daemon, {available} allowed, {server.used} in use"
        if needed > available:
            return fail("connections", text, "Raise max_connections of PostgreSQL, or lower database.pool_size.")
        if server.used + needed > available:
            return warn("connections", text, "One more daemon would find none: raise max_connections of PostgreSQL.")
        return ok("connections", text)

    async def durability(self) -> list[Finding]:
        """Whether 250 means that the mail survives."""
        complaints = await self._database.snapshot("durability", schema.durability)
        if not complaints:
            return [ok("durability", "fsync, full_page_writes and synchronous_commit are on")]
        hint = "Turn it on in postgresql.conf; in production mode the daemon does not start without."
        grade = fail if self._settings.production else warn
        return [grade("durability", complaint, hint) for complaint in complaints]

    async def replication(self) -> list[Finding]:
        """How far standbys are behind."""
        replicas = await self._database.snapshot("replication", diagnosis.replicas)
        if not replicas:
            return [skip("replication", "no standby follows")]
        return [_replica(replica) for replica in replicas]

    async def migrations(self) -> list[Finding]:
        """Whether this version and the database fit together."""
        known = [migration.version for migration in schema.migrations()]
        applied = await self._database.snapshot("migrations", diagnosis.applied_migrations)
        missing = set(known) - set(applied)
        if applied and applied[-1] > known[-1]:
            text = f"the database has version {applied[-1]}, this e2a knows up to {known[-1]}"
            return [fail("migrations", text, "Run a newer e2a on it.")]
        if not applied:
            return [warn("migrations", "the database is empty", _MIGRATE)]
        if missing:
            return [warn("migrations", f"{len(missing)} are missing", _MIGRATE)]
        return [ok("migrations", f"all {len(known)} applied")]

    async def seals(self) -> list[Finding]:
        """What former deployment secrets are still needed for."""
        name, former = "seals", len(self._settings.signing.old_hmac_secrets)
        if self._sealer is None:
            return [skip(name, "there is no deployment secret yet")]
        seals = await self._database.snapshot("seals", examine, self._sealer)
        for state, verdict, hint in (
            ("unknown", fail, "List the deployment secret that sealed them in signing.old_hmac_secrets."),
            ("old", warn, "Run: e2a rotate-master-key"),
        ):
            counts = [f"{seal.count} {seal.what}" for seal in seals if seal.state == state]
            if counts:
                return [verdict(name, f"{', '.join(counts)} under another deployment secret", hint)]
        hint = (
            "Remove it eight days after the change at the earliest: links in mail are good that long." if former else ""
        )
        return [ok(name, "everything is sealed under the current deployment secret", hint)]

    async def webhooks(self) -> list[Finding]:
        """Deliveries that wait, and those that were given up."""
        backlog = await self._database.snapshot("backlog", read_backlog)
        text = f"{backlog.due} due, the oldest for {backlog.oldest:.0f} seconds; {backlog.failed} given up"
        if backlog.oldest > _WEBHOOK_SECONDS:
            return [warn("webhook_queue", text, "Is a daemon running? See e2a_webhook_attempts_total and its log.")]
        hint = "Given-up deliveries can be made again: POST …/messages/{id}/redeliver." if backlog.failed else ""
        return [ok("webhook_queue", text, hint)]

    async def outbox(self) -> list[Finding]:
        """Mail that waits to go out."""
        jobs, oldest = await self._database.snapshot("outbox backlog", outbox.read_backlog)
        text = f"{jobs} waiting, the oldest for {oldest:.0f} seconds"
        if jobs and not self._settings.sending:
            return [warn("outbox", text, "There is no way out: set outbound_smtp.host and outbound_smtp.from_domain.")]
        if oldest > _OUTBOX_SECONDS:
            return [warn("outbox", text, "The messages' recipients in the API say what servers answered.")]
        return [ok("outbox", text)]


def clock(name: str, difference: float, whose: str) -> Finding:
    """:param difference: seconds by which the other clock is ahead."""
    text = f"{whose} is {abs(difference):.1f} seconds {'ahead' if difference > 0 else 'behind'}"
    hint = "Run a time service (chrony, systemd-timesyncd) on both machines."
    if abs(difference) > CLOCK_FAIL:
        return fail(name, text, hint)
    if abs(difference) > CLOCK_WARN:
        return warn(name, text, hint)
    return ok(name, text)


def _replica(replica: diagnosis.Replica) -> Finding:
    label = replica.name or "a standby"
    if replica.octets is None:
        return skip("replication", f"{label}: this role may not see how far it is", "Grant it pg_monitor.")
    seconds = replica.seconds or 0.0
    text = f"{label} is {seconds:.0f} seconds and {replica.octets / 2**20:.0f} MiB behind"
    if seconds > _REPLICA_SECONDS or replica.octets > _REPLICA_OCTETS:
        return warn("replication", text, "A failover now would lose that much.")
    return ok("replication", text)
