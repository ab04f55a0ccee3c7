"""``/api/v1/users/me``: the owner's rights over the account's data."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from e2a.flows.dataexport import DataExport, Format
from e2a.flows.erasure import Erasure

from .models import Shape
from .routing import Call, Flow, Query, Reply, route


class DeletedAccount(Shape):
    """How many rows of each kind went."""

    usage_events_deleted: int
    usage_summaries_deleted: int
    messages_deleted: int
    webhook_deliveries_deleted: int
    agents_deleted: int
    domains_deleted: int
    api_keys_deleted: int
    signing_secrets_deleted: int
    suppressions_deleted: int
    delegations_deleted: int
    invitations_deleted: int
    audit_events_deleted: int
    sessions_deleted: int
    user_deleted: Literal[True] = Field(description="The credential that was used is dead.")


class AccountResource:
    def __init__(self, export: DataExport, erasure: Erasure) -> None:
        self._export = export
        self._erasure = erasure

    @route(
        "GET",
        "/api/v1/users/me/export",
        # It holds all mail and all keys' names: more than any permission that only looks stands for.
        action="account:write",
        summary="Everything the account has, for its owner: one JSON document, or a ZIP archive with the mail as files",
        answers={200: None},
        errors=(400, 429),
        query=(
            Query(
                "format",
                "`json`: one document, each message with its bytes in base64; `zip`: the document as `export.json`, "
                "the mail as `.eml` files",
                {"type": "string", "enum": ["json", "zip"], "default": "json"},
            ),
        ),
        load="work",
    )
    async def export(self, call: Call) -> Any:
        form: Format = call.choice("format", ("json", "zip"), "json")
        made = await self._export.start(call.principal, form)
        name = f"e2a-export-{call.principal.user_id}.{form}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Reply(Flow(made, made.close), headers=headers, content_type=f"application/{form}")

    @route(
        "DELETE",
        "/api/v1/users/me",
        action="account:write",
        summary="Delete the person, and every organisation that has no other member, with all they hold",
        answers={200: DeletedAccount},
        errors=(400, 409),
        query=(Query("confirm", "`DELETE`, to show that it is meant", {"type": "string", "enum": ["DELETE"]}),),
    )
    async def delete(self, call: Call) -> Any:
        return await self._erasure.delete_account(call.principal, call.query.get("confirm", ""))
