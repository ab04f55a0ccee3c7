"""The whole examination: every check at once, as far as the database can be reached."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, gatherResults

from ...core.errors import SettingsError, Unavailable
from ...core.settingchecks import host_port
from ...core.settings import Settings
from ...store import diagnosis, dkimkeys, schema
from ...store.database import Database
from ...store.dkimkeys import DkimKey
from ...store.rows import Cursor
from ...verify.resolver import Resolver
from ..once import completed
from ..options import own_names, read_settings, sealer_of
from .certificate import certificate
from .database import DatabaseChecks
from .machine import local_findings
from .names import MOST_DOMAINS, NameChecks
from .network import PROBE_DOMAIN, NetworkChecks
from .report import SECONDS, Check, Finding, carry_out, fail, skip


def run(path: str | None, *, network: bool = False, probe: str = PROBE_DOMAIN) -> list[Finding]:
    """Runs the reactor, so it works once per process.

    :param path: the configuration file; None looks where the daemon does.
    :param network: also connect to mail servers of others.
    """
    from twisted.internet import reactor

    try:
        settings = read_settings(path)
    except SettingsError as error:
        hint = "docs/configuration.md has every setting."
        return [fail("configuration", complaint, hint) for complaint in error.complaints]
    return completed(reactor, examine(reactor, settings, network=network, probe=probe))


async def examine(
    reactor: Any, settings: Settings, *, network: bool = False, probe: str = PROBE_DOMAIN
) -> list[Finding]:
    """Every finding, in the order of an operator's questions: this machine, the database, the DNS, the network."""
    servers = [host_port(text, 53) for text in settings.dns.servers]
    resolver = Resolver(reactor, servers or None)
    outside = NetworkChecks(reactor, settings, resolver, outside=network, probe=probe)
    names = NameChecks(settings, own_names(settings), resolver)
    try:
        local = [*local_findings(settings), *certificate(settings, time.time())]
        on_network = Deferred.fromCoroutine(carry_out(reactor, [*names.host_checks(), *outside.checks()]))
        on_database = Deferred.fromCoroutine(_with_database(reactor, settings, resolver))
        networked, stored = await gatherResults([on_network, on_database])
    finally:
        await resolver.stop()
    return [*local, *stored, *networked]


async def _with_database(reactor: Any, settings: Settings, resolver: Resolver) -> list[Finding]:
    """What the database says, and the DNS about the domains in it."""
    if not settings.database.url:
        text = "none is configured: the daemon runs an embedded one, which is not looked into"
        return [skip("database", text), *await _domains(reactor, settings, resolver, None)]
    database = Database(reactor, settings.database.url, 3)
    try:
        await Deferred.fromCoroutine(database.start()).addTimeout(SECONDS, reactor)
        sealer = sealer_of(settings) if settings.signing.hmac_secret else None
        migrated = not await database.read("migrations", _lacks_migrations)
        checks = DatabaseChecks(settings, database, sealer).checks(migrated)
        found = await carry_out(reactor, checks)
        return [*found, *await _domains(reactor, settings, resolver, database if migrated else None)]
    except (Unavailable, TimeoutError) as error:
        reason = (str(error.__cause__ or error).strip().splitlines() or ["no answer"])[0]
        hint = "Check database.url, pg_hba.conf and that PostgreSQL runs."
        return [
            fail("database", f"it cannot be reached: {reason}", hint),
            *await _domains(reactor, settings, resolver, None),
        ]
    finally:
        await database.stop()


async def _lacks_migrations(cur: Cursor) -> bool:
    known = {migration.version for migration in schema.migrations()}
    return bool(known - set(await diagnosis.applied_migrations(cur)))


async def _domains(reactor: Any, settings: Settings, resolver: Resolver, database: Database | None) -> list[Finding]:
    """The DNS of the domains that the database has, and of the deployment's own."""
    domains: Sequence[tuple[int, str]] = ()
    keys: Mapping[int, DkimKey] = {}
    if database is not None:
        domains = await database.read("verified domains", diagnosis.verified_domains, MOST_DOMAINS)
        keys = await database.read("DKIM keys", dkimkeys.current_keys, [number for number, _ in domains])
    checks: list[Check] = NameChecks(settings, own_names(settings), resolver, domains, keys).domain_checks()
    return await carry_out(reactor, checks)
