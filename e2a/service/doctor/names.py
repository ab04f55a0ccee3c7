"""What the DNS says of this deployment: where mail for its domains goes, and what vouches for mail from it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from ...core.errors import Unavailable
from ...core.rules import netpolicy
from ...core.rules.domains import OwnNames
from ...core.settings import Settings
from ...store.dkimkeys import DkimKey
from ...verify import records
from ...verify.records import RecordReport
from ...verify.resolver import Resolver
from .report import Check, Finding, fail, ok, skip, warn

#: Seconds for the questions of one check.
_SECONDS = 8.0
#: Domains that are looked at, and named in one finding.
MOST_DOMAINS, _NAMED = 100, 5


class NameChecks:
    """:param domains: id and name of verified domains.
    :param keys: the DKIM key that each of them publishes, by id.
    """

    def __init__(
        self,
        settings: Settings,
        own: OwnNames,
        resolver: Resolver,
        domains: Sequence[tuple[int, str]] = (),
        keys: Mapping[int, DkimKey] | None = None,
    ) -> None:
        self._settings, self._own, self._resolver = settings, own, resolver
        self._domains, self._keys = domains, keys or {}

    def host_checks(self) -> list[Check]:
        """What needs no database."""
        return [Check("resolver", self.resolver), Check("hostname", self.hostname)]

    def domain_checks(self) -> list[Check]:
        """What needs the domains."""
        return [Check("mx", self.mx), Check("sender", self.sender), Check("dkim", self.dkim)]

    def _deadline(self) -> float:
        return self._resolver.seconds() + _SECONDS

    async def resolver(self) -> list[Finding]:
        """Whether questions are answered at all."""
        started = self._resolver.seconds()
        answer = await self._resolver.lookup(self._own.smtp, "TXT", self._deadline())
        if answer.failure:
            hint = "Set dns.servers, or mend /etc/resolv.conf; without DNS nothing is verified and mail is put off."
            return [fail("resolver", "no answer from the name servers", hint)]
        taken = self._resolver.seconds() - started
        if taken > 1:
            return [
                warn("resolver", f"an answer took {taken:.1f} seconds", "A caching resolver on this machine helps.")
            ]
        return [ok("resolver", f"answers in {taken * 1000:.0f} ms")]

    async def hostname(self) -> list[Finding]:
        """The mail server's own name, forwards and backwards."""
        host = self._own.smtp
        grade = fail if self._settings.production else warn
        try:
            addresses = await self._resolver.addresses(host, self._deadline())
        except Unavailable:
            return [grade("hostname", f"{host} cannot be resolved now", "See the check of the resolver.")]
        if not addresses:
            hint = "Publish an A record, and an AAAA record if there is IPv6, for smtp.domain."
            return [grade("hostname", f"{host} has no address", hint)]
        hidden = [text for text in addresses if not netpolicy.is_public(text)]
        if hidden:
            text = f"{host} has addresses that the internet does not reach: {', '.join(hidden)}"
            return [grade("hostname", text, "Publish the public address of this host.")]
        found = [ok("hostname", f"{host} is {', '.join(addresses)}")]
        return [*found, *[await self._reverse(host, text) for text in addresses[:4]]]

    async def _reverse(self, host: str, address: str) -> Finding:
        """Forward-confirmed reverse DNS: what receivers ask of a host that sends."""
        pointer = ipaddress.ip_address(address).reverse_pointer
        answer = await self._resolver.lookup(pointer, "PTR", self._deadline())
        grade = fail if self._settings.outbound.route == "direct" else warn
        hint = f"Let whoever gave out {address} point it back to {host}."
        if answer.failure:
            return grade("reverse_dns", f"no answer about {address}", "Try again later.")
        if host in answer.records:
            return ok("reverse_dns", f"{address} points back to {host}")
        if not answer.records:
            return grade("reverse_dns", f"{address} points to no name", hint)
        return warn("reverse_dns", f"{address} points to {', '.join(answer.records[:_NAMED])}", hint)

    # --- domains ------------------------------------------------------------------------------------------------------

    async def mx(self) -> list[Finding]:
        """Whether mail for the domains comes here."""
        host = self._own.smtp
        names = {name for _, name in self._domains if name != host} | (
            {self._own.shared} if self._own.shared else set()
        )
        names -= {self._own.sender}
        if not names:
            return [skip("mx", "no domain receives mail yet")]
        ordered = sorted(names)
        answers = await gatherResults(
            [Deferred.fromCoroutine(self._resolver.lookup(name, "MX", self._deadline())) for name in ordered]
        )
        wrong = {
            name: ", ".join(exchange for _, exchange in sorted(answer.records)[:2]) or answer.failure or "none"
            for name, answer in zip(ordered, answers, strict=True)
            if host not in [exchange for _, exchange in answer.records]
        }
        if not wrong:
            return [ok("mx", f"{len(ordered)} domains point to {host}")]
        shown = [f"{name} ({found})" for name, found in wrong.items()]
        text = f"{len(wrong)} of {len(ordered)} domains do not point to {host}: {_some(shown)}"
        grade = fail if self._settings.production and self._own.shared in wrong else warn
        return [grade("mx", text, f"Publish for each of them: MX 10 {host}.")]

    async def sender(self) -> list[Finding]:
        """SPF, DKIM and DMARC of the domain that mail to people comes from."""
        name = self._own.sender
        if not name:
            return [skip("sender", "mail to people cannot be sent: outbound_smtp.from_domain is not set")]
        key = next(
            (self._keys[number] for number, known in self._domains if known == name and number in self._keys), None
        )
        check = records.check(name, "-", self._own.smtp, [(key.host, key.record)] if key else [])
        reports = await self._resolver.drive(check, self._deadline())
        return [_record(report) for report in reports if report.purpose in ("spf", "dkim", "dmarc")]

    async def dkim(self) -> list[Finding]:
        """Whether the keys that sign are still published."""
        active = [key for key in self._keys.values() if key.active_at is not None and key.domain != self._own.sender]
        if not active:
            return [skip("dkim", "no domain of a user signs yet")]
        checks = [records.check_key(key.domain, key.host, key.record) for key in active]
        work: list[Any] = [Deferred.fromCoroutine(self._resolver.drive(each, self._deadline())) for each in checks]
        reports: list[RecordReport] = await gatherResults(work)
        wrong = [report.name for report in reports if report.status in ("missing", "mismatch")]
        if not wrong:
            return [ok("dkim", f"{len(active)} keys are published")]
        hint = "Their owners should publish the record that GET /api/v1/domains/{domain} shows."
        return [warn("dkim", f"{len(wrong)} of {len(active)} keys that sign are not published: {_some(wrong)}", hint)]


def _record(report: RecordReport) -> Finding:
    name, what = f"sender_{report.purpose}", f"{report.purpose.upper()} of {report.name}"
    if report.status == "found":
        return ok(name, f"{what} is published", report.hint)
    if report.status == "deferred":
        return warn(name, f"{what}: the DNS did not answer", report.hint)
    state = "is missing" if report.status == "missing" else "is not right"
    return warn(name, f"{what} {state}", f"{report.hint} Expected: {report.expected}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
