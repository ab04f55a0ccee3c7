"""The steps every request takes, on resources made for the purpose. All handlers answer without a reactor turn."""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import BaseModel
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource

from e2a.api.body import read_json
from e2a.api.routing import PUBLIC, Call, Query, Reply, Stream, route
from e2a.core.errors import BadRequest, NotFound, TooManyRequests, Unavailable

from .support import Client, counting_random, make_app


class Thing(BaseModel):
    name: str
    size: int = 1
    tags: list[str] = []
    mode: Literal["cloud", "local"] = "cloud"
    note: str | None = None


class Inner(BaseModel):
    parts: list[Thing] = []


class Example:
    def __init__(self) -> None:
        self.seen: Any = None
        self.pending: Deferred[Any] = Deferred()

    @route("GET", "/open", action=PUBLIC, summary="Open", answers={200: None})
    async def open(self, call: Call) -> Any:
        return {"caller": call.caller and call.caller.user_id, "ip": call.client_ip, "id": call.request_id}

    @route(
        "GET",
        "/agents/{email}/things",
        action="messages:read",
        summary="Things",
        answers={200: None},
        query=[Query("q", "A word"), Query("n", "A number")],
    )
    async def things(self, call: Call) -> Any:
        return {"email": call.path["email"], "agent": call.agent_id, "q": call.query, "n": call.whole("n", 1, 100, 50)}

    @route("GET", "/agents/{email}/things/wait", action="messages:read", summary="Wait", answers={200: None})
    async def wait(self, call: Call) -> Any:
        return await self.pending

    @route("POST", "/things", action="agents:write", summary="Make", body=Thing, answers={201: Thing}, max_body=300)
    async def make(self, call: Call) -> Any:
        self.seen = call.body
        return Reply(call.body, 201)

    @route("PUT", "/things", action="agents:write", summary="Nest", body=Inner, answers={200: None})
    async def nest(self, call: Call) -> Any:
        return [part.name for part in call.body.parts]

    @route("DELETE", "/things", action="agents:write", summary="Drop", answers={204: None})
    async def drop(self, call: Call) -> Any:
        return Reply(status=204)

    @route("GET", "/fail/{how}", action=PUBLIC, summary="Fail", answers={200: None})
    async def fail(self, call: Call) -> Any:
        if call.path["how"] == "missing":
            raise NotFound("no such thing")
        if call.path["how"] == "busy":
            raise TooManyRequests("slow down", retry_after=17)
        if call.path["how"] == "away":
            raise Unavailable from OSError("db.internal:5432 refused")
        if call.path["how"] == "cancelled":
            raise CancelledError
        raise RuntimeError("relation secret_table does not exist")

    @route("GET", "/stream", action=PUBLIC, summary="Stream", answers={200: None}, media_type="text/plain")
    async def stream(self, call: Call) -> Any:
        return Reply(Stream(300_000, iter([b"a" * 100_000] * 3)), content_type="text/plain")


class AppTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.example = Example()
        self.clock = Clock()
        self.client = Client(make_app(self.example, clock=self.clock))

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        return self.client.request(self, method, path, **kwargs)

    def test_json(self) -> None:
        """An answer is JSON with a trailing newline, exactly application/json, and carries the common headers."""
        answer = self.call("GET", "/open", key=None)
        self.assertEqual(answer.code, 200)
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertTrue(answer.text.endswith("}\n"))
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.header("X-Request-Id"), answer.json["id"])
        self.assertIsNone(answer.json["caller"])
        self.assertEqual(answer.length, len(answer.content))

    def test_request_ids_differ(self) -> None:
        """Every request has its own id."""
        ids = {self.call("GET", "/open", key=None).header("X-Request-Id") for _ in range(3)}
        self.assertEqual(len(ids), 3)

    def test_paths_are_decoded(self) -> None:
        """A raw @ and %40 name the same agent, which is looked up in lower case."""
        for path in ("/agents/Bot@agents.test/things", "/agents/Bot%40agents.test/things"):
            answer = self.call("GET", path)
            self.assertEqual(answer.json["email"], "Bot@agents.test")
            self.assertEqual(answer.json["agent"], "bot@agents.test")

    def test_no_credential(self) -> None:
        """Without a credential a protected route is 401 and says how to authenticate."""
        answer = self.call("GET", "/agents/a@b/things", key=None)
        self.assertEqual(answer.code, 401)
        self.assertEqual(answer.header("WWW-Authenticate"), 'Bearer realm="e2a"')
        self.assertEqual(answer.header("Content-Type"), "text/plain; charset=utf-8")

    def test_bad_credentials(self) -> None:
        """A present but bad Authorization header is 401, whatever is wrong with it."""
        for value in ("Bearer nope", "Basic d2hvbGU6", "Bearer", "whole", "Bearer " + "x" * 600, "Bearer whole extra"):
            answer = self.call("GET", "/agents/a@b/things", key=None, headers={"Authorization": value})
            self.assertEqual(answer.code, 401, value)

    def test_scheme_in_any_case(self) -> None:
        """The scheme's name is matched without regard to case (RFC 9110 11.1)."""
        answer = self.call("GET", "/agents/a@b/things", key=None, headers={"Authorization": "bearer whole"})
        self.assertEqual(answer.code, 200)

    def test_missing_permission(self) -> None:
        """A good key without the route's permission is 403 and the answer names the permission."""
        answer = self.call("GET", "/agents/a@b/things", key="weak")
        self.assertEqual(answer.code, 403)
        self.assertIn("messages:read", answer.text)

    def test_bound_key(self) -> None:
        """A key bound to an agent sees its agent in any case, and every other as unknown."""
        self.assertEqual(self.call("GET", "/agents/BOT@agents.test/things", key="bound").code, 200)
        self.assertEqual(self.call("GET", "/agents/other@agents.test/things", key="bound").code, 404)

    def test_unknown_path(self) -> None:
        """An unknown path is 404; so are trailing and doubled slashes, which redirect nowhere."""
        for path in ("/nowhere", "/open/", "//open", "/agents//things", "/"):
            self.assertEqual(self.call("GET", path).code, 404, path)

    def test_wrong_method(self) -> None:
        """A known path with another method is 405 and names the methods it has."""
        answer = self.call("PATCH", "/things")
        self.assertEqual(answer.code, 405)
        self.assertEqual(answer.header("Allow"), "DELETE, POST, PUT")
        self.assertEqual(self.call("OPTIONS", "/open").code, 405)

    def test_head(self) -> None:
        """HEAD answers like GET, without the body."""
        head = self.call("HEAD", "/open", key=None)
        self.assertEqual(head.code, 200)
        self.assertEqual(head.content, b"")
        self.assertGreater(int(head.header("Content-Length")), 10)

    def test_no_content(self) -> None:
        """204 has neither body nor length nor type."""
        answer = self.call("DELETE", "/things")
        self.assertEqual((answer.code, answer.content), (204, b""))
        self.assertIsNone(answer.header("Content-Type"))
        self.assertIsNone(answer.header("Content-Length"))

    def test_undecodable(self) -> None:
        """A path that is not UTF-8 or holds NUL, and an impossible Host, are 400 and log no traceback."""
        self.assertEqual(self.call("GET", "/agents/%ff/things").code, 400)
        self.assertEqual(self.call("GET", "/agents/a%00b/things").code, 400)
        self.assertEqual(self.call("GET", "/open", headers={"Host": "a..b"}).code, 400)

    def test_query(self) -> None:
        """Only declared query parameters arrive, decoded, the first of several."""
        answer = self.call("GET", "/agents/a@b/things?q=%C3%A9&q=2&other=1&n=7")
        self.assertEqual((answer.json["q"], answer.json["n"]), ({"q": "é", "n": "7"}, 7))

    def test_bad_query(self) -> None:
        """A number out of range or none at all, NUL and invalid UTF-8 are 400 and name the parameter."""
        for query in ("n=0", "n=101", "n=x", "n=", "n=-1", "n=%D9%A3", "n=" + "9" * 30, "q=%00", "q=%ff"):
            answer = self.call("GET", f"/agents/a@b/things?{query}")
            self.assertEqual(answer.code, 400, query)
            self.assertIn(query[0], answer.text)

    def test_body(self) -> None:
        """A body becomes its model: unknown fields are ignored, null equals absent."""
        answer = self.call("POST", "/things", data=b'{"name":"x","extra":{"a":1},"size":null,"mode":"local"}')
        self.assertEqual(answer.code, 201)
        self.assertEqual(self.example.seen, Thing(name="x", mode="local"))
        self.assertEqual(answer.json["name"], "x")

    def test_form_content_type(self) -> None:
        """The declared content type does not matter: curl's default sends JSON as a form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self.assertEqual(self.call("POST", "/things", data=b'{"name":"a=b&c"}', headers=headers).code, 201)
        self.assertEqual(self.example.seen.name, "a=b&c")

    def test_bad_bodies(self) -> None:
        """Broken JSON, a wrong type, a missing field and NUL are 400, and the answer names the field."""
        cases = [
            (b"{", "JSON"),
            (b"[]", "object"),
            (b'"x"', "object"),
            (b'{"name":"\\ud800"}', "JSON"),
            (b'{"name":NaN}', "JSON"),
            (b"", "name is required"),
            (b'{"name":null}', "name is required"),
            (b'{"name":5}', "name must be a string"),
            (b'{"name":"x","size":"5"}', "size must be a whole number"),
            (b'{"name":"x","size":1.5}', "size must be a whole number"),
            (b'{"name":"x","size":true}', "size must be a whole number"),
            (b'{"name":"x","tags":"a"}', "tags must be an array"),
            (b'{"name":"x","tags":["a",1]}', "tags.1 must be a string"),
            (b'{"name":"x","mode":"maybe"}', "mode must be one of 'cloud' or 'local'"),
            (b'{"name":"a\\u0000b"}', "name must not contain NUL"),
            (b'{"name":"x","extra":{"deep":["\\u0000"]}}', "extra.deep.0 must not contain NUL"),
        ]
        for raw, text in cases:
            answer = self.call("POST", "/things", data=raw)
            self.assertEqual(answer.code, 400, raw)
            self.assertIn(text, answer.text)
            self.assertEqual(answer.text.count("\n"), 1)

    def test_nested_fields(self) -> None:
        """A fault deep inside is named by its path."""
        answer = self.call("PUT", "/things", data=b'{"parts":[{"name":"a"},{"name":{}}]}')
        self.assertEqual((answer.code, answer.text), (400, "parts.1.name must be a string\n"))

    def test_many_values(self) -> None:
        """A body of very many values is 400, and long paths to many values take no time to speak of."""
        for many in (b'{"parts":[' + b"0," * 60_000 + b"0]}", b'{"parts":[' + b"[[]]," * 30_000 + b"0]}"):
            began = time.thread_time()
            error = self.assertRaises(BadRequest, read_json, many, Inner, len(many))
            self.assertEqual(error.text, "the request body may hold at most 50000 values")
            self.assertLess(time.thread_time() - began, 0.1)
        for open_ended in (b'{"' + b'\\"' * 300_000, b'{"' + b'\\"' * 300_000 + b"\\"):
            began = time.thread_time()
            self.assertRaises(BadRequest, read_json, open_ended, Inner, len(open_ended))
            self.assertLess(time.thread_time() - began, 0.1)
        text = b'{"parts":[{"name":"' + b'[{,\\"' * 30_000 + b'"}]}'
        self.assertEqual(len(read_json(text, Inner, len(text)).parts[0].name), 120_000)
        deep = b"".join(b'{"%060d":' % number for number in range(900))
        raw = b'{"x":' + deep + b"[" + b"0," * 40_000 + b"0]" + b"}" * 901
        began = time.thread_time()
        self.assertRaises(BadRequest, read_json, raw, Inner, len(raw))
        self.assertLess(time.thread_time() - began, 0.2)

    def test_deep_nesting(self) -> None:
        """Nesting of any depth is answered 400, not with a failure."""
        for depth in (200, 300, 1000, 5000):
            answer = self.call("PUT", "/things", data=b'{"parts":' + b"[" * depth + b"]" * depth + b"}")
            self.assertEqual(answer.code, 400, depth)

    def test_oversized_body(self) -> None:
        """A body over the route's cap is 413 even where no port has counted it."""
        answer = self.call("POST", "/things", data=b'{"name":"' + b"x" * 300 + b'"}')
        self.assertEqual(answer.code, 413)

    def test_plain_errors(self) -> None:
        """An error is one line of text by default."""
        answer = self.call("GET", "/fail/missing")
        self.assertEqual((answer.code, answer.text), (404, "no such thing\n"))
        self.assertEqual(answer.header("Content-Type"), "text/plain; charset=utf-8")

    def test_problem_errors(self) -> None:
        """Who accepts application/problem+json gets an RFC 9457 object with code, detail, field and request id."""
        accept = {"Accept": "application/json, application/problem+json;q=0.8"}
        answer = self.call("POST", "/things", data=b'{"name":1}', headers=accept)
        self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        self.assertEqual(
            answer.json,
            {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "code": "bad_request",
                "detail": "name must be a string",
                "field": "name",
                "request_id": answer.header("X-Request-Id"),
            },
        )
        missing = self.call("GET", "/nowhere", headers=accept)
        self.assertEqual((missing.json["status"], missing.json["code"]), (404, "not_found"))
        wrong = self.call("PATCH", "/things", headers=accept)
        self.assertEqual((wrong.json["status"], wrong.json["code"]), (405, "method_not_allowed"))

    def test_problem_refused(self) -> None:
        """A weight of zero means that the client does not want the object."""
        answer = self.call("GET", "/nowhere", headers={"Accept": "application/problem+json;q=0.0"})
        self.assertEqual(answer.header("Content-Type"), "text/plain; charset=utf-8")

    def test_retry_after(self) -> None:
        """429 and 503 say when to come back."""
        self.assertEqual(self.call("GET", "/fail/busy").header("Retry-After"), "17")
        away = self.call("GET", "/fail/away")
        self.assertEqual((away.code, away.header("Retry-After")), (503, "5"))
        self.assertNotIn("db.internal", away.text)

    def test_unexpected(self) -> None:
        """An unexpected failure is a generic 500 with the request id; its detail is in the log alone."""
        answer = self.call("GET", "/fail/unexpected")
        self.assertEqual(answer.code, 500)
        self.assertNotIn("secret_table", answer.text)
        self.assertIsNotNone(answer.header("X-Request-Id"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_cancelled_inside(self) -> None:
        """A cancellation that is not the client's doing is answered all the same."""
        self.assertEqual(self.call("GET", "/fail/cancelled").code, 500)
        self.flushLoggedErrors(CancelledError)

    def test_stream(self) -> None:
        """A stream arrives whole, with its length declared, and leaves no timer behind."""
        answer = self.call("GET", "/stream", key=None)
        self.assertEqual((answer.length, answer.content), (300_000, b"a" * 300_000))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stream_head(self) -> None:
        """HEAD on a stream declares its length."""
        answer = self.call("HEAD", "/stream", key=None)
        self.assertEqual((answer.header("Content-Length"), answer.content), ("300000", b""))

    def test_root_is_a_resource(self) -> None:
        """What the class makes can be the root of a site."""
        self.assertTrue(IResource.providedBy(make_app(self.example)))


class RegistrationTests(SynchronousTestCase):
    def test_action_is_required(self) -> None:
        """A route that does not say who may call it fails where it is declared."""
        with self.assertRaises(TypeError):
            route("GET", "/x", summary="x", answers={})  # type: ignore[call-arg]
        for action in ("", "messages:everything"):
            with self.assertRaises(TypeError):
                route("GET", "/x", action=action, summary="x", answers={})

    def test_method_and_path(self) -> None:
        """Only ordinary methods and absolute paths can be declared."""
        for method, path in (("BREW", "/x"), ("GET", "x")):
            with self.assertRaises(TypeError):
                route(method, path, action=PUBLIC, summary="x", answers={})

    def test_body_limits(self) -> None:
        """The cap of a request follows from its route, and is the default where there is none."""
        app = make_app(Example())
        self.assertEqual(app.body_limit(b"POST", b"/things?x=1"), 300)
        self.assertEqual(app.body_limit(b"PUT", b"/things"), 65_536)
        self.assertEqual(app.body_limit(b"POST", b"/nowhere"), 65_536)
        self.assertEqual(app.body_limit(b"POST", b"/%ff"), 65_536)

    def test_counting(self) -> None:
        """The byte source of these tests does not repeat."""
        random = counting_random()
        self.assertNotEqual(random(8), random(8))
