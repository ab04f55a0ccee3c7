"""Opening issues at GitHub (REST API, "Create an issue")."""

from __future__ import annotations

from typing import Any

import orjson
import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent

from e2a.core.errors import Unavailable

API = "https://api.github.com"
#: Seconds for one request, its answer included.
SECONDS = 30.0
#: Octets of an answer; the issue that was opened comes back whole.
LONGEST_ANSWER = 1_048_576


class GitHubIssues:
    """:param token: may open issues there.
    :param repository: ``owner/name``.
    :param agent: None: one of its own.
    """

    def __init__(self, reactor: Any, token: str, repository: str, agent: IAgent | None = None) -> None:
        self._reactor = reactor
        self._token = token
        self._url = f"{API}/repos/{repository}/issues"
        pool = HTTPConnectionPool(reactor, persistent=False)
        self._agent = agent or Agent(reactor, connectTimeout=10.0, pool=pool)

    async def open(self, title: str, body: str, label: str) -> str:
        """The new issue's address; see ``flows.feedback.Tracker``."""
        headers: dict[bytes | str, bytes | str] = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "e2a",
        }
        asked = {"title": title, "body": body, "labels": [label]}
        exchange = Deferred.fromCoroutine(self._exchange(headers, asked))
        try:
            status, answer = await exchange.addTimeout(SECONDS, self._reactor)
        except CancelledError:
            raise
        except Exception as error:
            raise Unavailable("the issue tracker cannot be reached") from error
        if status != 201:
            raise Unavailable(f"the issue tracker answered {status}")
        return _address(answer)

    async def _exchange(self, headers: dict[bytes | str, bytes | str], asked: Any) -> tuple[int, bytes]:
        """Status and the beginning of the answer."""
        response = await treq.request(
            "POST",
            self._url,
            json=asked,
            headers=headers,
            agent=self._agent,
            reactor=self._reactor,
            allow_redirects=False,
            unbuffered=True,
        )
        chunks: list[bytes] = []

        def collect(chunk: bytes) -> None:
            if sum(map(len, chunks)) + len(chunk) <= LONGEST_ANSWER:
                chunks.append(chunk)

        await treq.collect(response, collect)
        return response.code, b"".join(chunks)


def _address(answer: bytes) -> str:
    """The issue exists whatever its description looks like."""
    try:
        return str(orjson.loads(answer)["html_url"])
    except (ValueError, KeyError, TypeError):
        return "opened"
