"""The load generator for machines without a C compiler, and for STARTTLS. Arguments and output as in load.c.

One more letter in OPTIONS: ``t`` starts TLS on every connection.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import ssl
import struct
import sys
import time
from pathlib import Path

from benchmarks import corpus


class Refused(Exception):
    """An answer other than the one expected."""


class Generator:
    def __init__(self, arguments: list[str]) -> None:
        port, sessions, seconds, rate, options, run, messages, recipients, ledger = arguments
        self._port, self._sessions, self._seconds = int(port), int(sessions), float(seconds)
        self._rate, self._options, self._run = float(rate), options, int(run)
        self._letters = corpus.read(Path(messages))
        self._recipients = Path(recipients).read_text().split()
        self._ledger_path = Path(ledger)
        self._numbers = itertools.count()
        self._sent = self._acked = self._lost = self._under_way = 0
        self._errors: collections.Counter[str] = collections.Counter()
        self._context = ssl.create_default_context()
        self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE

    async def run(self) -> dict[str, object]:
        started = time.time()
        self._start = time.monotonic()
        self._entries = bytearray()
        await asyncio.wait(
            [asyncio.create_task(self._session()) for _ in range(self._sessions)], timeout=self._seconds + 30
        )
        self._ledger_path.write_bytes(self._entries)
        return {
            "sent": self._sent,
            "acked": self._acked,
            "unfinished": self._under_way,
            "lost_connections": self._lost,
            "started": started,
            "cpu": time.process_time(),
            "errors": dict(self._errors),
        }

    def _over(self) -> bool:
        return time.monotonic() - self._start >= self._seconds

    async def _session(self) -> None:
        while not self._over():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await self._greet(reader, writer)
                    while not self._over():
                        await self._pace()
                        await self._transaction(reader, writer)
                        if "r" in self._options:
                            break
                finally:
                    writer.close()
            except Refused as error:
                self._errors[str(error)] += 1
                await asyncio.sleep(0.02)
            except (OSError, asyncio.IncompleteReadError):
                self._lost += 1
                await asyncio.sleep(0.02)

    async def _pace(self) -> None:
        if self._rate:
            due = self._start + self._sent / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._expect(reader, b"220")
        await self._say(reader, writer, b"EHLO load.bench.test", b"250")
        if "t" in self._options:
            await self._say(reader, writer, b"STARTTLS", b"220")
            await writer.start_tls(self._context)
            await self._say(reader, writer, b"EHLO load.bench.test", b"250")

    async def _transaction(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        self._sent += 1
        self._under_way += 1
        try:
            letter = self._letters[number % len(self._letters)]
            recipient = self._recipients[number % len(self._recipients)]
            began = time.monotonic()
            await self._say(reader, writer, f"MAIL FROM:<{letter.sender}>".encode(), b"250")
            await self._say(reader, writer, f"RCPT TO:<{recipient}>".encode(), b"250")
            await self._say(reader, writer, b"DATA", b"354")
            writer.write(letter.data.replace(corpus.MARK.encode(), b"%08x%08x" % (self._run, number), 1))
            await self._expect(reader, b"250")
            took = time.monotonic() - began
            self._entries += struct.pack("=IIQ", number, int(took * 1e6), time.time_ns())
            self._acked += 1
        finally:
            self._under_way -= 1

    async def _say(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes, code: bytes) -> None:
        writer.write(line + b"\r\n")
        await self._expect(reader, code)

    @staticmethod
    async def _expect(reader: asyncio.StreamReader, code: bytes) -> None:
        while (line := await reader.readuntil(b"\n"))[3:4] == b"-":
            pass
        if line[:3] != code:
            raise Refused(line[:3].decode("ascii", "replace"))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(Generator(sys.argv[1:]).run())))
