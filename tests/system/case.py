"""What the system tests share: a database each, daemons that are gone afterwards, mail that is signed or spoofed."""

from __future__ import annotations

import base64
import datetime
import functools
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from email.utils import format_datetime
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.daemon import Api, Daemon
from tests.support.dnsstub import DNSStub
from tests.support.pgprograms import find_binaries
from tests.support.postgres import ServerTestCase, sql
from tests.support.smtpclient import Entry

NO_SERVER = None if find_binaries() else "no PostgreSQL server programs (initdb, postgres) on this machine"


class SystemCase(ServerTestCase):
    """Every test: an empty database, a private directory, and nothing left running."""

    def setUp(self) -> None:
        super().setUp()
        # Not trial's own directory: a socket's path may have about 100 octets only.
        self.directory = Path(tempfile.mkdtemp(prefix="e2a-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    @functools.cached_property
    def dsn(self) -> str:
        """A database of this test's own."""
        return self.fresh_database()

    def daemon(
        self,
        *,
        dsn: str | None = None,
        name: str = "one",
        environment: Mapping[str, str | None] | None = None,
        command: Sequence[str] | None = None,
    ) -> Daemon:
        """A daemon on this test's database, not started yet. Unless told otherwise its DNS knows no name at all."""
        values = dict(environment or {})
        if "E2A_DNS_SERVERS" not in values:
            values["E2A_DNS_SERVERS"] = self.stub().address
        daemon = Daemon(self.directory / name, dsn or self.dsn, environment=values, command=command)
        self.addCleanup(daemon.kill)
        return daemon

    def owner(self, daemon: Daemon) -> Api:
        """The REST interface with a new owner's key."""
        api = daemon.api(daemon.bootstrap())
        self.addCleanup(api.close)
        return api

    def stub(self, *domains: str) -> DNSStub:
        """A DNS server that authorises 127.0.0.1 and :func:`signing_key` for the domains, with a DMARC policy each."""
        zone = {}
        for domain in domains:
            zone[domain] = {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}
            zone[f"s1._domainkey.{domain}"] = {"TXT": [signing_key()[1]]}
            zone[f"_dmarc.{domain}"] = {"TXT": ["v=DMARC1; p=reject"]}
        stub = DNSStub(zone)
        self.addCleanup(stub.stop)
        return stub

    def assert_stored_once(self, entries: Iterable[Entry], dsn: str | None = None) -> None:
        """Every accepted message is there exactly once for each of its recipients, and nothing else is."""
        rows = sql(
            "SELECT trim(both '<>' from email_message_id), agent_id, count(*) FROM messages GROUP BY 1, 2",
            dsn or self.dsn,
        )
        stored = {(key, agent): count for key, agent, count in rows}
        accepted = {(entry.key, agent) for entry in entries if entry.accepted for agent in entry.recipients}
        self.assertEqual(accepted - stored.keys(), set(), "answered 250 and lost")
        self.assertEqual([key for key, count in stored.items() if count != 1], [], "stored more than once")
        sent = {(entry.key, agent) for entry in entries for agent in entry.recipients}
        self.assertEqual(stored.keys() - sent, set(), "stored but never sent")


def mail(key: str, sender: str, to: str, *, subject: str = "A question", body: str = "How are you?") -> bytes:
    """A plain message whose Message-ID is ``<key>``."""
    date = format_datetime(datetime.datetime.now(datetime.UTC))
    lines = (f"From: {sender}", f"To: {to}", f"Subject: {subject}", f"Date: {date}", f"Message-ID: <{key}>")
    return "\r\n".join((*lines, "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "", body, "")).encode()


def entries(count: int, sender: str, recipients: tuple[str, ...]) -> list[Entry]:
    """That many different messages for the same recipients."""
    keys = [f"m{number}@{sender.partition('@')[2]}" for number in range(count)]
    return [Entry(key, sender, recipients, mail(key, sender, ", ".join(recipients))) for key in keys]


@functools.cache
def signing_key() -> tuple[bytes, str]:
    """An RSA key as PEM, and its DNS record."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem, "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode("ascii")


def signed(message: bytes, domain: str) -> bytes:
    """The message with a DKIM signature of that domain on top."""
    return dkim.sign(message, b"s1", domain.encode(), signing_key()[0], canonicalize=(b"relaxed", b"relaxed")) + message
