"""The live socket: frame by frame against a string, and whole against a real server and database."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from e2a.core.entities import Origin, Principal
from e2a.core.errors import TooManyRequests, Unavailable
from e2a.deliver import websocket
from e2a.deliver.hub import Hub
from e2a.deliver.websocket import LiveSockets
from e2a.flows.live import LiveFeeds, LiveRights
from e2a.store.listener import CHANGED, MAIL, Listener
from tests.support.mail import store_message
from tests.support.postgres import DatabaseTestCase, make_agent
from tests.workers.test_deliveries import message

AGENT = "bot@agents.test"
PRINCIPAL = Principal("org_test", "user_test", frozenset({"messages:read"}), "apk_1")
HANDSHAKE = (
    b"GET /api/v1/agents/bot@agents.test/ws?token=x HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(opcode: int, payload: bytes = b"") -> bytes:
    """A client's frame, masked with zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload


class Feed:
    """Pages as the test fills them in."""

    def __init__(self) -> None:
        self.pages: list[Any] = []
        self.asked = 0

    def open(self, agent_id: str) -> Feed:
        return self

    async def page(self) -> Any:
        self.asked += 1
        page = self.pages.pop(0) if self.pages else []
        if isinstance(page, Exception):
            raise page
        return page


class Rights:
    async def lost(self, connections: Any) -> list[tuple[int, str]]:
        return []


class Transport(StringTransport):
    """As forgiving as a real one about producers."""

    def unregisterProducer(self) -> None:
        self.producer = None

    def abortConnection(self) -> None:
        self.aborting = True
        self.loseConnection()


class ProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.hub = Hub(Rights())  # type: ignore[arg-type]
        self.feed = Feed()
        self.sockets = LiveSockets(self.clock, self.hub, self.feed)  # type: ignore[arg-type]

    def connect(self, principal: Principal | None = None) -> tuple[Any, Transport]:
        socket = self.sockets.socket(AGENT, principal or PRINCIPAL)
        transport = Transport()
        self.addCleanup(self.lose, socket)
        socket.makeConnection(transport)
        socket.dataReceived(HANDSHAKE)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 101 "))
        self.consumed = transport.value().index(b"\r\n\r\n") + 4
        return socket, transport

    def lose(self, socket: Any) -> None:
        if socket.transport is not None and not getattr(socket, "lost", False):
            socket.lost = True
            socket.connectionLost(Failure(ConnectionDone()))
            if socket.closeHandshakeTimeoutCall is not None:
                # Autobahn's timer runs on trial's reactor and outlives the connection.
                socket.closeHandshakeTimeoutCall.cancel()

    def frames(self, transport: Transport) -> list[tuple[int, bytes]]:
        data = transport.value()
        data = data[data.index(b"\r\n\r\n") + 4 :]
        found = []
        while data:
            size, start = data[1], 2
            if size == 126:
                size, start = struct.unpack("!H", data[2:4])[0], 4
            found.append((data[0] & 0x0F, data[start : start + size]))
            data = data[start + size :]
        return found

    def close_of(self, transport: Transport) -> tuple[int, str]:
        opcode, payload = self.frames(transport)[-1]
        self.assertEqual(opcode, CLOSE)
        return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def names(self, transport: Transport) -> list[str]:
        return [json.loads(payload)["message_id"] for opcode, payload in self.frames(transport) if opcode == TEXT]

    def test_share_of_one_client(self) -> None:
        """One client address has its share of the sockets, a closed one makes room for one; this machine has all."""
        self.hub = Hub(Rights(), most_each=2)  # type: ignore[arg-type]
        self.sockets = LiveSockets(self.clock, self.hub, self.feed)  # type: ignore[arg-type]

        def caller(client_ip: str) -> Principal:
            return replace(PRINCIPAL, origin=Origin(client_ip))

        socket, _ = self.connect(caller("192.0.2.7"))
        self.connect(caller("192.0.2.7"))
        self.assertRaises(TooManyRequests, self.sockets.live_resource, AGENT, caller("192.0.2.7"))
        self.sockets.live_resource(AGENT, caller("192.0.2.8"))
        self.lose(socket)
        self.sockets.live_resource(AGENT, caller("192.0.2.7"))
        self.connect(caller("192.0.2.7"))
        self.assertRaises(TooManyRequests, self.sockets.live_resource, AGENT, caller("192.0.2.7"))
        for client_ip in ("127.0.0.1", "::1", ""):
            self.connect(caller(client_ip))
            self.connect(caller(client_ip))
            self.sockets.live_resource(AGENT, caller(client_ip))

    def test_drain_then_live(self) -> None:
        """All unread pages go out in order at once; after that each wake leads to one read."""
        full = [message(f"msg_{number}", 1) for number in range(websocket.PAGE)]
        self.feed.pages = [full, [message("msg_last", 1)]]
        _, transport = self.connect()
        self.assertEqual(self.names(transport), [*(m.id for m in full), "msg_last"])
        self.assertEqual(self.feed.asked, 2)
        self.feed.pages = [[message("msg_new", 1)]]
        self.hub.mail(f"{AGENT} msg_new\nother@agents.test msg_x")
        self.assertEqual(self.names(transport)[-1], "msg_new")
        self.hub.mail("other@agents.test msg_y")
        self.assertEqual(self.feed.asked, 3)

    def test_ping(self) -> None:
        """A ping every 30 seconds; a peer that answers stays."""
        socket, transport = self.connect()
        for number in range(1, 4):
            self.clock.advance(29.9)
            self.assertEqual(len(self.frames(transport)), number - 1)
            self.clock.advance(0.1)
            self.assertEqual(self.frames(transport)[-1][0], PING)
            self.clock.advance(9.9)
            socket.dataReceived(frame(PONG))
        self.assertEqual([opcode for opcode, _ in self.frames(transport)], [PING] * 3)

    def test_ping_timeout(self) -> None:
        """Ten seconds without a pong end the connection with 1001."""
        _, transport = self.connect()
        self.clock.advance(30)
        self.clock.advance(9.9)
        self.assertEqual(self.frames(transport)[-1][0], PING)
        self.clock.advance(0.1)
        self.assertEqual(self.close_of(transport), (1001, "ping timeout"))

    def test_replaced(self) -> None:
        """A second connection of the agent closes the first with 1008; the first's end does not end the second."""
        first, first_transport = self.connect()
        _, second_transport = self.connect()
        self.assertEqual(self.close_of(first_transport), (1008, "replaced by new connection"))
        self.lose(first)
        self.feed.pages = [[message("msg_new", 1)]]
        self.hub.mail(f"{AGENT} msg_new")
        self.assertEqual(self.names(second_transport), ["msg_new"])
        self.assertEqual(self.names(first_transport), [])

    def test_client_frames(self) -> None:
        """What a client says is ignored up to 32,768 octets; one more ends the connection with 1009."""
        socket, transport = self.connect()
        socket.dataReceived(frame(TEXT, b"x" * 32_768))
        self.assertEqual(self.frames(transport), [])
        socket.dataReceived(frame(TEXT, b"x" * 32_769))
        self.assertEqual(self.close_of(transport)[0], 1009)

    def test_back_pressure(self) -> None:
        """While the transport is full no notice is made; when it drains the rest follows."""
        socket, transport = self.connect()
        socket.pauseProducing()
        self.feed.pages = [[message("msg_1", 1), message("msg_2", 1)]]
        self.hub.mail(f"{AGENT} msg_1")
        self.hub.mail(f"{AGENT} msg_2")
        self.assertEqual((self.names(transport), self.feed.asked), ([], 2))
        socket.resumeProducing()
        self.assertEqual(self.names(transport), ["msg_1", "msg_2"])
        self.assertIs(transport.producer, socket)

    def test_an_unreachable_database(self) -> None:
        """A page that cannot be read is read a second later; the connection stays."""
        self.feed.pages = [Unavailable(), Unavailable(), [message("msg_1", 1)]]
        _, transport = self.connect()
        self.clock.pump([1.0, 1.0])
        self.assertEqual(self.names(transport), ["msg_1"])

    def test_a_bug_ends_one_connection(self) -> None:
        """An unforeseen error is logged and closes this connection with 1011."""
        self.feed.pages = [RuntimeError("boom")]
        _, transport = self.connect()
        self.assertEqual(self.close_of(transport), (1011, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_shutdown(self) -> None:
        """Closing the hub tells everybody 1001, lasts until they are gone, and lets nobody in."""
        socket, transport = self.connect()
        closed = Deferred.fromCoroutine(self.hub.close())
        self.assertEqual(self.close_of(transport), (1001, "server shutting down"))
        self.assertNoResult(closed)
        self.lose(socket)
        self.successResultOf(closed)
        _, late = self.connect()
        self.assertEqual(self.close_of(late), (1001, "server shutting down"))

    def test_nothing_is_left(self) -> None:
        """A lost connection leaves no timer and no entry."""
        socket, _ = self.connect()
        self.clock.advance(30)
        self.lose(socket)
        self.assertEqual((self.clock.getDelayedCalls(), self.hub.connected), ([], 0))
        self.hub.mail(f"{AGENT} msg_1")
        self.assertEqual(self.feed.asked, 1)

    def test_a_peers_close_is_answered(self) -> None:
        """A close frame from the client comes back with its code, and the connection ends."""
        socket, transport = self.connect()
        socket.dataReceived(frame(CLOSE, struct.pack("!H", 1000)))
        self.assertEqual(self.close_of(transport)[0], 1000)
        self.assertTrue(transport.disconnecting)
        self.assertIsNone(transport.producer)


class Client(WebSocketClientProtocol):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.opened: Deferred[None] = Deferred()
        self.closed: Deferred[tuple[int, str]] = Deferred()
        self.wanted: tuple[int, Deferred[None]] | None = None

    def onOpen(self) -> None:
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.names.append(json.loads(payload)["message_id"])
        if self.wanted is not None and len(self.names) >= self.wanted[0]:
            wanted, self.wanted = self.wanted[1], None
            wanted.callback(None)

    async def has(self, count: int) -> list[str]:
        """Wait for that many notices."""
        if len(self.names) < count:
            self.wanted = count, Deferred()
            await self.wanted[1].addTimeout(10, reactor)
        return self.names

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.closed.callback((code, reason))


class Door(Resource):
    isLeaf = True

    def __init__(self, sockets: LiveSockets) -> None:
        super().__init__()
        self._sockets = sockets

    def render(self, request: Any) -> Any:
        return self._sockets.live_resource(AGENT, PRINCIPAL).render(request)


class WholeTests(DatabaseTestCase):
    """Site, socket, hub, listener and PostgreSQL together."""

    async def setUp(self) -> None:
        await super().setUp()
        await make_agent(self.db)
        await self.execute(
            "INSERT INTO api_keys (id, organisation_id, user_id, key_prefix, key_hash, permissions)"
            " VALUES ('apk_1', 'org_test', 'user_test', 'e2a_', 'x', '{messages:read}')"
        )
        self.hub = Hub(LiveRights(self.db))
        self.sockets = LiveSockets(reactor, self.hub, LiveFeeds(self.db, lambda: 0.0))
        port = reactor.listenTCP(0, Site(Door(self.sockets)), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.port = port.getHost().port
        self.addCleanup(port.stopListening)
        self.listener = Listener(reactor, self.dsn)
        self.listener.observe(MAIL, self.hub.mail)
        self.listener.observe(CHANGED, self.hub.changed)
        self.listener.on_gap(self.hub.gap)
        await self.listener.start()
        self.addCleanup(self.listener.stop)
        self.clients: list[Any] = []
        self.addCleanup(self.hang_up)

    async def hang_up(self) -> None:
        await self.hub.close()
        for client in self.clients:
            await client.closed

    async def execute(self, statement: str) -> None:
        await self.db.run("execute", lambda cur: cur.execute(statement))

    async def connect(self) -> Any:
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{self.port}/", reactor=reactor)
        factory.protocol = Client
        client = await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port).connect(factory)
        self.clients.append(client)
        await client.opened
        return client

    async def test_everything_unread_then_everything_new(self) -> None:
        """Two and a half pages are drained in order, and what is committed meanwhile and later follows, once each."""
        count = websocket.PAGE * 2 + websocket.PAGE // 2
        for number in range(count):
            await store_message(self.db, f"msg_{number:04}")
        await self.execute("UPDATE messages SET inbox_status = 'read' WHERE id = 'msg_0001'")
        client = await self.connect()
        for number in range(count, count + 20):
            await store_message(self.db, f"msg_{number:04}", notify=True)
        names = await client.has(count + 19)
        self.assertEqual(names, [f"msg_{number:04}" for number in range(count + 20) if number != 1])

    async def test_a_new_connection_replaces(self) -> None:
        """The agent's second connection closes the first and hears everything again."""
        await store_message(self.db, "msg_1")
        first = await self.connect()
        await first.has(1)
        second = await self.connect()
        self.assertEqual(await first.closed, (1008, "replaced by new connection"))
        first.closed = Deferred()
        first.closed.callback(None)
        self.assertEqual(await second.has(1), ["msg_1"])

    async def ends(self, statement: str, reason: str) -> None:
        client = await self.connect()
        await self.execute(statement)
        closed = await client.closed
        client.closed = Deferred()
        client.closed.callback(None)
        self.assertEqual(closed, (1008, reason))

    async def test_revoked_key(self) -> None:
        """Revoking the key closes its sockets when the notification comes."""
        await self.ends(
            "UPDATE api_keys SET revoked_at = now(); SELECT pg_notify('e2a_changed', 'key apk_1')", "key revoked"
        )

    async def test_deleted_agent(self) -> None:
        """Deleting the agent closes its socket."""
        await self.ends("DELETE FROM agents; SELECT pg_notify('e2a_changed', 'agent bot@agents.test')", "agent deleted")

    async def test_agent_in_cloud_mode(self) -> None:
        """Switching to cloud mode closes the socket."""
        await self.ends(
            "UPDATE agents SET agent_mode = 'cloud', webhook_url = 'https://x.example.com/';"
            " SELECT pg_notify('e2a_changed', 'agent bot@agents.test')",
            "agent is no longer in local mode",
        )

    async def test_relabelled_agent(self) -> None:
        """An agent whose label leaves the key's reach is gone for that key."""
        await self.execute("UPDATE agents SET label = 'eu/1'; UPDATE api_keys SET label_prefix = 'eu/'")
        await self.hub.check()
        await self.ends(
            "UPDATE agents SET label = 'us/1'; SELECT pg_notify('e2a_changed', 'agent bot@agents.test')",
            "agent deleted",
        )

    async def test_creator_who_leaves(self) -> None:
        """A key ends with its creator's membership, and so do its sockets."""
        await self.ends("DELETE FROM memberships; SELECT pg_notify('e2a_changed', 'key apk_1')", "key revoked")

    async def test_harmless_changes(self) -> None:
        """A notification about a key that is still good closes nothing, nor does the regular check."""
        client = await self.connect()
        await self.execute("SELECT pg_notify('e2a_changed', 'key apk_1')")
        await self.hub.check()
        await store_message(self.db, "msg_1", notify=True)
        self.assertEqual(await client.has(1), ["msg_1"])

    async def test_the_check_needs_no_notification(self) -> None:
        """A key that expired, and one that lost its permission, are found by the regular check."""
        for statement in (
            "UPDATE api_keys SET expires_at = now()",
            "UPDATE api_keys SET expires_at = NULL, permissions = '{agents:read}'",
        ):
            await self.execute("UPDATE api_keys SET expires_at = NULL, permissions = '{messages:read}'")
            client = await self.connect()
            await self.execute(statement)
            await self.hub.check()
            closed = await client.closed
            client.closed = Deferred()
            client.closed.callback(None)
            self.assertEqual(closed, (1008, "key revoked"))

    async def test_a_slow_client_is_not_run_over(self) -> None:
        """A client that does not read gets no more than its connection's buffers hold; when it reads, it gets all."""
        count = 4000
        long_subject = "s" * 900
        await self.execute(
            f"""
            INSERT INTO raw_messages (id, size, data) VALUES ('raw', 1, 'x');
            INSERT INTO messages (id, agent_id, direction, uid, raw_id, subject, inbox_status)
            SELECT 'msg_' || lpad(n::text, 4, '0'), '{AGENT}', 'inbound', n, 'raw', repeat('{long_subject}', 5),
            'unread' FROM generate_series(1, {count}) AS n
            """
        )
        client = await self.connect()
        client.transport.pauseProducing()
        (socket,) = self.hub._open
        last = -1
        while last != socket._feed.cursor or not socket._paused:  # type: ignore[attr-defined]
            last = socket._feed.cursor  # type: ignore[attr-defined]
            pause: Deferred[None] = Deferred()
            reactor.callLater(0.05, pause.callback, None)  # type: ignore[attr-defined]
            await pause
        self.assertLess(last, count)
        self.assertLess(len(socket.transport._tempDataBuffer) + socket.transport._tempDataLen, 200_000)  # type: ignore[attr-defined]
        client.transport.resumeProducing()
        self.assertEqual(len(await client.has(count)), count)
        self.assertEqual(client.names, sorted(client.names))
