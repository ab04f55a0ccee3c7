"""From settings to a running gateway. Nothing else constructs the parts that work together; each concern is one method.

Start: embedded server, database, schema, caches and listener, flows, workers, doors open. Stop is the same backwards.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from .. import __version__
from ..api.site import BoundedSite
from ..core.errors import SettingsError
from ..core.mail.conversations import ConversationMac
from ..core.settingchecks import host_port
from ..core.settings import Settings
from ..core.trust.bouncetoken import BounceTokens
from ..core.trust.sealing import Sealer, SealingError
from ..deliver.hub import Hub
from ..deliver.safeagent import load_trust_root
from ..deliver.webhook import WebhookClient, encode
from ..flows.bootstrap import OPERATOR, ensure_start, operator_address
from ..flows.bounces import Bounces
from ..flows.delivery import DeliveryFlow
from ..flows.directory import Directory
from ..flows.erasure import Erasure
from ..flows.events import Events
from ..flows.inbound import Inbound
from ..flows.intake import GroupIntake
from ..flows.live import LiveRights
from ..flows.quotas import Storage
from ..flows.readiness import Readiness
from ..flows.retention import Retention
from ..flows.secrets import SecretBook
from ..flows.signing import Signing
from ..flows.threading import Threading
from ..receive.factory import InboundFactory
from ..receive.limits import Limits
from ..store import outbox as outbox_rows
from ..store import schema
from ..store.backlog import Backlog, read_backlog
from ..store.database import Database
from ..store.listener import CHANGED, MAIL, OUTBOX, Listener
from ..store.organisations import has_members
from ..verify.resolver import Resolver
from ..verify.verifier import Verifier
from ..workers.deliveries import Deliveries
from ..workers.domainkeys import DomainKeysWorker
from ..workers.periodic import Periodic
from ..workers.retention import RetentionWorker
from .accounts import accounting
from .admin import admin_site
from .cpu import ThreadedCpu
from .domainkeys import domain_keys
from .doors import Door, bind, http_door, smtp_door
from .ground import Ground
from .lifecycle import DRAIN_SECONDS, Stack
from .limiting import limiting
from .memory import settle
from .metrics import LagProbe, PrometheusMetrics
from .options import own_names, sealer_of, with_secret
from .rest import rest_site
from .review import reviewing
from .sending import way_out
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
        self._end_waiting: tuple[Callable[[], None], ...] = ()
        self._backlog = Backlog(0, 0.0, 0)
        self._outbox = 0, 0.0

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
        dsn = await self._embedded(stack) if not settings.database.url else settings.database.url
        sealer = sealer_of(settings)
        database, empty = await self._database(stack, dsn, sealer)
        await self._parts(stack, dsn, database, sealer)
        settle()
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

    async def _parts(self, stack: Stack, dsn: str, database: Database, sealer: Sealer) -> None:
        """Everything that stands on the database, from the caches up to the open doors."""
        settings, now = self._settings, time.time
        servers = [host_port(text, 53) for text in settings.dns.servers]
        resolver = Resolver(self._reactor, servers or None)
        directory = Directory(database, now, operator=operator_address(self._own))
        secrets = SecretBook(database, sealer, now, os.urandom, fallback=settings.signing.hmac_secret)
        deliveries, webhooks = self._deliveries(database, resolver, secrets)
        hub = Hub(LiveRights(database))
        signing = Signing(database, sealer, self._cpu, now, sender_domain=self._own.sender)
        changed = _all_of(directory.changed, secrets.changed, signing.changed, hub.changed)
        limits = limiting(settings, database)
        writers = desk(self._reactor, settings, self._own, database, directory, signing, sealer, self._cpu, limits)
        keys = domain_keys(database, resolver, sealer, self._cpu, self._own, changed)
        reviews = reviewing(self._reactor, settings, database, writers.outbound, sealer, self._cpu)

        listener = Listener(self._reactor, dsn)
        listener.observe(CHANGED, changed)
        listener.observe(CHANGED, writers.outcomes.changed)
        events = Events(database, self._reactor)
        listener.observe(CHANGED, events.changed)
        listener.observe(MAIL, events.mail)
        listener.on_gap(events.gap)
        listener.observe(MAIL, hub.mail)
        listener.observe(MAIL, deliveries.mail)
        for forget in (directory.clear, secrets.clear, signing.clear, hub.gap, deliveries.gap, writers.outcomes.gap):
            listener.on_gap(forget)
        stack.on_stop("listener", listener.stop)
        await stack.retry(listener.start, "the database")
        # What happened between the caches' first look and LISTEN.
        directory.clear()
        secrets.clear()
        signing.clear()

        erasure = Erasure(database, sealer, os.urandom, operator=operator_address(self._own), changed=changed)
        forgetting = Retention(
            database,
            self._metrics,
            erasure=erasure,
            audit_days=settings.audit.retention_days,
            usage_days=settings.usage_retention_days,
        )
        self._workers(stack, database, directory, secrets, hub, forgetting)
        looking_after = DomainKeysWorker(self._reactor, keys)
        looking_after.start()
        stack.on_stop("DKIM keys", looking_after.stop)
        stack.on_stop("webhook connections", webhooks.close)
        deliveries.start()
        stack.on_stop("webhook deliveries", deliveries.stop, 25.0)
        signs_of_life = {"webhook deliveries": lambda: deliveries.idle_seconds}
        outbox = way_out(self._reactor, settings, database, resolver, signing.sign, sealer, self._cpu, self._metrics)
        if outbox is not None:
            sender = outbox.worker
            stack.on_stop("upstream connections", outbox.close)
            listener.observe(OUTBOX, sender.wake)
            listener.on_gap(sender.wake)
            sender.start()
            stack.on_stop("outbox", sender.stop, 40.0)
            signs_of_life["outbox"] = lambda: sender.idle_seconds
            self._metrics.gauge("outbox_attempts_running", lambda: sender.in_flight, "messages being sent")
        reviews.worker.start()
        stack.on_stop("held mail", reviews.worker.stop, 25.0)
        stack.on_stop("WebSockets", hub.close)
        readiness = Readiness(database, lambda: listener.connected, signs_of_life, now=time.monotonic)
        ground = Ground(
            self._reactor,
            settings,
            self._own,
            database,
            resolver,
            directory,
            secrets,
            sealer,
            self._cpu,
            changed,
            limits,
        )
        people = accounting(ground, writers)
        for name, worker in people.workers.items():
            worker.start()
            stack.on_stop(name, worker.stop)
        site, end_waiting = rest_site(ground, keys, hub, readiness, writers, reviews, people, events)
        self._end_waiting = *end_waiting, writers.outcomes.stop
        factory = self._smtp(database, resolver, directory, sealer, limits.storage)
        self._open(stack, factory, site, lambda: _missing(database, listener))

    def _deliveries(
        self, database: Database, resolver: Resolver, secrets: SecretBook
    ) -> tuple[Deliveries, WebhookClient]:
        """Webhooks: rows to requests."""
        ca_file = self._settings.webhooks.ca_file
        try:
            trust_root = load_trust_root(Path(ca_file).read_bytes()) if ca_file else None
        except (OSError, ValueError) as error:
            raise SettingsError([f"webhooks.ca_file: {ca_file} cannot be used: {error}"]) from error
        client = WebhookClient(
            self._reactor, resolver.addresses, time.time, self._settings.production, trust_root=trust_root
        )
        flow = DeliveryFlow(database, client, secrets, self._cpu, encode, time.time, random.random, self._metrics)
        worker = Deliveries(flow, self._reactor)
        self._metrics.gauge("webhook_requests", lambda: worker.in_flight, "webhook deliveries claimed and not finished")
        return worker, client

    def _workers(
        self,
        stack: Stack,
        database: Database,
        directory: Directory,
        secrets: SecretBook,
        hub: Hub,
        forgetting: Retention,
    ) -> None:
        """What happens by itself, now and then."""

        async def remember_use() -> None:
            await directory.record_use()
            await secrets.record_signing()
            await secrets.remove_retired()

        async def look_at_backlog() -> None:
            self._backlog = await database.run("backlog", read_backlog)
            self._outbox = await database.run("outbox backlog", outbox_rows.read_backlog)

        retention = RetentionWorker(self._reactor, forgetting)
        retention.start()
        stack.on_stop("retention", retention.stop)
        for name, interval, work in (
            ("last use", 60.0, remember_use),
            ("backlog", 15.0, look_at_backlog),
            ("live connections", 5.0, hub.check),
        ):
            periodic = Periodic(name, interval, self._reactor, work)
            periodic.start()
            stack.on_stop(name, periodic.stop)
        stack.on_stop("last use", remember_use)
        self._metrics.gauge("websockets", lambda: hub.connected, "open WebSockets")
        self._metrics.gauge("due_deliveries", lambda: self._backlog.due, "webhook deliveries whose time has come")
        self._metrics.gauge("oldest_due_delivery_seconds", lambda: self._backlog.oldest, "how long the oldest is due")
        self._metrics.gauge("outbox_messages", lambda: self._outbox[0], "messages that wait to be sent")
        self._metrics.gauge("oldest_outbox_message_seconds", lambda: self._outbox[1], "how long the oldest has waited")
        self._metrics.gauge("failed_deliveries", lambda: self._backlog.failed, "deliveries that ran out of attempts")

    def _smtp(
        self, database: Database, resolver: Resolver, directory: Directory, sealer: Sealer, storage: Storage
    ) -> InboundFactory:
        """Mail in."""
        settings = self._settings
        intake = GroupIntake(database, time.time, self._metrics, usage=settings.usage_tracking)
        inbound = Inbound(
            directory,
            Verifier(resolver, self._cpu, time.time),
            Threading(database, ConversationMac(*sealer.derive_all("conversation mac")), time.time),
            Bounces(
                database,
                BounceTokens(*sealer.derive_all("bounce token")),
                self._cpu,
                self._metrics,
                sender_domain=self._own.sender,
            ),
            intake,
            self._cpu,
            self._metrics,
            hostname=settings.smtp.domain,
            now=time.time,
            random=os.urandom,
            storage=storage,
        )
        limits = Limits(
            max_message_bytes=settings.max_message_bytes,
            max_recipients=settings.smtp.max_recipients,
            idle_timeout=float(settings.smtp.idle_timeout),
            max_connections=settings.smtp.max_connections,
            max_connections_per_address=settings.smtp.max_connections_per_address,
            max_bytes_in_flight=max(256 * 2**20, 4 * settings.max_message_bytes),
        )
        factory = InboundFactory(
            inbound,
            self._reactor,
            hostname=settings.smtp.domain,
            limits=limits,
            random=os.urandom,
            metrics=self._metrics,
            tls_context=self._tls,
        )
        self._metrics.gauge("smtp_sessions", lambda: factory.sessions, "open SMTP sessions")
        return factory

    def _open(
        self, stack: Stack, factory: InboundFactory, site: BoundedSite, missing: Callable[[], tuple[str, ...]]
    ) -> None:
        """Let everybody in; on stop, mail that is being received is finished first."""

        async def drain() -> None:
            try:
                await factory.drain().addTimeout(DRAIN_SECONDS, self._reactor)
            except TimeoutError:
                self._log.warn("{count} SMTP sessions did not finish in time", count=factory.sessions)
                factory.abort()

        async def finish_requests() -> None:
            for end in self._end_waiting:
                end()
            try:
                await site.drain().addTimeout(HTTP_SECONDS, self._reactor)
            except TimeoutError:
                self._log.warn("{count} HTTP connections did not finish in time", count=len(site.connections))

        factory.ready()
        self._doors["HTTP"].open(site)
        self._doors["SMTP"].open(factory)
        self._waiting = missing
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


def _missing(database: Database, listener: Listener) -> tuple[str, ...]:
    parts = {"database": database.connected, "listener": listener.connected}
    return tuple(name for name, there in parts.items() if not there)


def _all_of(*observers: Callable[[str], object]) -> Callable[[str], None]:
    def changed(payload: str) -> None:
        for observer in observers:
            observer(payload)

    return changed
