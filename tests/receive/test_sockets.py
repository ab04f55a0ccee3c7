"""The SMTP front on real sockets: TLS, and replies that bypass the reactor."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, serverFromString
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.receive.peer import OPENING, Gateway, codes_of, make_factory


def server_context() -> ssl.CertificateOptions:
    """A context with a fresh self-signed P-256 certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx.test")])
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    return ssl.PrivateCertificate.loadPEM(pem).options()


class Client(Protocol):
    """Collects what the server says."""

    def __init__(self) -> None:
        self.said = b""
        self.closed: Deferred[None] = Deferred()
        self._wanted: tuple[int, Deferred[list[int]]] | None = None

    def dataReceived(self, data: bytes) -> None:
        self.said += data
        if self._wanted is not None and len(codes_of(self.said)) >= self._wanted[0]:
            _, done = self._wanted
            self._wanted = None
            said, self.said = self.said, b""
            done.callback(codes_of(said))

    def connectionLost(self, reason: Any = None) -> None:
        self.closed.callback(None)

    def replies(self, count: int) -> Deferred[list[int]]:
        """The codes of the next ``count`` replies."""
        done: Deferred[list[int]] = Deferred()
        self._wanted = (count, done)
        self.dataReceived(b"")
        return done


class SocketCase(TestCase):
    async def setUp(self) -> None:
        self.gateway = Gateway()
        self.factory = make_factory(self.gateway, reactor, tls_context=server_context())
        self.clients: list[Client] = []

    async def listen(self, description: str = "tcp:0:interface=127.0.0.1") -> None:
        self.port = await serverFromString(reactor, description).listen(self.factory)

    async def tearDown(self) -> None:
        for client in self.clients:
            client.transport.abortConnection()
            await client.closed
        await self.port.stopListening()
        await self.factory.drain()

    async def connect(self) -> Client:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(endpoint, Client())
        self.clients.append(client)
        return client

    async def dialogue(self, client: Client, data: bytes, count: int) -> list[int]:
        client.transport.write(data)
        return await client.replies(count)


class PlainTests(SocketCase):
    async def test_message(self) -> None:
        """A large pipelined session over TCP is answered in order, and the message arrives exactly."""
        await self.listen()
        client = await self.connect()
        body = b"".join(b"..%d\r\n" % number for number in range(100_000))
        codes = await self.dialogue(client, OPENING + b"DATA\r\n" + body + b".\r\nQUIT\r\n", 7)
        self.assertEqual(codes, [220, 250, 250, 250, 354, 250, 221])
        await client.closed
        self.clients.clear()
        ((envelope, data),) = self.gateway.accepted
        self.assertEqual(data, body.replace(b"..", b"."))
        self.assertEqual(envelope.client_ip, "127.0.0.1")

    async def test_client_that_does_not_read(self) -> None:
        """Replies that the socket does not take at once are sent later, in order, none lost."""
        await self.listen()
        client = await self.connect()
        await client.replies(1)
        (session,) = self.factory._sessions
        real, taken = session.transport, []

        class Stubborn:
            """Takes three octets, then none."""

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

            def writeSomeData(self, data: bytes) -> int:
                taken.append(data)
                real.write(data[:3])
                return 3

        session.transport = Stubborn()
        self.assertEqual(await self.dialogue(client, b"NOOP\r\nVRFY x\r\n", 2), [250, 252])
        self.assertEqual(await self.dialogue(client, b"HELP\r\n", 1), [214])
        self.assertEqual(len(taken), 1)
        session.transport = real

    async def test_proxy_protocol(self) -> None:
        """On a haproxy endpoint the client's address is the announced one, under TLS as well."""
        await self.listen("haproxy:tcp:0:interface=127.0.0.1")
        client = await self.connect()
        header = b"PROXY TCP4 192.0.2.55 192.0.2.1 4000 25\r\n"
        self.assertEqual(await self.dialogue(client, header + b"EHLO c\r\n", 2), [220, 250])
        self.assertEqual(await self.dialogue(client, b"STARTTLS\r\n", 1), [220])
        client.transport.startTLS(ssl.CertificateOptions())
        self.assertEqual((await self.dialogue(client, OPENING + b"DATA\r\n.\r\n", 5))[-1], 250)
        self.assertEqual(self.gateway.accepted[0][0].client_ip, "192.0.2.55")


