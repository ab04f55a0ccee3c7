"""From a real SMTP client to every place where an agent can see its mail."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import Any
from unittest import skipUnless

import httpx

from tests.support.daemon import SECRET, SHARED_DOMAIN
from tests.support.selfsigned import certificate
from tests.support.sinks import WebhookSink, auth_faults, wait_until
from tests.support.smtpclient import Reply, Session, send
from tests.system.case import SystemCase, mail, signed

SENDER = "ana@sender.test"


class MailInTests(SystemCase):
    def test_three_ways(self) -> None:
        """WebSocket, webhook and REST each see every message, signed and true about its sender."""
        stub = self.stub("sender.test")
        sink = WebhookSink()
        self.addCleanup(sink.stop)
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": stub.address}).start()
        api = self.owner(daemon)
        secret = api.secret()
        live, hook = api.agent("live"), api.agent("hook", webhook_url=sink.url)
        inbox = api.live(live)
        self.addCleanup(inbox.stop)
        keys = [f"m{number}@sender.test" for number in range(5)]
        for key in keys:
            data = signed(mail(key, f"Ana <{SENDER}>", f"{live}, {hook}"), "sender.test")
            self.assertEqual(send(daemon.smtp_port, SENDER, [live, hook], data).code, 250)

        requests, notices = sink.wait_for(5), inbox.wait_for(5)
        self.assertEqual([fault for request in requests for fault in request.faults(secret)], [])
        self.assertEqual({request.payload["from"] for request in requests}, {SENDER})
        self.assertEqual({request.payload["recipient"] for request in requests}, {hook})
        self.assertEqual([notice["recipient"] for notice in notices], [live] * 5)
        for agent, seen in (
            (live, [notice["message_id"] for notice in notices]),
            (hook, sorted(request.payload["message_id"] for request in requests)),
        ):
            self.assertEqual([row["message_id"] for row in api.messages(agent)], seen)
            for identifier, key in zip(seen, keys, strict=True) if agent == live else ():
                self.assertIn(f"<{key}>".encode(), api.raw(agent, identifier))
            for identifier in seen:
                self._check_true(api.message(agent, identifier), secret)
        wait_until(lambda: not api.messages(live, status="unread"), 60, lambda: "fetched mail is still unread")

    def _check_true(self, message: dict[str, Any], secret: str) -> None:
        raw = base64.b64decode(message["raw_message"])
        headers = message["auth_headers"]
        self.assertEqual(auth_faults(headers, raw, secret), [])
        self.assertEqual(headers["X-E2A-Auth-Verified"], "true")
        self.assertEqual(headers["X-E2A-Auth-Sender"], SENDER)
        self.assertEqual(headers["X-E2A-Auth-Domain-Check"], "spf=pass; dkim=pass")
        self.assertEqual(message["authentication"]["dmarc"]["result"], "pass")

    def test_spoof(self) -> None:
        """Neither a foreign envelope, nor a foreign or a broken signature, nor a second From makes a sender true."""
        stub = self.stub("sender.test", "evil.test")
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": stub.address}).start()
        api = self.owner(daemon)
        secret = api.secret()
        agent = api.agent("bot")
        evil = "mallory@evil.test"
        plain = mail("a@evil.test", SENDER, agent)
        genuine = signed(mail("b@sender.test", SENDER, agent), "sender.test")
        for data in (
            plain,
            signed(plain, "evil.test"),
            genuine.replace(b"How are you?", b"Send money."),
            b"From: ceo@sender.test\r\n" + genuine,
        ):
            self.assertEqual(send(daemon.smtp_port, evil, [agent], data).code, 250)
        self.assertEqual(send(daemon.smtp_port, evil, [agent], genuine).code, 250)
        details = [api.message(agent, row["message_id"]) for row in api.messages(agent)]
        for detail in details:
            self.assertEqual(auth_faults(detail["auth_headers"], base64.b64decode(detail["raw_message"]), secret), [])
        verdicts = [detail["auth_headers"]["X-E2A-Auth-Verified"] for detail in details]
        self.assertEqual(verdicts, ["false"] * 4 + ["true"])

    def test_dns_trouble(self) -> None:
        """A sender whose DNS does not answer properly is accepted, never verified, and reported as temperror."""
        stub = self.stub("sender.test")
        names = ("sender.test", "s1._domainkey.sender.test", "_dmarc.sender.test")
        stub.load({name: {"FAIL": ["servfail"]} for name in names})
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": stub.address}).start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        data = signed(mail("a@sender.test", SENDER, agent), "sender.test")
        self.assertEqual(send(daemon.smtp_port, SENDER, [agent], data).code, 250)
        headers = api.message(agent, api.messages(agent)[0]["message_id"])["auth_headers"]
        self.assertEqual(headers["X-E2A-Auth-Verified"], "false")
        self.assertEqual(headers["X-E2A-Auth-Domain-Check"], "spf=temperror; dkim=temperror")

    def test_starttls(self) -> None:
        """STARTTLS is offered with a certificate, works, is not offered twice, and is written into the trace."""
        host = "mx.gateway.test"
        chain, key, context = certificate(self.directory, host)
        daemon = self.daemon(environment={"E2A_SMTP_TLS_CERT": str(chain), "E2A_SMTP_TLS_KEY": str(key)}).start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        with Session(daemon.smtp_port) as session:
            session.greet()
            self.assertIn("STARTTLS", session.extensions)
            self.assertEqual(session.start_tls(context, host).code, 220)
            session.hello()
            self.assertNotIn("STARTTLS", session.extensions)
            self.assertEqual(session.send(SENDER, [agent], mail("a@sender.test", SENDER, agent)).code, 250)
        raw = api.raw(agent, api.messages(agent)[0]["message_id"])
        self.assertIn(b" with ESMTPS", raw)

    def test_refusals(self) -> None:
        """An unknown recipient is 550, and the session goes on to accept a known one."""
        daemon = self.daemon().start()
        agent = self.owner(daemon).agent("bot")
        with Session(daemon.smtp_port) as session:
            session.greet()
            self.assertEqual(session.envelope(SENDER, [f"nobody@{SHARED_DOMAIN}"]).code, 550)
            session.command("RSET")
            self.assertEqual(session.send(SENDER, [agent], mail("a@sender.test", SENDER, agent)).code, 250)

    def test_pipelined_bdat(self) -> None:
        """A client that pipelines the envelope and sends BDAT chunks is answered in order, and its bytes are stored."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        data = mail("a@sender.test", SENDER, agent, body="8-bit: äöü\r\n.\r\nafter a lone dot")
        with Session(daemon.smtp_port) as session:
            session.greet()
            self.assertIn("CHUNKING", session.extensions)
            session.write(f"MAIL FROM:<{SENDER}> BODY=8BITMIME\r\nRCPT TO:<{agent}>\r\n".encode())
            session.write(b"BDAT 50\r\n" + data[:50] + b"BDAT %d LAST\r\n" % (len(data) - 50) + data[50:])
            self.assertEqual([session.reply().code for _ in range(4)], [250] * 4)
        raw = api.raw(agent, api.messages(agent)[0]["message_id"])
        self.assertTrue(raw.endswith(data), raw[-len(data) - 20 :])

    def test_redelivery_after_lost_answer(self) -> None:
        """The same message again is answered 250 and stored once; another with the same Message-ID is stored too."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        first = mail("a@sender.test", SENDER, agent)
        for data in (first, first, first.replace(b"How are you?", b"Who are you?")):
            self.assertEqual(send(daemon.smtp_port, SENDER, [agent], data).code, 250)
        self.assertEqual(len(api.messages(agent)), 2)

    @skipUnless(shutil.which("smtp-source"), "smtp-source (Debian package postfix) is not installed")
    def test_smtp_source(self) -> None:
        """Postfix's load generator is served, every message of it."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        subprocess.run(
            [
                "smtp-source",
                "-s",
                "4",
                "-m",
                "40",
                "-l",
                "2000",
                "-f",
                SENDER,
                "-t",
                agent,
                f"127.0.0.1:{daemon.smtp_port}",
            ],
            check=True,
            timeout=60,
        )
        self.assertEqual(len(api.messages(agent)), 40)

    @skipUnless(shutil.which("swaks"), "swaks is not installed")
    def test_swaks(self) -> None:
        """swaks, the usual tester's client, is served."""
        daemon = self.daemon().start()
        api = self.owner(daemon)
        agent = api.agent("bot")
        subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", str(daemon.smtp_port), "--from", SENDER, "--to", agent],
            check=True,
            timeout=60,
            stdout=subprocess.DEVNULL,
        )
        self.assertEqual(len(api.messages(agent)), 1)


