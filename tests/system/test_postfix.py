"""Mail out and back through a real Postfix: what people get, what they answer, and what cannot be delivered."""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import Any

import dkim

from tests.support import postfix
from tests.support.daemon import Api, Daemon
from tests.support.dnsstub import DNSStub
from tests.support.postfix import Postfix
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpclient import send
from tests.support.smtpsink import SmtpSink
from tests.system.case import SystemCase

BOT = "bot@corp.test"
PERSON = "ana@people.test"
NOBODY = "nobody@people.test"
SPF = {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}
SENT = ("sent", "smtp")


def field(raw: bytes, name: str) -> str:
    """A header field's value, unfolded; "" when there is none."""
    found = re.search(rf"(?im)^{name}:((?:.*\r\n)(?:[ \t].*\r\n)*)".encode(), raw.partition(b"\r\n\r\n")[0] + b"\r\n")
    return " ".join(found[1].decode().split()) if found else ""


def answer(raw: bytes, key: str, sender: str, text: str) -> bytes:
    """What a person's program sends when that person answers a mail."""
    parent = field(raw, "Message-ID")
    chain = f"{field(raw, 'References')} {parent}".strip()
    lines = (
        f"From: {sender}",
        f"To: {field(raw, 'Reply-To') or field(raw, 'From')}",
        f"Subject: Re: {field(raw, 'Subject')}",
        f"Date: {formatdate()}",
        f"Message-ID: <{key}@{sender.partition('@')[2]}>",
        f"In-Reply-To: {parent}",
        *([f"References: {chain}"] if len(chain) < 900 else []),
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "",
        text,
        "",
    )
    return "\r\n".join(lines).encode()


