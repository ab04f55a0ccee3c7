"""The audit log, by pages and filters."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from e2a.core.entities import AuditEvent
from e2a.core.errors import BadRequest, E2AError
from e2a.flows.audit import AuditFilters, AuditLog, action_filter
from e2a.flows.people import People

from .routing import Html, View, page

PLACE = "/dashboard/audit"
PAGE = 50
LONGEST_FILTER = 300
_FILTERS = ("action", "user_id", "result", "since", "until")
_RESULTS = ("ok", "refused", "failed")


class AuditPages:
    def __init__(self, log: AuditLog, people: People) -> None:
        self._log = log
        self._people = people

    @page("GET", PLACE, action="audit:read")
    async def show(self, view: View) -> Any:
        typed = {name: view.query.get(name, "").strip() for name in _FILTERS}
        try:
            filters = _filters(typed)
            found = await self._log.page(view.principal, filters, PAGE, view.query.get("token") or None)
        except BadRequest as error:
            return await self._page(view, typed, (), None, AuditFilters(), error)
        return await self._page(view, typed, found.events, found.next_token, filters)

    async def _page(
        self,
        view: View,
        typed: dict[str, str],
        events: tuple[AuditEvent, ...],
        token: str | None,
        filters: AuditFilters,
        error: E2AError | None = None,
    ) -> Html:
        members = await self._people.list_members(view.principal)
        given = {name: value for name, value in typed.items() if value}
        values = {
            "events": [(event, _detail(event)) for event in events],
            "names": {member.user_id: member.email for member in members},
            "form": typed,
            "given": given,
            "results": _RESULTS,
            "older": urlencode({**given, "token": token}) if token else "",
            "first_page": "token" not in view.query,
            "export": _export(typed, filters),
            "problem": "" if error is None else error.text,
            "problem_field": "" if error is None else (error.field or ""),
        }
        return Html("audit.html", values, 200 if error is None else error.status)


def _filters(typed: dict[str, str]) -> AuditFilters:
    """:raises BadRequest: ``field`` says what cannot be used."""
    for name in ("action", "user_id"):
        if len(typed[name]) > LONGEST_FILTER:
            raise BadRequest(f"{name} can have at most {LONGEST_FILTER} characters", field=name)
    given: dict[str, Any] = action_filter(typed["action"]) if typed["action"] else {}
    if typed["user_id"]:
        given["user_id"] = typed["user_id"]
    if typed["result"]:
        if typed["result"] not in _RESULTS:
            raise BadRequest("choose a result", field="result")
        given["result"] = typed["result"]
    since, until = _day(typed, "since"), _day(typed, "until")
    if since is not None and until is not None and since > until:
        raise BadRequest("the first day must not be after the last", field="since")
    return AuditFilters(**given, since=since, until=until and until + timedelta(days=1))


def _day(typed: dict[str, str], name: str) -> datetime | None:
    """The beginning of a day (UTC)."""
    if not typed[name]:
        return None
    try:
        day = date.fromisoformat(typed[name])
        # The day after it must be one as well.
        return datetime(day.year, day.month, day.day, tzinfo=UTC) if day < date.max else None
    except ValueError:
        raise BadRequest("write the day as 2026-11-21", field=name) from None


def _export(typed: dict[str, str], filters: AuditFilters) -> str:
    """The query of the download with the same filters."""
    query = {name: typed[name] for name in ("action", "user_id", "result") if typed[name]}
    for name, moment in (("since", filters.since), ("until", filters.until)):
        if moment is not None:
            query[name] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return urlencode(query)


def _detail(event: AuditEvent) -> list[tuple[str, str]]:
    """What else is known, in words."""
    found = []
    for name, value in event.detail.items():
        if value in (None, "", [], {}):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        found.append((name.replace("_", " "), text[:500]))
    return found
