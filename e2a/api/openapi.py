"""The OpenAPI 3.1 document, made from the routes that are served."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from e2a.core.rules.limits import COUNTED_BY
from e2a.core.rules.permissions import PUBLIC, SELF
from e2a.core.rules.signin import SESSION_COOKIE

from .errors import PROBLEM, phrase
from .models import Problem
from .routing import Route

_REF = "#/components/schemas/{model}"
_SESSION_ONLY = "For a signed-in person; keys are refused."
_ANY_CREDENTIAL = "Any credential will do."

#: What the parameters of paths are.
_PATH_PARAMETERS = {
    "email": "an agent's address; @ may be sent as it is or as %40",
    "id": "an identifier as lists show it",
    "index": "the number of an attachment, from 0",
    "domain": "a domain name",
    "address": "an e-mail address",
    "conversation": "a conversation's id",
    "user_id": "a member's user id",
}


#: What operations are grouped under, in the order in which a reader needs them: name, what it is about, and the paths,
#: without their prefix.
RESOURCES = (
    ("Agents", "The addresses that receive and send mail.", r"/agents(/{email})?"),
    (
        "Received mail",
        "An agent's mailbox: lists, messages, attachments, the long poll and the WebSocket.",
        r"/agents/{email}/(ws|messages(/wait|/{id}(/raw|/attachments/{index})?)?)",
    ),
    ("Conversations", "Received and sent mail in its threads.", r"/agents/{email}/conversations(/.*)?"),
    ("Sending", "New mail, answers and forwarded mail.", r"/send|/agents/{email}/(test|messages/{id}/(reply|forward))"),
    (
        "Submitted mail and review",
        "What agents send, how it stands, and the decision on what is held.",
        r"/messages(/.*)?",
    ),
    (
        "Webhook deliveries",
        "How mail reached the webhook of an agent, attempt by attempt.",
        r"/agents/{email}/(deliveries|messages/{id}/(delivery|redeliver))",
    ),
    ("Domains", "Domains for agents, and their DNS records.", r"/domains(/.*)?"),
    ("Delegations", "For whom an agent acts.", r"/agents/{email}/delegations(/.*)?"),
    ("Suppressed addresses", "Addresses that the account's agents do not write to.", r"/suppressions(/.*)?"),
    ("Keys", "API keys, and what the caller's own credential may do.", r"/me|/keys(/.*)?"),
    ("Signing secrets", "What deliveries are signed with.", r"/users/me/signing-secrets(/.*)?"),
    ("Organisation", "The organisation, its members and invitations.", r"/(organisations?|members|invitations)(/.*)?"),
    ("Sessions", "People who are signed in with a browser.", r"/(auth|sessions?)(/.*)?"),
    ("Usage and audit", "How much mail there was, and who did what.", r"/(usage|audit)(/.*)?"),
    ("Account data", "Everything of an account, to take or to delete.", r"/users/me(/export)?"),
    ("Deployment", "What this deployment is, and whether it works.", r"/(health|ready|info|feedback|openapi\..*)"),
    ("Operator", "For the operator of the deployment.", r"/operator/.*"),
)

#: What limited operations answer, refusals included; absent where this deployment has no such limit, and where nothing
#: was counted.
_LIMIT_HEADERS = {
    "X-RateLimit-Limit": "how many requests there may be in the window",
    "X-RateLimit-Remaining": "how many of them are left",
    "X-RateLimit-Reset": "the Unix time at which the oldest of those counted stops to count",
}


def document(routes: Iterable[Route], *, version: str, server: str) -> dict[str, Any]:
    """The document as plain data.

    :param server: where the API is reached; "" leaves that to where the document was fetched from.
    """
    routes = list(routes)
    models = _models(routes)
    # Answers are described as they are sent and requests as they may be sent: a field with a default is optional only
    # in the latter.
    refs, schemas = models_json_schema(
        [(model, mode) for model, mode in sorted(models, key=lambda entry: (entry[0].__name__, entry[1]))],
        ref_template=_REF,
    )
    paths: dict[str, Any] = {}
    for route in sorted(routes, key=lambda each: (each.path, each.method)):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "e2a",
            "version": version,
            "summary": "An authenticated e-mail gateway for AI agents",
            "description": (
                "Failures are one line of text; send `Accept: application/problem+json` for RFC 9457 objects. "
                "Every answer carries `X-Request-Id`."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server or "/"}],
        "tags": [{"name": name, "description": description} for name, description, _ in RESOURCES],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "an API key"},
                "queryKey": {"type": "apiKey", "in": "query", "name": "token", "description": "an API key"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SESSION_COOKIE,
                    "description": "a signed-in person; with the header X-CSRF-Token where something changes",
                },
            },
            "responses": {
                str(status): {
                    "description": phrase(status),
                    "content": {
                        "text/plain": {"schema": {"type": "string"}},
                        PROBLEM: {"schema": {"$ref": _REF.format(model="Problem")}},
                    },
                }
                for status in sorted({status for route in routes for status in _errors(route)})
            },
            "headers": {
                name: {"description": description, "schema": {"type": "integer"}}
                for name, description in _LIMIT_HEADERS.items()
            },
        },
    }


def operation_id(route: Route) -> str:
    """One name for each operation, such as ``get_agents_email_messages``."""
    words = [word.strip("{}").replace("-", "_").replace(".", "_") for word in route.path.split("/") if word]
    return "_".join([route.method.lower(), *(word for word in words if word not in ("api", "v1"))])


def _models(routes: list[Route]) -> set[tuple[type[BaseModel], Any]]:
    models: set[tuple[type[BaseModel], Any]] = {(Problem, "serialization")}
    for route in routes:
        if route.body is not None:
            models.add((route.body, "validation"))
        models.update((model, "serialization") for model in route.answers.values() if model is not None)
    return models


def _errors(route: Route) -> set[int]:
    """A route's own error statuses and those that follow from its declaration."""
    statuses = {*route.errors, 500}
    if route.action != PUBLIC:
        statuses |= {401, 403, 503}
    if route.body is not None:
        statuses |= {400, 413}
    if route.query:
        statuses.add(400)
    if route.limit is not None:
        statuses.add(429)
    if route.load is not None:
        statuses |= {429, 503}
    return statuses


