"""``/api/v1/domains``: claim a domain, prove it, see its DNS records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from e2a.core.entities import Domain
from e2a.flows.domains import Domains, Key, Record

from . import models_accounts as models
from .models_accounts import exact
from .routing import Call, Reply, route


class DomainsResource:
    """:param mx: the host that mail for every domain is sent to."""

    def __init__(self, domains: Domains, mx: str) -> None:
        self._domains = domains
        self._mx = mx

    @route(
        "GET",
        "/api/v1/domains",
        action="domains:read",
        summary="List the account's domains",
        answers={200: models.Domains},
    )
    async def list_domains(self, call: Call) -> Any:
        return {"domains": await self._shown(*await self._domains.list_claims(call.principal))}

    @route(
        "POST",
        "/api/v1/domains",
        action="domains:write",
        summary="Claim a domain; asking again answers the same claim",
        body=models.NewDomain,
        answers={201: models.Domain},
        errors=(400, 402, 409),
    )
    async def claim(self, call: Call) -> Any:
        (shown,) = await self._shown(await self._domains.claim(call.principal, call.body.domain))
        return Reply(shown, 201)

    @route(
        "GET",
        "/api/v1/domains/{domain}",
        action="domains:read",
        summary="One domain, with what DNS says of each of its records now",
        answers={200: models.DomainReport},
        errors=(404,),
        load="work",
    )
    async def report(self, call: Call) -> Any:
        domain, records = await self._domains.report(call.principal, call.path["domain"])
        (shown,) = await self._shown(domain)
        return {**shown, "records": _reported(records)}

    @route(
        "POST",
        "/api/v1/domains/{domain}/verify",
        action="domains:write",
        summary="Prove a claim by its TXT record",
        answers={200: models.VerifiedDomain},
        errors=(404, 409, 412),
        load="work",
    )
    async def verify(self, call: Call) -> Any:
        domain, records = await self._domains.verify(call.principal, call.path["domain"])
        (shown,) = await self._shown(domain)
        return {name: shown[name] for name in ("domain", "verified", "verified_at")} | {"records": _reported(records)}

    @route(
        "POST",
        "/api/v1/domains/{domain}/dkim/rotate",
        action="domains:write",
        summary="Make another DKIM key; the present one signs until the record of the new one is seen in DNS",
        answers={200: models.Domain},
        errors=(404, 409),
    )
    async def rotate_key(self, call: Call) -> Any:
        (shown,) = await self._shown(await self._domains.rotate_key(call.principal, call.path["domain"]))
        return shown

    @route(
        "DELETE",
        "/api/v1/domains/{domain}",
        action="domains:write",
        summary="Give a domain up; not while agents are on it",
        answers={204: None},
        errors=(400, 404),
    )
    async def release(self, call: Call) -> Any:
        await self._domains.release(call.principal, call.path["domain"])
        return Reply(status=204)

    async def _shown(self, *domains: Domain) -> list[dict[str, Any]]:
        keys = await self._domains.keys(domains)
        return [self._described(domain, keys.get(domain.id, ())) for domain in domains]

    def _described(self, domain: Domain, keys: Sequence[Key]) -> dict[str, Any]:
        records = [self._key(key) for key in keys]
        shown = {
            "domain": domain.name,
            "verified": domain.verified,
            "verification_token": domain.verification_token,
            "dns_records": {
                "mx": {"host": "@", "value": self._mx, "priority": 10},
                "txt": {"host": "@", "value": domain.verification_token},
                "dkim": {name: records[0][name] for name in ("host", "value", "active")} if records else None,
            },
            "dkim_keys": records,
            "created_at": exact(domain.created_at),
        }
        if domain.verified_at is not None:
            shown["verified_at"] = exact(domain.verified_at)
        return shown

    def _key(self, key: Key) -> dict[str, Any]:
        state = self._domains.state(key)
        shown = {"host": key.host, "value": key.record, "active": state == "active", "state": state}
        if key.removable_at is not None:
            shown["removable_at"] = exact(key.removable_at)
        return shown


def _reported(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "purpose": record.purpose,
            "type": record.type,
            "name": record.name,
            "expected": record.expected,
            "found": list(record.found),
            "status": record.status,
            "hint": record.hint,
        }
        for record in records
    ]
