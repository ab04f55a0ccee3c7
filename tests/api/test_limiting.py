"""Limits at the API: who is counted when, what the answers say, and how much may be under way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from e2a.api.app import Api
from e2a.api.auth import Authorizer
from e2a.api.limiting import Concurrency, Room
from e2a.api.routing import Call, Reply, Route, Stream, route
from e2a.core.errors import Busy, Conflict, TooManyRequests
from e2a.core.rules.limits import DEFAULTS, Allowance, Limit, LimitName

from .support import Client, authenticate, counting_random
from .test_openapi import whole_api

NOW = 1_000_000.0


class Counter:
    """A ``Limiter`` that lets as many pass as it is told."""

    def __init__(self, most: int = 2) -> None:
        self.most = most
        self.counted: list[tuple[str, str]] = []

    async def count(self, name: LimitName, whom: str) -> Allowance | None:
        if not self.most:
            return None
        used = sum(1 for one in self.counted if one == (name, whom))
        allowance = Allowance(Limit(name, self.most, 60), min(used + 1, self.most), 41.2, refused=used >= self.most)
        allowance.check()
        self.counted.append((name, whom))
        return allowance


class Limited:
    def __init__(self) -> None:
        self.waiting: list[Deferred[Any]] = []
        self.failing = False

    @route("POST", "/register", action="agents:write", summary="x", answers={200: None}, limit="register")
    async def register(self, call: Call) -> Any:
        return Reply(b"made")

    @route("GET", "/poll", action="messages:read", summary="x", answers={200: None}, limit="poll")
    async def poll(self, call: Call) -> Any:
        if self.failing:
            raise Conflict
        return {"read": True}

    @route("POST", "/send", action="messages:send", summary="x", answers={200: None}, limit="send", load="work")
    async def send(self, call: Call) -> Any:
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        await waiting
        return Reply(b"sent", allowance=Allowance(Limit("send", 60, 60), 3, 10.0))

    @route("GET", "/raw", action="messages:read", summary="x", answers={200: None}, load="work")
    async def raw(self, call: Call) -> Any:
        def chunks() -> Iterator[bytes]:
            self.seen = self.under_way()
            yield b"abc"

        return Reply(Stream(3, chunks()))

    def under_way(self) -> int:
        return -1


class LimitCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.counter, self.limited = Counter(), Limited()
        self.concurrency = Concurrency(lambda: 1.0, {"work": Room(3, 2), "wait": Room(1, 1)})
        self.limited.under_way = lambda: self.concurrency.under_way("work")  # type: ignore[method-assign]
        self.client = Client(
            Api(
                [self.limited],
                Authorizer(authenticate),
                clock=self.clock,
                random=counting_random(),
                limiter=self.counter,
                concurrency=self.concurrency,
            )
        )

    def limits(self, answer: Any) -> tuple[str | None, ...]:
        return tuple(answer.header(f"X-RateLimit-{name}") for name in ("Limit", "Remaining", "Reset"))


class RateTests(LimitCase):
    def test_what_is_left(self) -> None:
        """Answers say how many there may be, how many are left, and when the oldest stops to count."""
        self.assertEqual(self.limits(self.client.get(self, "/poll")), ("2", "1", "1000042"))
        self.limited.failing = True
        answer = self.client.get(self, "/poll")
        self.assertEqual((answer.code, self.limits(answer)), (409, ("2", "0", "1000042")))

    def test_refused(self) -> None:
        """Over the limit the answer is 429, says when to come again, and nothing is done or counted."""
        for _ in range(2):
            self.client.get(self, "/poll")
        answer = self.client.get(self, "/poll")
        self.assertEqual((answer.code, answer.header("Retry-After")), (429, "42"))
        self.assertEqual(self.limits(answer), ("2", "0", "1000042"))
        self.assertEqual(len(self.counter.counted), 2)

    def test_by_user(self) -> None:
        """Reading is counted for the user, once the credential is good."""
        self.assertEqual(self.client.get(self, "/poll", key="nobody").code, 401)
        self.assertEqual(self.client.get(self, "/poll", key="weak").code, 403)
        self.client.get(self, "/poll")
        self.assertEqual(self.counter.counted, [("poll", "user_a")])

    def test_by_client(self) -> None:
        """Registering is counted for the client's address before anything else, failures as well."""
        codes = [self.client.request(self, "POST", "/register", key=key).code for key in ("nobody", None, "whole")]
        self.assertEqual(codes, [401, 401, 429])
        self.assertEqual({name for name, _ in self.counter.counted}, {"register"})
        self.assertEqual({whom for _, whom in self.counter.counted}, {"127.0.0.1"})

    def test_off(self) -> None:
        """A deployment without the limit says nothing of it."""
        self.counter.most = 0
        self.assertEqual(self.limits(self.client.get(self, "/poll")), (None, None, None))

    def test_unknown(self) -> None:
        """A route cannot count for a limit that does not exist."""
        with self.assertRaises(TypeError):
            route("GET", "/x", action="public", summary="x", answers={200: None}, limit="often")  # type: ignore[arg-type]