def _operation(route: Route, refs: Any) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "summary": route.summary,
        "tags": [_tag(route)],
    }
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS.get(name, "an identifier"),
            "schema": {"type": "integer", "minimum": 0} if name == "index" else {"type": "string"},
        }
        for name in route.parameters
    ]
    parameters += [
        {"name": query.name, "in": "query", "description": query.description, "schema": dict(query.schema)}
        for query in route.query
    ]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        operation["requestBody"] = {
            "required": bool(route.body.model_json_schema().get("required")),
            "content": {"application/json": {"schema": refs[route.body, "validation"]}},
        }
    if route.limit is not None:
        operation["x-rate-limit"] = {"name": route.limit, "counted_by": COUNTED_BY[route.limit]}
    answers: dict[str, Any] = {}
    for status, model in sorted(route.answers.items()):
        answer: dict[str, Any] = {"description": phrase(status)}
        if route.limit is not None:
            answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _LIMIT_HEADERS}
        if model is not None:
            answer["content"] = {route.media_type: {"schema": refs[model, "serialization"]}}
        elif status == 200 and route.media_type != "application/json":
            answer["content"] = {route.media_type: {"schema": {"type": "string"}}}
        answers[str(status)] = answer
    for status in sorted(_errors(route)):
        answers.setdefault(str(status), {"$ref": f"#/components/responses/{status}"})
    operation["responses"] = answers
    if route.action == PUBLIC:
        operation["security"] = []
    else:
        schemes = ["session"] if route.session_only else ["key", "session"]
        if route.query_token:
            schemes.insert(1, "queryKey")
        operation["security"] = [{scheme: []} for scheme in schemes]
        operation["description"] = (
            _SESSION_ONLY
            if route.session_only
            else _ANY_CREDENTIAL
            if route.action == SELF
            else f"Needs the permission `{route.action}`."
        )
    return operation


def _tag(route: Route) -> str:
    path = route.path.removeprefix("/api").removeprefix("/v1")
    return next((name for name, _, pattern in RESOURCES if re.fullmatch(pattern, path)), "Other")
