"""Nothing that a caller or a correspondent writes gets out of its place: mutated requests and mails through a real
daemon to a server that keeps every octet.

The seed and the number of messages can be chosen, for long runs.
"""

from __future__ import annotations

import base64
import email.policy
import os
import random
import re
from collections.abc import Iterator
from typing import Any

import httpx

from tests.support.postgres import sql
from tests.support.smtpclient import Session
from tests.support.smtpsink import SmtpSink
from tests.system.case import SystemCase

SENDS = int(os.environ.get("E2A_TEST_SENDS", "250"))
SEED = int(os.environ.get("E2A_TEST_SEED", "20260701"))
#: Octets after which buffers on the way end, or could.
EDGES = (4096, 8192, 16384, 32768, 65536)

FIELDS = {
    *("from", "to", "cc", "reply-to", "subject", "date", "message-id", "in-reply-to", "references", "auto-submitted"),
    *("x-e2a-conversation-id", "x-e2a-conversation-mac", "mime-version", "content-type", "content-transfer-encoding"),
}
COMMANDS = {"EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT"}

#: What ends something somewhere: lines, messages, fields, words, parts.
MARKS = (
    *("\r\n.\r\n", "\n.\n", "\r.\r", "\r\n.\n", "\n.\r\n", ".\r\n", "..", "\r\n..\r\n", "\r\n.", "."),
    *("\r", "\n", "\r\n", "\r\r\n", "\n\r", "\r\n\r\n", "\n\n", "\r\n ", "\r\n\t"),
    *("\x0b", "\x0c", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\x7f", "\x1b[2J", "\t", "\x08"),
    *("MAIL FROM:<eve@evil.test>\r\n", "\r\nRCPT TO:<eve@evil.test>\r\nDATA\r\n", "\r\nQUIT\r\n", "BDAT 0 LAST\r\n"),
    *("\r\nBcc: eve@evil.test\r\n", "\nBcc: eve@evil.test\n", "Bcc: eve@evil.test", "\r\nFrom: eve@evil.test\r\n\r\n"),
    *("Subject: other", "X-E2A-Conversation-Id: conv_0", "Content-Type: text/html", "From ", "\nFrom eve\n"),
    *("=?utf-8?q?=0D=0ABcc:_eve=40evil.test?=", "=?utf-8?b?DQouDQo=?=", "=?", "?=", "=0D=0A.=0D=0A", "=\r\n", "=\n"),
    *("--e2a_", "\r\n--e2a_00000000000000000000000000000000--\r\n", '"', "\\", "'", "(", ")", "<", ">", ",", ";", ":"),
    *("@", "<eve@evil.test>", ", eve@evil.test", "eve@evil.test", "> SIZE=1", "%0d%0a", "\ufeff", "\u202e", "\u00a0"),
    *(
        "ä",
        "ß日本",
        "\U0001f600",
        "e\u0301",
        " ",
        "   ",
        "word ",
        "a" * 77,
        "b" * 997,
        "c" * 998,
        "d" * 1100,
        "é" * 600,
    ),
)


def text_of(choice: random.Random, most: int) -> str:
    marks = "".join(choice.choice(MARKS) for _ in range(choice.randint(0, most)))
    return "\0" + marks if choice.random() < 0.02 else marks


def plain(text: str) -> str:
    """With one kind of line end, and none at the end."""
    return re.sub("\r\n|\r|\n", "\n", text).rstrip("\n")


class WireTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)
        values = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        self.gateway = self.daemon(environment=values).start()
        self.api = self.owner(self.gateway)
        self.bot, self.pal = self.api.agent("bot"), self.api.agent("pal")
        self.client = httpx.Client(
            base_url=self.api.url, headers={"Authorization": f"Bearer {self.api.key}"}, timeout=60, trust_env=False
        )
        self.addCleanup(self.client.close)

    def post(self, path: str, body: dict[str, Any], number: int) -> bytes | None:
        """Make the request and return the message; None when it was refused, which must have no effect at all.

        The copy at the server is checked against that of the agent among the recipients: it has what was composed.
        """
        if number % 10 == 0:
            sql("DELETE FROM rate_events", self.dsn)
        before = len(self.sink.copies)
        answer = self.client.post(path, json=body)
        if answer.status_code != 200:
            self.assertIn(answer.status_code, (400, 413, 422), answer.text)
            self.assertNotIn("\n", answer.text.removesuffix("\n"))
            self.assertEqual(len(self.sink.copies), before, "refused and sent")
            return None
        sent = answer.json()
        people = [one["address"] for one in sent["recipients"] if one["address"] != self.pal]
        mark = sent["provider_message_id"].replace("'", "''")
        ((twin,),) = sql(
            f"SELECT id FROM messages WHERE agent_id = '{self.pal}' AND email_message_id = '{mark}'", self.dsn
        )
        composed = self.api.raw(self.pal, twin)
        self.assert_sound(composed)
        self.assertEqual(len(self.sink.copies), before + bool(people), "one request, one message")
        if people:
            copy = self.sink.copies[-1]
            self.assertEqual(sorted(copy.recipients), sorted(people))
            self.assertEqual(copy.data, composed, "other octets than were composed")
        return composed

    def assert_sound(self, data: bytes) -> None:
        """No server, however lenient, can see an end, a field or a part in it that is not ours."""
        self.assertIsNone(
            re.search(rb"\r(?!\n)|(?<!\r)\n|[\x00\x80-\xff]", data), "a bare line end, NUL or 8-bit octet"
        )
        self.assertLessEqual(max(map(len, data.split(b"\r\n"))), 998)
        head = data.partition(b"\r\n\r\n")[0]
        names = [line.partition(b":")[0].decode().lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"]
        self.assertEqual(set(names) - FIELDS, set())
        self.assertEqual(len(names), len(set(names)), names)

    def assert_commands(self) -> None:
        """The server saw no word but those of our own client."""
        self.assertEqual({line.split(" ")[0].upper() for _, line in self.sink.lines} - COMMANDS, set())

    def request(self, choice: random.Random, head: int) -> dict[str, Any]:
        """One request, nasty in a few of its fields.

        :param head: octets of a message before its body.
        """
        body: dict[str, Any] = {
            "from": self.bot,
            "to": ["ana@people.test", self.pal],
            "subject": "Hello",
            "body": "How are you?",
        }
        for kind in choice.sample(range(10), choice.randint(1, 3)):
            match kind:
                case 0:
                    body["subject"] = text_of(choice, 4) or "x"
                case 1:
                    body["body"] = text_of(choice, 40)
                case 2:
                    body["body"] = at_edge(choice, head)
                case 3:
                    body["html_body"] = "<p>" + text_of(choice, 20)
                case 4:
                    # Its own each time: too much mail into one conversation is refused.
                    body["conversation_id"] = f"{text_of(choice, 1)}c{choice.getrandbits(64)}{text_of(choice, 1)}"
                case 5:
                    body["reply_to_message_id"] = f"<m{text_of(choice, 1)}@x.test{text_of(choice, 1)}>"
                case 6:
                    field = choice.choice(("to", "cc", "bcc"))
                    local, domain = text_of(choice, 1), text_of(choice, 1)
                    body[field] = [*body.get(field, []), f"b{local}o@peo{domain}ple.test"]
                case 7:
                    body["attachments"] = [attachment(choice) for _ in range(choice.randint(1, 3))]
                case 8:
                    body["auto"] = True
                case _:
                    body["on_behalf_of"] = f"boss{text_of(choice, 1)}@people.test"
        return body

    def assert_content(self, body: dict[str, Any], data: bytes) -> None:
        """Another program reads what was asked for, and nothing else."""
        message = email.message_from_bytes(data, policy=email.policy.default)
        found = list(pieces(message))
        files = [part for part in found if part.get_content_disposition() == "attachment"]
        texts = [plain(part.get_content()) for part in found if part not in files]
        self.assertEqual(texts, [plain(text) for text in (body["body"], body.get("html_body")) if text])
        for part, file in zip(files, body.get("attachments", []), strict=True):
            octets = base64.b64decode(file["data"])
            if part.get_content_type() == "message/rfc822":
                self.assertIn(b"\r\n\r\n" + octets, data)
            else:
                self.assertEqual(part.get_payload(decode=True), octets)

    def test_requests(self) -> None:
        """Whatever stands in the fields of a request, it is refused without effect or exactly one message leaves, with
        the octets that were composed, our fields alone, and the content that was asked for."""
        choice = random.Random(SEED)
        refused = 0
        sample = {"from": self.bot, "to": [self.pal, "ana@people.test"], "subject": "Hello", "body": "x"}
        done = self.post("/api/v1/send", sample, 0)
        assert done is not None
        head = done.index(b"\r\n\r\n") + 4
        for number in range(1, SENDS + 1):
            if number % 25 == 0:
                name = choice.choice(MARKS) + "Bot" + choice.choice(MARKS)
                self.client.put(f"/api/v1/agents/{self.bot}", json={"name": name})
            body = self.request(choice, head)
            done = self.post("/api/v1/send", body, number)
            if done is None:
                refused += 1
            else:
                self.assert_content(body, done)
        self.assert_commands()
        self.assertEqual([line for _, line in self.sink.lines if "@evil.test>" in line], [])
        # Else little was tried.
        self.assertTrue(SENDS * 0.1 < refused < SENDS * 0.8, refused)

    def test_answers(self) -> None:
        """Whatever a correspondent wrote, answering it and sending it on puts out exactly one message, with our fields
        alone."""
        choice = random.Random(SEED)
        refused = 0
        for number in range(max(1, SENDS // 5)):
            raw = letter(choice, self.bot)
            with Session(self.gateway.smtp_port) as session:
                session.greet()
                answer = session.send("ann@people.test", [self.bot], raw)
            if answer.code != 250:
                continue
            path = f"/api/v1/agents/{self.bot}/messages/{answer.text.split()[-1]}"
            answers = {"body": "Yes", "cc": [self.pal], "force": True, "reply_all": choice.random() < 0.5}
            form = choice.choice(("inline", "attachment"))
            onward = {"to": ["ana@people.test", self.pal], "as": form, "body": "See"}
            for step, (verb, body) in enumerate((("reply", answers), ("forward", onward))):
                refused += self.post(f"{path}/{verb}", body, 2 * number + step) is None
        self.assert_commands()
        self.assertGreater(len(self.sink.copies), SENDS // 5, "little was tried")


def at_edge(choice: random.Random, head: int) -> str:
    """A body with many short lines of dots, or a mark, right where some buffer ends."""
    line = choice.choice(("x" * 70, "", "." * 60, "ab")) + "\n"
    marks = (".\n" * 40, "..\n" * 30, "\n." * 40, "\r\n.\r\n", "\n.\n.\n", "\r.\r")
    mark = choice.choice(marks)
    until = choice.choice(EDGES) - head - choice.randint(len(mark) // 2, len(mark))
    # On the wire a line ends with two octets.
    count, rest = divmod(until, len(line) + 1)
    after = text_of(choice, 3) if choice.random() < 0.3 else ""
    return line * count + "y" * rest + mark + after


def attachment(choice: random.Random) -> dict[str, str]:
    content = text_of(choice, 20) + "\r\n" * choice.randint(0, 1)
    octets = content.encode() + choice.randbytes(choice.choice((0, 0, 3)))
    kind = choice.choice(("text/plain", "message/rfc822", "multipart/mixed", "a/b" + text_of(choice, 1)))
    return {
        "filename": "f" + text_of(choice, 2),
        "content_type": kind,
        "data": base64.b64encode(octets).decode(),
    }


def letter(choice: random.Random, recipient: str) -> bytes:
    """A mail with nasty fields, as a server can pass it on: CRLF ends its lines, whatever else is in them."""

    def value(text: str) -> str:
        return text.replace("\r\n", choice.choice((" ", "\r", "\n")))

    def nasty(most: int = 2) -> str:
        return value(text_of(choice, most)).replace("\0", "")[:1500]

    fields = [
        f"From: {nasty()} <ann@people.test>" if choice.random() < 0.5 else "From: ann@people.test",
        f"To: {recipient}, {nasty(1)}bo@people.test",
        f"Subject: {nasty(4)}",
        f"Message-ID: <m{choice.getrandbits(64)}{nasty(1)}@people.test>",
        f"References: <r1{nasty(1)}@x.test> {nasty(1)} <r2@x.test>",
        f"In-Reply-To: <r2{nasty(1)}@x.test>",
        f'Content-Type: text/plain; charset=utf-8; name="{nasty(1)}"',
    ]
    if choice.random() < 0.5:
        fields.append(f"Reply-To: {nasty(1)} <ann{nasty(1)}@people.test>")
    choice.shuffle(fields)
    return "\r\n".join([*fields, "", text_of(choice, 20), ""]).encode()


def pieces(part: Any) -> Iterator[Any]:
    """Texts and attachments; what is within an attached message is that message's."""
    if part.get_content_disposition() == "attachment" or not part.is_multipart():
        yield part
    else:
        for inner in part.iter_parts():
            yield from pieces(inner)
