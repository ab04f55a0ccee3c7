"""Who answers: the daemon itself, its public address, the way out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.web.client import Agent, ResponseFailed, readBody
from twisted.web.http import stringToDatetime
from twisted.web.http_headers import Headers

from ...core.errors import SettingsError, Unavailable
from ...core.settingchecks import endpoint
from ...core.settings import Settings
from ...send.dialing import connect
from ...send.protocol import Client, SessionError, Waits
from ...send.upstream import UpstreamServer
from ...verify.resolver import Resolver
from ..sending import upstream_server
from .database import clock
from .report import Check, Finding, fail, ok, skip, warn

#: Seconds for each step of a session with a mail server.
WAITS = Waits(connect=4.0, greeting=4.0, handshake=4.0, command=3.0)
#: A domain whose mail servers nearly every host may connect to.
PROBE_DOMAIN = "gmail.com"


class NetworkChecks:
    """:param outside: also connect to hosts that are not the operator's, and to this host by its public name.
    :param probe: the domain whose mail servers are tried for that.
    """

    def __init__(
        self, reactor: Any, settings: Settings, resolver: Resolver, *, outside: bool, probe: str = PROBE_DOMAIN
    ) -> None:
        self._reactor, self._settings, self._resolver = reactor, settings, resolver
        self._outside, self._probe = outside, probe
        self.port = 25

    def checks(self) -> list[Check]:
        return [
            Check("public_url", self.public_url),
            Check("smtp_port", self.smtp_port),
            Check("upstream", self.upstream),
            Check("port_25_in", self.port_25_in),
            Check("port_25_out", self.port_25_out),
        ]

    async def public_url(self) -> list[Finding]:
        """Whether a daemon answers there, and what time it is there."""
        name, url = "public_url", self._settings.http.public_url
        if not url:
            return [skip(name, "http.public_url is not set", "Links in mail need it.")]
        headers = Headers({"User-Agent": ["e2a doctor"]})
        try:
            answer: Any = await Agent(self._reactor, connectTimeout=5.0).request(
                b"GET", f"{url}/api/health".encode("ascii"), headers
            )
            body = await readBody(answer)
        except (ConnectError, DNSLookupError, ResponseFailed, ValueError) as error:
            return [fail(name, f"{url} cannot be reached: {_reason(error)}", "See the proxy, the firewall, the DNS.")]
        if answer.code != 200 or b'"ok"' not in body[:1000]:
            hint = "The proxy in front should hand every path to the daemon's HTTP port."
            return [fail(name, f"{url}/api/health answers {answer.code}, and not as e2a does", hint)]
        found = [ok(name, f"{url} answers")]
        if url.startswith("http://") and self._settings.production:
            found = [fail(name, f"{url} is not https", "Put a proxy with TLS in front.")]
        dates = answer.headers.getRawHeaders(b"date") or [b""]
        try:
            found.append(clock("clock_http", stringToDatetime(dates[0]) - time.time() + 0.5, url))
        except (ValueError, TypeError, IndexError, KeyError):
            found.append(skip("clock_http", f"{url} does not say what time it is"))
        return found

    async def smtp_port(self) -> list[Finding]:
        """Whether a daemon answers on the port for mail, and offers TLS."""
        address = self._settings.smtp.listen_addr
        if endpoint(address) == address:
            return [skip("smtp_port", f"the endpoint {address} is not a plain port")]
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        target = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with
        try:
            client = await self._session(target, int(port))
        except SessionError as error:
            hint = "Is the daemon running? `systemctl status e2a`"
            return [warn("smtp_port", f"no mail server answers on {target} port {port}: {error.text}", hint)]
        offers_tls = "STARTTLS" in client.extensions
        client.quit()
        if self._settings.smtp.tls_cert and not offers_tls:
            return [warn("smtp_port", f"port {port} answers without STARTTLS", "Restart the daemon.")]
        return [ok("smtp_port", f"port {port} answers{', with STARTTLS' if offers_tls else ''}")]

    async def upstream(self) -> list[Finding]:
        """Whether mail to people finds its way: connecting, TLS and logging in; nothing is sent."""
        name, settings = "upstream", self._settings
        if settings.outbound.route == "direct":
            return [skip(name, "mail goes straight to the recipients' servers")]
        if not settings.outbound_smtp.host:
            return [skip(name, "mail to people cannot be sent: outbound_smtp.host is not set")]
        try:
            server = upstream_server(settings)
        except SettingsError as error:
            return [fail(name, complaint) for complaint in error.complaints]
        place = f"{server.host} port {server.port}"
        upstream = UpstreamServer(self._reactor, server, settings.smtp.domain, size=1, waits=WAITS)
        try:
            agreed = await upstream.probe()
        except SessionError as error:
            code = f"{error.code} " if error.code else ""
            hint = "Check outbound_smtp.tls, its certificate and ca_file." if error.tls else "Check outbound_smtp."
            return [fail(name, f"{place}: {code}{error.text}", hint)]
        return [ok(name, f"{place}: {agreed}")]

    async def port_25_in(self) -> list[Finding]:
        """Whether mail servers reach this host by its name."""
        host = self._settings.smtp.domain
        if not self._outside:
            return [skip("port_25_in", "only with --network")]
        try:
            client = await self._session(host, self.port)
        except SessionError as error:
            hint = (
                "Open port 25 in the firewall and lead it to smtp.listen_addr; some networks cannot reach themselves."
            )
            return [warn("port_25_in", f"{host} port 25: {error.text}", hint)]
        client.quit()
        return [ok("port_25_in", f"{host} answers on port 25")]

    async def port_25_out(self) -> list[Finding]:
        """Whether this host may connect to mail servers, which many providers forbid."""
        if not self._outside:
            return [skip("port_25_out", "only with --network")]
        grade = fail if self._settings.outbound.route == "direct" else warn
        try:
            exchangers = sorted((await self._resolver.lookup(self._probe, "MX")).records)
            hosts: Sequence[str] = [host for _, host in exchangers[:1]] or [self._probe]
            client = await self._session(hosts[0], self.port)
        except (SessionError, Unavailable) as error:
            hint = "Ask the provider to open port 25, or send through an upstream server (outbound.route: upstream)."
            return [grade("port_25_out", f"port 25 of {self._probe}'s mail server: {error}", hint)]
        client.quit()
        return [ok("port_25_out", f"{hosts[0]} answers on port 25")]

    async def _session(self, host: str, port: int) -> Client:
        """A session with a mail server that has greeted us."""
        place = HostnameEndpoint(self._reactor, host, port, WAITS.connect)
        client = await connect(place, self._reactor, WAITS)
        try:
            await client.greet(self._settings.smtp.domain)
        except BaseException:
            client.abort()
            raise
        return client


def _reason(error: Exception) -> str:
    """What went wrong, without the addresses and numbers that Twisted adds."""
    reasons = getattr(error, "reasons", None)
    cause = reasons[0].value if reasons else error
    words = (type(cause).__doc__ or str(cause) or type(cause).__name__).strip().partition("\n")[0]
    return words.rstrip(".").lower()
