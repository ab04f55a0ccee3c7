"""Requests, answers, refusals and repetitions."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from unittest import mock

import httpx
from twisted.trial.unittest import SynchronousTestCase

from e2a.v1 import (
    AsyncE2AClient,
    AuthenticationError,
    ConflictError,
    E2AApi,
    E2AApiError,
    E2AClient,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
    UnexpectedAnswerError,
    calls,
    fetch_info,
)
from e2a.v1 import errors as client_errors
from e2a.v1.transport import Endpoint
from tests.v1.support import SECRET, Recorder, async_client, client, webhook

PROBLEM = httpx.Response(
    404,
    headers={"content-type": "application/problem+json", "x-request-id": "r1"},
    json={"type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found", "detail": "not found"},
)
AGENTS = {"agents": []}


class RequestTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """Every request carries the key and takes JSON or problem details; trailing slashes of the address are cut."""
        server = Recorder(AGENTS)
        client(server).list_agents()
        self.assertEqual(str(server.last.url), "https://e2a.test/api/v1/agents")
        self.assertEqual(server.last.headers["authorization"], "Bearer e2a_key")
        self.assertIn("application/problem+json", server.last.headers["accept"])
        self.assertTrue(server.last.headers["user-agent"].startswith("e2a-python/"))
        self.assertNotIn("content-type", server.last.headers)

    def test_key(self) -> None:
        """The key comes from the environment when it is not given, and its absence is said at once."""
        with mock.patch.dict("os.environ", {"E2A_API_KEY": "e2a_env"}):
            self.assertEqual(E2AApi().transport.api_key, "e2a_env")
        with mock.patch.dict("os.environ", clear=True):
            for given in (None, "", " "):
                error = self.assertRaises(ValueError, E2AApi, given)
                self.assertIn("E2A_API_KEY", str(error))

    def test_no_key(self) -> None:
        """What cannot be a key is said at once, without repeating it."""
        for given in ("e2a_ключ", "e2a_1 2", "e2a_1\n2"):
            error = self.assertRaises(ValueError, E2AApi, given)
            self.assertNotIn(given, str(error))

    def test_no_proxy(self) -> None:
        """A server on this machine is asked without the environment's proxy, any other with it."""
        with mock.patch.dict(
            "os.environ", {"http_proxy": "http://proxy.test:1", "https_proxy": "http://proxy.test:1"}, clear=True
        ):
            for url, proxied in (
                ("http://localhost:8080", False),
                ("https://127.0.0.2/x", False),
                ("http://[::1]", False),
                ("https://mail.e2a.test", True),
            ):
                own = E2AApi("e2a_key", url).transport._client
                self.assertEqual(own._transport_for_url(httpx.URL(url)) is not own._transport, proxied, url)

    def test_closed(self) -> None:
        """A client closes the connections that are its own, however its block ends, and no others."""
        for given in (None, httpx.Client()):
            try:
                with E2AClient("e2a_key", http_client=given) as made:
                    raise LookupError
            except LookupError:
                self.assertEqual(made.api.transport._client.is_closed, given is None)

        async def run() -> None:
            for given in (None, httpx.AsyncClient()):
                async with AsyncE2AClient("e2a_key", http_client=given) as made:
                    pass
                self.assertEqual(made.api.transport._client.is_closed, given is None)
                await made.api.transport._client.aclose()

        asyncio.run(run())

    def test_not_copied(self) -> None:
        """A client, and what holds one, is not pickled or copied, as it holds a key; neither does its text show one."""
        made = client(Recorder(), key="e2a_secret")
        email = made.parse_webhook(json.dumps(webhook()), SECRET)
        for each in (made, made.api, email):
            self.assertNotIn("e2a_secret", repr(each) + repr(vars(each)))
            for copied in (pickle.dumps, copy.deepcopy):
                self.assertIn("make one where it is needed", str(self.assertRaises(TypeError, copied, each)))

    def test_info_needs_no_key(self) -> None:
        """What a deployment says of itself is fetched without a key, whatever the environment holds."""
        server = Recorder({"shared_domain": "agents.test", "unknown": [1]})
        own = httpx.Client(transport=httpx.MockTransport(server))
        with mock.patch.dict("os.environ", {"E2A_API_KEY": "e2a_env"}), mock.patch("httpx.Client", return_value=own):
            self.assertEqual(fetch_info("https://e2a.test").shared_domain, "agents.test")
        self.assertNotIn("authorization", server.last.headers)

    def test_paths(self) -> None:
        """What stands in a path is percent-encoded, and what would name another resource is refused unsent."""
        server = Recorder({})
        api = client(server).api
        api.get_message("a+b/c@d.test", "<m 1>")
        self.assertEqual(server.target, "GET /api/v1/agents/a%2Bb%2Fc%40d.test/messages/%3Cm%201%3E")
        for bad in ("", ".", ".."):
            self.assertRaises(ValueError, api.get_agent, bad)
        self.assertEqual(len(server.requests), 1)