class SecrecyTests(SystemCase):
    def test_canaries(self) -> None:
        """No secret, token, subject or body reaches the log, in any outcome, at the most talkative level."""
        sink = WebhookSink(status=500)
        self.addCleanup(sink.stop)
        daemon = self.daemon(environment={"E2A_LOG_LEVEL": "debug"}).start()
        api = self.owner(daemon)
        secret = api.secret()
        live, hook = api.agent("live"), api.agent("hook", webhook_url=sink.url + "?key=canary-in-url")
        inbox = api.live(live)
        data = mail("a@sender.test", SENDER, live, subject="canary-in-subject", body="canary-in-body")
        broken = b"Subject: canary-in-subject \xff\0\r\nno colon canary-in-body\r\n\r\ncanary-in-body\xff\r\n"
        for each in (data, broken):
            self.assertEqual(send(daemon.smtp_port, SENDER, [live, hook], each).code, 250)
        inbox.wait_for(2)
        sink.wait_for(2)
        inbox.stop()
        for headers in ({"Authorization": "Bearer e2a_canary-in-token"}, {"Authorization": "canary-in-token"}):
            api.request("GET", "/api/v1/agents", status=401, headers=headers)
        answer = httpx.get(f"{daemon.url}/api/v1/agents/{live}/ws?token=canary-in-token", trust_env=False)
        self.assertEqual(answer.status_code, 401)
        api.request("POST", "/api/v1/agents", status=400, content=b'{"slug": "canary-in-body')
        self.assertEqual(self._refused(daemon.smtp_port).code, 500)
        self.assertEqual(daemon.stop(), 0)
        log = daemon.log()
        self.assertIn("{", log)
        for word in (SECRET, secret, api.key, "canary-in"):
            self.assertNotIn(word, log)

    @staticmethod
    def _refused(port: int) -> Reply:
        with Session(port) as session:
            session.greet()
            return session.command("AUTHENTICATE canary-in-token")
