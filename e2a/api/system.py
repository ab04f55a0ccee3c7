"""What the service says of itself: alive, ready, what it is, what it serves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import yaml

from e2a.core.rules.permissions import PUBLIC

from .errors import UNAVAILABLE_RETRY
from .models import Health, Info, Readiness
from .openapi import document
from .routing import Call, Reply, Route, route

#: In C where PyYAML was built with it: this runs on the reactor.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

#: What keeps the service from being ready, one phrase for outsiders by the name of each check; empty when it is ready.
Failing = Callable[[], Awaitable[Mapping[str, str]]]


class System:
    """:param failing: asked for every readiness request (``flows.readiness``).
    :param routes: gives every route that is served; asked when the document is first wanted, since this resource's own
        routes are among them.
    """

    def __init__(self, info: Info, failing: Failing, routes: Callable[[], list[Route]]) -> None:
        self._info = info
        self._failing = failing
        self._routes = routes
        self._texts: dict[str, bytes] = {}

    @route("GET", "/api/health", action=PUBLIC, summary="Whether the process answers", answers={200: Health})
    async def health(self, call: Call) -> Any:
        return {"status": "ok"}

    @route(
        "GET",
        "/api/ready",
        action=PUBLIC,
        summary="Whether requests and mail can be served now",
        answers={200: Readiness, 503: Readiness},
    )
    async def ready(self, call: Call) -> Any:
        failing = dict(await self._failing())
        if failing:
            headers = {"Retry-After": str(UNAVAILABLE_RETRY)}
            return Reply({"status": "unavailable", "failing": failing}, 503, headers)
        return {"status": "ready", "failing": {}}

    @route("GET", "/api/v1/info", action=PUBLIC, summary="What this deployment is", answers={200: Info})
    async def info(self, call: Call) -> Any:
        return self._info

    @route(
        "GET",
        "/api/v1/openapi.json",
        action=PUBLIC,
        summary="This document as JSON",
        answers={200: None},
    )
    async def openapi_json(self, call: Call) -> Any:
        return Reply(self._text("json"))

    @route(
        "GET",
        "/api/v1/openapi.yaml",
        action=PUBLIC,
        summary="This document as YAML",
        answers={200: None},
        media_type="application/yaml",
    )
    async def openapi_yaml(self, call: Call) -> Any:
        return Reply(self._text("yaml"), content_type="application/yaml")

    def _text(self, form: str) -> bytes:
        if not self._texts:
            tree = document(self._routes(), version=self._info.version, server=self._info.public_url)
            self._texts["json"] = orjson.dumps(tree) + b"\n"
            text = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
            self._texts["yaml"] = text.encode()
        return self._texts[form]