class RefusalTests(SynchronousTestCase):
    def test_text(self) -> None:
        """A refusal in one line of text is an error with that line and its status."""
        server = Recorder(httpx.Response(404, text="not found\n"))
        error = self.assertRaises(E2AApiError, client(server).get_agent, "x@y.test")
        self.assertEqual((error.status_code, error.message, error.code), (404, "not found", ""))
        self.assertEqual(str(error), "e2a API error (404): not found")

    def test_problem(self) -> None:
        """Problem details become the line, the code, the field, the request id and the rest; errors can be pickled."""
        document = {"code": "delivery_failed", "detail": "no", "field": "to", "request_id": "r2", "status": 422, "x": 1}
        server = Recorder(httpx.Response(422, headers={"content-type": "application/problem+json"}, json=document))
        error = self.assertRaises(InvalidRequestError, client(server).send, ["a@b.test"], "s", "b")
        for each in (error, pickle.loads(pickle.dumps(error))):
            self.assertEqual(
                (each.message, each.code, each.field, each.request_id), ("no", "delivery_failed", "to", "r2")
            )
            self.assertEqual((each.details, str(each)), ({"x": 1}, "e2a API error (422): no"))

    def test_classes(self) -> None:
        """Each status has its class."""
        for status, kind in (
            (400, InvalidRequestError),
            (401, AuthenticationError),
            (402, QuotaExceededError),
            (403, PermissionDeniedError),
            (404, NotFoundError),
            (409, ConflictError),
            (412, ConflictError),
            (413, InvalidRequestError),
            (418, E2AApiError),
            (422, InvalidRequestError),
            (429, RateLimitError),
            (500, ServerError),
            (503, ServerError),
        ):
            server = Recorder(httpx.Response(status, text="no"))
            error = self.assertRaises(E2AApiError, client(server, retries=0).list_agents)
            self.assertIs(type(error), kind, status)

    def test_no_answer_of_ours(self) -> None:
        """A redirect, a page and JSON of another shape are errors of both kinds that programs may expect."""
        redirect = httpx.Response(308, headers={"location": "https://www.e2a.test/"})
        for answer in (redirect, httpx.Response(200, text="<html>"), httpx.Response(200, json={"agents": 3})):
            error = self.assertRaises(UnexpectedAnswerError, client(Recorder(answer)).list_agents)
            self.assertIsInstance(error, ValueError)
            self.assertIn("base_url", error.message)

    def test_retry_after(self) -> None:
        """A wait is read as seconds or as a date; nonsense is none."""
        for text, expected in (
            ("7", 7.0),
            ("Fri, 01 May 2026 12:00:10 GMT", 10.0),
            ("Fri, 01 May 2026 11:00:00 GMT", 0.0),
            ("soon", None),
            ("", None),
        ):
            self.assertEqual(client_errors.retry_after({"retry-after": text}, 1777636800.0), expected, text)


class RepetitionTests(SynchronousTestCase):
    def test_reads(self) -> None:
        """A read that fails for a passing reason is repeated, up to the limit."""
        for failure in (
            httpx.Response(503, text="away"),
            httpx.Response(429, headers={"retry-after": "1"}),
            httpx.ReadTimeout("late"),
            httpx.ConnectError("refused"),
            httpx.RemoteProtocolError("cut"),
        ):
            server = Recorder(failure, failure, AGENTS)
            self.assertEqual(client(server).list_agents().agents, [])
            self.assertEqual(len(server.requests), 3)
            server = Recorder(failure)
            self.assertRaises((E2AApiError, httpx.HTTPError), client(server, retries=1).list_agents)
            self.assertEqual(len(server.requests), 2)

    def test_not_for_good(self) -> None:
        """What repeating does not change is not repeated, nor what asks for a long wait."""
        for failure in (
            httpx.Response(404, text="no"),
            httpx.Response(500, text="no"),
            httpx.Response(429, headers={"retry-after": "3600"}),
            httpx.Response(503, json={"code": "sending_not_configured", "status": 503, "detail": "no way out"}),
        ):
            server = Recorder(failure)
            self.assertRaises(E2AApiError, client(server).list_agents)
            self.assertEqual(len(server.requests), 1)

    def test_writes(self) -> None:
        """Sending is repeated under one and the same key; what has no key is repeated only if it was never sent."""
        away = httpx.Response(503, text="away")
        server = Recorder(away, httpx.ReadTimeout("late"), {"status": "sent"})
        client(server).send(["a@b.test"], "s", "b")
        keys = {request.headers["idempotency-key"] for request in server.requests}
        self.assertEqual((len(server.requests), len(keys)), (3, 1))
        for failure in (away, httpx.ReadTimeout("late")):
            server = Recorder(failure)
            self.assertRaises((E2AApiError, httpx.HTTPError), client(server).create_key, "x")
            self.assertEqual(len(server.requests), 1)
        server = Recorder(httpx.ConnectError("refused"), {"id": "1"})
        self.assertEqual(client(server).create_key("x").id, "1")

    def test_pauses(self) -> None:
        """Pauses grow and vary, and are never shorter than the server asks."""
        endpoint = Endpoint("k", "https://e2a.test", 30, 5)
        asked = httpx.Response(429, headers={"retry-after": "20"})
        with mock.patch("random.uniform", return_value=1.0):
            pauses = [endpoint.pause_after(calls.list_agents(), n, httpx.Response(503)) for n in range(6)]
            self.assertEqual(pauses, [0.5, 1.0, 2.0, 4.0, 8.0, None])
            self.assertEqual(endpoint.pause_after(calls.list_agents(), 0, asked), 20.0)

    def test_asynchronous(self) -> None:
        """The asynchronous client repeats, reads and refuses alike."""

        async def run() -> None:
            server = Recorder(httpx.Response(502), AGENTS, PROBLEM)
            async with async_client(server) as made:
                self.assertEqual((await made.list_agents()).agents, [])
                try:
                    await made.get_agent("x@y.test")
                except NotFoundError as error:
                    self.assertEqual((error.code, error.request_id), ("not_found", "r1"))
                else:
                    self.fail("not refused")

        asyncio.run(run())
