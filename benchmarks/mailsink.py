"""An upstream SMTP server that takes everything and counts, as a process of its own, commanded over its standard input.

Prints its port. Commands, one a line, each answered by one line of JSON: ``reset`` forgets, ``stats`` tells how many
messages came, how many of them had a Message-ID seen before, over how many sessions.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

_ID = re.compile(rb"^Message-ID:\s*(<[^>]+>)", re.IGNORECASE | re.MULTILINE)


class MailSink:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.seen: set[bytes] = set()
        self.messages = self.sessions = 0

    def took(self, message: bytes) -> None:
        self.messages += 1
        found = _ID.search(message)
        if found is not None:
            self.seen.add(found[1])

    def stats(self) -> dict[str, int]:
        return {"messages": self.messages, "repeated": self.messages - len(self.seen), "sessions": self.sessions}


class _Session(asyncio.Protocol):
    def __init__(self, sink: MailSink) -> None:
        self._sink, self._buffer, self._data = sink, b"", False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.sessions += 1
        transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = b""
        while True:
            mark = b"\r\n.\r\n" if self._data else b"\r\n"
            piece, found, rest = self._buffer.partition(mark)
            if not found:
                break
            self._buffer = rest
            if self._data:
                self._sink.took(piece)
                self._data = False
                answers += b"250 2.0.0 queued\r\n"
                continue
            verb = piece[:4].upper()
            self._data = verb == b"DATA"
            if verb == b"EHLO":
                answers += b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 100000000\r\n"
            else:
                answers += b"354 go on\r\n" if self._data else b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n"
        if answers:
            self._transport.write(answers)


async def main() -> None:
    sink, loop = MailSink(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Session(sink), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "reset":
            sink.reset()
        print(json.dumps(sink.stats()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
