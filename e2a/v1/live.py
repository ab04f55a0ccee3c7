"""New mail as it arrives: a WebSocket that is opened again whenever it ends.

The server announces every unread message when a connection opens, then every new one, so that whatever arrived while
there was no connection is announced by the next. A message is announced again, under the same id, as long as nobody has
fetched it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from .errors import E2AApiError, UnexpectedAnswerError, error_for
from .hosts import is_loopback
from .transport import ACCEPT, USER_AGENT, path

_LOG = logging.getLogger("e2a.v1.websocket")

FIRST_BACKOFF = 1.0
#: A connection that held this many seconds was a good one.
_GOOD = 60.0
#: Octets of a frame; a notice has a few hundred.
_LONGEST_FRAME = 2**20
#: Characters of a refusal that are logged: a proxy answers with a whole page.
_LONGEST_LOGGED = 200
_REPLACED = "replaced by new connection"
#: Refusals that pass by themselves.
_PASSING = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class WSNotification:
    """That a message is there. Fetch it with ``get_message``, which marks it read.

    :ivar from_: the address in the From header.
    """

    message_id: str
    from_: str
    recipient: str
    subject: str
    received_at: str
    conversation_id: str | None = None


def socket_url(base_url: str, agent_email: str) -> str:
    """Where an agent's notices come from.

    :raises ValueError: the base URL is neither http nor https.
    """
    scheme, separator, rest = base_url.rstrip("/").partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise ValueError(f"base_url must begin with http:// or https://, not {base_url!r}")
    return f"{'ws' if scheme.lower() == 'http' else 'wss'}://{rest}{path('agents', agent_email, 'ws')}"


async def notifications(
    url: str,
    api_key: str,
    *,
    reconnect: bool = True,
    max_backoff: float = 30.0,
    raise_on_refusal: bool = False,
    on_open: Callable[[], object] = lambda: None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncGenerator[WSNotification, None]:
    """What one agent's socket announces.

    :param reconnect: go on after a connection has ended, in any way; otherwise the generator ends with it.
    :param max_backoff: seconds between two attempts at most.
    :param raise_on_refusal: raise when the server says that this key may not listen to this agent, and when the first
        connection shows that there is no e2a server; otherwise that is logged and tried again, as everything else is.
    :param on_open: called whenever a connection is there.
    :raises E2AApiError: refused, with ``raise_on_refusal``.
    :raises ssl.SSLCertVerificationError: nobody vouches for the server, with ``raise_on_refusal``.
    :raises ImportError: the package ``websockets`` is missing.
    """
    import websockets.asyncio.client
    import websockets.exceptions

    headers = {"Authorization": f"Bearer {api_key}", "Accept": ACCEPT}
    # Without a connection to lose, what is no e2a server is a mistake; later it may be a proxy that lost its server.
    settled = False
    direct: dict[str, Any] = {"proxy": None} if is_loopback(url) else {}
    backoff = FIRST_BACKOFF
    while True:
        opened = time.monotonic()
        announced = replaced = False
        asked = 0.0
        try:
            # Without a bound on waiting frames: a reader that stops would leave pings unanswered while its consumer
            # works, and notices are small.
            async with websockets.asyncio.client.connect(
                url,
                additional_headers=headers,
                user_agent_header=USER_AGENT,
                max_size=_LONGEST_FRAME,
                max_queue=None,
                **direct,
            ) as socket:
                settled = True
                on_open()
                async for frame in socket:
                    notice = _notice(frame)
                    if notice is not None:
                        yield notice
                        announced = True
            replaced = (socket.close_reason or "") == _REPLACED
            _LOG.warning("connection closed: %s %s", socket.close_code, socket.close_reason or "")
        except websockets.exceptions.InvalidStatus as exc:
            refusal = _refusal(exc)
            lasting = refusal.status_code < 500 and refusal.status_code not in _PASSING
            if raise_on_refusal and lasting and (refusal.code or not settled):
                raise refusal from exc
            asked = min(refusal.retry_after or 0.0, max_backoff)
            _LOG.warning("connection refused: %s", " ".join(str(refusal).split())[:_LONGEST_LOGGED])
        except websockets.exceptions.ConnectionClosedError as exc:
            replaced = exc.rcvd is not None and exc.rcvd.reason == _REPLACED
            _LOG.warning("connection closed: %s", exc)
        except (websockets.exceptions.WebSocketException, OSError, EOFError) as exc:
            if raise_on_refusal and not settled and isinstance(exc, ssl.SSLCertVerificationError):
                raise
            _LOG.warning("connection failed: %s: %s", type(exc).__name__, exc)
        if not reconnect:
            return
        if replaced:
            _LOG.warning("another listener took this agent over; only one can listen at a time")
        # Two listeners that replace each other must not do so every second, however much mail there is.
        if time.monotonic() - opened >= _GOOD or (announced and not replaced):
            backoff = FIRST_BACKOFF
        await sleep(max(asked, min(backoff, max_backoff) * random.uniform(0.75, 1.0)))
        backoff = min(backoff * 2, max_backoff)


def _notice(frame: str | bytes) -> WSNotification | None:
    """What a frame announces; None, and a line in the log, for one that announces nothing."""
    try:
        found: Any = json.loads(frame)
    except ValueError:
        _LOG.warning("a frame that is not JSON was skipped")
        return None
    if not isinstance(found, dict) or not isinstance(found.get("message_id"), str) or not found["message_id"]:
        _LOG.warning("a frame without message_id was skipped")
        return None

    def text(name: str) -> str:
        value = found.get(name)
        return value if isinstance(value, str) else ""

    conversation_id = found.get("conversation_id")
    return WSNotification(
        found["message_id"],
        text("from"),
        text("recipient") or text("to"),
        text("subject"),
        text("received_at"),
        conversation_id if isinstance(conversation_id, str) else None,
    )


def _refusal(exc: Any) -> E2AApiError:
    response = exc.response
    if response.status_code < 400:
        return UnexpectedAnswerError(response.status_code, "the server speaks no WebSocket here: is base_url right?")
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return error_for(response.status_code, headers, bytes(response.body or b""), now=time.time())
