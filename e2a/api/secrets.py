"""``/api/v1/users/me/signing-secrets``: the secrets that sign what agents are told."""

from __future__ import annotations

from typing import Any

from e2a.core.entities import SigningSecret
from e2a.flows.secrets import SecretBook

from .models_accounts import CreatedSecret, NewSecret, RotateSecrets, Secrets, seconds
from .routing import Call, Reply, route

_PATH = "/api/v1/users/me/signing-secrets"


class SecretsResource:
    def __init__(self, secrets: SecretBook) -> None:
        self._secrets = secrets

    @route("GET", _PATH, action="secrets:write", summary="List the signing secrets", answers={200: Secrets})
    async def list_secrets(self, call: Call) -> Any:
        return {"secrets": [_shown(secret) for secret in await self._secrets.list_secrets(call.principal)]}

    @route(
        "POST",
        _PATH,
        action="secrets:write",
        summary="Make a signing secret, which signs from now on",
        body=NewSecret,
        answers={201: CreatedSecret},
        errors=(400,),
    )
    async def create_secret(self, call: Call) -> Any:
        secret, text = await self._secrets.create(call.principal, call.body.name)
        return Reply({**_shown(secret), "secret": text}, 201)

    @route(
        "POST",
        _PATH + "/rotate",
        action="secrets:write",
        summary="Replace the signing secrets by a new one; until the overlap ends all of them sign",
        body=RotateSecrets,
        answers={201: CreatedSecret},
        errors=(400, 409),
    )
    async def rotate_secrets(self, call: Call) -> Any:
        secret, text = await self._secrets.rotate(call.principal, call.body.name, call.body.overlap_seconds)
        return Reply({**_shown(secret), "secret": text}, 201)

    @route(
        "DELETE",
        _PATH + "/{id}",
        action="secrets:write",
        summary="Delete a signing secret; the last one stays",
        answers={204: None},
        errors=(400, 404),
    )
    async def delete_secret(self, call: Call) -> Any:
        await self._secrets.delete(call.principal, call.path["id"])
        return Reply(status=204)


def _shown(secret: SigningSecret) -> dict[str, Any]:
    shown = {
        "id": secret.id,
        "name": secret.name,
        "secret_prefix": secret.secret_prefix,
        "created_at": seconds(secret.created_at),
    }
    for name in ("last_signed_at", "signs_from", "retires_at"):
        moment = getattr(secret, name)
        if moment is not None:
            shown[name] = seconds(moment)
    return shown
