"""The published document and the routes are one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from typing import Any
from unittest import mock

import orjson
import yaml
from pydantic import BaseModel
from twisted.trial.unittest import SynchronousTestCase

import e2a.api
from e2a.api.app import Api
from e2a.api.live import Live
from e2a.api.messages import Messages
from e2a.api.models import Info
from e2a.api.openapi import document, operation_id
from e2a.api.routing import PUBLIC, Call, Query, route
from e2a.api.system import System

from .support import Client, make_app

INFO = Info(
    shared_domain="agents.test",
    slug_registration_enabled=True,
    public_url="https://e2a.test",
    version="1.2.3",
    max_message_bytes=1000,
)


def whole_api() -> Api:
    """Every resource of the daemon, over flows that do nothing."""
    nothing: Any = mock.Mock()
    system = System(INFO, nothing, lambda: api.routes)
    api = make_app(system, Messages(nothing), Live(nothing, nothing), *other_resources(nothing))
    return api


def other_resources(nothing: Any) -> list[Any]:
    """Every other resource class there is, each made with as many nothings as it takes."""
    found = []
    for entry in pkgutil.iter_modules(e2a.api.__path__):
        module = importlib.import_module(f"e2a.api.{entry.name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            routes = any(hasattr(each, "__e2a_routes__") for each in vars(kind).values())
            if kind.__module__ == module.__name__ and routes and kind not in (System, Messages, Live):
                parameters = inspect.signature(kind).parameters.values()
                named = {each.name: nothing for each in parameters if each.kind is each.KEYWORD_ONLY}
                found.append(kind(*[nothing] * (len(parameters) - len(named)), **named))
    return found


def references(tree: Any) -> set[str]:
    """Every ``$ref`` in a document."""
    if isinstance(tree, dict):
        return {tree["$ref"]} if isinstance(tree.get("$ref"), str) else set().union(*map(references, tree.values()))
    if isinstance(tree, list):
        return set().union(*map(references, tree))
    return set()


class DocumentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = whole_api()
        self.client = Client(self.api)
        self.document = self.client.get(self, "/api/v1/openapi.json", key=None).json

    def test_same_operations(self) -> None:
        """Every route is in the document, and every operation of the document is a route."""
        served = {(route.method.lower(), route.path) for route in self.api.routes}
        described = {(method, path) for path, methods in self.document["paths"].items() for method in methods}
        self.assertEqual(served, described)
        self.assertGreater(len(served), 10)

    def test_operations_answer(self) -> None:
        """What the document describes is served: no described path is answered 404 or 405 for want of a route."""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                public = operation["security"] == []
                concrete = re.sub(r"\{\w+\}", "x", path)
                if not public:
                    answer = self.client.request(self, method.upper(), concrete, key=None)
                    self.assertEqual(answer.code, 401, (method, path))

    def test_declared_credentials(self) -> None:
        """Operations without a credential are exactly the public ones."""
        public = {route.path for route in self.api.routes if route.action == PUBLIC}
        open_paths = {
            path for path, each in self.document["paths"].items() for one in each.values() if not one["security"]
        }
        self.assertEqual(public, open_paths)
        self.assertEqual(
            public,
            {
                "/api/auth/logout",
                "/api/health",
                "/api/ready",
                "/api/feedback",
                "/api/v1/info",
                "/api/v1/openapi.json",
                "/api/v1/openapi.yaml",
            },
        )

    def test_one_document(self) -> None:
        """The YAML and the JSON form say the same."""
        answer = self.client.get(self, "/api/v1/openapi.yaml", key=None)
        self.assertEqual(answer.header("Content-Type"), "application/yaml")
        self.assertEqual(yaml.safe_load(answer.content), self.document)

    def test_references(self) -> None:
        """Every reference leads somewhere within the document."""
        for reference in references(self.document):
            node = self.document
            for step in reference.removeprefix("#/").split("/"):
                node = node[step]

    def test_operation_ids(self) -> None:
        """Operation ids are unique, since clients are generated from them."""
        names = [operation_id(route) for route in self.api.routes]
        self.assertEqual(len(names), len(set(names)))

    def test_groups(self) -> None:
        """Every operation is in one of the groups that the document explains, and every group has operations."""
        used = {tag for methods in self.document["paths"].values() for each in methods.values() for tag in each["tags"]}
        self.assertEqual(used, {tag["name"] for tag in self.document["tags"]})

    def test_session_only(self) -> None:
        """Operations that are closed to keys ask for a session and nothing else."""
        closed = [each for each in self.api.routes if each.session_only]
        self.assertGreater(len(closed), 5)
        for each in closed:
            operation = self.document["paths"][each.path][each.method.lower()]
            self.assertEqual(operation["security"], [{"session": []}])

    def test_path_parameters(self) -> None:
        """Every parameter of a path is described, and no other."""
        for path, methods in self.document["paths"].items():
            for operation in methods.values():
                described = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
                self.assertEqual(described, set(re.findall(r"\{(\w+)\}", path)))

    def test_frame(self) -> None:
        """The document names its version, the product's and the server."""
        self.assertEqual(self.document["openapi"], "3.1.0")
        self.assertEqual(self.document["info"]["version"], "1.2.3")
        self.assertEqual(self.document["servers"], [{"url": "https://e2a.test"}])


class Wanted(BaseModel):
    name: str
    size: int = 1


class Made(BaseModel):
    id: str
    note: str | None = None


class GenerationTests(SynchronousTestCase):
    """On a route made for the purpose."""

    def setUp(self) -> None:
        class Example:
            @route(
                "POST",
                "/things/{id}",
                action="agents:write",
                summary="Make a thing",
                body=Wanted,
                answers={201: Made},
                errors=(409,),
                query=[Query("dry", "only try", {"type": "boolean"})],
            )
            async def make(self, call: Call) -> None: ...

        self.document = document(make_app(Example()).routes, version="0", server="")
        self.operation = self.document["paths"]["/things/{id}"]["post"]

    def test_bodies(self) -> None:
        """Body and answer refer to the models' schemas."""
        body = self.operation["requestBody"]
        self.assertTrue(body["required"])
        self.assertEqual(body["content"]["application/json"]["schema"], {"$ref": "#/components/schemas/Wanted"})
        answer = self.operation["responses"]["201"]["content"]["application/json"]["schema"]
        self.assertEqual(answer, {"$ref": "#/components/schemas/Made"})
        self.assertEqual(self.document["components"]["schemas"]["Wanted"]["required"], ["name"])

    def test_errors(self) -> None:
        """Declared errors and those that follow from the declaration are listed, each in both forms."""
        self.assertEqual(set(self.operation["responses"]), {"201", "400", "401", "403", "409", "413", "500", "503"})
        shared = self.document["components"]["responses"]["409"]["content"]
        self.assertEqual(set(shared), {"text/plain", "application/problem+json"})

    def test_phrases(self) -> None:
        """Statuses are called what RFC 9110 calls them, which not every Python does."""
        self.assertEqual(self.document["components"]["responses"]["413"]["description"], "Content Too Large")

    def test_permission(self) -> None:
        """The permission that an operation needs is named."""
        self.assertIn("agents:write", self.operation["description"])

    def test_is_json(self) -> None:
        """The document is plain data."""
        self.assertEqual(orjson.loads(orjson.dumps(self.document)), self.document)
