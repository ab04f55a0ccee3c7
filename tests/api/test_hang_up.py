"""A client that leaves while its transaction runs: the work is done, the pool stays whole, the log stays silent."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from e2a.api.routing import PUBLIC, Call, route
from e2a.api.site import BoundedSite, ClientAddresses
from tests.support.postgres import DatabaseTestCase

from .support import counting_random, make_app


class Writer:
    """Holds its transaction open until told."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.inside: Deferred[None] = Deferred()
        self.go_on: Deferred[None] = Deferred()
        self.finished: Deferred[None] = Deferred()

    @route("POST", "/write", action=PUBLIC, summary="Write", answers={200: None})
    async def write(self, call: Call) -> Any:
        return await self._db.run("write", self._work)

    async def _work(self, cur: Any) -> None:
        await cur.execute("INSERT INTO organisations (id, name) VALUES ('org_hang', 'made')")
        self.inside.callback(None)
        await self.go_on
        await cur.execute("UPDATE organisations SET name = 'changed' WHERE id = 'org_hang'")
        self.finished.callback(None)


class HangUpTests(DatabaseTestCase):
    async def test_transaction_goes_on(self) -> None:
        """A hang-up in the middle of a transaction neither undoes it nor harms the connection it runs on."""
        from twisted.internet import reactor

        writer = Writer(self.db)
        app = make_app(writer)
        addresses = ClientAddresses()
        site = BoundedSite(app, app.body_limit, reactor=Clock(), random=counting_random(), client_address=addresses)
        channel = site.buildProtocol(None)
        transport = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(b"POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        await writer.inside
        channel.connectionLost(Failure(ConnectionDone()))
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        writer.go_on.callback(None)
        await writer.finished
        # Committed a moment later; a transaction that was undone never ends this.
        while await self.names() != ["changed"]:
            pass
        self.assertEqual(transport.value(), b"")
        # Every connection of the pool still works.
        for _ in range(20):
            await self.names()
        self.assertEqual(self.flushLoggedErrors(), [])

    async def names(self) -> list[str]:
        async def work(cur: Any) -> list[str]:
            await cur.execute("SELECT name FROM organisations WHERE id = 'org_hang'")
            return [row.name for row in cur.fetchall()]

        return await self.db.run("names", work)