class PostfixTests(SystemCase):
    skip = postfix.missing()

    def setUp(self) -> None:
        super().setUp()
        # Its programs run as other users.
        self.directory.chmod(0o755)
        self.dns = DNSStub({"people.test": SPF, "strangers.test": SPF})
        self.addCleanup(self.dns.stop)

    def wired(self) -> tuple[Daemon, Postfix, Api]:
        """A daemon and a Postfix that pass mail to each other; the agent writes under its own, signing domain."""
        daemon = self.daemon(environment={"E2A_DNS_SERVERS": self.dns.address})
        relays = dict.fromkeys(("corp.test", "send.gateway.test"), daemon.smtp_port)
        server = Postfix(self.directory / "postfix", (PERSON,), relays)
        self.addCleanup(server.stop)
        server.start()
        daemon.environment |= {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(server.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        daemon.start()
        api = self.owner(daemon)
        record = api.post("/api/v1/domains", {"domain": "corp.test"})["dns_records"]["dkim"]
        self.key = record["value"]
        self.dns.load(
            {
                "people.test": SPF,
                "strangers.test": SPF,
                f"{record['host']}.corp.test": {"TXT": [self.key]},
            }
        )
        api.post("/api/v1/domains/corp.test/verify", status=200)
        api.post("/api/v1/agents", {"email": BOT, "agent_mode": "local", "name": "Bot"})
        return daemon, server, api

    def received(self, api: Api, agent: str, count: int) -> list[dict[str, Any]]:
        """An agent's mail, newest last."""
        wait_until(lambda: len(api.messages(agent)) >= count, 60, lambda: f"{len(api.messages(agent))} messages")
        return sorted(api.messages(agent), key=lambda each: str(each["message_id"]))

    def test_round_trip(self) -> None:
        """An agent writes to a person, who gets the very bytes, signed, and whose answers come back into the
        conversation, turn after turn; a stranger who quotes them does not."""
        _, server, api = self.wired()
        pal = api.agent("pal")
        first = api.post(
            "/api/v1/send",
            {
                "from": BOT,
                "to": [PERSON, pal],
                "subject": "Grüße aus Wien, and a long subject that has to be folded because it is over the limit",
                "body": "Hallo\n.\n..\n.hidden\n" + "ä" * 2000 + "\nFrom here on\n" + "x" * 3000,
                "html_body": "<p>Hallo</p>\n.\n",
                "attachments": [{"filename": "ü.txt", "content_type": "text/plain", "data": "LgoNLg0KAA=="}],
            },
            status=200,
        )
        self.assertEqual((first["status"], first["method"]), SENT)

        (arrived,) = server.wait_for(PERSON, 1)
        # Copies that are handed over inside hold the composed bytes as they are.
        (copy,) = api.messages(pal)
        composed = api.raw(pal, copy["message_id"])
        trace, mark, rest = arrived.partition(b"DKIM-Signature:")
        self.assertEqual(arrived[-len(composed) :], composed)
        self.assertRegex(trace, rb"\AReturn-Path: <bounce\+[a-z2-7]{42}@corp\.test>\r\n")
        self.assertEqual(
            re.findall(rb"(?m)^([\w-]+):", trace + mark + rest[: -len(composed)]),
            [b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received", b"DKIM-Signature"],
        )
        self.assertTrue(dkim.verify(mark + rest, dnsfunc=lambda name, timeout=5: self.key.encode()))
        self.assertEqual(field(arrived, "From"), '"Bot" <bot@corp.test>')

        # The person answers, the agent answers that, the person answers again.
        self.assertEqual(send(server.port, PERSON, [BOT], answer(arrived, "a1", f"Ana <{PERSON}>", "Fine.")).code, 250)
        (reply,) = self.received(api, BOT, 1)
        self.assertEqual((reply["from"], reply["verified"]), (PERSON, True))
        self.assertEqual(reply["conversation_id"], first["conversation_id"])
        second = api.post(f"/api/v1/agents/{BOT}/messages/{reply['message_id']}/reply", {"body": "Good."}, status=200)
        self.assertEqual(second["conversation_id"], first["conversation_id"])
        follow = server.wait_for(PERSON, 2)[1]
        self.assertEqual(field(follow, "In-Reply-To"), "<a1@people.test>")
        self.assertEqual(field(follow, "References"), f"{field(arrived, 'Message-ID')} <a1@people.test>")
        self.assertEqual(send(server.port, PERSON, [BOT], answer(follow, "a2", PERSON, "Bye.")).code, 250)
        last = self.received(api, BOT, 2)[1]
        self.assertEqual((last["verified"], last["conversation_id"]), (True, first["conversation_id"]))
        chain = field(api.raw(BOT, last["message_id"]), "References").split()
        self.assertEqual(
            chain, [field(arrived, "Message-ID"), "<a1@people.test>", field(follow, "Message-ID")], "the whole chain"
        )

        # Also with nothing but the latest id to go by.
        bare = re.sub(rb"References: .*\r\n", b"", answer(follow, "a3", PERSON, "One more."))
        self.assertEqual(send(server.port, PERSON, [BOT], bare).code, 250)
        self.assertEqual(self.received(api, BOT, 3)[2]["conversation_id"], first["conversation_id"])
        stranger = answer(follow, "s1", "eve@strangers.test", "And me.")
        self.assertEqual(send(server.port, "eve@strangers.test", [BOT], stranger).code, 250)
        alien = self.received(api, BOT, 4)[3]
        self.assertEqual((alien["verified"], alien["conversation_id"]), (True, None))
        shown = api.get(f"/api/v1/agents/{BOT}/conversations/{first['conversation_id']}")
        self.assertEqual(len(shown["messages"]), 5)

    def test_undeliverable(self) -> None:
        """Postfix's report about an unknown user ends that recipient and keeps further mail from it; nobody else is
        touched, and nothing answers the report."""
        _, server, api = self.wired()
        draft = {"from": BOT, "to": [NOBODY, PERSON], "subject": "Hello", "body": "How are you?"}
        sent = api.post("/api/v1/send", draft, status=200)
        path = f"/api/v1/messages/{sent['message_id']}"

        def states() -> dict[str, str]:
            return {one["address"]: one["state"] for one in api.get(path)["recipients"]}

        wait_until(lambda: states()[NOBODY] == "bounced", 60, lambda: f"{states()}\n{server.log()[-3000:]}")
        self.assertEqual(states(), {NOBODY: "bounced", PERSON: "sent"})
        (listed,) = api.get("/api/v1/suppressions")["suppressions"]
        self.assertEqual((listed["address"], listed["reason"]), (NOBODY, "hard_bounce"))
        refused = api.request("POST", "/api/v1/send", status=422, json=draft).text
        self.assertIn(NOBODY, refused)
        api.post("/api/v1/send", {**draft, "to": [PERSON]}, status=200)

        (report,) = self.received(api, BOT, 1)
        self.assertEqual(report["conversation_id"], sent["conversation_id"])
        reply = f"/api/v1/agents/{BOT}/messages/{report['message_id']}/reply"
        api.request("POST", reply, status=409, json={"body": "Thank you"})
        # Postfix got the two messages and the report; to the null sender nothing ever went.
        server.wait_for(PERSON, 2)
        self.assertNotIn("to=<>", server.log())
        self.assertEqual(server.log().count("from=<>"), 1)


class RewrittenTests(SystemCase):
    def test_rewritten_id(self) -> None:
        """An upstream server that writes its own Message-ID and tells it in its answer: answers to that id find the
        conversation, in its short form and its long one."""
        dns = DNSStub({"people.test": SPF})
        self.addCleanup(dns.stop)
        sink = SmtpSink()
        self.addCleanup(sink.stop)
        daemon = self.daemon(
            environment={
                "E2A_DNS_SERVERS": dns.address,
                "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
                "E2A_OUTBOUND_SMTP_PORT": str(sink.port),
                "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
            }
        ).start()
        api = self.owner(daemon)
        bot = api.agent("bot")
        short = "0100018f2c3d4e5f-1a2b3c4d-5e6f-7081-92a3-b4c5d6e7f809-000000"
        for number, (words, written) in enumerate(
            ((f"250 Ok {short}", f"<{short}@region.upstream.test>"), ("250 2.0.0 Ok <k1@up.test>", "<k1@up.test>"))
        ):
            sink.plan("end", words)
            sent = api.post("/api/v1/send", {"from": bot, "to": [PERSON], "subject": "Hi", "body": "x"}, status=200)
            got = re.sub(rb"Message-ID: .*\r\n", f"Message-ID: {written}\r\n".encode(), sink.copies[number].data)
            reply = answer(got, f"r{number}", PERSON, "Yes.")
            self.assertEqual(send(daemon.smtp_port, PERSON, [bot], reply).code, 250)
            found = sql(
                f"SELECT verified, conversation_id FROM messages WHERE email_message_id = '<r{number}@people.test>'",
                self.dsn,
            )
            self.assertEqual(found, [(True, sent["conversation_id"])])
