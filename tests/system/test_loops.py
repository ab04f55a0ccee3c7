"""Programs that answer each other come to an end, and forged reports of bounces change nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.daemon import Api
from tests.support.dnsstub import DNSStub
from tests.support.postgres import sql
from tests.support.smtpclient import Reply, Session, send
from tests.support.smtpsink import Copy, SmtpSink
from tests.system.case import SystemCase

PERSON = "ana@people.test"
#: Envelope sender and recipient, and the message.
Letter = tuple[str, str, bytes]
#: Messages an agent sends into one conversation in an hour, and beyond which something is without end.
MOST = 20
ENDLESS = 150


class LoopTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)
        dns = DNSStub({"people.test": {"TXT": ["v=spf1 ip4:127.0.0.1 -all"]}})
        self.addCleanup(dns.stop)
        values = {
            "E2A_DNS_SERVERS": dns.address,
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        self.gateway = self.daemon(environment=values).start()
        self.api = self.owner(self.gateway)
        self.bot, self.pal = self.api.agent("bot"), self.api.agent("pal")
        self.seen: set[str] = set()
        self.answered = 0

    def start(self, to: str) -> dict[str, Any]:
        draft = {"from": self.bot, "to": [to], "subject": "Hello", "body": "How are you?"}
        sent: dict[str, Any] = self.api.post("/api/v1/send", draft, status=200)
        return sent

    def answer(self, agent: str, **body: Any) -> Counter[int]:
        """An agent that answers everything new: how often with which result."""
        results: Counter[int] = Counter()
        for message in self.api.messages(agent):
            if message["message_id"] not in self.seen:
                self.seen.add(message["message_id"])
                path = f"/api/v1/agents/{agent}/messages/{message['message_id']}/reply"
                results[_code(self.api, path, {"body": "Thank you", **body})] += 1
        return results

    def respond(self, write: Callable[[Copy, int], Letter]) -> int:
        """A program at a person's address that answers every copy; how many it answered."""
        new = self.sink.copies[self.answered :]
        for copy in new:
            self.answered += 1
            sender, to, data = write(copy, self.answered)
            self.assertEqual(send(self.gateway.smtp_port, sender, [to], data).code, 250)
        return len(new)

    def go_on(self, *steps: Callable[[], Counter[int] | int]) -> Counter[int]:
        """All take turns until nothing happens any more."""
        results: Counter[int] = Counter()
        for _ in range(ENDLESS):
            busy = 0
            for step in steps:
                done = step()
                busy += done if isinstance(done, int) else done.total()
                results += Counter() if isinstance(done, int) else done
            if not busy:
                self.assertEqual({line for _, line in self.sink.lines if "TO:<>" in line.upper()}, set())
                return results
        raise AssertionError(f"they go on for ever: {results}")

    def test_two_agents(self) -> None:
        """Two agents that answer everything, whoever wrote it, stop at the limit of their conversation."""
        self.start(self.pal)
        results = self.go_on(lambda: self.answer(self.bot, force=True), lambda: self.answer(self.pal, force=True))
        self.assertEqual(results[429], 1)
        self.assertLessEqual(results[200], 2 * MOST)

    def test_two_honest_agents(self) -> None:
        """Agents that say that a program writes do not answer each other, or once where they insist."""
        self.start(self.pal)
        results = self.go_on(lambda: self.answer(self.bot, auto=True), lambda: self.answer(self.pal, auto=True))
        self.assertEqual(results, Counter({200: 1, 409: 1}))
        self.start(self.pal)
        both = {"auto": True, "force": True}
        results = self.go_on(lambda: self.answer(self.bot, **both), lambda: self.answer(self.pal, **both))
        self.assertEqual(results, Counter({200: 2, 429: 1}))

    def test_vacation(self) -> None:
        """An automatic answer is known for one and not answered; by one who insists, once an hour."""

        def away(copy: Copy, number: int) -> Letter:
            parent = _field(copy.data, "Message-ID")
            data = (
                f"From: {PERSON}\r\nTo: {copy.sender}\r\nSubject: Away\r\nMessage-ID: <v{number}@people.test>\r\n"
                f"In-Reply-To: {parent}\r\nReferences: {parent}\r\nAuto-Submitted: auto-replied (vacation)\r\n\r\n"
                "I am away.\r\n"
            )
            return "", copy.sender, data.encode()

        self.start(PERSON)
        self.assertEqual(self.go_on(lambda: self.respond(away), lambda: self.answer(self.bot)), Counter({409: 1}))
        (message,) = self.api.messages(self.bot)
        self.assertTrue(message["automation"]["is_auto"], message)
        self.start(PERSON)
        results = self.go_on(lambda: self.respond(away), lambda: self.answer(self.bot, auto=True, force=True))
        self.assertEqual(results, Counter({200: 1, 429: 1}))
        self.assertEqual(len(self.sink.copies), 3)

    def test_rude_responder(self) -> None:
        """A program that answers everything, shows no sign of being one, and quotes nothing or proves nothing, does
        not keep an agent busy for ever either."""
        for quotes in (False, True):
            for sender in (PERSON, "ann@unproved.test"):

                def rude(
                    copy: Copy, number: int, quotes: bool = quotes, sender: str = sender
                ) -> tuple[str, str, bytes]:
                    parent = _field(copy.data, "Message-ID")
                    data = (
                        f"From: {sender}\r\nTo: {self.bot}\r\nSubject: Away\r\nMessage-ID: <w{number}@{sender}>\r\n"
                        + (f"In-Reply-To: {parent}\r\n" if quotes else "")
                        + "\r\nI am away.\r\n"
                    )
                    return sender, self.bot, data.encode()

                sql("DELETE FROM rate_events", self.dsn)
                before = len(self.sink.copies)
                self.start(sender)
                results = self.go_on(lambda: self.respond(rude), lambda: self.answer(self.bot, force=True))
                self.assertEqual(results[429], 1, (quotes, sender))
                self.assertLessEqual(len(self.sink.copies) - before, MOST + 1, (quotes, sender))

    def report(self, about: str, recipient: str, to: str, *, mail_from: str = "", key: str = "d1") -> Reply:
        """Hand in a report that a recipient does not exist."""
        lines = f"""From: MAILER-DAEMON@people.test
To: {to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <{key}@people.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.people.test

Final-Recipient: rfc822; {recipient}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: text/rfc822-headers

Message-ID: {about}
From: {self.bot}

--b--
"""
        with Session(self.gateway.smtp_port) as session:
            session.greet()
            return session.send(mail_from, [to], lines.replace("\n", "\r\n").encode())

    def test_forged_reports(self) -> None:
        """A report suppresses an address only if it proves to be about a message that went there."""
        self.start(PERSON)
        copy = self.sink.copies[0]
        mark = _field(copy.data, "Message-ID")
        local, _, domain = copy.sender.partition("@")
        token = local.removeprefix("bounce+")
        for place in (0, 12, 30, 40):
            other = "b" if token[place] != "b" else "c"
            forged = f"bounce+{token[:place]}{other}{token[place + 1 :]}@{domain}"
            self.assertEqual(self.report(mark, PERSON, forged).code, 550, place)
        self.assertEqual(self.report(mark, PERSON, f"bounce+{token}@other.test").code, 550)
        # To the agent itself: of an unknown message, of somebody who was not written to, by somebody with an address.
        tries = (
            self.report("<other@send.gateway.test>", PERSON, self.bot, key="t1"),
            self.report(mark, "eve@people.test", self.bot, key="t2"),
            self.report(mark, PERSON, self.bot, mail_from="eve@evil.test", key="t3"),
            self.report(mark, PERSON, self.pal, key="t4"),
            # With the true token, of somebody else.
            self.report("<other@send.gateway.test>", "eve@people.test", copy.sender, key="t5"),
        )
        self.assertEqual([answer.code for answer in tries], [250] * 5)
        self.assertEqual(self.api.get("/api/v1/suppressions")["suppressions"], [])
        # The true one does.
        sent = self.start(PERSON)
        copy = self.sink.copies[1]
        self.assertEqual(self.report(_field(copy.data, "Message-ID"), PERSON, copy.sender, key="t6").code, 250)
        self.assertEqual([one["address"] for one in self.api.get("/api/v1/suppressions")["suppressions"]], [PERSON])
        (state,) = self.api.get(f"/api/v1/messages/{sent['message_id']}")["recipients"]
        self.assertEqual(state["state"], "bounced")
        self.assertEqual(self.go_on(lambda: self.answer(self.bot), lambda: self.answer(self.pal))[200], 0)


def _code(api: Api, path: str, body: dict[str, Any]) -> int:
    return int(api._client.post(path, json=body).status_code)


def _field(raw: bytes, name: str) -> str:
    found = re.search(rf"(?im)^{name}: (.*)\r$".encode(), raw)
    assert found is not None
    return found[1].decode()
