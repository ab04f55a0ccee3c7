"""What `e2a listen` does with each message: show it, print it, or hand it to a program over HTTP.

A message is marked read only when that worked. Until then it is tried again, later and later; and since it stays
unread, also after the command or its machine was stopped: at least once.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from ..core import openai
from ..v1.hosts import mounts_for
from ..v1.live import WSNotification
from .errors import NOT_AUTHENTICATED, NOT_FOUND, USAGE, ApiError, CommandError
from .output import Output, one_line
from .server import Server
from .urls import path_of

#: Seconds before a message is tried again: the first pause, doubled every time, and the longest.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
#: Seconds for a program to take a message, and for a model to answer it.
FORWARD_TIMEOUT = 30.0
MODEL_TIMEOUT = 600.0
#: Messages that are known to have been announced; the oldest are forgotten first.
_REMEMBERED = 100_000


class Handler(Protocol):
    """Does with one message what is wanted.

    :raises CommandError: it did not work, and may later.
    """

    def __call__(self, notice: WSNotification) -> None: ...


class Work:
    """The messages that are announced and not done. Each is taken once, however often it is announced."""

    def __init__(
        self,
        handle: Handler,
        report: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handle = handle
        self._report = report
        self._clock = clock
        self._known: dict[str, None] = {}
        self._order = itertools.count()
        self._due: list[tuple[float, int, int, WSNotification]] = []

    def add(self, notice: WSNotification) -> None:
        """Take a notice, unless the message is known."""
        if notice.message_id not in self._known:
            self._known[notice.message_id] = None
            if len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
            heapq.heappush(self._due, (self._clock(), next(self._order), 0, notice))

    def step(self) -> float | None:
        """Do one message if one is due.

        :returns: seconds until the next is due, at least 0; None when nothing is left to do.
        :raises CommandError: what no repetition cures: the key is no longer accepted.
        """
        if self._due and self._due[0][0] <= self._clock():
            _, order, attempts, notice = heapq.heappop(self._due)
            self._try(order, attempts, notice)
        return max(0.0, self._due[0][0] - self._clock()) if self._due else None

    def _try(self, order: int, attempts: int, notice: WSNotification) -> None:
        try:
            self._handle(notice)
        except CommandError as error:
            if error.exit_code == NOT_AUTHENTICATED:
                raise
            # Without the server's code it is a proxy's word, which has only lost its server.
            if isinstance(error, ApiError) and error.exit_code == NOT_FOUND and error.code:
                self._report(f"{notice.message_id} is gone.")
                return
            pause = min(FIRST_PAUSE * 2**attempts, LONGEST_PAUSE)
            self._report(f"{error.message} ({notice.message_id}, again in {pause:.0f} s)")
            heapq.heappush(self._due, (self._clock() + pause, order, min(attempts + 1, 20), notice))


def announce(out: Output) -> Handler:
    """One line for each message; nothing is fetched or marked."""

    def handle(notice: WSNotification) -> None:
        try:
            received = datetime.fromisoformat(notice.received_at).astimezone()
            when = f"{received:%Y-%m-%d %H:%M:%S}"
        except ValueError:
            when = "—"
        out.line(one_line(f"[{when}] From: {notice.from_} | Subject: {notice.subject}"))

    return handle


class Mailbox:
    """The agent's mail on the server."""

    def __init__(self, server: Server, agent: str) -> None:
        self._server = server
        self._agent = agent

    def message(self, identifier: str) -> dict[str, Any]:
        """The whole message, as unread as it was."""
        found: dict[str, Any] = self._server.get(self._path(identifier), {"mark_read": "false"})
        return found

    def mark_read(self, identifier: str) -> None:
        # The answer is the whole message again, which nobody needs.
        with self._server.stream(self._path(identifier)):
            pass

    def reply(self, identifier: str, text: str) -> None:
        # One key for each message: a repetition, also by a later run, does not answer twice.
        self._server.post(self._path(identifier) + "/reply", {"body": text}, key=f"listen-{identifier}")

    def _path(self, identifier: str) -> str:
        return path_of("agents", self._agent, "messages", identifier)


def print_json(mailbox: Mailbox, out: Output) -> Handler:
    """The whole message on one line, and marked read after that."""
    printed: set[str] = set()

    def handle(notice: WSNotification) -> None:
        identifier = notice.message_id
        if identifier not in printed:
            out.record(mailbox.message(identifier))
            printed.add(identifier)
        mailbox.mark_read(identifier)
        printed.discard(identifier)

    return handle


@dataclass(frozen=True, slots=True)
class Target:
    """Where messages go.

    :ivar token: sent as bearer token; empty for none.
    :ivar model: for a Responses API.
    """

    url: str
    token: str = ""
    model: str = openai.DEFAULT_MODEL

    @classmethod
    def checked(cls, url: str, token: str, model: str) -> Target:
        """:raises CommandError: the URL is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CommandError(f"{url!r} is not an http or https URL", exit_code=USAGE)
        return cls(url, token, model)

    @property
    def responses(self) -> bool:
        return openai.speaks_responses(urlsplit(self.url).path)


class Forward:
    """Posts each message to a program, and its answer back as a reply where the program is a Responses API."""

    def __init__(
        self,
        mailbox: Mailbox,
        target: Target,
        out: Output,
        *,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._mailbox = mailbox
        self._target = target
        self._out = out
        timeout = httpx.Timeout(FORWARD_TIMEOUT, read=MODEL_TIMEOUT if target.responses else FORWARD_TIMEOUT)
        headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
        self._client = httpx.Client(
            timeout=timeout, headers=headers, transport=transport, mounts=mounts_for(target.url)
        )
        # What a model said, until it is sent: asking again would cost, and might be answered differently.
        self._answers: dict[str, str] = {}

    def close(self) -> None:
        self._client.close()

    def __call__(self, notice: WSNotification) -> None:
        identifier = notice.message_id
        if identifier not in self._answers:
            self._answers[identifier] = self._taken(self._mailbox.message(identifier))
        if self._answers[identifier]:
            self._reply(identifier, self._answers[identifier])
        self._mailbox.mark_read(identifier)
        del self._answers[identifier]
        self._out.hint(f"Forwarded: {identifier}")

    def _taken(self, message: dict[str, Any]) -> str:
        """What is to be replied, once the target has the message.

        :raises CommandError: it did not take it.
        """
        content = openai.request(message, self._target.model) if self._target.responses else message
        try:
            answer = self._client.post(self._target.url, json=content)
        except httpx.HTTPError as error:
            raise CommandError(f"Forward failed: {error or type(error).__name__}") from error
        if not answer.is_success:
            raise CommandError(f"Forward failed ({answer.status_code}): {one_line(answer.text)[:200]}")
        if not self._target.responses:
            return ""
        try:
            return openai.answer(answer.json())
        except ValueError as error:
            raise CommandError("Forward failed: the answer is not JSON") from error

    def _reply(self, identifier: str, text: str) -> None:
        try:
            self._mailbox.reply(identifier, text)
        except ApiError as error:
            if error.code == "idempotency_key_reuse":
                # An earlier run answered it, and was stopped before it could mark it.
                return
            if error.retriable:
                raise
            self._out.warning(f"No reply to {identifier}: {error.message}")
