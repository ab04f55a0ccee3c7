"""An SMTP server in a thread of its own that does what the test says, at every step, and keeps a ledger.

A step is ``connect``, a verb in upper case, ``body`` (while the message is being received) or ``end`` (its final dot).
An action is a reply's text, ``DROP`` (close the connection), ``HANG`` (never answer), or an event that the usual reply
waits for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field

from tests.support.ports import free_port
from tests.support.sinks import wait_until

DROP = "<drop>"
HANG = "<hang>"
Action = str | threading.Event

_USUAL = {
    "connect": "220 sink.test ESMTP",
    "HELO": "250 sink.test",
    "MAIL": "250 2.1.0 fine",
    "RCPT": "250 2.1.5 fine",
    "DATA": "354 go on",
    "RSET": "250 2.0.0 fine",
    "NOOP": "250 2.0.0 fine",
    "QUIT": "221 2.0.0 bye",
}


@dataclass(frozen=True, slots=True)
class Copy:
    """A message that was received up to its final dot.

    :ivar reply: what was answered to the final dot; "" when nothing was.
    :ivar session: counts connections from 1.
    """

    sender: str
    recipients: tuple[str, ...]
    data: bytes
    reply: str
    session: int
    secure: bool
    user: str
    at: float


@dataclass(slots=True)
class _Session:
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    secure: bool = False
    user: str = ""
    sender: str = ""
    recipients: list[str] = field(default_factory=list)


class SmtpSink:
    """:param extensions: what EHLO offers besides STARTTLS.
    :param tls: a server context: STARTTLS is offered, or with ``implicit`` spoken from the first octet.
    :param users: passwords by user name.
    :param address: where it listens.

    :ivar copies: the ledger.
    :ivar lines: every command line received, with the number of its session.
    :ivar most: connections at one time, at most.
    """

    def __init__(
        self,
        *,
        extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 50000000"),
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        users: dict[str, str] | None = None,
        address: str = "127.0.0.1",
        port: int | None = None,
    ) -> None:
        self.extensions, self.users = extensions, users or {}
        self.copies: list[Copy] = []
        self.lines: list[tuple[int, str]] = []
        self.sessions = self.open = self.most = 0
        self._tls, self._implicit = tls, implicit
        self._always: dict[str, Action] = {}
        self._planned: defaultdict[str, deque[Action]] = defaultdict(deque)
        self._refusals: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        context = tls if implicit else None
        self.port = port or free_port()
        starting = asyncio.start_server(self._serve, address, self.port, ssl=context, limit=2**20, backlog=256)
        # On the thread's own loop: the caller's thread may have one already.
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(60)

    # --- the script ---------------------------------------------------------------------------------------------------

    def always(self, step: str, action: Action | None) -> None:
        """What happens at every such step; None restores the usual reply."""
        if action is None:
            self._always.pop(step, None)
        else:
            self._always[step] = action

    def plan(self, step: str, *actions: Action) -> None:
        """What happens at the next such steps, once each."""
        self._planned[step].extend(actions)

    def planned(self, step: str) -> int:
        """How many of the actions planned for a step are still to come."""
        return len(self._planned[step])

    def behave(self) -> None:
        """Nothing is scripted any more, and whoever was kept waiting is hung up on."""
        self._always.clear()
        self._planned.clear()
        self._refusals.clear()
        self.hang_up()

    def refuse(self, recipient: str, reply: str) -> None:
        """Answer this to RCPT of one recipient; "" takes it again."""
        self._refusals[recipient] = reply

    def wait_for(self, count: int, timeout: float = 60.0) -> list[Copy]:
        """The first ``count`` copies.

        :raises TimeoutError: fewer came.
        """
        wait_until(lambda: len(self.copies) >= count, timeout, lambda: f"{len(self.copies)} of {count} copies")
        return self.copies[:count]

    def verbs(self, session: int) -> list[str]:
        return [line.split(" ")[0].split(":")[0].upper() for number, line in self.lines if number == session]

    def hang_up(self) -> None:
        """Close every session."""

        async def end() -> None:
            for task in list(self._tasks):
                task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(60)
        wait_until(lambda: not self.open, 60, lambda: f"{self.open} sessions")

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._loop.call_soon(self._loop.stop)

        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._thread.join(5)
        self._loop.close()

    # --- the server ---------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.sessions += 1
        self.open += 1
        self.most = max(self.most, self.open)
        session = _Session(self.sessions, reader, writer, secure=self._implicit)
        try:
            await self._converse(session)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            with contextlib.suppress(Exception):
                session.writer.transport.abort()

    async def _converse(self, session: _Session) -> None:
        await self._act(session, "connect")
        while True:
            line = (await session.reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")
            self.lines.append((session.number, line))
            verb, _, argument = line.partition(" ")
            verb = verb.upper()
            if verb == "RCPT" and (reply := self._refusals.get(_path(argument))):
                await self._say(session, reply)
                continue
            match verb:
                case "EHLO":
                    offers = [*self.extensions, *(["AUTH PLAIN LOGIN"] if self.users else [])]
                    if self._tls is not None and not session.secure:
                        offers.append("STARTTLS")
                    words = ["sink.test", *offers]
                    lines = [f"250{'-' if n < len(words) - 1 else ' '}{word}" for n, word in enumerate(words)]
                    await self._act(session, verb, "\r\n".join(lines))
                case "MAIL":
                    session.sender, session.recipients = _path(argument), []
                    await self._act(session, verb)
                case "RCPT":
                    if (await self._act(session, verb)).startswith("2"):
                        session.recipients.append(_path(argument))
                case "DATA":
                    if not session.recipients:
                        await self._say(session, "503 5.5.1 no recipients")
                    elif (await self._act(session, verb)).startswith("354"):
                        await self._receive(session)
                case "AUTH":
                    await self._authenticate(session, argument)
                case "STARTTLS":
                    if (await self._act(session, verb, "220 2.0.0 go on")).startswith("220"):
                        await session.writer.start_tls(self._tls)  # type: ignore[arg-type]
                        session.secure = True
                case "QUIT":
                    await self._act(session, verb)
                    return
                case _:
                    await self._act(session, verb, _USUAL.get(verb, "500 5.5.2 what?"))

    async def _receive(self, session: _Session) -> None:
        lines = []
        if self._scripted("body"):
            await session.reader.readexactly(1)
            await self._act(session, "body", "")
        while (line := await session.reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        reply = await self._decide("end", "250 2.0.0 queued as 4F1C2A")
        copy = Copy(
            session.sender,
            tuple(session.recipients),
            b"".join(lines),
            "" if reply in (DROP, HANG) else reply,
            session.number,
            session.secure,
            session.user,
            time.time(),
        )
        self.copies.append(copy)
        await self._do(session, reply)

    async def _authenticate(self, session: _Session, argument: str) -> None:
        mechanism, _, word = argument.partition(" ")
        if mechanism == "PLAIN":
            _, user, password = base64.b64decode(word).decode().split("\0")
        else:
            answers = []
            for prompt in ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"):
                await self._say(session, f"334 {prompt}")
                answers.append(base64.b64decode((await session.reader.readuntil(b"\r\n")).strip()).decode())
            user, password = answers
        good = self.users.get(user) == password
        if good:
            session.user = user
        await self._act(session, "AUTH", "235 2.7.0 welcome" if good else "535 5.7.8 bad credentials")

    def _scripted(self, step: str) -> bool:
        return bool(self._planned[step]) or step in self._always

    async def _decide(self, step: str, usual: str) -> str:
        action = self._planned[step].popleft() if self._planned[step] else self._always.get(step)
        if isinstance(action, threading.Event):
            while not action.is_set():
                await asyncio.sleep(0.01)
            action = None
        return usual if action is None else action

    async def _act(self, session: _Session, step: str, usual: str | None = None) -> str:
        reply = await self._decide(step, _USUAL.get(step, "") if usual is None else usual)
        await self._do(session, reply)
        return reply

    async def _do(self, session: _Session, reply: str) -> None:
        if reply == DROP:
            raise ConnectionAbortedError
        if reply == HANG:
            # Reading on, so that a client that goes away is noticed.
            await session.reader.read(-1)
            raise ConnectionAbortedError
        await self._say(session, reply)

    async def _say(self, session: _Session, reply: str) -> None:
        if reply:
            session.writer.write(reply.encode() + b"\r\n")
            await session.writer.drain()
            if reply.startswith("421"):
                raise ConnectionAbortedError


def _path(argument: str) -> str:
    return argument.partition("<")[2].partition(">")[0]
