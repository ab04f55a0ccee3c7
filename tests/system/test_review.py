"""Review with everything real: the mail with its links, the pages, two replicas, and a daemon that dies."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from e2a.core.mail import parts
from e2a.core.mail.headers import scan
from tests.support.daemon import Api, Daemon
from tests.support.postgres import sql
from tests.support.sinks import wait_until
from tests.support.smtpsink import Copy, SmtpSink
from tests.system.case import SystemCase

BOT = "bot@agents.test"
GOOD = {"from": BOT, "to": ["ana@corp.test"], "cc": ["bo@corp.test"], "subject": "Quote", "body": "the offer text"}
FINAL = ("sent", "rejected", "expired_approved", "expired_rejected")
#: Races that are run; more of them where there is time.
ROUNDS = int(os.environ.get("E2A_TEST_RACES", "6"))


def field(raw: bytes, key: bytes) -> str:
    found = scan(raw).first(key)
    return found.unfolded.decode().strip() if found is not None else ""


def until(true: Callable[[], bool], what: str) -> None:
    wait_until(true, 60, lambda: what)


class ReviewTests(SystemCase):
    def setUp(self) -> None:
        super().setUp()
        self.sink = SmtpSink()
        self.addCleanup(self.sink.stop)

    def replica(self, name: str = "one") -> Daemon:
        environment = {
            "E2A_OUTBOUND_SMTP_HOST": "127.0.0.1",
            "E2A_OUTBOUND_SMTP_PORT": str(self.sink.port),
            "E2A_OUTBOUND_SMTP_FROM_DOMAIN": "send.gateway.test",
        }
        return self.daemon(name=name, environment=environment).start()

    def reviewed(self, daemon: Daemon, **settings: Any) -> Api:
        """The owner of an agent whose mail is reviewed."""
        api = self.owner(daemon)
        api.agent("bot")
        api.request("PUT", f"/api/v1/agents/{BOT}", json={"hitl_enabled": True, **settings})
        return api

    def hold(self, api: Api) -> str:
        answer = api.post("/api/v1/send", GOOD, status=202)
        self.assertEqual(answer["status"], "pending_approval")
        return str(answer["message_id"])

    def copies(self, recipient: str) -> list[Copy]:
        return [copy for copy in self.sink.copies if recipient in copy.recipients]

    def status(self, message_id: str) -> str:
        return str(sql(f"SELECT status FROM messages WHERE id = '{message_id}'", self.dsn)[0][0])

    def seconds_left(self, message_id: str) -> float:
        left = "extract(epoch FROM approval_expires_at - clock_timestamp())"
        return float(sql(f"SELECT {left} FROM messages WHERE id = '{message_id}'", self.dsn)[0][0])

    def links(self) -> dict[str, str]:
        """The links of the newest review mail that has arrived."""
        until(lambda: bool(self.copies("owner@example.test")), "the review mail")
        text = parts.content(self.copies("owner@example.test")[-1].data).text
        return {
            action: next(word for word in text.split() if f"/api/v1/{action}?token=" in word)
            for action in ("approve", "reject")
        }

    def test_by_link(self) -> None:
        """The owner gets a mail without the body; following its links changes nothing, the button sends, once."""
        api = self.reviewed(self.replica())
        message_id = self.hold(api)
        links = self.links()
        self.assertNotIn(b"offer text", self.copies("owner@example.test")[0].data)
        before = sql(f"SELECT * FROM messages WHERE id = '{message_id}'", self.dsn)
        for link in [*links.values(), *links.values()]:
            page = httpx.get(link, trust_env=False)
            self.assertEqual((page.status_code, "the offer text" in page.text), (200, True))
        self.assertEqual(sql(f"SELECT * FROM messages WHERE id = '{message_id}'", self.dsn), before)
        self.assertEqual(self.copies("ana@corp.test"), [])
        form = {"token": links["approve"].partition("token=")[2]}
        page = httpx.post(links["approve"].partition("?")[0], data=form, trust_env=False)
        self.assertEqual((page.status_code, "The message was sent." in page.text), (200, True))
        for action, link in links.items():
            again = httpx.post(link, trust_env=False)
            self.assertEqual(again.status_code, 409, action)
        (copy,) = self.copies("ana@corp.test")
        self.assertEqual(parts.content(copy.data).text.strip(), "the offer text")
        self.assertEqual(api.get(f"/api/v1/messages/{message_id}")["status"], "sent")

    def test_edited(self) -> None:
        """What is edited goes out, also when the edits come in chunks, and the held text is gone."""
        api = self.reviewed(self.replica())
        message_id = self.hold(api)
        held = api.get(f"/api/v1/messages/{message_id}")
        self.assertEqual(held["body_text"].strip(), "the offer text")
        self.assertEqual([one["id"] for one in api.get("/api/v1/messages")["messages"]], [message_id])
        body = b'{"subject": "Offer", "body_text": "%s", "cc": []}' % (b"a better text " * 10_000)
        answer = api.request(
            "POST", f"/api/v1/messages/{message_id}/approve", content=iter([body[:5], body[5:]]), status=200
        ).json()
        self.assertEqual((answer["status"], answer["edited"]), ("sent", True))
        (copy,) = self.copies("ana@corp.test")
        self.assertEqual(copy.recipients, ("ana@corp.test",))
        self.assertIn("a better text", parts.content(copy.data).text)
        self.assertNotIn(b"offer text", copy.data)
        self.assertEqual(api.get("/api/v1/messages")["messages"], [])

    def test_expiry(self) -> None:
        """What nobody decides about is settled the moment its time is over, each as it was laid down."""
        api = self.reviewed(self.replica(), hitl_ttl_seconds=1, hitl_expiration_action="approve")
        sent = self.hold(api)
        api.request("PUT", f"/api/v1/agents/{BOT}", json={"hitl_expiration_action": "reject"})
        discarded = self.hold(api)
        until(lambda: self.status(sent) == "expired_approved", "sending by itself")
        until(lambda: self.status(discarded) == "expired_rejected", "discarding by itself")
        self.assertEqual(len(self.copies("ana@corp.test")), 1)

    def test_expired_while_nothing_ran(self) -> None:
        """After a kill the next start settles what became due meanwhile."""
        daemon = self.replica()
        api = self.reviewed(daemon, hitl_ttl_seconds=600, hitl_expiration_action="approve")
        message_id = self.hold(api)
        daemon.kill()
        sql("UPDATE messages SET approval_expires_at = now() WHERE status = 'pending_approval'", self.dsn)
        self.replica("two")
        until(lambda: self.status(message_id) == "expired_approved", "sending by itself")
        self.assertEqual(len(self.copies("ana@corp.test")), 1)

    def test_upstream_trouble(self) -> None:
        """An upstream server that refuses for now costs no draft: it is queued, and sent later."""
        self.sink.stop()
        api = self.reviewed(self.replica(), hitl_ttl_seconds=1, hitl_expiration_action="approve")
        message_id = self.hold(api)
        until(lambda: self.status(message_id) == "queued", "queueing by itself")
        held = sql(f"SELECT raw_id IS NOT NULL FROM messages WHERE id = '{message_id}'", self.dsn)
        self.assertEqual(held, [(True,)])

    def test_races(self) -> None:
        """Approving, rejecting and expiring at one time on two replicas has one outcome each time, and at most one
        copy."""
        one = self.reviewed(self.replica("one"))
        two = self.replica("two").api(one.key)
        self.addCleanup(two.close)
        rounds, at_once, choice = ROUNDS, 8, random.Random(7)
        client = httpx.Client(
            headers={"Authorization": f"Bearer {one.key}"},
            timeout=60,
            trust_env=False,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
        )
        self.addCleanup(client.close)
        agents = {action: one.agent(f"late-{action}") for action in ("approve", "reject")}
        for action, agent in agents.items():
            settings = {"hitl_enabled": True, "hitl_ttl_seconds": 1, "hitl_expiration_action": action}
            one.request("PUT", f"/api/v1/agents/{agent}", json=settings)

        def act(api: Api, message_id: str, verb: str) -> int:
            return client.post(f"{api.url}/api/v1/messages/{message_id}/{verb}", json={"wait": 30}).status_code

        def race(number: int) -> tuple[str, list[int]]:
            # In every third round time decides at the same moment.
            late = number % 3 == 2
            sender = agents[("approve", "reject")[number % 2]] if late else BOT
            held = client.post(f"{one.url}/api/v1/send", json={**GOOD, "from": sender, "wait": 0})
            self.assertEqual(held.status_code, 202, held.text)
            message_id = held.json()["message_id"]
            if late:
                early = delays[number]
                until(lambda: self.seconds_left(message_id) < early, "the time to decide")
            codes = list(pool.map(act, *zip(*((api, message_id, verb) for api, verb in orders[number]), strict=True)))
            # What time or a person has released is on its way for a moment.
            until(lambda: self.status(message_id) in FINAL, "an outcome")
            return message_id, codes

        acts = [(one, "approve"), (two, "approve"), (one, "reject"), (two, "reject")]
        orders = [choice.sample(acts, len(acts)) for _ in range(rounds)]
        delays = [choice.uniform(0.0, 0.1) for _ in range(rounds)]
        seen: Counter[str] = Counter()
        results: list[tuple[str, list[int]]] = []
        with ThreadPoolExecutor(4 * at_once) as pool, ThreadPoolExecutor(at_once) as races:
            # No limit counts here.
            for first in range(0, rounds, 50):
                sql("DELETE FROM rate_events", self.dsn)
                results += races.map(race, range(first, min(first + 50, rounds)))
        copies = Counter(field(copy.data, b"message-id") for copy in self.copies("ana@corp.test"))
        for message_id, codes in results:
            ((status, mark),) = sql(
                f"SELECT status, email_message_id FROM messages WHERE id = '{message_id}'", self.dsn
            )
            seen[status] += 1
            self.assertLessEqual(set(codes), {200, 409}, codes)
            decided = status in ("sent", "rejected")
            self.assertEqual(codes.count(200), int(decided), (status, codes))
            self.assertEqual(copies.pop(mark, 0), int(status in ("sent", "expired_approved")), status)
        self.assertEqual(copies, Counter(), "copies of nothing")
        self.assertEqual(seen.total(), rounds)
        if rounds >= 100:
            self.assertEqual(set(seen), set(FINAL), "a kind of outcome never came")
