"""Stored mail for tests, put into the tables directly."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from e2a.store.database import Database

RAW = b"From: ana@corp.test\r\nSubject: hi\r\n\r\nhello\r\n"


async def store_message(
    db: Database,
    message_id: str,
    agent_id: str = "bot@agents.test",
    *,
    raw: bytes = RAW,
    delivery: bool = False,
    sender: str = "ana@corp.test",
    subject: str = "hi",
    created_at: datetime | None = None,
    notify: bool = False,
) -> int:
    """One inbound message, unread, with a due webhook delivery if asked for; returns its uid."""

    async def work(cur: Any) -> int:
        raw_id = "raw_" + message_id
        await cur.execute("INSERT INTO raw_messages (id, size, data) VALUES (%s, %s, %s)", (raw_id, len(raw), raw))
        await cur.execute(
            "UPDATE mailboxes SET uid_next = uid_next + 1 WHERE agent_id = %s RETURNING uid_next - 1 AS uid",
            (agent_id,),
        )
        uid = int(cur.fetchone().uid)
        await cur.execute(
            """
            INSERT INTO messages (id, agent_id, direction, uid, raw_id, sender, recipient, to_recipients, subject,
                verified, auth_sender, domain_check, body_hash, authentication, size, inbox_status, created_at)
            VALUES (%s, %s, 'inbound', %s, %s, %s, %s, %s, %s, true, %s, 'spf=pass; dkim=none', %s, '{}', %s,
                'unread', coalesce(%s, now()))
            """,
            (
                message_id,
                agent_id,
                uid,
                raw_id,
                sender,
                agent_id,
                [agent_id],
                subject,
                sender,
                hashlib.sha256(raw).hexdigest(),
                len(raw),
                created_at,
            ),
        )
        if delivery:
            await cur.execute(
                "INSERT INTO webhook_deliveries (message_id, agent_id) VALUES (%s, %s)", (message_id, agent_id)
            )
        if notify:
            await cur.execute("SELECT pg_notify('e2a_mail', %s)", (f"{agent_id} {message_id}{' due' * delivery}",))
        return uid

    return await db.run("store_message", work)
