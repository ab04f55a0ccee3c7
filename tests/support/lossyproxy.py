"""A way to a daemon on which answers get lost: the daemon acts, and its client never hears of it."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class LossyProxy:
    """Passes requests on, one at a time for each connection.

    :ivar losses: answers to requests other than GET that are still to be lost: by turns whole, and in the middle.
    :ivar keys: the ``Idempotency-Key`` of each such request, in order; "" where there is none.
    """

    def __init__(self, port: int) -> None:
        self.losses = 0
        self.keys: list[str] = []
        outer, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    upstream.request(self.command, self.path, body or None, dict(self.headers))
                    answer = upstream.getresponse()
                    content = answer.read()
                finally:
                    upstream.close()
                lost, half = False, False
                if self.command != "GET":
                    with lock:
                        outer.keys.append(self.headers.get("Idempotency-Key", ""))
                        lost = outer.losses > 0
                        half = lost and outer.losses % 2 == 0
                        outer.losses -= lost
                self.close_connection = lost
                if lost and not half:
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding", "date", "server"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if half else content)

            do_POST = do_PUT = do_DELETE = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: a test that fails shows what it needs."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
