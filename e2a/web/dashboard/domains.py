"""Domains: claimed, proved by DNS, looked at record by record, given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2a.core.entities import Domain
from e2a.core.errors import BadRequest, Conflict, E2AError, PreconditionFailed, QuotaExceeded, Unavailable
from e2a.flows.domains import Domains, Key, Record

from .routing import Html, Redirect, View, page, page_of

PLACE = "/dashboard/domains"
PAGE = 50

#: What each record is for, in the order of importance.
PURPOSES = {
    "ownership": "Shows that the domain is yours",
    "mx": "Brings mail for the domain here",
    "dkim": "Signs what agents send from it",
    "spf": "Says which servers send for it",
    "dmarc": "Tells receivers to refuse forgeries",
}


class DomainPages:
    """:param production: whether a claim must be proved by DNS."""

    def __init__(self, domains: Domains, *, production: bool) -> None:
        self._domains = domains
        self._production = production

    @page("GET", PLACE, action="domains:read")
    async def list(self, view: View) -> Any:
        return await self._list(view)

    @page("POST", PLACE, action="domains:write")
    async def claim(self, view: View) -> Any:
        try:
            claimed = await self._domains.claim(view.principal, view.required("domain"))
        except (BadRequest, Conflict, QuotaExceeded) as error:
            return await self._list(view, error)
        return Redirect(f"{PLACE}/{claimed.name}")

    async def _list(self, view: View, error: E2AError | None = None) -> Html:
        claims = await self._domains.list_claims(view.principal)
        shown, after = page_of(claims, lambda claim: claim.name, view.query.get("after", ""), PAGE)
        keys = await self._domains.keys(shown)
        values = {
            "domains": [(claim, self._signs(keys.get(claim.id, ()))) for claim in shown],
            "after": after,
            "problem": "" if error is None else error.text,
            "problem_field": "domain",
            "typed": view.field("domain"),
        }
        return Html("domains.html", values, 200 if error is None else error.status)

    @page("GET", PLACE + "/{domain}", action="domains:read")
    async def show(self, view: View) -> Any:
        """Without asking DNS, so that the page is there at once; with ``check`` with what DNS says now."""
        domain, keys, records = await self._domains.records(view.principal, view.path["domain"])
        checked = "check" in view.query
        if checked:
            domain, records = await self._domains.report(view.principal, domain.name)
        return self._page(domain, keys, records, checked)

    @page("POST", PLACE + "/{domain}/verify", action="domains:write")
    async def verify(self, view: View) -> Any:
        try:
            domain, _ = await self._domains.verify(view.principal, view.path["domain"])
        except (PreconditionFailed, Conflict, Unavailable) as error:
            domain, keys, records = await self._domains.records(view.principal, view.path["domain"])
            if isinstance(error, PreconditionFailed):
                _, records = await self._domains.report(view.principal, domain.name)
            return self._page(domain, keys, records, isinstance(error, PreconditionFailed), error)
        return Redirect(f"{PLACE}/{domain.name}?check=1", "verified")

    @page("POST", PLACE + "/{domain}/delete", action="domains:write")
    async def release(self, view: View) -> Any:
        try:
            await self._domains.release(view.principal, view.path["domain"])
        except BadRequest as error:
            domain, keys, records = await self._domains.records(view.principal, view.path["domain"])
            return self._page(domain, keys, records, False, error)
        return Redirect(PLACE, "deleted")

    @page("POST", PLACE + "/{domain}/key", action="domains:write")
    async def rotate(self, view: View) -> Any:
        """Another DKIM key, which signs once its record was seen."""
        domain = await self._domains.rotate_key(view.principal, view.path["domain"])
        return Redirect(f"{PLACE}/{domain.name}", "added")

    def _signs(self, keys: Sequence[Key]) -> bool:
        return any(self._domains.state(key) == "active" for key in keys)

    def _page(
        self,
        domain: Domain,
        keys: Sequence[Key],
        records: Sequence[Record],
        checked: bool,
        error: E2AError | None = None,
    ) -> Html:
        values = {
            "domain": domain,
            "signs": self._signs(keys),
            "key_waits": any(self._domains.state(key) == "pending" for key in keys),
            "records": _in_order(records),
            "purposes": PURPOSES,
            "checked": checked,
            "complete": checked and domain.verified and all(record.status == "found" for record in records),
            "production": self._production,
            "problem": "" if error is None else error.text,
        }
        return Html("domain.html", values, 200 if error is None else error.status, at=f"{PLACE}/{domain.name}")


def _in_order(records: Sequence[Record]) -> list[tuple[str, Record]]:
    """The records by importance, each with a name of its own: there can be several DKIM keys."""
    order = list(PURPOSES)
    counted: dict[str, int] = {}
    named = []
    for record in sorted(records, key=lambda record: order.index(record.purpose)):
        counted[record.purpose] = number = counted.get(record.purpose, 0) + 1
        named.append((record.purpose if number == 1 else f"{record.purpose}-{number}", record))
    return named
