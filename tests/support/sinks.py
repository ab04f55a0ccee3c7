"""Where mail ends up: a webhook receiver and a WebSocket client, and the checks that their users would make.

The signature checks are written from the published description, not with the daemon's own code, so that a mistake there
is seen here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.ports import free_port

_SIGNED = ("Verified", "Sender", "Entity-Type", "Domain-Check", "Delegation", "Timestamp", "Message-Id", "Body-Hash")


def auth_faults(headers: Mapping[str, str], raw: bytes, secret: str, *, now: float | None = None) -> list[str]:
    """What is wrong with the ``X-E2A-Auth-*`` headers of a message; empty when they prove it.

    :param headers: names in any letter case; other headers may be among them.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    values = [fields.get(f"x-e2a-auth-{name}".lower(), "") for name in _SIGNED]
    signature = fields.get("x-e2a-auth-signature", "")
    expected = hmac.new(secret.encode("utf-8"), "\n".join(values).encode("utf-8"), hashlib.sha256).hexdigest()
    faults = []
    if not hmac.compare_digest(signature, expected):
        faults.append("the signature does not match")
    if values[7] != hashlib.sha256(raw).hexdigest():
        faults.append("the body hash does not match")
    try:
        signed_at = datetime.strptime(values[5], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        faults.append("no timestamp")
    else:
        if not -30 <= (time.time() if now is None else now) - signed_at <= 300:
            faults.append("the timestamp is outside the window")
    return faults


@dataclass(frozen=True, slots=True)
class HookRequest:
    """One POST as received. Header names are lower case; ``at`` is Unix time."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    def faults(self, secret: str) -> list[str]:
        """What a receiver that holds ``secret`` would object to; empty when both signatures hold."""
        payload = self.payload
        raw = base64.b64decode(payload["raw_message"])
        faults = auth_faults(payload["auth_headers"], raw, secret, now=self.at)
        faults += [f"{fault} (HTTP headers)" for fault in auth_faults(self.headers, raw, secret, now=self.at)]
        try:
            Webhook(library_secret(secret)).verify(self.body, dict(self.headers))
        except WebhookVerificationError as error:
            faults.append(f"webhook-signature: {error}")
        return faults


def library_secret(secret: str) -> str:
    """A signing secret as the ``standardwebhooks`` libraries take it."""
    return "whsec_" + base64.b64encode(secret.encode("utf-8")).decode("ascii")


class _HookProtocol(asyncio.Protocol):
    """HTTP/1.1 with Content-Length bodies and keep-alive: what a webhook client speaks."""

    def __init__(self, sink: WebhookSink) -> None:
        self._sink, self._buffer = sink, b""
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sink.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        head, gap, rest = self._buffer.partition(b"\r\n\r\n")
        if not gap or self._busy:
            return
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        self._busy = True
        method, path, _ = request.split(" ")
        sink = self._sink
        if method == "POST":
            sink.received(HookRequest(path, headers, rest[:length], time.time()))
        if sink.silent:
            return
        if sink.delay:
            asyncio.get_running_loop().call_later(sink.delay, self._answer, method, path)
        else:
            self._answer(method, path)

    def _answer(self, method: str, path: str) -> None:
        status, body = self._sink.answer(method, path)
        self._transport.write(
            b"HTTP/1.1 %d Answer\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )
        self._busy = False
        if self._buffer:
            self._next()


class WebhookSink:
    """A webhook receiver in a thread of its own.

    :param port: None picks a free one; a stopped sink's port can be taken again.
    :ivar status: the answer's status code.
    :ivar delay: seconds before every answer.
    :ivar silent: take requests and never answer.
    :ivar requests: everything received, in order.
    """

    def __init__(self, *, port: int | None = None, status: int = 200, delay: float = 0.0, silent: bool = False) -> None:
        self.status, self.delay, self.silent = status, delay, silent
        self.requests: list[HookRequest] = []
        self.connections: set[asyncio.Transport] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = port or free_port()
        starting = self._loop.create_server(lambda: _HookProtocol(self), "127.0.0.1", self.port, backlog=1024)
        # On the thread's own loop: the caller's thread may have one already.
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def received(self, request: HookRequest) -> None:
        self.requests.append(request)

    def answer(self, method: str, path: str) -> tuple[int, bytes]:
        return self.status, b'{"ok":true}'

    def wait_for(self, count: int, timeout: float = 60.0) -> list[HookRequest]:
        """The first ``count`` requests.

        :raises TimeoutError: fewer came.
        """
        wait_until(lambda: len(self.requests) >= count, timeout, lambda: f"{len(self.requests)} of {count} requests")
        return self.requests[:count]

    def stop(self) -> None:
        def end() -> None:
            self._server.close()
            for connection in list(self.connections):
                connection.abort()
            self._loop.call_soon(self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self._thread.join(5)
        self._loop.close()


class WebSocketInbox:
    """A WebSocket client in a thread of its own that keeps every notice.

    :param url: ``ws://…/ws`` with its token.
    :ivar notices: the frames' JSON, in order.
    :ivar closed: the close code and reason once the connection ended.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.notices: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self._socket = connect(url, additional_headers=headers, open_timeout=60, close_timeout=2, proxy=None)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for frame in self._socket:
                self.notices.append(json.loads(frame))
        except ConnectionClosed:
            pass
        self.closed = (self._socket.close_code or 1006, self._socket.close_reason or "")

    def wait_for(self, count: int, timeout: float = 60.0) -> list[dict[str, Any]]:
        """The first ``count`` notices.

        :raises TimeoutError: fewer came.
        """
        wait_until(lambda: len(self.notices) >= count, timeout, lambda: f"{len(self.notices)} of {count} notices")
        return self.notices[:count]

    def wait_closed(self, timeout: float = 60.0) -> tuple[int, str]:
        """The close code and reason, once the server has closed."""
        wait_until(lambda: self.closed is not None, timeout, lambda: "the WebSocket is still open")
        assert self.closed is not None
        return self.closed

    def stop(self) -> None:
        self._socket.close()
        self._thread.join(5)


def wait_until(true: Callable[[], bool], timeout: float, what: Callable[[], str]) -> None:
    """Return as soon as the condition holds.

    :param what: describes the state, for the error.
    :raises TimeoutError: it did not hold in time.
    """
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(what())
        time.sleep(0.01)