class ConcurrencyTests(LimitCase):
    def refusal(self, error: type[Exception], organisation: str) -> Any:
        with self.assertRaises(error) as caught, self.concurrency.place("work", organisation):
            self.fail("there is no room")
        return caught.exception

    def test_room(self) -> None:
        """One organisation gets its share and no more, everybody together what there is; places come free again."""
        with self.concurrency.place("work", "a"), self.concurrency.place("work", "a"):
            self.assertEqual(self.refusal(TooManyRequests, "a").retry_after, 3)
            with self.concurrency.place("work", "b"):
                self.assertEqual(self.refusal(Busy, "c").retry_after, 3)
                with self.concurrency.place("wait", "a"), self.concurrency.place(None, "a"):
                    self.assertEqual(self.concurrency.under_way("wait"), 1)
        with self.assertRaises(ZeroDivisionError), self.concurrency.place("work", "a"):
            raise ZeroDivisionError
        self.assertEqual(self.concurrency.under_way("work"), 0)
        with self.concurrency.place("work", "a"), self.concurrency.place("work", "a"):
            pass

    def test_one_leaves(self) -> None:
        """Who leaves frees one place, and no more."""
        with self.concurrency.place("work", "a"):
            with self.concurrency.place("work", "a"):
                pass
            with self.concurrency.place("work", "a"):
                self.refusal(TooManyRequests, "a")

    def test_jitter(self) -> None:
        """Those who are sent away do not all come back at the same time."""
        waits = set()
        for jitter in (0.0, 0.5, 1.0):
            full = Concurrency(lambda jitter=jitter: jitter, {"work": Room(1, 0), "wait": Room(1, 0)})  # type: ignore[misc]
            with self.assertRaises(TooManyRequests) as caught, full.place("wait", "a"):
                self.fail("there is no room")
            waits.add(caught.exception.retry_after)
        self.assertEqual(waits, {8, 15, 23})

    def test_requests(self) -> None:
        """A place is held while the request is served: the next one over the share is refused, 429 or 503."""
        requests = [self.start("whole"), self.start("whole")]
        answer = self.client.request(self, "POST", "/send")
        self.assertEqual((answer.code, answer.header("Retry-After"), self.limits(answer)), (429, "3", (None,) * 3))
        requests.append(self.start("foreign"))
        answer = self.client.request(self, "POST", "/send", key="foreign")
        self.assertEqual((answer.code, answer.header("Retry-After")), (503, "3"))
        for waiting in self.limited.waiting:
            waiting.callback(None)
        self.client._treq.flush()
        response = self.successResultOf(requests[0])
        self.assertEqual(response.headers.getRawHeaders("X-RateLimit-Remaining"), ["57"])
        self.assertEqual(self.concurrency.under_way("work"), 0)

    def test_until_written(self) -> None:
        """A download holds its place until it is written."""
        self.assertEqual(self.client.get(self, "/raw").content, b"abc")
        self.assertEqual((self.limited.seen, self.concurrency.under_way("work")), (1, 0))

    def start(self, key: str) -> Any:
        return self.client._treq.request("POST", "http://api.test/send", headers={"Authorization": f"Bearer {key}"})


class DeclarationTests(SynchronousTestCase):
    def test_contract(self) -> None:
        """Exactly these operations are limited, and every way to send or to read much takes a place."""
        routes: list[Route] = whole_api().routes
        limited = {(one.method, one.path, one.limit) for one in routes if one.limit is not None}
        base = "/api/v1/agents/{email}"
        self.assertEqual(
            limited,
            {
                ("POST", "/api/v1/agents", "register"),
                ("POST", "/api/v1/send", "send"),
                ("POST", f"{base}/messages/{{id}}/reply", "send"),
                ("POST", f"{base}/messages/{{id}}/forward", "send"),
                ("POST", "/api/v1/messages/{id}/resend", "send"),
                ("POST", f"{base}/test", "send"),
                ("GET", f"{base}/messages", "poll"),
                ("GET", f"{base}/messages/{{id}}", "poll"),
                ("POST", "/api/feedback", "feedback"),
            },
        )
        sending = {(one.method, one.path) for one in routes if one.limit == "send"}
        self.assertLessEqual(sending, {(one.method, one.path) for one in routes if one.load == "work"})
        waiting = {one.path for one in routes if one.load == "wait"}
        self.assertEqual(waiting, {f"{base}/messages/wait"})

    def test_document(self) -> None:
        """The document names each operation's limit, its refusal, and the headers that say what is left."""
        api = whole_api()
        document = Client(api).get(self, "/api/v1/openapi.json", key=None).json
        for one in api.routes:
            operation = document["paths"][one.path][one.method.lower()]
            named = operation.get("x-rate-limit", {}).get("name")
            self.assertEqual(named, one.limit)
            if one.limit is not None:
                self.assertIn("429", operation["responses"])
                answer = operation["responses"][str(min(one.answers))]
                self.assertIn("X-RateLimit-Remaining", answer["headers"])

    def test_numbers(self) -> None:
        """The contract's numbers hold unless somebody sets others."""
        found = {name: (limit.most, limit.seconds) for name, limit in DEFAULTS.items()}
        self.assertEqual(found, {"register": (20, 3600), "send": (60, 60), "poll": (60, 60), "feedback": (10, 3600)})
