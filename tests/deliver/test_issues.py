"""Issues at GitHub, over a client that answers as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from twisted.trial.unittest import TestCase

from e2a.core.errors import Unavailable
from e2a.deliver.issues import GitHubIssues
from e2a.flows.ports import Fetched, FetchFailed


class IssueTests(TestCase):
    def setUp(self) -> None:
        self.asked: list[tuple[str, str, Mapping[str, str], Any]] = []
        self.answer = Fetched(201, b'{"html_url": "https://github.com/o/r/issues/7", "number": 7}')
        self.failure: FetchFailed | None = None

    async def fetch(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Fetched:
        self.asked.append((method, url, headers, orjson.loads(body)))
        if self.failure is not None:
            raise self.failure
        return self.answer

    async def open(self) -> str:
        return await GitHubIssues(self.fetch, "secret", "o/r").open("[bug] it", "It breaks", "bug")

    async def test_opened(self) -> None:
        """One request with the token opens the issue, and its address is what is answered."""
        self.assertEqual(await self.open(), "https://github.com/o/r/issues/7")
        [(method, url, headers, asked)] = self.asked
        self.assertEqual((method, url), ("POST", "https://api.github.com/repos/o/r/issues"))
        self.assertEqual(headers["Authorization"], "Bearer secret")
        self.assertEqual(asked, {"title": "[bug] it", "body": "It breaks", "labels": ["bug"]})

    async def test_odd_answer(self) -> None:
        """An issue that was opened counts as opened, however it is described."""
        for answer in (b"", b"[]", b"{", b'{"number": 7}'):
            self.answer = Fetched(201, answer)
            self.assertEqual(await self.open(), "opened")

    async def test_refused(self) -> None:
        """Any other answer is a failure, a redirect among them."""
        for status in (200, 301, 401, 404, 410, 422, 500):
            self.answer = Fetched(status, b"")
            with self.assertRaises(Unavailable) as caught:
                await self.open()
            self.assertIn(str(status), caught.exception.text)
        self.assertEqual(len(self.asked), 7)

    async def test_unreachable(self) -> None:
        """A tracker without an answer is a failure that says nothing of the request."""
        self.failure = FetchFailed("no answer from api.github.com in time")
        with self.assertRaises(Unavailable) as caught:
            await self.open()
        self.assertEqual(caught.exception.text, "the issue tracker cannot be reached")
