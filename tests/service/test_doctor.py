"""``e2a doctor``: each check says what is the case, and what to do where something is wrong."""

from __future__ import annotations

import dataclasses
import os
import resource
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from e2a.core.settings import Settings, load
from e2a.core.trust.sealing import Sealer
from e2a.service.doctor.certificate import certificate
from e2a.service.doctor.database import DatabaseChecks, clock
from e2a.service.doctor.examination import examine
from e2a.service.doctor.machine import bits, local_findings
from e2a.service.doctor.names import NameChecks
from e2a.service.doctor.network import NetworkChecks
from e2a.service.doctor.report import FAILURES, SECONDS, WARNINGS, Check, Finding, carry_out, document, exit_code, ok
from e2a.service.options import own_names
from e2a.store.diagnosis import verified_domains
from e2a.store.dkimkeys import current_keys
from e2a.verify.resolver import Resolver
from tests.support.dnsstub import DNSStub, Zone
from tests.support.postgres import DatabaseTestCase
from tests.support.selfsigned import certificate as self_signed
from tests.support.smtpsink import SmtpSink
from tests.support.tenants import SEALER, execute, make_tenant

STRONG = os.urandom(32).hex()
HOST = "mx.gateway.test"


def settings(**environment: str) -> Settings:
    """Settings from variables without their prefix."""
    values = {"E2A_SMTP_DOMAIN": HOST, "E2A_HMAC_SECRET": STRONG, "E2A_DATA_DIR": "/nowhere/at/all"}
    return load("", values | {f"E2A_{name.upper()}": value for name, value in environment.items()})


def by_name(findings: Any) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


class ReportTests(TestCase):
    def test_exit_codes(self) -> None:
        """The worst finding decides, and what was skipped does not count."""
        for states, code in (
            ((), 0),
            (("ok", "skip"), 0),
            (("ok", "warn", "skip"), WARNINGS),
            (("warn", "fail", "ok"), FAILURES),
        ):
            findings = [Finding("x", state, "") for state in states]  # type: ignore[arg-type]
            self.assertEqual(exit_code(findings), code)
        self.assertEqual(len({0, 1, 2, WARNINGS, FAILURES}), 5)

    def test_checks_stand_alone(self) -> None:
        """A check that hangs or breaks is a failure of its own; the others say what they found."""
        timer: Any = Clock()

        async def hang() -> list[Finding]:
            await Deferred()
            return []

        async def broken() -> list[Finding]:
            raise RuntimeError("secret words")

        async def good() -> list[Finding]:
            return [ok("good", "yes")]

        work = Deferred.fromCoroutine(
            carry_out(timer, [Check("hang", hang), Check("broken", broken), Check("good", good)])
        )
        self.assertNoResult(work)
        timer.advance(SECONDS)
        hanging, failed, fine = self.successResultOf(work)
        self.assertEqual((hanging.check, hanging.status), ("hang", "fail"))
        self.assertEqual((failed.status, fine.status), ("fail", "ok"))
        self.assertNotIn("secret words", failed.found)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_document(self) -> None:
        """The JSON says how it stands as a whole and lists every check."""
        shape = document([ok("a", "fine"), Finding("b", "fail", "broken", "mend it")])
        self.assertEqual(shape["status"], "fail")
        self.assertEqual(shape["checks"][1], {"check": "b", "status": "fail", "found": "broken", "hint": "mend it"})

    def test_clock(self) -> None:
        """A clock may be a little off; seconds are doubtful, half a minute breaks signatures."""
        states = [clock("c", seconds, "it").status for seconds in (0.5, -1.9, 3.0, -29.0, 31.0, -4000.0)]
        self.assertEqual(states, ["ok", "ok", "warn", "warn", "fail", "fail"])


