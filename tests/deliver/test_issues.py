"""Issues at GitHub, against a server in memory."""

from __future__ import annotations

from typing import Any

import orjson
from treq.testing import RequestTraversalAgent
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource

from e2a.core.errors import Unavailable
from e2a.deliver.issues import SECONDS, GitHubIssues


class Repository(Resource):
    """Answers as it is told, and remembers what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, Any]] = []
        self.status, self.answer = 201, b'{"html_url": "https://github.com/o/r/issues/7", "number": 7}'

    def render(self, request: Any) -> bytes:
        token = request.getHeader("authorization")
        self.asked.append((request.uri.decode(), token, orjson.loads(request.content.read())))
        request.setResponseCode(self.status)
        return self.answer


class Unreachable:
    """An agent that never gets through."""

    def __init__(self, answer: Deferred[Any]) -> None:
        self.answer = answer

    def request(self, *args: Any, **options: Any) -> Deferred[Any]:
        return self.answer


class IssueTests(TestCase):
    def setUp(self) -> None:
        self.clock, self.repository = Clock(), Repository()
        self.agent: Any = RequestTraversalAgent(self.repository)

    def open(self) -> Deferred[str]:
        issues = GitHubIssues(self.clock, "secret", "o/r", self.agent)
        return Deferred.fromCoroutine(issues.open("[bug] it", "It breaks", "bug"))

    async def opened(self) -> str:
        opening = self.open()
        while not opening.called:
            # Bodies are produced turn by turn.
            self.agent.flush()
            await deferLater(reactor, 0)
        return await opening

    async def test_opened(self) -> None:
        """One request with the token opens the issue, and its address is what is answered."""
        self.assertEqual(await self.opened(), "https://github.com/o/r/issues/7")
        asked = {"title": "[bug] it", "body": "It breaks", "labels": ["bug"]}
        self.assertEqual(self.repository.asked, [("/repos/o/r/issues", "Bearer secret", asked)])

    async def test_odd_answer(self) -> None:
        """An issue that was opened counts as opened, however it is described."""
        for answer in (b"", b"[]", b"{", b'{"number": 7}'):
            self.repository.answer = answer
            self.assertEqual(await self.opened(), "opened")

    async def test_refused(self) -> None:
        """Any other answer is a failure, a redirect among them."""
        for status in (200, 301, 401, 404, 410, 422, 500):
            self.repository.status = status
            with self.assertRaises(Unavailable) as caught:
                await self.opened()
            self.assertIn(str(status), caught.exception.text)
        self.assertEqual(len(self.repository.asked), 7)

    def test_unreachable(self) -> None:
        """A tracker that cannot be reached, or never answers, is a failure and no more."""
        self.agent = Unreachable(fail(ConnectionRefusedError()))
        self.failureResultOf(self.open(), Unavailable)
        self.agent = Unreachable(Deferred())
        opening = self.open()
        self.assertNoResult(opening)
        self.clock.advance(SECONDS)
        self.failureResultOf(opening, Unavailable)
