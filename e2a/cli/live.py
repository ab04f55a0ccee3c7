"""The notices of one agent's mail, in a queue: the client library's stream, run in a thread of its own.

A slow receiver of the mail must not keep the connection from answering pings, and a person's Ctrl-C must not wait for
either.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable
from queue import SimpleQueue

from ..v1.errors import E2AApiError
from ..v1.live import WSNotification, notifications, socket_url
from .errors import CommandError
from .server import refused, unreachable
from .urls import path_of

Report = Callable[[str], None]


class Feed:
    """Puts every notice into a queue, and what ends it as the last thing.

    :param report: told what happens to the connection.
    :ivar queue: notices as they came; a :class:`CommandError` once nothing more will come.
    """

    def __init__(self, url: str, key: str, agent: str, report: Report) -> None:
        self._server, self._path = url, path_of("agents", agent, "ws")
        self._url, self._key = socket_url(url, agent), key
        self._report = report
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self.queue: SimpleQueue[WSNotification | CommandError] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the connection."""
        self._ready.wait(5)
        if self._loop is not None and self._task is not None and not self._task.done():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    def _run(self) -> None:
        logger, handler = logging.getLogger("e2a.v1.websocket"), _Reporting(self._report)
        logger.addHandler(handler)
        logger.propagate = False
        try:
            asyncio.run(self._receive())
        except asyncio.CancelledError:
            pass
        except E2AApiError as error:
            self.queue.put(refused(self._server, error, self._path))
        except ssl.SSLCertVerificationError as error:
            self.queue.put(unreachable(self._server, error))
        except Exception as error:
            self.queue.put(CommandError(f"the connection broke: {error!r}"))
        finally:
            logger.removeHandler(handler)

    async def _receive(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._ready.set()
        stream = notifications(self._url, self._key, raise_on_refusal=True, on_open=lambda: self._report("Connected."))
        async for notice in stream:
            self.queue.put(notice)


class _Reporting(logging.Handler):
    """Shows a person what the library logs of its connection."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report_line = report
        self._explained = False

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._report_line(text[:1].upper() + text[1:])
        if not self._explained:
            self._explained = True
            self._report_line("It is tried again until it works; Ctrl-C ends it.")