class MachineTests(TestCase):
    def states(self, given: Settings) -> dict[str, str]:
        return {finding.check: finding.status for finding in local_findings(given)}

    def test_secret(self) -> None:
        """A generated secret is fine; short, typed and repeating ones are not, and none is ever shown."""
        for secret, status in (
            (STRONG, "ok"),
            ("short", "fail"),
            ("a" * 64, "fail"),
            ("please-change-me-please-change-me-0123", "fail"),
            ("0123456789" * 7, "warn"),
        ):
            findings = local_findings(settings(hmac_secret=secret))
            self.assertEqual(by_name(findings)["secret"].status, status, secret)
            self.assertNotIn(secret, repr(findings))

    def test_bits(self) -> None:
        """Repeating a text does not make it stronger."""
        self.assertGreater(bits(STRONG), 200)
        self.assertEqual(bits("aaaaaaaa"), 0.0)
        self.assertAlmostEqual(bits("abcd" * 20), bits("abcd"))

    def test_kept_secret(self) -> None:
        """In development the kept secret is judged, and must be nobody else's to read."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(mode=0o700)
        given = settings(hmac_secret="", data_dir=str(directory))
        self.assertEqual(self.states(given)["secret"], "skip")
        (directory / "hmac_secret").write_text(STRONG + "\n")
        (directory / "hmac_secret").chmod(0o600)
        self.assertEqual(self.states(given)["secret"], "ok")
        (directory / "hmac_secret").chmod(0o644)
        self.assertEqual(self.states(given)["secret"], "fail")

    def test_nothing_is_made(self) -> None:
        """Looking makes neither a data directory nor a secret."""
        directory = Path(self.mktemp()).absolute()
        local_findings(settings(hmac_secret="", data_dir=str(directory)))
        self.assertFalse(directory.exists())

    def test_data_directory(self) -> None:
        """A data directory that others may write into is doubtful."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        directory.chmod(0o700)
        self.assertEqual(self.states(settings(data_dir=str(directory)))["data_directory"], "ok")
        directory.chmod(0o777)
        self.assertEqual(self.states(settings(data_dir=str(directory)))["data_directory"], "warn")

    def test_descriptors(self) -> None:
        """More connections than files that may be open are doubtful."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (1500, hard))
        self.assertEqual(self.states(settings())["descriptors"], "warn")
        self.assertEqual(self.states(settings(smtp_max_connections="100"))["descriptors"], "ok")

    def test_metrics(self) -> None:
        """Metrics on a public address are doubtful, on a private one fine."""
        for address, status in (
            ("", "skip"),
            ("127.0.0.1:9464", "ok"),
            ("10.1.2.3:9464", "ok"),
            ("[::1]:9464", "ok"),
            (":9464", "warn"),
            ("0.0.0.0:9464", "warn"),
            ("[::]:9464", "warn"),
            ("8.8.8.8:9464", "warn"),
        ):
            self.assertEqual(self.states(settings(metrics_listen=address))["metrics"], status, address)

    def test_proxies(self) -> None:
        """Believing everybody is wrong; believing nobody behind TLS is doubtful."""
        secure = {"public_url": "https://api.test"}
        self.assertEqual(self.states(settings(trusted_proxies="0.0.0.0/0", **secure))["proxies"], "fail")
        self.assertEqual(self.states(settings(**secure))["proxies"], "warn")
        self.assertEqual(self.states(settings(trusted_proxies="10.0.0.1", **secure))["proxies"], "ok")
        self.assertEqual(self.states(settings())["proxies"], "ok")

    def test_unknown_variable(self) -> None:
        """A misspelt variable is doubtful."""
        self.assertEqual(self.states(settings(smtp_domian="x.test"))["configuration"], "warn")


class CertificateTests(TestCase):
    def found(self, host: str = HOST, days: float = 0.0) -> dict[str, Finding]:
        """What is said of a certificate for ``host`` that many days from now; it is valid for 30."""
        directory = Path(self.mktemp())
        directory.mkdir()
        chain, key, _ = self_signed(directory, host)
        key.chmod(0o600)
        given = settings(smtp_tls_cert=str(chain), smtp_tls_key=str(key))
        return by_name(certificate(given, time.time() + days * 86_400))

    def test_good(self) -> None:
        """Validity, name, issuer and key are told apart."""
        found = self.found()
        self.assertEqual(
            {name: finding.status for name, finding in found.items()},
            {
                "certificate": "ok",
                "certificate_name": "ok",
                "certificate_chain": "warn",
                "certificate_key": "ok",
            },
        )
        self.assertIn("self-signed", found["certificate_chain"].found)

    def test_expiry(self) -> None:
        """Weeks before it ends it is doubtful, then it is wrong, as it is before it begins."""
        states = [self.found(days=days)["certificate"].status for days in (0, 15, 31, -3)]
        self.assertEqual(states, ["ok", "warn", "fail", "fail"])

    def test_other_host(self) -> None:
        """A certificate for another host is wrong; a star stands for one label."""
        self.assertEqual(self.found("other.test")["certificate_name"].status, "fail")
        self.assertEqual(self.found("*.gateway.test")["certificate_name"].status, "ok")
        self.assertEqual(self.found("*.test")["certificate_name"].status, "fail")

    def test_other_key(self) -> None:
        """A key of another certificate is wrong."""
        first, second = Path(self.mktemp()), Path(self.mktemp())
        first.mkdir(), second.mkdir()
        chain, _, _ = self_signed(first, HOST)
        _, key, _ = self_signed(second, HOST)
        (finding,) = certificate(settings(smtp_tls_cert=str(chain), smtp_tls_key=str(key)), time.time())
        self.assertEqual(finding.status, "fail")

    def test_none(self) -> None:
        """Without a certificate there is nothing to say in development."""
        self.assertEqual([finding.status for finding in certificate(settings(), time.time())], ["skip"])


class NameTests(TestCase):
    def resolver(self, zone: Zone) -> Resolver:
        stub = DNSStub(zone)
        self.addCleanup(stub.stop)
        resolver = Resolver(reactor, [("127.0.0.1", stub.port)])
        self.addCleanup(lambda: Deferred.fromCoroutine(resolver.stop()))
        return resolver

    async def host(self, zone: Zone, **environment: str) -> dict[str, Finding]:
        given = settings(**environment)
        checks = NameChecks(given, own_names(given), self.resolver(zone))
        return by_name([*await checks.resolver(), *await checks.hostname()])

    async def test_good(self) -> None:
        """A host whose address points back to it is fine."""
        found = await self.host({HOST: {"A": ["8.8.4.4"]}, "4.4.8.8.in-addr.arpa": {"PTR": [HOST]}})
        self.assertEqual({finding.status for finding in found.values()}, {"ok"})
        self.assertEqual(set(found), {"resolver", "hostname", "reverse_dns"})

    async def test_reverse(self) -> None:
        """An address that points nowhere, or elsewhere, is doubtful, and wrong for a host that sends by itself."""
        zone = {HOST: {"A": ["8.8.4.4"]}}
        self.assertEqual((await self.host(zone))["reverse_dns"].status, "warn")
        direct = {"outbound_route": "direct", "outbound_smtp_from_domain": "send.test"}
        self.assertEqual((await self.host(zone, **direct))["reverse_dns"].status, "fail")
        other = zone | {"4.4.8.8.in-addr.arpa": {"PTR": ["host.provider.test"]}}
        finding = (await self.host(other))["reverse_dns"]
        self.assertEqual(finding.status, "warn")
        self.assertIn("host.provider.test", finding.found)

    async def test_no_address(self) -> None:
        """A host without an address, or with a private one, gets no mail."""
        for zone in ({}, {HOST: {"A": ["10.0.0.1"]}}):
            self.assertEqual((await self.host(zone))["hostname"].status, "warn")

    async def test_no_resolver(self) -> None:
        """Name servers that do not answer are a failure."""
        self.assertEqual((await self.host({HOST: {"FAIL": ["servfail"]}}))["resolver"].status, "fail")

    async def test_sender(self) -> None:
        """What is missing of the sending domain's records is named."""
        given = settings(outbound_smtp_host="smtp.test", outbound_smtp_from_domain="send.test")
        for zone, spf, dmarc in (
            ({}, "warn", "warn"),
            ({"send.test": {"TXT": ["v=spf1 -all"]}, "_dmarc.send.test": {"TXT": ["v=DMARC1; p=reject"]}}, "ok", "ok"),
            ({"send.test": {"TXT": ["v=spf1 -all", "v=spf1 +all"]}}, "warn", "warn"),
        ):
            found = by_name(await NameChecks(given, own_names(given), self.resolver(zone)).sender())
            self.assertEqual((found["sender_spf"].status, found["sender_dmarc"].status), (spf, dmarc))


