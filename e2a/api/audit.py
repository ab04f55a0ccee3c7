"""``/api/v1/audit``: what was done in the organisation, by whom, from where."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import Field

from e2a.core.entities import AuditEvent, AuditResult
from e2a.core.errors import BadRequest
from e2a.flows.audit import AuditFilters, AuditLog, action_filter

from .models import Shape
from .models_accounts import exact
from .routing import Call, Flow, Query, Reply, paged, route

LONGEST_FILTER = 300

_FILTERS = (
    Query("action", "this action, or all that begin with it when it ends in `.` or `*`: `key.created`, `key.*`"),
    Query("user_id", "only what this person did, or a key of theirs"),
    Query("key_prefix", "only what was done with this key"),
    Query("resource_type", "only what was done to things of this kind: `key`, `agent`, `domain`..."),
    Query("resource_id", "only what was done to this thing"),
    Query("result", "only with this result", {"type": "string", "enum": ["ok", "refused", "failed"]}),
    Query("since", "not before this time", {"type": "string", "format": "date-time"}),
    Query("until", "before this time", {"type": "string", "format": "date-time"}),
)


class AuditLine(Shape):
    """One line of the audit log."""

    id: str
    organisation_id: str
    at: str
    action: str = Field(description="`<what>.<past participle>`")
    resource_type: str
    resource_id: str
    user_id: str | None = Field(description="who did it, or whose key; null: nobody who was signed in")
    key_prefix: str = Field(description="the key that was used; empty for a session")
    client_ip: str
    user_agent: str
    request_id: str = Field(description="the X-Request-Id of the answer")
    result: Literal["ok", "refused", "failed"]
    detail: dict[str, Any]


class AuditLines(Shape):
    events: list[AuditLine] = Field(description="Newest first.")
    next_token: str = Field("", description="Absent on the last page.")


class AuditResource:
    def __init__(self, log: AuditLog) -> None:
        self._log = log

    @route(
        "GET",
        "/api/v1/audit",
        action="audit:read",
        summary="List what was done in the organisation, newest first",
        answers={200: AuditLines},
        errors=(400,),
        query=(
            *_FILTERS,
            Query(
                "page_size",
                "lines a page has at most",
                {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
            ),
            Query("token", "`next_token` of the previous page, made with the same filters"),
        ),
    )
    async def list(self, call: Call) -> Any:
        size = call.whole("page_size", 1, 200, 50)
        page = await self._log.page(call.principal, _filters(call), size, call.query.get("token"))
        return paged({"events": [_shown(event) for event in page.events]}, page.next_token)

    @route(
        "GET",
        "/api/v1/audit/export",
        action="audit:read",
        summary="The whole audit log, or what the filters leave of it, as JSON Lines",
        answers={200: None},
        errors=(400, 429),
        query=_FILTERS,
        media_type="application/x-ndjson",
    )
    async def export(self, call: Call) -> Any:
        lines = await self._log.export(call.principal, _filters(call))
        name = f"e2a-audit-{call.principal.organisation_id}.jsonl"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Reply(Flow(lines, lines.close), headers=headers, content_type="application/x-ndjson")


def _filters(call: Call) -> AuditFilters:
    given: dict[str, Any] = {}
    for name in ("user_id", "key_prefix", "resource_type", "resource_id", "action"):
        text = call.query.get(name)
        if text is None:
            continue
        if not text or len(text) > LONGEST_FILTER:
            raise BadRequest(f"{name} must have 1 to {LONGEST_FILTER} characters", field=name)
        given |= action_filter(text) if name == "action" else {name: text}
    if "result" in call.query:
        result: AuditResult = call.choice("result", ("ok", "refused", "failed"), "ok")
        given["result"] = result
    return AuditFilters(**given, since=call.moment("since"), until=call.moment("until"))


def _shown(event: AuditEvent) -> dict[str, Any]:
    return asdict(event) | {"at": exact(event.at)}