class TLSTests(SocketCase):
    async def secure(self) -> Client:
        await self.listen()
        client = await self.connect()
        self.assertEqual(await self.dialogue(client, b"EHLO c\r\nSTARTTLS\r\n", 3), [220, 250, 220])
        client.transport.startTLS(ssl.CertificateOptions())
        return client

    async def test_pipelining(self) -> None:
        """Over TLS commands are pipelined with lookups that take time, and the message is marked ESMTPS."""
        client = await self.secure()
        self.gateway.hold = True

        async def release() -> None:
            while len(self.gateway.accepted) < 1:
                await deferLater(reactor, 0.0, lambda: None)
                while self.gateway.held:
                    self.gateway.release()

        releasing = Deferred.fromCoroutine(release())
        body = b"x" * 100_000 + b"\r\n"
        codes = await self.dialogue(client, OPENING + b"RCPT TO:<no@x.test>\r\nDATA\r\n" + body + b".\r\nNOOP\r\n", 7)
        await releasing
        self.assertEqual(codes, [250, 250, 250, 550, 354, 250, 250])
        ((envelope, data),) = self.gateway.accepted
        self.assertEqual((envelope.protocol, data), ("ESMTPS", body))

    async def test_state_is_new(self) -> None:
        """What was said before the handshake is forgotten: EHLO is needed again, and STARTTLS is offered no more."""
        await self.listen()
        client = await self.connect()
        self.assertEqual((await self.dialogue(client, OPENING + b"STARTTLS\r\n", 5))[-1], 220)
        client.transport.startTLS(ssl.CertificateOptions())
        self.assertEqual(await self.dialogue(client, b"RCPT TO:<bot@x.test>\r\nMAIL FROM:<>\r\n", 2), [503, 503])
        client.transport.write(b"EHLO c\r\n")
        while not client.said.endswith(b"RCPTMAX=100\r\n"):
            await deferLater(reactor, 0.0, lambda: None)
        self.assertNotIn(b"STARTTLS", client.said)
        client.said = b""
        self.assertEqual(await self.dialogue(client, b"STARTTLS\r\n", 1), [503])

    async def test_injection(self) -> None:
        """Commands sent in the clear behind STARTTLS are not obeyed; the session ends."""
        await self.listen()
        client = await self.connect()
        self.assertEqual(await self.dialogue(client, b"EHLO c\r\nSTARTTLS\r\n" + OPENING, 3), [220, 250, 503])
        await client.closed
        self.clients.clear()
        self.assertEqual(self.gateway.asked, [])

    async def test_injection_after_the_answer(self) -> None:
        """Clear text after STARTTLS was answered is no handshake; nothing of it is obeyed."""
        await self.listen()
        client = await self.connect()
        await self.dialogue(client, b"EHLO c\r\nSTARTTLS\r\n", 3)
        client.transport.write(OPENING)
        await client.closed
        self.clients.clear()
        self.assertEqual(self.gateway.asked, [])

    async def test_not_offered(self) -> None:
        """Without a certificate STARTTLS is neither offered nor taken, and with arguments it is an error."""
        await self.listen()
        client = await self.connect()
        self.assertEqual(await self.dialogue(client, b"STARTTLS x\r\n", 2), [220, 501])
        self.factory.tls_context = None
        client.transport.write(b"EHLO c\r\n")
        while not client.said.endswith(b"RCPTMAX=100\r\n"):
            await deferLater(reactor, 0.0, lambda: None)
        self.assertNotIn(b"STARTTLS", client.said)
        client.said = b""
        self.assertEqual(await self.dialogue(client, b"STARTTLS\r\n", 1), [502])