class DatabaseTests(DatabaseTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.owner = await make_tenant(self.db, "owner")

    def checks(self, sealer: Sealer | None = SEALER, **environment: str) -> DatabaseChecks:
        return DatabaseChecks(settings(**environment), self.db, sealer)

    async def test_well(self) -> None:
        """A database of this version without work is fine in all respects but the tests' own durability."""
        found = by_name(await carry_out(reactor, self.checks().checks(True)))  # type: ignore[arg-type]
        doubtful = {name for name, finding in found.items() if finding.status not in ("ok", "skip")}
        self.assertLessEqual(doubtful, {"durability", "connections"})
        self.assertLessEqual(
            {"database", "clock_database", "migrations", "seals", "webhook_queue", "outbox"}, set(found)
        )

    async def test_migrations(self) -> None:
        """Missing migrations are doubtful, unknown ones wrong."""
        await execute(self.db, "INSERT INTO schema_migrations (version, name) VALUES (9999, 'future')")
        self.addCleanup(execute, self.db, "DELETE FROM schema_migrations WHERE version = 9999")
        self.assertEqual((await self.checks().migrations())[0].status, "fail")

    async def test_seals(self) -> None:
        """What is under a former secret is doubtful, under an unknown one wrong."""
        former = Sealer("a new secret", os.urandom, ["a deployment secret for tests, long enough"])
        states = [
            (await self.checks(sealer).seals())[0].status
            for sealer in (SEALER, former, Sealer("a new secret", os.urandom), None)
        ]
        self.assertEqual(states, ["ok", "warn", "fail", "skip"])

    async def test_pool(self) -> None:
        """More connections than the server allows are wrong."""
        found = by_name(await self.checks(database_pool_size="200").server())
        self.assertEqual(found["connections"].status, "fail")

    async def test_domains(self) -> None:
        """Domains whose mail goes elsewhere, and keys that are not published, are named."""
        await execute(
            self.db, "INSERT INTO domains (name, verified_at) VALUES ('here.test', now()), ('away.test', now())"
        )
        await execute(
            self.db,
            "INSERT INTO dkim_keys (domain_id, selector, sealed, public_key, active_at)"
            " SELECT id, 's1', '', 'QUJD', now() FROM domains WHERE name = 'away.test'",
        )
        stub = DNSStub({"here.test": {"MX": [f"10 {HOST}"]}, "away.test": {"MX": ["10 mx.other.test"]}})
        self.addCleanup(stub.stop)
        resolver = Resolver(reactor, [("127.0.0.1", stub.port)])
        domains = await self.db.read("domains", verified_domains, 10)
        keys = await self.db.read("keys", current_keys, [number for number, _ in domains])
        given = settings()
        names = NameChecks(given, own_names(given), resolver, domains, keys)
        (mx,), (dkim,) = await names.mx(), await names.dkim()
        self.assertEqual((mx.status, dkim.status), ("warn", "warn"))
        self.assertIn("away.test (mx.other.test)", mx.found)
        self.assertNotIn("here.test", mx.found)
        self.assertIn("s1._domainkey.away.test", dkim.found)


class NetworkTests(TestCase):
    def checks(self, *, outside: bool = False, **environment: str) -> NetworkChecks:
        given = settings(**environment)
        stub = DNSStub({})
        self.addCleanup(stub.stop)
        resolver = Resolver(reactor, [("127.0.0.1", stub.port)])
        return NetworkChecks(reactor, given, resolver, outside=outside, probe="localhost")

    def sink(self, **options: Any) -> SmtpSink:
        sink = SmtpSink(**options)
        self.addCleanup(sink.stop)
        return sink

    async def test_upstream(self) -> None:
        """The way out is tried as far as logging in, and no mail is sent; a wrong password is told from no server."""
        sink = self.sink(extensions=("AUTH PLAIN",), users={"me": "right"})
        place = {"outbound_smtp_host": "127.0.0.1", "outbound_smtp_port": str(sink.port)}
        common = {**place, "outbound_smtp_from_domain": "send.test", "outbound_smtp_username": "me"}
        (good,) = await self.checks(**common, outbound_smtp_password="right").upstream()
        self.assertEqual((good.status, "logged in" in good.found), ("ok", True))
        (wrong,) = await self.checks(**common, outbound_smtp_password="wrong-pass").upstream()
        self.assertEqual((wrong.status, "535" in wrong.found), ("fail", True), wrong.found)
        self.assertNotIn("wrong-pass", wrong.found + wrong.hint)
        self.assertEqual(sink.copies, [])
        gone = {**common, "outbound_smtp_port": "1", "outbound_smtp_password": "x"}
        self.assertEqual((await self.checks(**gone).upstream())[0].status, "fail")

    async def test_smtp_port(self) -> None:
        """The daemon's own port is asked for its greeting; nobody there is doubtful."""
        sink = self.sink()
        self.assertEqual((await self.checks(smtp_listen=f"127.0.0.1:{sink.port}").smtp_port())[0].status, "ok")
        self.assertEqual((await self.checks(smtp_listen="127.0.0.1:1").smtp_port())[0].status, "warn")
        self.assertEqual((await self.checks(smtp_listen="haproxy:tcp:2525").smtp_port())[0].status, "skip")

    async def test_port_25(self) -> None:
        """Foreign mail servers are asked only when that is wanted."""
        for outside, status in ((False, "skip"), (True, "ok")):
            checks = self.checks(outside=outside, smtp_domain="localhost")
            checks.port = self.sink().port
            self.assertEqual((await checks.port_25_out())[0].status, status)
            self.assertEqual((await checks.port_25_in())[0].status, status)
        blocked = self.checks(outside=True, outbound_route="direct", outbound_smtp_from_domain="send.test")
        blocked.port = 1
        self.assertEqual((await blocked.port_25_out())[0].status, "fail")

    async def test_public_url(self) -> None:
        """An address at which nobody answers is wrong."""
        self.assertEqual((await self.checks(public_url="http://127.0.0.1:1").public_url())[0].status, "fail")
        self.assertEqual((await self.checks().public_url())[0].status, "skip")


class ExaminationTests(TestCase):
    async def test_database_away(self) -> None:
        """Without the database everything else is still examined."""
        stub = DNSStub({})
        self.addCleanup(stub.stop)
        given = settings(
            database_url="postgresql://nobody:hidden-password@127.0.0.1:1/none",
            dns_servers=stub.address,
            smtp_listen="127.0.0.1:1",
        )
        findings = await examine(reactor, given)
        found = by_name(findings)
        self.assertEqual(found["database"].status, "fail")
        self.assertLessEqual({"configuration", "secret", "resolver", "hostname", "smtp_port", "mx"}, set(found))
        self.assertNotIn("hidden-password", repr(findings))
        self.assertNotIn(STRONG, repr(findings))
        self.assertTrue(all(dataclasses.asdict(each)["found"] for each in findings))

    async def test_fresh_machine(self) -> None:
        """Where nothing was started yet nothing is wrong, and nothing is made."""
        stub = DNSStub({})
        self.addCleanup(stub.stop)
        directory = Path(self.mktemp()).absolute()
        given = settings(hmac_secret="", data_dir=str(directory), dns_servers=stub.address, smtp_listen="127.0.0.1:1")
        findings = await examine(reactor, given)
        self.assertEqual(exit_code(findings), WARNINGS)
        self.assertIn("Is the daemon running?", by_name(findings)["smtp_port"].hint)
        self.assertFalse(directory.exists())
