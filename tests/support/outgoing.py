"""Messages on their way out, put into the tables directly."""

from __future__ import annotations

from typing import Any

from e2a.store.database import Database
from tests.support.postgres import ORGANISATION
from tests.support.tenants import execute, rows

AGENT = "bot@agents.test"
RAW = b"From: bot@agents.test\r\nSubject: hello\r\nMessage-ID: <m1@agents.test>\r\n\r\nHow are you?\r\n"


async def queue_message(
    db: Database,
    name: str = "m1",
    *recipients: str,
    raw: bytes = RAW,
    loopback: tuple[str, ...] = (),
    sent_status: str = "sent",
    destination: str = "",
) -> str:
    """A queued message of ``AGENT`` (who must exist) with one job; returns its id."""
    message_id = f"msg_{name}"
    await execute(db, "INSERT INTO raw_messages (id, size, data) VALUES (%s, %s, %s)", f"raw_{name}", len(raw), raw)
    await execute(
        db,
        "INSERT INTO messages (id, agent_id, organisation_id, direction, status, sent_status, raw_id, size, sender,"
        " email_message_id) VALUES (%s, %s, %s, 'outbound', 'queued', %s, %s, %s, %s, %s)",
        *(message_id, AGENT, ORGANISATION, sent_status, f"raw_{name}", len(raw), AGENT, f"<{name}@agents.test>"),
    )
    for address in recipients or ("ann@people.test",):
        await execute(
            db,
            "INSERT INTO outbound_recipients (message_id, address, kind, route, destination)"
            " VALUES (%s, %s, 'to', 'smtp', %s)",
            *(message_id, address, destination),
        )
    for address in loopback:
        await execute(
            db,
            "INSERT INTO outbound_recipients (message_id, address, kind, route, state)"
            " VALUES (%s, %s, 'to', 'loopback', 'sent')",
            *(message_id, address),
        )
    await execute(db, "INSERT INTO outbox (message_id, destination) VALUES (%s, %s)", message_id, destination)
    return message_id


async def status(db: Database, message_id: str = "msg_m1") -> str:
    return str((await rows(db, "SELECT status FROM messages WHERE id = %s", message_id))[0].status)


async def states(db: Database, message_id: str = "msg_m1") -> dict[str, str]:
    """Each recipient's state."""
    found = await rows(db, "SELECT address, state FROM outbound_recipients WHERE message_id = %s", message_id)
    return {row.address: row.state for row in found}


async def jobs(db: Database) -> list[Any]:
    """Every job, with the whole seconds until it is due."""
    return await rows(
        db,
        "SELECT *, extract(epoch FROM next_attempt_at - now())::float8 AS due_in FROM outbox"
        " ORDER BY message_id, destination",
    )


async def make_due(db: Database) -> None:
    """Let the waits, and the leases, of all jobs be over."""
    await execute(
        db, "UPDATE outbox SET next_attempt_at = now() - interval '1 second' WHERE next_attempt_at IS NOT NULL"
    )
