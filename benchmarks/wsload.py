"""Many WebSocket clients in one process, bare: handshake, frames, pongs (RFC 6455), nothing else.

``python -m benchmarks.wsload PORT URLS`` reads one request target a line from the file URLS, opens one socket for each,
100 handshakes at a time, and prints ``{"open": n, "failed": n, "seconds": s}``. Then it answers the commands of
``benchmarks.hooksink``: ``stats``, ``reset`` and ``ledger PATH``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from pathlib import Path

_ID = re.compile(rb'"message_id"\s*:\s*"(msg_[0-9a-f]{32})"')


class Clients:
    def __init__(self) -> None:
        self.arrivals: dict[bytes, float] = {}
        self.frames = self.pings = self.open = self.failed = 0


class Client(asyncio.Protocol):
    def __init__(self, clients: Clients, target: str, opened: asyncio.Future[bool]) -> None:
        self._clients, self._target, self._opened = clients, target, opened
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(
            f"GET {self._target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode("ascii")
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._opened.done():
            self._opened.set_result(False)
        else:
            self._clients.open -= 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._opened.done():
            head, gap, rest = self._buffer.partition(b"\r\n\r\n")
            if not gap:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                self._transport.abort()
                return
            self._buffer = rest
            self._clients.open += 1
            self._opened.set_result(True)
        while self._frame():
            pass

    def _frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        length, start = buffer[1] & 0x7F, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + length:
            return False
        payload, self._buffer = buffer[start : start + length], buffer[start + length :]
        kind = buffer[0] & 0x0F
        if kind == 1:
            self._clients.frames += 1
            found = _ID.search(payload)
            if found:
                self._clients.arrivals.setdefault(found[1], time.time())
        elif kind == 9:
            self._clients.pings += 1
            self._transport.write(bytes([0x8A, 0x80 | len(payload)]) + bytes(4) + payload)
        return True


async def _open(clients: Clients, port: int, target: str, limit: asyncio.Semaphore) -> None:
    async with limit:
        opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: Client(clients, target, opened), "127.0.0.1", port
            )
            good = await asyncio.wait_for(opened, 60)
        except (OSError, TimeoutError):
            good = False
        clients.failed += not good


async def main(port: int, targets: list[str]) -> None:
    clients, limit = Clients(), asyncio.Semaphore(100)
    start = time.monotonic()
    await asyncio.gather(*(_open(clients, port, target, limit) for target in targets))
    seconds = time.monotonic() - start
    print(json.dumps({"open": clients.open, "failed": clients.failed, "seconds": seconds}), flush=True)
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def obey(line: str) -> None:
        command, _, argument = line.strip().partition(" ")
        answer: dict[str, int] = {}
        if command == "reset":
            clients.arrivals, clients.frames = {}, 0
        elif command == "ledger":
            lines = [f"{key.decode()} {at:.6f}\n" for key, at in clients.arrivals.items()]
            Path(argument).write_text("".join(lines))
        else:
            answer = {
                "open": clients.open,
                "frames": clients.frames,
                "messages": len(clients.arrivals),
                "pings": clients.pings,
            }
        print(json.dumps(answer), flush=True)

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(obey, line)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen, daemon=True).start()
    await over.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]).read_text().split()))
