"""Opening issues at GitHub (REST API, "Create an issue")."""

from __future__ import annotations

import orjson

from e2a.core.errors import Unavailable
from e2a.flows.ports import Fetch, FetchFailed

API = "https://api.github.com"


class GitHubIssues:
    """Implements ``flows.feedback.Tracker``.

    :param token: may open issues there.
    :param repository: ``owner/name``.
    """

    def __init__(self, fetch: Fetch, token: str, repository: str) -> None:
        self._fetch = fetch
        self._url = f"{API}/repos/{repository}/issues"
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    async def open(self, title: str, body: str, label: str) -> str:
        """The new issue's address; see ``flows.feedback.Tracker``."""
        asked = orjson.dumps({"title": title, "body": body, "labels": [label]})
        try:
            answer = await self._fetch("POST", self._url, self._headers, asked)
        except FetchFailed as error:
            raise Unavailable("the issue tracker cannot be reached") from error
        if answer.status != 201:
            raise Unavailable(f"the issue tracker answered {answer.status}")
        try:
            return str(orjson.loads(answer.body)["html_url"])
        except (ValueError, KeyError, TypeError):
            # The issue exists whatever its description looks like.
            return "opened"
