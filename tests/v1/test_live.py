"""Listening: what is announced, and what happens when the connection ends."""

from __future__ import annotations

import asyncio
import http
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from e2a.v1 import (
    AsyncE2AClient,
    AuthenticationError,
    E2AApiError,
    NotFoundError,
    UnexpectedAnswerError,
    WSNotification,
)
from e2a.v1.live import notifications, socket_url

Talk = Callable[[ServerConnection], Awaitable[None]]


def notice(number: int, **members: Any) -> str:
    return json.dumps({"message_id": f"msg_{number}", "from": "a@b.test", "recipient": "bot@x.test", **members})


class Server:
    """Plays one scene for each connection, the last one for good; a scene is a talk or a refusing status."""

    def __init__(self, *scenes: Talk | int) -> None:
        self.requests: list[Request] = []
        self._scenes = list(scenes)

    #: What comes with a refusing status.
    words = "no\n"

    def _scene(self, number: int) -> Talk | int:
        return self._scenes[min(number, len(self._scenes)) - 1]

    async def _begin(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        scene = self._scene(len(self.requests))
        if not isinstance(scene, int):
            return None
        answer = connection.respond(http.HTTPStatus(scene), self.words)
        if self.words.startswith("{"):
            answer.headers["Content-Type"] = "application/problem+json"
        return answer

    async def _talk(self, connection: ServerConnection) -> None:
        scene = self._scene(len(self.requests))
        assert not isinstance(scene, int)
        await scene(connection)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with serve(self._talk, "127.0.0.1", 0, process_request=self._begin) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/agents/bot%40x.test/ws"


def says(*frames: str | bytes, code: int = 1000, reason: str = "") -> Talk:
    async def talk(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame)
        await connection.close(code, reason)

    return talk


class Enough(Exception):
    """The test has seen what it wants to see."""


class ListenTests(SynchronousTestCase):
    def listened(
        self, server: Server, count: int, **options: Any
    ) -> tuple[list[WSNotification], list[float], list[str]]:
        """The first so many notices, the pauses between connections, and the log."""
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)

        async def run() -> list[WSNotification]:
            found: list[WSNotification] = []
            async with server.running() as url:
                stream = notifications(url, "e2a_key", sleep=sleep, **options)
                try:
                    async for each in stream:
                        found.append(each)
                        if len(found) == count:
                            break
                finally:
                    await stream.aclose()
            return found

        with mock.patch("random.uniform", return_value=1.0), self.assertLogs("e2a.v1.websocket", "DEBUG") as logs:
            logging.getLogger("e2a.v1.websocket").debug("begin")
            found = asyncio.run(asyncio.wait_for(run(), 20))
        return found, pauses, logs.output[1:]

    def test_notices(self) -> None:
        """Notices are passed on; frames that announce nothing are skipped with a warning."""
        server = Server(
            says(notice(1, conversation_id="c"), "junk", b"[]", "{}", notice(2, recipient="", to="t@x.test", subject=3))
        )
        found, _, logs = self.listened(server, 2)
        self.assertEqual(found[0], WSNotification("msg_1", "a@b.test", "bot@x.test", "", "", "c"))
        self.assertEqual((found[1].recipient, found[1].subject, found[1].conversation_id), ("t@x.test", "", None))
        self.assertEqual(len(logs), 3)
        self.assertEqual(server.requests[0].headers["authorization"], "Bearer e2a_key")
        self.assertNotIn("token", server.requests[0].path)

    def test_reconnects(self) -> None:
        """After every end comes another connection; pauses double up to the limit, and start anew after mail."""
        server = Server(says(), 503, 401, says(code=1011), says(notice(1)), says(notice(2)))
        found, pauses, logs = self.listened(server, 2, max_backoff=5.0)
        self.assertEqual([each.message_id for each in found], ["msg_1", "msg_2"])
        self.assertEqual(pauses, [1.0, 2.0, 4.0, 5.0, 1.0])
        self.assertEqual(len(logs), 5)

    def test_replaced(self) -> None:
        """Two listeners do not replace each other every second, however much mail there is."""
        evicted = says(notice(1), code=1008, reason="replaced by new connection")
        _, pauses, logs = self.listened(Server(evicted), 4)
        self.assertEqual(pauses, [1.0, 2.0, 4.0])
        self.assertTrue(any("only one" in line for line in logs))

    def test_once(self) -> None:
        """Without reconnecting the generator ends quietly, after a connection as after a refusal."""
        for scene, expected in ((says(notice(1)), 1), (401, 0), (says(code=1011), 0)):
            found, pauses, _ = self.listened(Server(scene), 9, reconnect=False)
            self.assertEqual((len(found), pauses), (expected, []))

    def test_refusal(self) -> None:
        """A refusal is an exception where that is asked for; what passes by itself never is."""
        self.assertRaises(AuthenticationError, self.listened, Server(401), 1, raise_on_refusal=True)
        error = self.assertRaises(E2AApiError, self.listened, Server(400), 1, raise_on_refusal=True)
        self.assertEqual(error.message, "no")
        found, pauses, _ = self.listened(Server(503, 429, says(notice(1))), 1, raise_on_refusal=True)
        self.assertEqual((len(found), len(pauses)), (1, 2))

    def test_no_server_of_ours(self) -> None:
        """What is no e2a server is an exception at first, where that is asked for; once there was one, it is waited
        for, since then a proxy has only lost it. Of its page the log has one short line."""
        for scene, kind in ((200, UnexpectedAnswerError), (404, NotFoundError)):
            self.assertRaises(kind, self.listened, Server(scene), 1, raise_on_refusal=True)
        server = Server(says(notice(1)), 404, 200, says(notice(2)))
        found, _, logs = self.listened(server, 2, raise_on_refusal=True)
        self.assertEqual([each.message_id for each in found], ["msg_1", "msg_2"])
        page = http.HTTPStatus.BAD_GATEWAY
        with mock.patch.object(Server, "words", "<html>\n" + "x" * 5000):
            _, _, logs = self.listened(Server(page, says(notice(1))), 1)
        self.assertTrue(len(logs[0]) < 300 and "\n" not in logs[0])

    def test_withdrawn(self) -> None:
        """A key that the server itself refuses ends the stream also after a connection."""
        with mock.patch.object(Server, "words", '{"status": 401, "code": "unauthenticated", "detail": "no"}'):
            error = self.assertRaises(
                AuthenticationError, self.listened, Server(says(notice(1)), 401), 2, raise_on_refusal=True
            )
        self.assertEqual(error.code, "unauthenticated")

    def test_no_proxy(self) -> None:
        """A server on this machine is reached without the environment's proxy."""
        with mock.patch.dict("os.environ", {"https_proxy": "http://127.0.0.1:1", "ws_proxy": "http://127.0.0.1:1"}):
            found, pauses, _ = self.listened(Server(says(notice(1))), 1)
        self.assertEqual((len(found), pauses), (1, []))

    def test_unreachable(self) -> None:
        """A server that is away is waited for, not reported as an exception."""

        async def run() -> None:
            pauses = []

            async def sleep(seconds: float) -> None:
                pauses.append(seconds)
                if len(pauses) == 3:
                    raise Enough

            stream = notifications("ws://127.0.0.1:1/", "k", sleep=sleep)
            with self.assertRaises(Enough):
                await anext(stream)
            self.assertEqual(len(pauses), 3)

        with self.assertLogs("e2a.v1.websocket", "WARNING"):
            asyncio.run(run())

    def test_address(self) -> None:
        """The address is that of the API, with its path; anything but http is refused at once."""
        self.assertEqual(
            socket_url("https://e2a.test/base/", "a+b@c.test"), "wss://e2a.test/base/api/v1/agents/a%2Bb%40c.test/ws"
        )
        self.assertEqual(socket_url("http://h:8080", "a@b"), "ws://h:8080/api/v1/agents/a%40b/ws")
        for bad in ("e2a.test", "ftp://e2a.test"):
            self.assertRaises(ValueError, AsyncE2AClient("k", "a@b.test", bad).listen)
        with mock.patch.dict("os.environ", clear=True):
            self.assertRaises(ValueError, AsyncE2AClient("k").listen)
