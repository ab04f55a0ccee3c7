"""GET load over keep-alive connections.

``python -m benchmarks.httpload PORT CLIENTS SECONDS KEY PATHS`` reads one request target a line from the file PATHS,
uses them in turn, and prints one JSON object.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path


async def _client(
    port: int, key: str, paths: Iterator[str], end: float, times: list[float], codes: collections.Counter[str]
) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    octets = 0
    while time.monotonic() < end:
        began = time.monotonic()
        writer.write(
            f"GET {next(paths)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n\r\n".encode("ascii")
        )
        head = await reader.readuntil(b"\r\n\r\n")
        octets += len(await _body(reader, head.lower()))
        times.append(time.monotonic() - began)
        codes[head[9:12].decode("ascii")] += 1
    writer.close()
    return octets


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    _, found, rest = head.partition(b"content-length:")
    if found:
        return await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


async def main(port: int, clients: int, seconds: float, key: str, paths: list[str]) -> None:
    times: list[float] = []
    codes: collections.Counter[str] = collections.Counter()
    start, turn = time.monotonic(), itertools.cycle(paths)
    work = [_client(port, key, turn, start + seconds, times, codes) for _ in range(clients)]
    octets = sum(await asyncio.gather(*work))
    times.sort()
    answer = {
        "requests": len(times),
        "seconds": time.monotonic() - start,
        "codes": codes,
        "octets": octets,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
        "cpu": time.process_time(),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    asyncio.run(
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], Path(sys.argv[5]).read_text().split())
    )
