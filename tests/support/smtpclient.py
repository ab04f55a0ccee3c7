"""A scripted SMTP client that remembers what it sent and what it was answered.

Blocking sockets: system tests talk to a daemon in another process, so nothing in this one waits for them.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


class Disconnected(Exception):
    """The server closed the connection, or nothing answered in time."""


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def dot_stuff(data: bytes) -> bytes:
    """DATA bytes for the wire, with the final dot (RFC 5321 4.5.2)."""
    stuffed = data.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n"


class Session:
    """One connection.

    :param timeout: seconds for every single wait.
    :raises Disconnected: from any method, when the connection is refused or lost.
    """

    def __init__(self, port: int, *, host: str = "127.0.0.1", timeout: float = 60.0) -> None:
        try:
            self._socket = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise Disconnected from error
        self._buffer = b""
        self.extensions: tuple[str, ...] = ()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise Disconnected from error

    def reply(self) -> Reply:
        """The next, possibly multi-line, reply."""
        lines: list[str] = []
        while True:
            while b"\r\n" not in self._buffer:
                try:
                    data = self._socket.recv(65_536)
                except OSError as error:
                    raise Disconnected from error
                if not data:
                    raise Disconnected
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            lines.append(line[4:].decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return Reply(int(line[:3]), tuple(lines))

    def command(self, line: str) -> Reply:
        self.write(line.encode("utf-8") + b"\r\n")
        return self.reply()

    def greet(self, helo: str = "client.test") -> Reply:
        """Read the greeting, say EHLO. A greeting other than 220 is returned instead."""
        greeting = self.reply()
        return self.hello(helo) if greeting.code == 220 else greeting

    def hello(self, helo: str = "client.test") -> Reply:
        answer = self.command(f"EHLO {helo}")
        self.extensions = answer.lines[1:]
        return answer

    def start_tls(self, context: ssl.SSLContext, host: str) -> Reply:
        """STARTTLS and the handshake; EHLO again is the caller's."""
        answer = self.command("STARTTLS")
        if answer.code == 220:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        return answer

    def envelope(self, sender: str, recipients: Sequence[str]) -> Reply:
        """MAIL, every RCPT, DATA; the first refusal ends it and is returned, else the 354."""
        for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in recipients)):
            answer = self.command(line)
            if answer.code != 250:
                return answer
        return self.command("DATA")

    def send(self, sender: str, recipients: Sequence[str], data: bytes) -> Reply:
        """A whole transaction; the reply that decided it."""
        answer = self.envelope(sender, recipients)
        if answer.code != 354:
            return answer
        self.write(dot_stuff(data))
        return self.reply()


def send(port: int, sender: str, recipients: Sequence[str], data: bytes, *, helo: str = "client.test") -> Reply:
    """One message over a connection of its own."""
    with Session(port) as session:
        answer = session.greet(helo)
        return answer if answer.code != 250 else session.send(sender, recipients, data)


@dataclass(slots=True)
class Entry:
    """One message's history. ``answers`` holds a code for each attempt, None for a lost connection."""

    key: str
    sender: str
    recipients: tuple[str, ...]
    data: bytes
    answers: list[int | None] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return bool(self.answers) and self.answers[-1] == 250


class RetryingSender:
    """Threads that send every message until it is answered 250, as a mail server's queue does.

    :ivar ledger: every message with all its answers.
    """

    def __init__(self, port: int, messages: Iterable[Entry], *, sessions: int = 4, pause: float = 0.05) -> None:
        self.ledger = list(messages)
        self._port, self._pause = port, pause
        self._todo = list(reversed(self.ledger))
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(sessions)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def accepted(self) -> int:
        return sum(entry.accepted for entry in self.ledger)

    def answers(self) -> set[int | None]:
        """Every distinct answer any attempt got."""
        return {answer for entry in self.ledger for answer in list(entry.answers)}

    def wait(self, timeout: float) -> bool:
        """Until all are accepted; whether they were."""
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        self._stopping.set()
        for thread in self._threads:
            thread.join(15)
        return all(entry.accepted for entry in self.ledger)

    def wait_until_accepted(self, count: int, timeout: float) -> None:
        """Until that many were answered 250.

        :raises TimeoutError: they were not in time.
        """
        end = time.monotonic() + timeout
        while self.accepted < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.accepted} of {count} accepted")
            time.sleep(0.01)

    def _next(self) -> Entry | None:
        with self._lock:
            return self._todo.pop() if self._todo else None

    def _work(self) -> None:
        session: Session | None = None
        while (entry := self._next()) is not None:
            while not self._stopping.is_set():
                try:
                    if session is None:
                        session = Session(self._port)
                        answer = session.greet()
                    else:
                        answer = Reply(250, ())
                    if answer.code == 250:
                        answer = session.send(entry.sender, entry.recipients, entry.data)
                    entry.answers.append(answer.code)
                except Disconnected:
                    entry.answers.append(None)
                if entry.accepted:
                    break
                if session is not None:
                    session.close()
                session = None
                self._stopping.wait(self._pause)
        if session is not None:
            session.close()
