"""POST load over keep-alive connections.

``python -m benchmarks.postload PORT CLIENTS SECONDS KEY PATH BODIES`` sends the lines of the file BODIES in turn, each
a JSON document, and prints one JSON object.
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

from benchmarks.httpload import _body


async def _client(
    port: int, head: str, bodies: Iterator[bytes], end: float, times: list[float], answers: collections.Counter[str]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    while time.monotonic() < end:
        began, body = time.monotonic(), next(bodies)
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body)
        code = (top := await reader.readuntil(b"\r\n\r\n"))[9:12].decode("ascii")
        answer = await _body(reader, top.lower())
        status = json.loads(answer).get("status", "") if code.startswith("2") else ""
        times.append(time.monotonic() - began)
        answers[f"{code} {status}".strip()] += 1
    writer.close()


async def main(port: int, clients: int, seconds: float, key: str, path: str, bodies: list[bytes]) -> None:
    times: list[float] = []
    answers: collections.Counter[str] = collections.Counter()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    )
    start, turn = time.monotonic(), itertools.cycle(bodies)
    await asyncio.gather(*(_client(port, head, turn, start + seconds, times, answers) for _ in range(clients)))
    times.sort()
    result = {
        "requests": len(times),
        "seconds": time.monotonic() - start,
        "answers": answers,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
        "cpu": time.process_time(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    lines = Path(sys.argv[6]).read_bytes().splitlines()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5], lines))
