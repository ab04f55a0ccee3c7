"""The harness itself: what it would not see, no system test can prove."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import struct
import threading
import time
import urllib.request

from twisted.trial.unittest import SynchronousTestCase

from tests.support import smtpclient
from tests.support.dnsstub import DNSStub
from tests.support.sinks import WebhookSink, auth_faults

SECRET = "0123456789abcdef"
RAW = b"Subject: x\r\n\r\nbody\r\n"


def ask(port: int, name: str, kind: int) -> tuple[int, int, bytes]:
    """Flags, number of answers and the whole reply to one UDP question."""
    question = (
        b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0" + struct.pack("!HH", kind, 1)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.sendto(struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question, ("127.0.0.1", port))
        reply = asker.recv(4096)
    flags, _, answers = struct.unpack("!HHH", reply[2:8])
    return flags, answers, reply


def headers(**changes: str) -> dict[str, str]:
    """A correctly signed set, with some values changed afterwards."""
    values = {
        "Verified": "true",
        "Sender": "a@example.test",
        "Entity-Type": "human",
        "Domain-Check": "spf=pass; dkim=none",
        "Delegation": "",
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "Message-Id": "msg_1",
        "Body-Hash": hashlib.sha256(RAW).hexdigest(),
    }
    text = "\n".join(values.values())
    values["Signature"] = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    return {f"X-E2A-Auth-{name}": value for name, value in (values | changes).items() if value}


class DNSStubTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stub = DNSStub(
            {
                "example.test": {"TXT": ["v=spf1 -all"], "MX": ["10 mx.example.test"], "A": ["192.0.2.1"]},
                "big.test": {"TXT": ["x" * 900]},
                "broken.test": {"FAIL": ["servfail"]},
                r"~s\._domainkey\.d\d+\.test": {"TXT": ["v=DKIM1; p="]},
            }
        )
        self.addCleanup(self.stub.stop)

    def test_answers(self) -> None:
        """Names in the zone, by exact name in any case or by pattern, are answered with their records."""
        for name, kind, expected in (
            ("Example.TEST", 16, b"v=spf1 -all"),
            ("example.test", 1, bytes([192, 0, 2, 1])),
            ("example.test", 15, b"\2mx\7example\4test\0"),
            ("s._domainkey.d42.test", 16, b"v=DKIM1; p="),
        ):
            flags, answers, reply = ask(self.stub.port, name, kind)
            self.assertEqual((flags & 15, answers), (0, 1), name)
            self.assertIn(expected, reply)

    def test_failures(self) -> None:
        """An unknown name does not exist, a missing type is empty, a broken name is SERVFAIL."""
        self.assertEqual(ask(self.stub.port, "other.test", 16)[0] & 15, 3)
        self.assertEqual(ask(self.stub.port, "example.test", 28)[:2], (0x8580, 0))
        self.assertEqual(ask(self.stub.port, "broken.test", 16)[0] & 15, 2)

    def test_truncation(self) -> None:
        """What does not fit into a datagram is marked so, and whole over TCP."""
        flags, answers, reply = ask(self.stub.port, "big.test", 16)
        self.assertEqual((bool(flags & 0x0200), answers), (True, 0))
        with socket.create_connection(("127.0.0.1", self.stub.port), 5) as asker:
            query = reply[:2] + struct.pack("!HHHHH", 0, 1, 0, 0, 0) + reply[12:]
            asker.sendall(struct.pack("!H", len(query)) + query)
            stream = asker.makefile("rb")
            whole = stream.read(int.from_bytes(stream.read(2), "big"))
            stream.close()
        self.assertEqual(whole.count(b"x"), 900)


class SinkTests(SynchronousTestCase):
    def test_signature(self) -> None:
        """A good set of headers has no fault; a changed value, another body, another secret or an old time has."""
        self.assertEqual(auth_faults(headers(), RAW, SECRET), [])
        self.assertEqual(auth_faults({k.lower(): v for k, v in headers().items()}, RAW, SECRET), [])
        self.assertTrue(auth_faults(headers(Verified="false"), RAW, SECRET))
        self.assertTrue(auth_faults(headers(), RAW + b"x", SECRET))
        self.assertTrue(auth_faults(headers(), RAW, SECRET + "x"))
        self.assertTrue(auth_faults(headers(), RAW, SECRET, now=time.time() + 400))

    def test_receiver(self) -> None:
        """The receiver keeps what is posted over one connection or several, and answers as told."""
        sink = WebhookSink(status=202)
        self.addCleanup(sink.stop)
        for number in range(3):
            request = urllib.request.Request(sink.url, json.dumps({"n": number}).encode(), {"X-Test": "1"})
            with urllib.request.urlopen(request) as answer:
                self.assertEqual(answer.status, 202)
        received = sink.wait_for(3)
        self.assertEqual([each.payload["n"] for each in received], [0, 1, 2])
        self.assertEqual(received[0].headers["x-test"], "1")

    def test_port_again(self) -> None:
        """A stopped receiver's port refuses connections and can be taken again."""
        sink = WebhookSink()
        sink.stop()
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", sink.port), 2)
        again = WebhookSink(port=sink.port)
        again.stop()
        self.assertEqual(again.port, sink.port)


class FlakyServer:
    """Accepts mail, but loses every second connection after the end of data and before its answer."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            connection.sendall(b"220-hello\r\n220 there\r\n")
            while line := stream.readline():
                if line != b"DATA\r\n":
                    connection.sendall(b"250-one\r\n250 two\r\n" if line.startswith(b"EHLO") else b"250 ok\r\n")
                    continue
                connection.sendall(b"354 go\r\n")
                self.bodies.append(b"".join(iter(stream.readline, b".\r\n")))
                if len(self.bodies) % 2:
                    return
                connection.sendall(b"250 stored\r\n")


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = FlakyServer()
        self.addCleanup(self.server.stop)

    def test_stuffing(self) -> None:
        """Every line that begins with a dot gets another one, and the end is one final dot."""
        self.assertEqual(smtpclient.dot_stuff(b".a\r\n..b\r\nc"), b"..a\r\n...b\r\nc\r\n.\r\n")

    def test_ledger(self) -> None:
        """A message whose answer was lost is sent again, the same bytes, until 250; the ledger says how often."""
        messages = [
            smtpclient.Entry(str(n), "a@x.test", ("b@y.test",), b"Subject: %d\r\n\r\nx\r\n" % n) for n in range(4)
        ]
        sender = smtpclient.RetryingSender(self.server.port, messages, sessions=1, pause=0.01)
        sender.start()
        self.assertTrue(sender.wait(60))
        self.assertEqual(sender.answers(), {None, 250})
        for entry in sender.ledger:
            self.assertEqual(self.server.bodies.count(entry.data), len(entry.answers))
