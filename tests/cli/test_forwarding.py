"""What becomes of each message that `e2a listen` hears of."""

from __future__ import annotations

import json
from typing import Any

import httpx
from click.testing import CliRunner
from twisted.trial.unittest import TestCase

from e2a.cli.errors import NOT_AUTHENTICATED, UNAVAILABLE, ApiError, CommandError
from e2a.cli.forwarding import Forward, Mailbox, Target, Work, announce, print_json
from e2a.cli.output import Output
from e2a.cli.server import Server
from e2a.v1.live import WSNotification
from tests.cli.case import BOT, MESSAGE, Scripted, problem

PATH = f"/api/v1/agents/{BOT.replace('@', '%40')}/messages/msg_1"
ANSWER = {"output": [{"type": "message", "content": [{"type": "output_text", "text": "Fine."}]}]}


def notice(identifier: str = "msg_1") -> WSNotification:
    return WSNotification(identifier, "ana@corp.test", BOT, "Hi\x1b[2J", "2026-01-31T12:00:00.5Z")


class Working(TestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.handled: list[str] = []
        self.failing: dict[str, CommandError] = {}
        self.reports: list[str] = []
        self.work = Work(self.handle, self.reports.append, clock=lambda: self.now)

    def handle(self, found: WSNotification) -> None:
        self.handled.append(found.message_id)
        if found.message_id in self.failing:
            raise self.failing[found.message_id]

    def test_once(self) -> None:
        """Messages are done in order, each once, however often it is announced."""
        for identifier in ("a", "b", "a"):
            self.work.add(notice(identifier))
        self.assertEqual([self.work.step(), self.work.step(), self.work.step()], [0.0, None, None])
        self.work.add(notice("a"))
        self.assertEqual((self.work.step(), self.handled), (None, ["a", "b"]))

    def test_later_and_later(self) -> None:
        """What fails is tried again after growing pauses, does not hold up the rest, and is never dropped."""
        self.failing["a"] = CommandError("no", exit_code=UNAVAILABLE)
        self.work.add(notice("a"))
        pauses = []
        for _ in range(12):
            pause = self.work.step()
            assert pause is not None
            pauses.append(pause)
            self.now += pause
        self.assertEqual(pauses[:4] + pauses[-1:], [1.0, 2.0, 4.0, 8.0, 300.0])
        self.now -= 1
        self.work.add(notice("b"))
        self.work.step()
        self.assertEqual(self.handled[-1], "b")
        self.failing.clear()
        self.now += 400
        self.assertIsNone(self.work.step())
        self.assertIn("again in 300 s", self.reports[-1])

    def test_gone(self) -> None:
        """A message that was deleted meanwhile is let go, if it is the server that says so and not a proxy without
        one; a key that is no longer accepted ends everything."""
        self.failing["a"] = ApiError(404, "404 page not found")
        self.work.add(notice("a"))
        self.assertEqual(self.work.step(), 1.0)
        self.failing["a"] = ApiError(404, "not found", code="not_found")
        self.now += 1
        self.assertIsNone(self.work.step())
        self.failing["b"] = ApiError(401, "revoked")
        self.work.add(notice("b"))
        with self.assertRaises(ApiError) as caught:
            self.work.step()
        self.assertEqual(caught.exception.exit_code, NOT_AUTHENTICATED)


class Handling(TestCase):
    def setUp(self) -> None:
        self.server = Scripted(
            {f"GET {PATH}": MESSAGE, f"POST {PATH}/reply": {"status": "sent", "message_id": "msg_9"}}
        )
        server = Server("https://mail.test", "e2a_key", transport=httpx.MockTransport(self.server))
        self.addCleanup(server.close)
        self.mailbox = Mailbox(server, BOT)
        self.target = Scripted({"POST /hook": {}, "POST /v1/responses": ANSWER})
        self.out = Output(as_json=False, quiet=True, colour=False)

    def forward(self, path: str = "/hook") -> Forward:
        target = Target.checked(f"https://target.test{path}", "secret", "openclaw")
        made = Forward(self.mailbox, target, self.out, transport=httpx.MockTransport(self.target))
        self.addCleanup(made.close)
        return made

    def printed(self, handler: Any) -> str:
        import click

        @click.command()
        def run() -> None:
            handler(notice())

        result = CliRunner().invoke(run, catch_exceptions=False)
        self.assertEqual(result.exit_code, 0)
        return result.stdout

    def asked(self) -> list[str]:
        return [line.replace(PATH, "").strip() for line in self.server.lines]

    def test_announced(self) -> None:
        """The plain line names time, sender and subject; nothing is fetched."""
        line = self.printed(announce(self.out))
        self.assertRegex(line, r"^\[2026-01-3\d \d\d:\d\d:\d\d\] From: ana@corp.test \| Subject: Hi")
        self.assertNotIn("\x1b", line)
        self.assertEqual(self.server.asked, [])

    def test_printed(self) -> None:
        """With --json the whole message is one line, and is marked read after that."""
        line = self.printed(print_json(self.mailbox, self.out))
        self.assertEqual((line.count("\n"), json.loads(line)), (1, MESSAGE))
        self.assertEqual(self.asked(), ["GET ?mark_read=false", "GET"])

    def test_printed_once(self) -> None:
        """A message that was printed and could not be marked is marked the next time, not printed again."""
        self.server.answers[f"GET {PATH}"] = [MESSAGE, problem(409, "away"), MESSAGE]
        handler = print_json(self.mailbox, self.out)

        def twice(found: WSNotification) -> None:
            with self.assertRaises(CommandError):
                handler(found)
            handler(found)

        self.assertEqual(self.printed(twice).count("\n"), 1)
        self.assertEqual(self.asked(), ["GET ?mark_read=false", "GET", "GET"])

    def test_forwarded(self) -> None:
        """The target gets the server's message with the token, and it is marked read after its 2xx."""
        self.forward()(notice())
        (request,) = self.target.asked
        self.assertEqual((json.loads(request.content), request.headers["Authorization"]), (MESSAGE, "Bearer secret"))
        self.assertEqual(self.asked(), ["GET ?mark_read=false", "GET"])

    def test_not_taken(self) -> None:
        """Anything but 2xx, a redirect included, and no answer at all leave the message unread."""
        forward = self.forward()
        for answer in (httpx.Response(500, text="broken"), httpx.Response(302), httpx.ReadTimeout("slow")):
            self.target.answers["POST /hook"] = answer
            with self.assertRaisesRegex(CommandError, "Forward failed"):
                forward(notice())
        self.assertEqual(self.asked(), ["GET ?mark_read=false"] * 3)

    def test_not_marked(self) -> None:
        """A message that was taken and could not be marked is marked the next time, not forwarded twice."""
        forward = self.forward()
        self.server.answers[f"GET {PATH}"] = [MESSAGE, problem(409, "away"), MESSAGE]
        with self.assertRaises(CommandError):
            forward(notice())
        forward(notice())
        self.assertEqual(len(self.target.asked), 1)

    def test_answered(self) -> None:
        """What a Responses API says is sent as a reply, once, before the message is marked."""
        self.forward("/v1/responses")(notice())
        wanted = "New email from ana@corp.test\n\nSubject: A question\n\nHow are you?"
        self.assertEqual(self.target.body(), {"model": "openclaw", "input": wanted})
        self.assertEqual(self.asked(), ["GET ?mark_read=false", "POST /reply", "GET"])
        self.assertEqual(self.server.body(1), {"body": "Fine."})
        self.assertEqual(self.server.asked[1].headers["Idempotency-Key"], "listen-msg_1")

    def test_silence(self) -> None:
        """A model that says nothing answers nothing."""
        self.target.answers["POST /v1/responses"] = {"output": []}
        self.forward("/v1/responses")(notice())
        self.assertEqual(self.asked(), ["GET ?mark_read=false", "GET"])

    def test_reply_fails(self) -> None:
        """A reply that may work later is tried again without asking the model again; one that will not is reported."""
        forward = self.forward("/v1/responses")
        self.server.answers[f"POST {PATH}/reply"] = problem(402, "quota")
        with self.assertRaises(ApiError):
            forward(notice())
        for refusal in (problem(409, "a program", "auto_reply_blocked"), problem(422, "used", "idempotency_key_reuse")):
            self.server.answers[f"POST {PATH}/reply"] = refusal
            forward(notice())
        self.assertEqual(len(self.target.asked), 2)
        self.assertEqual(self.asked()[-1], "GET")

    def test_target(self) -> None:
        """A URL that is none is a usage error."""
        for url in ("hook", "ftp://x.test/", "https:///x"):
            with self.assertRaises(CommandError):
                Target.checked(url, "", "m")
