"""From settings to a running gateway. Nothing else constructs the parts that work together; each concern is one method.

Start: embedded server, database, schema, caches and listener, flows, workers, doors open. Stop is the same backwards.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from .. import __version__
from ..api.site import BoundedSite
from ..core.errors import SettingsError
from ..core.settingchecks import host_port
from ..core.settings import Settings
from ..core.trust.sealing import Sealer, SealingError
from ..deliver.hub import Hub
from ..flows.bootstrap import OPERATOR, ensure_start, operator_address
from ..flows.directory import Directory
from ..flows.events import Events
from ..flows.live import LiveRights
from ..flows.outcomes import Outcomes
from ..flows.readiness import Readiness
from ..flows.secrets import SecretBook
from ..flows.signing import Signing
from ..receive.factory import InboundFactory
from ..store import schema
from ..store.database import Database
from ..store.listener import CHANGED, MAIL, OUTBOX, Listener
from ..store.organisations import has_members
from ..verify.resolver import Resolver
from ..workers.deliveries import Deliveries
from ..workers.periodic import Periodic
from .accounts import accounting
from .admin import admin_site
from .cpu import ThreadedCpu
from .delivering import delivering
from .domainkeys import domain_keys
from .doors import Door, bind, http_door, smtp_door
from .ground import Ground
from .housekeeping import housekeeping, remember_use
from .lifecycle import DRAIN_SECONDS, Stack
from .limiting import limiting
from .metrics import LagProbe, PrometheusMetrics
from .options import own_names, sealer_of, with_secret
from .receiving import way_in
from .rest import rest_site
from .review import reviewing
from .sending import WayOut, way_out
from .tls import server_context
from .welcome import welcome
from .writing import desk

#: Seconds for HTTP requests in progress when the daemon is told to stop.
HTTP_SECONDS = 5.0


class Gateway:
    """The daemon's parts, built when they are started.

    :param config: the configuration file named on the command line, for the first words.
    """

    _log = Logger()

    def __init__(self, reactor: Any, settings: Settings, config: str | None = None) -> None:
        self._reactor, self._settings, self._config = reactor, settings, config
        self._own = own_names(settings)
        self._metrics = PrometheusMetrics()
        self._cpu = ThreadedCpu(reactor)
        self._doors: dict[str, Door] = {"SMTP": smtp_door(), "HTTP": http_door()}
        self._ports: dict[str, IListeningPort] = {}
        self._tls: Any = None
        self._waiting: Callable[[], tuple[str, ...]] = lambda: ("starting",)

    def bind(self) -> list[IListeningPort]:
        """Bind the ports and read the certificate, both while the process may.

        :raises CannotListen: a port cannot be had.
        :raises SettingsError: the certificate cannot be used.
        """
        settings = self._settings
        if settings.smtp.tls_cert:
            self._tls = server_context(settings.smtp.tls_cert, settings.smtp.tls_key)
        wanted: list[tuple[str, str, Any]] = [
            ("SMTP", settings.smtp.listen_addr, self._doors["SMTP"]),
            ("HTTP", settings.http.listen_addr, self._doors["HTTP"]),
        ]
        if settings.metrics.listen_addr:
            site = admin_site(self._metrics, lambda: self._waiting())
            wanted.append(("metrics", settings.metrics.listen_addr, site))
        for name, listen_addr, factory in wanted:
            self._ports[name] = bind(self._reactor, name, listen_addr, factory)
        return list(self._ports.values())

    async def start(self, stack: Stack) -> None:
        """Everything, in order; see ``lifecycle.Assembly``."""
        for warning in self._settings.warnings:
            self._log.warn("{warning}", warning=warning)
        settings = self._settings = with_secret(self._settings)
        self._cpu.start()
        stack.on_stop("CPU threads", self._cpu.stop)
        probe = LagProbe(self._reactor, self._metrics)
        probe.start()
        stack.on_stop("lag probe", probe.stop)
        dsn = settings.database.url or await self._embedded(stack)
        sealer = sealer_of(settings)
        database, empty = await self._database(stack, dsn, sealer)
        await self._parts(stack, dsn, database, sealer)
        self._log.info(
            "e2a {version} is ready: SMTP {smtp}, HTTP {http}",
            version=__version__,
            smtp=_place(self._ports["SMTP"]),
            http=_place(self._ports["HTTP"]),
        )
        if empty and not settings.production:
            self._greet()

    async def _embedded(self, stack: Stack) -> str:
        """The URL of the embedded PostgreSQL, running."""
        from .embedded import EmbeddedPostgres

        embedded = EmbeddedPostgres(self._settings.data_dir)
        self._log.info(
            "no database URL: starting the embedded PostgreSQL in {directory}", directory=self._settings.data_dir
        )
        dsn = await cast("Deferred[str]", deferToThread(embedded.start))
        stack.on_stop("embedded PostgreSQL", lambda: deferToThread(embedded.stop), 30.0)
        stack.check()
        return dsn

    async def _database(self, stack: Stack, dsn: str, sealer: Sealer) -> tuple[Database, bool]:
        """The database with its schema, and whether nobody has been bootstrapped on it yet.

        :raises SettingsError: it cannot be used as it is.
        """
        database = Database(self._reactor, dsn, self._settings.database.pool_size, self._metrics)
        stack.on_stop("database", database.stop, 15.0)
        await stack.retry(database.start, "the database")

        async def prepare() -> None:
            for name in await schema.apply(database):
                self._log.info("applied migration {name}", name=name)
            complaints = await database.run("durability", schema.durability)
            if complaints and self._settings.production:
                raise SettingsError([f"production mode: the database would lose mail: {one}" for one in complaints])
            for complaint in complaints:
                self._log.warn("the database may lose mail: {complaint}", complaint=complaint)
            try:
                await ensure_start(database, self._own, sealer, os.urandom)
            except SealingError as error:
                raise SettingsError([f"signing.hmac_secret: {error}"]) from error

        await stack.retry(prepare, "the database")
        stack.check()
        return database, not await database.run("first start", has_members, OPERATOR)

    def _ground(self, database: Database, sealer: Sealer, hub: Hub) -> Ground:
        """What everything else stands on."""
        settings, now = self._settings, time.time
        servers = [host_port(text, 53) for text in settings.dns.servers]
        directory = Directory(database, now, operator=operator_address(self._own))
        secrets = SecretBook(database, sealer, now, os.urandom, fallback=settings.signing.hmac_secret)
        signing = Signing(database, sealer, self._cpu, now, sender_domain=self._own.sender)
        return Ground(
            self._reactor,
            settings,
            self._own,
            database,
            Resolver(self._reactor, servers or None),
            directory,
            secrets,
            signing,
            sealer,
            self._cpu,
            self._metrics,
            changed=_all_of(directory.changed, secrets.changed, signing.changed, hub.changed),
            limiting=limiting(settings, database),
        )

    async def _parts(self, stack: Stack, dsn: str, database: Database, sealer: Sealer) -> None:
        """Everything that stands on the database, from the caches up to the open doors."""
        hub = Hub(LiveRights(database), most_each=self._settings.http.max_websockets_per_address)
        ground = self._ground(database, sealer, hub)
        stack.on_stop("resolver", ground.resolver.stop)
        events = Events(database, self._reactor)
        writers = desk(ground)
        keys = domain_keys(ground)
        reviews = reviewing(ground, writers.outbound)
        people = accounting(ground, writers)
        webhooks = delivering(ground)
        outbox = way_out(ground)

        stack.on_stop("events", events.stop)
        listener = _listener(dsn, ground, hub, events, writers.outcomes, webhooks.worker, outbox)
        stack.on_stop("listener", listener.stop)
        await stack.retry(listener.start, "the database")
        # What happened between the caches' first look and LISTEN.
        ground.forget()

        stack.on_stop("last use", lambda: remember_use(ground))
        for periodic in housekeeping(ground, keys, hub, people.erasure):
            _run(stack, periodic)
        stack.on_stop("webhook connections", webhooks.client.close)
        webhooks.worker.start()
        stack.on_stop("webhook deliveries", webhooks.worker.stop, 25.0)
        signs_of_life = {"webhook deliveries": lambda: webhooks.worker.idle_seconds}
        if outbox is not None:
            sender = outbox.worker
            stack.on_stop("upstream connections", outbox.close)
            sender.start()
            stack.on_stop("outbox", sender.stop, 40.0)
            signs_of_life["outbox"] = lambda: sender.idle_seconds
        reviews.worker.start()
        stack.on_stop("held mail", reviews.worker.stop, 25.0)
        stack.on_stop("WebSockets", hub.close)
        for periodic in people.workers:
            _run(stack, periodic)
        readiness = Readiness(database, lambda: listener.connected, signs_of_life, now=time.monotonic)
        site, end_waiting = rest_site(ground, keys, hub, readiness, writers, reviews, people, events)
        self._open(stack, way_in(ground, self._tls), site, (*end_waiting, writers.outcomes.stop))
        self._waiting = lambda: _missing(database, listener)

    def _open(
        self, stack: Stack, factory: InboundFactory, site: BoundedSite, end_waiting: Sequence[Callable[[], None]]
    ) -> None:
        """Let everybody in; on stop, mail that is being received is finished first.

        :param end_waiting: answers everybody who waits.
        """

        async def drain() -> None:
            try:
                await factory.drain().addTimeout(DRAIN_SECONDS, self._reactor)
            except TimeoutError:
                self._log.warn("{count} SMTP sessions did not finish in time", count=factory.sessions)
                factory.abort()

        async def finish_requests() -> None:
            for end in end_waiting:
                end()
            try:
                await site.drain().addTimeout(HTTP_SECONDS, self._reactor)
            except TimeoutError:
                self._log.warn("{count} HTTP connections did not finish in time", count=len(site.connections))

        factory.ready()
        self._doors["HTTP"].open(site)
        self._doors["SMTP"].open(factory)
        stack.on_stop("HTTP requests", finish_requests, HTTP_SECONDS + 5)
        stack.on_stop("SMTP sessions", drain, DRAIN_SECONDS + 5)
        stack.on_stop("readiness", self._not_ready)

    def _not_ready(self) -> None:
        self._waiting = lambda: ("stopping",)

    def _greet(self) -> None:
        """For the person at the terminal; a log gets one line."""
        if self._settings.log.format != "text" or sys.__stderr__ is None:
            self._log.info("nobody uses this e2a yet; make a user with: e2a bootstrap you@example.com")
            return
        smtp, http = (getattr(self._ports[name].getHost(), "port", 0) for name in ("SMTP", "HTTP"))
        sys.__stderr__.write(welcome(self._settings, smtp, http, os.environ, self._config))
        sys.__stderr__.flush()


def _place(port: IListeningPort) -> str:
    """Where a port listens, for people."""
    address: Any = port.getHost()
    return f"{address.host} port {address.port}" if hasattr(address, "port") else str(address)


def _run(stack: Stack, periodic: Periodic) -> None:
    periodic.start()
    stack.on_stop(periodic.name, periodic.stop)


def _listener(
    dsn: str,
    ground: Ground,
    hub: Hub,
    events: Events,
    outcomes: Outcomes,
    deliveries: Deliveries,
    outbox: WayOut | None,
) -> Listener:
    """Who hears of what, and what everybody does when something may have been missed."""
    listener = Listener(ground.reactor, dsn)
    for changed in (ground.changed, outcomes.changed, events.changed):
        listener.observe(CHANGED, changed)
    for mail in (events.mail, hub.mail, deliveries.mail):
        listener.observe(MAIL, mail)
    for gap in (ground.forget, events.gap, hub.gap, deliveries.gap, outcomes.gap):
        listener.on_gap(gap)
    if outbox is not None:
        listener.observe(OUTBOX, outbox.worker.wake)
        listener.on_gap(outbox.worker.wake)
    return listener


def _missing(database: Database, listener: Listener) -> tuple[str, ...]:
    parts = {"database": database.connected, "listener": listener.connected}
    return tuple(name for name, there in parts.items() if not there)


def _all_of(*observers: Callable[[str], object]) -> Callable[[str], None]:
    def changed(payload: str) -> None:
        for observer in observers:
            observer(payload)

    return changed
