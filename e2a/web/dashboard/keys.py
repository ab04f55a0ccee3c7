"""API keys and signing secrets: listed, made, shown once, ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from e2a.core.entities import ApiKey
from e2a.core.errors import BadRequest, Conflict, E2AError, Forbidden
from e2a.core.rules.permissions import (
    AGENT_PERMISSIONS,
    ALL_PERMISSIONS,
    MEANINGS,
    READ_ONLY,
    SELF,
    in_order,
    is_read_only,
)
from e2a.core.rules.signers import LONGEST_OVERLAP, MOST_SECRETS, OVERLAP, waiting
from e2a.flows.accounts import Accounts
from e2a.flows.agents import Agents
from e2a.flows.ports import Now
from e2a.flows.secrets import SecretBook

from .routing import Html, Redirect, View, page, page_of

PLACE = "/dashboard/keys"
PAGE = 50
#: Characters of a name.
LONGEST_NAME = 200
#: Agents that the form offers; others are written out.
OFFERED = 100

#: Days after which a key can end, as the form offers them.
LIFETIMES = ("30", "90", "365")
#: Seconds for which former secrets count on, and how the form says it.
OVERLAPS = {0: "not at all", 3600: "one hour", OVERLAP: "one day", 7 * 86_400: "a week", LONGEST_OVERLAP: "30 days"}
_FORM = ("name", "preset", "agent", "label_prefix", "lifetime")


class KeyPages:
    def __init__(self, accounts: Accounts, secrets: SecretBook, agents: Agents, now: Now) -> None:
        self._accounts = accounts
        self._secrets = secrets
        self._agents = agents
        self._now = now

    @page("GET", PLACE, action=SELF)
    async def show(self, view: View) -> Any:
        return await self._page(view)

    @page("POST", PLACE, action="keys:write")
    async def create(self, view: View) -> Any:
        try:
            key, text = await self._create(view)
        except (BadRequest, Conflict, Forbidden) as error:
            return await self._page(view, error)
        return await self._page(view, new_key=(key, text))

    async def _create(self, view: View) -> tuple[ApiKey, str]:
        preset, agent, prefix = view.field("preset"), view.field("agent"), view.field("label_prefix")
        permissions: Sequence[str] | None = None
        if preset == "agent":
            agent = view.required("agent")
        elif preset == "custom":
            permissions = view.form.get("permissions", [])
        elif preset not in ("full", "read"):
            raise BadRequest("choose what the key may do", field="preset")
        return await self._accounts.create_key(
            view.principal,
            _name(view),
            permissions,
            (agent or None) if preset in ("agent", "custom") else None,
            self._end(view.field("lifetime")),
            label_prefix=(prefix or None) if preset == "custom" else None,
            read_only=preset == "read",
        )

    def _end(self, lifetime: str) -> datetime | None:
        if not lifetime:
            return None
        if lifetime not in LIFETIMES:
            raise BadRequest("choose when the key ends", field="lifetime")
        return self._moment() + timedelta(days=int(lifetime))

    @page("POST", PLACE + "/revoke", action=SELF)
    async def revoke(self, view: View) -> Any:
        await self._accounts.revoke_key(view.principal, view.required("id"))
        return Redirect(PLACE, "revoked")

    # --- signing secrets ----------------------------------------------------------------------------------------------

    @page("POST", PLACE + "/secrets", action="secrets:write")
    async def rotate(self, view: View) -> Any:
        """A new secret that replaces the others after a while, or stands beside them and signs at once."""
        try:
            name, overlap = _name(view), view.field("overlap")
            if overlap == "beside":
                secret, text = await self._secrets.create(view.principal, name)
            elif overlap.isascii() and overlap.isdecimal() and len(overlap) < 9 and int(overlap) in OVERLAPS:
                secret, text = await self._secrets.rotate(view.principal, name, int(overlap))
            else:
                raise BadRequest("choose for how long the former secrets count on", field="overlap")
        except (BadRequest, Conflict) as error:
            return await self._page(view, secret_error=error)
        return await self._page(view, new_secret=(secret, text))

    @page("POST", PLACE + "/secrets/delete", action="secrets:write")
    async def retire(self, view: View) -> Any:
        try:
            await self._secrets.delete(view.principal, view.required("id"))
        except BadRequest as error:
            return await self._page(view, secret_error=error)
        return Redirect(PLACE, "retired")

    # --- helpers ------------------------------------------------------------------------------------------------------

    async def _page(
        self,
        view: View,
        error: E2AError | None = None,
        *,
        secret_error: E2AError | None = None,
        new_key: Any = None,
        new_secret: Any = None,
    ) -> Html:
        keys = await self._accounts.list_keys(view.principal)
        shown, after = page_of(keys, lambda key: key.id, view.query.get("after", ""), PAGE)
        may_sign = view.may("secrets:write")
        secrets = await self._secrets.list_secrets(view.principal) if may_sign else []
        offered, _ = await self._agents.list_page(view.principal, OFFERED, None)
        typed = {name: view.field(name) if error is not None else "" for name in _FORM}
        problem = error or secret_error
        values = {
            "keys": [(key, summary(key)) for key in shown],
            "after": after,
            "secrets": [(secret, waiting(secret, self._moment())) for secret in secrets],
            "room": len(secrets) < MOST_SECRETS,
            "most_secrets": MOST_SECRETS,
            "agents": offered,
            "grantable": [(name, MEANINGS[name]) for name in ALL_PERMISSIONS if view.may(name)],
            "form": typed | {"preset": typed["preset"] or "full"},
            "ticked": view.form.get("permissions", []) if error is not None else [],
            "overlaps": OVERLAPS,
            "overlap": OVERLAP,
            "new_key": new_key,
            "new_secret": new_secret,
            "problem": "" if error is None else error.text,
            "problem_field": "" if error is None else (error.field or ""),
            "secret_problem": "" if secret_error is None else secret_error.text,
        }
        return Html("keys.html", values, 200 if problem is None else problem.status)

    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def summary(key: ApiKey) -> str:
    """What a key may do, in a few words."""
    held = frozenset(key.permissions)
    if held == frozenset(ALL_PERMISSIONS):
        return "everything"
    if held == READ_ONLY or (is_read_only(held) and len(held) > 2):
        return "read only"
    if key.agent_id is not None and held == AGENT_PERMISSIONS:
        return "read and send mail"
    return ", ".join(MEANINGS[name] for name in in_order(held))


def _name(view: View) -> str:
    name = view.field("name")
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"name must be one line of at most {LONGEST_NAME} characters", field="name")
    return name
