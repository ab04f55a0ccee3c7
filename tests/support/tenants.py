"""Organisations with an owner, made as the daemon makes them."""

from __future__ import annotations

import os
from typing import Any

from e2a.core.entities import Principal
from e2a.core.rules.domains import OwnNames
from e2a.core.rules.permissions import ALL_PERMISSIONS
from e2a.core.trust.sealing import Sealer
from e2a.flows.accounts import make_user
from e2a.flows.bootstrap import ensure_start
from e2a.store.database import Database
from e2a.store.organisations import organisation_of

SEALER = Sealer("a deployment secret for tests, long enough", os.urandom)
OWN = OwnNames(shared="agents.test", smtp="mx.gateway.test", sender="send.gateway.test")
OPERATOR_MAILBOX = "postmaster@mx.gateway.test"


async def start(db: Database, own: OwnNames = OWN) -> None:
    """What the daemon makes sure of when it starts."""
    await ensure_start(db, own, SEALER, os.urandom)


async def make_tenant(db: Database, name: str) -> Principal:
    """The owner of a personal organisation, signed in."""

    async def work(cur: Any) -> Principal:
        user = await make_user(cur, f"{name}@people.test", name, issuer="test", sealer=SEALER, random=os.urandom)
        organisation = await organisation_of(cur, user.id)
        assert organisation is not None
        return Principal(organisation.id, user.id, frozenset(ALL_PERMISSIONS))

    return await db.run("make_tenant", work)


async def rows(db: Database, sql: str, *params: Any) -> list[Any]:
    """What a statement answers."""

    async def work(cur: Any) -> list[Any]:
        await cur.execute(sql, params)
        return list(cur.fetchall())

    return await db.run("rows", work)


async def execute(db: Database, sql: str, *params: Any) -> None:
    """Run a statement that answers nothing."""

    async def work(cur: Any) -> None:
        await cur.execute(sql, params)

    await db.run("execute", work)
