"""The whole gateway in this process, on a test's database: everything as the daemon puts it together, asked without a
socket.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from e2a.api.app import Api
from e2a.core.settings import load
from e2a.flows.bootstrap import bootstrap_user
from e2a.service import rest
from e2a.service.gateway import Gateway
from e2a.service.lifecycle import Stack
from e2a.service.options import sealer_of
from tests.support.dnsstub import DNSStub
from tests.support.ports import free_port
from tests.support.postgres import DatabaseTestCase

_SETTINGS = {
    "E2A_METRICS_LISTEN": "",
    # Without the words for a person at a terminal.
    "E2A_LOG_FORMAT": "json",
    "E2A_SMTP_DOMAIN": "mx.gateway.test",
    "E2A_SHARED_DOMAIN": "agents.test",
    "E2A_PUBLIC_URL": "http://127.0.0.1:1",
    "E2A_HMAC_SECRET": "a-deployment-secret-that-only-tests-use-0123456789",
    # Limits have tests of their own.
    "E2A_LIMITS_SEND_PER_MINUTE": "10000",
    "E2A_LIMITS_POLL_PER_MINUTE": "0",
    "E2A_LIMITS_REGISTRATIONS_PER_HOUR": "0",
    "E2A_LIMITS_FEEDBACK_PER_HOUR": "0",
}


class Answer:
    """:ivar cookies: the ``Set-Cookie`` headers."""

    def __init__(self, code: int, headers: Any, content: bytes) -> None:
        self.code = code
        self.content = content
        self.cookies: list[str] = headers.getRawHeaders("set-cookie") or []

    @property
    def json(self) -> Any:
        return orjson.loads(self.content)


class GatewayTestCase(DatabaseTestCase):
    """:ivar api: as the daemon serves it.
    :ivar environment: settings on top of those of every test.
    """

    environment: dict[str, str] = {}
    api: Api

    async def setUp(self) -> None:
        await super().setUp()
        ports = {name: f"127.0.0.1:{free_port()}" for name in ("E2A_SMTP_LISTEN", "E2A_HTTP_LISTEN")}
        dns = DNSStub({})
        self.addCleanup(dns.stop)
        ports["E2A_DNS_SERVERS"] = dns.address
        values = {**_SETTINGS, **ports, "E2A_DATABASE_URL": self.dsn, "E2A_DATA_DIR": self.mktemp(), **self.environment}
        settings = load("", values)
        self.sealer = sealer_of(settings)
        gateway, self._stack = Gateway(reactor, settings), Stack(reactor)
        self._ports = gateway.bind()
        self.addCleanup(self._stop)
        build = rest.Api

        def kept(*given: Any, **named: Any) -> Api:
            self.api = build(*given, **named)
            return self.api

        self.patch(rest, "Api", kept)
        await gateway.start(self._stack)
        self._treq = StubTreq(self.api)

    async def _stop(self) -> None:
        for port in self._ports:
            await port.stopListening()
        await self._stack.unwind()

    async def bootstrap(self, email: str) -> str:
        """A user's key with every permission; the first user is the operator."""
        return (await bootstrap_user(self.db, email, self.sealer, os.urandom))[1]

    async def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Answer:
        """One request, answered."""
        data = None if body is None else orjson.dumps(body)

        async def exchange() -> Answer:
            url = f"http://api.test{path}"
            response = await self._treq.request(method, url, headers=headers, data=data, allow_redirects=False)
            return Answer(response.code, response.headers, await response.content())

        asking = Deferred.fromCoroutine(exchange())
        while not asking.called:
            await deferLater(reactor, 0.0005)
            self._treq.flush()
        return await asking
