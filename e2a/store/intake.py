"""Storing received mail: many messages for many agents in one statement.

Locks are taken in the order of agent ids, by every replica alike, and before anything else is written for an agent: no
two groups can wait for each other. Readers of one agent's mail see its uids in the order of commits, because the
mailbox's lock is held until the commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, NamedTuple

import orjson

from e2a.core.entities import Automation, Facts

from .rows import Cursor

#: Octets of a message in ``raw_messages.data`` and in each of ``raw_parts``.
PART_BYTES = 2**20


class Outcome(Enum):
    """What became of one recipient's copy."""

    STORED = "stored"
    #: The same transmission was stored within the last seven days.
    DUPLICATE = "duplicate"
    #: The agent was deleted meanwhile.
    GONE = "gone"


_BY_A_PERSON = Automation()


class IntakeRow(NamedTuple):
    """One recipient's copy; fields as in ``entities.InboundMessage``. No text may hold NUL or a lone surrogate.

    :ivar fingerprint: what a repeated transmission to the same recipient shares; None: always stored.
    """

    id: str
    agent_id: str
    sender: str
    recipient: str
    tag: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    reply_to: tuple[str, ...]
    subject: str
    email_message_id: str
    conversation_id: str | None
    facts: Facts
    authentication: dict[str, Any]
    size: int
    created_at: datetime
    expires_at: datetime
    defects: tuple[str, ...] = ()
    fingerprint: bytes | None = None
    automation: Automation = _BY_A_PERSON
    thread_hijack_suspected: bool = False


@dataclass(frozen=True, slots=True)
class IntakeMail:
    """One SMTP transaction: the bytes, kept once, and a copy for each recipient.

    :ivar raw_stored: the bytes are stored under ``raw_id`` already; ``raw`` is not looked at.
    """

    raw_id: str
    raw: bytes
    rows: tuple[IntakeRow, ...]
    raw_stored: bool = False


class _Octets:
    """Octets as a bytea literal, in the shorter of its two forms (PostgreSQL manual, 8.4): plain text nearly as it is,
    everything else in hex. psycopg2's own adapter writes all in hex and asks libpq to do it, one octet at a time."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __conform__(self, protocol: object) -> _Octets:
        return self

    def getquoted(self) -> bytes:
        data = self._data
        if data.isascii() and b"\0" not in data:
            return b"'" + data.replace(b"\\", b"\\\\").replace(b"'", b"''") + b"'::bytea"
        return b"'\\x" + data.hex().encode() + b"'::bytea"


# Everything an agent's copy needs hangs on ``locked``, so that nothing is written for an agent before its mailbox is
# locked. Foreign keys are checked at the end of the statement. What is absent from ``given`` is null there.
_STORE = """
    WITH given AS MATERIALIZED (
        SELECT * FROM jsonb_to_recordset($1) AS r (
            n integer, part integer, raw_id text, id text, agent_id text, sender text, recipient text, tag text,
            to_recipients text[], cc text[], reply_to text[], subject text, email_message_id text,
            conversation_id text, verified boolean, auth_sender text, entity_type text, domain_check text,
            delegation text, body_hash text, authentication jsonb, defects text[], size integer,
            created_at timestamptz, expires_at timestamptz, fingerprint bytea, automation jsonb
        )
    ), locked AS MATERIALIZED (
        SELECT m.agent_id, m.uid_next, a.organisation_id, a.agent_mode
        FROM mailboxes AS m CROSS JOIN LATERAL (
            SELECT organisation_id, agent_mode FROM agents WHERE agents.id = m.agent_id LIMIT 1
        ) AS a
        WHERE m.agent_id = ANY ($2) ORDER BY m.agent_id FOR UPDATE OF m
    ), marked AS (
        INSERT INTO fingerprints AS f (agent_id, fingerprint, message_id)
        SELECT agent_id, fingerprint, id FROM given JOIN locked USING (agent_id) WHERE fingerprint IS NOT NULL
        ON CONFLICT (agent_id, fingerprint) DO UPDATE SET message_id = EXCLUDED.message_id, seen_at = now()
        WHERE f.seen_at < now() - interval '7 days'
        RETURNING message_id
    ), fresh AS MATERIALIZED (
        SELECT given.*, organisation_id, agent_mode,
            uid_next + row_number() OVER (PARTITION BY agent_id ORDER BY n) - 1 AS uid
        FROM given JOIN locked USING (agent_id)
        WHERE fingerprint IS NULL OR id IN (SELECT message_id FROM marked)
    ), raws AS (
        INSERT INTO raw_messages (id, size, data)
        SELECT id, size, data FROM unnest($3, $4, $5) AS r (id, size, data)
        WHERE id IN (SELECT raw_id FROM fresh)
    ), stored AS (
        INSERT INTO messages (
            id, agent_id, direction, uid, raw_id, sender, recipient, tag, to_recipients, cc, reply_to, subject,
            email_message_id, conversation_id, verified, auth_sender, entity_type, domain_check, delegation, body_hash,
            authentication, defects, size, inbox_status, created_at, expires_at, automation
        )
        SELECT
            id, agent_id, 'inbound', uid, raw_id, sender, recipient, coalesce(tag, ''), to_recipients,
            coalesce(cc, '{}'), coalesce(reply_to, '{}'), subject, email_message_id, conversation_id, verified,
            auth_sender, entity_type, domain_check, coalesce(delegation, ''), body_hash, authentication,
            coalesce(defects, '{}'), size, 'unread', created_at, expires_at, automation
        FROM fresh
    ), counted AS (
        UPDATE mailboxes AS m SET uid_next = used.top + 1, bytes = m.bytes + used.bytes
        FROM (SELECT agent_id, max(uid) AS top, sum(size) AS bytes FROM fresh GROUP BY agent_id) AS used
        WHERE m.agent_id = used.agent_id
    ), due AS (
        INSERT INTO webhook_deliveries (message_id, agent_id) SELECT id, agent_id FROM fresh WHERE agent_mode = 'cloud'
    ){usage}, told AS (
        SELECT count(pg_notify('e2a_mail', lines)) FROM (
            SELECT string_agg(
                agent_id || ' ' || id || CASE agent_mode WHEN 'cloud' THEN ' due' ELSE '' END, E'\\n' ORDER BY n
            ) AS lines
            FROM fresh GROUP BY part ORDER BY part
        ) AS payloads
    )
    SELECT given.id, locked.agent_id IS NULL AS gone
    FROM told CROSS JOIN given LEFT JOIN locked USING (agent_id)
    WHERE given.id NOT IN (SELECT id FROM fresh)
"""
_USAGE = """, used AS (
        INSERT INTO usage_events (id, organisation_id, agent_id, domain, direction)
        SELECT
            'ue_' || replace(gen_random_uuid()::text, '-', ''), organisation_id, agent_id,
            substring(agent_id FROM '[^@]*$'), 'inbound'
        FROM fresh
    )"""
_TYPES = "jsonb, text[], text[], integer[], bytea[]"
_STATEMENTS = {
    False: ("store_mail", _STORE.replace("{usage}", "")),
    True: ("store_mail_counted", _STORE.replace("{usage}", _USAGE)),
}
#: Octets of a notification's payload; the server takes 7,999.
_PAYLOAD_BYTES = 7500
_ADD_RAWS = "INSERT INTO raw_messages (id, size, data) SELECT * FROM unnest($1, $2, $3)"
_ADD_PART = "INSERT INTO raw_parts (raw_id, part, data) VALUES (%s, %s, %s)"


async def store_group(cur: Cursor, mails: Sequence[IntakeMail], usage: bool) -> dict[str, Outcome]:
    """Store every copy of every mail, its bytes, its pending delivery, and announce it on ``e2a_mail``.

    Of two rows with the same agent and fingerprint in one group the first is stored, the second a duplicate.

    :param usage: whether each stored copy writes a usage event.
    :returns: the outcome for each row, by message id.
    :raises psycopg2.DataError: a row cannot be stored as it is; nothing of the group was.
    """
    outcomes: dict[str, Outcome] = {}
    rows: list[dict[str, Any]] = []
    agents: set[str] = set()
    seen: set[tuple[str, bytes]] = set()
    announced = 0
    for mail in mails:
        for row in mail.rows:
            if row.fingerprint is not None:
                key = (row.agent_id, row.fingerprint)
                if key in seen:
                    outcomes[row.id] = Outcome.DUPLICATE
                    continue
                seen.add(key)
            outcomes[row.id] = Outcome.STORED
            agents.add(row.agent_id)
            announced += len(row.agent_id.encode()) + len(row.id) + len("  due\n")
            rows.append(_as_json(len(rows), announced // _PAYLOAD_BYTES, mail.raw_id, row))
    fresh = [mail for mail in mails if not mail.raw_stored]
    params = (
        orjson.dumps(rows).decode(),
        list(agents),
        [mail.raw_id for mail in fresh],
        [len(mail.raw) for mail in fresh],
        [_Octets(mail.raw[:PART_BYTES]) for mail in fresh],
    )
    name, statement = _STATEMENTS[usage]
    await cur.execute_prepared(name, _TYPES, statement, params)
    for row in cur.fetchall():
        outcomes[row.id] = Outcome.GONE if row.gone else Outcome.DUPLICATE
    for mail in fresh:
        if any(outcomes[row.id] is Outcome.STORED for row in mail.rows):
            await _add_parts(cur, mail.raw_id, mail.raw)
    return outcomes


async def add_raws(cur: Cursor, raws: Mapping[str, bytes]) -> None:
    """Store the bytes of messages, by their raw ids. Those that no row of ``messages`` holds are swept away later."""
    octets = [_Octets(raw[:PART_BYTES]) for raw in raws.values()]
    params = (list(raws), [len(raw) for raw in raws.values()], octets)
    await cur.later_prepared("add_raws", "text[], integer[], bytea[]", _ADD_RAWS, params)
    for raw_id, raw in raws.items():
        await _add_parts(cur, raw_id, raw)


async def _add_parts(cur: Cursor, raw_id: str, raw: bytes) -> None:
    for start in range(PART_BYTES, len(raw), PART_BYTES):
        await cur.execute(_ADD_PART, (raw_id, start // PART_BYTES, _Octets(raw[start : start + PART_BYTES])))


def _as_json(n: int, part: int, raw_id: str, row: IntakeRow) -> dict[str, Any]:
    """:param part: which notification announces the row."""
    facts = row.facts
    values = {
        "n": n,
        "part": part,
        "raw_id": raw_id,
        "id": row.id,
        "agent_id": row.agent_id,
        "sender": row.sender,
        "recipient": row.recipient,
        "to_recipients": row.to,
        "subject": row.subject,
        "email_message_id": row.email_message_id,
        "verified": facts.verified,
        "auth_sender": facts.sender,
        "entity_type": facts.entity_type,
        "domain_check": facts.domain_check,
        "body_hash": facts.body_hash,
        "authentication": row.authentication,
        "size": row.size,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
    }
    # What most mail does not have is left out: the server spends more on reading this text than on writing the row.
    if row.tag:
        values["tag"] = row.tag
    if row.cc:
        values["cc"] = row.cc
    if row.reply_to:
        values["reply_to"] = row.reply_to
    if row.conversation_id is not None:
        values["conversation_id"] = row.conversation_id
    if facts.delegation:
        values["delegation"] = facts.delegation
    if row.defects:
        values["defects"] = row.defects
    if row.fingerprint is not None:
        values["fingerprint"] = "\\x" + row.fingerprint.hex()
    if row.automation.is_auto or row.thread_hijack_suspected:
        values["automation"] = _signs(row)
    return values


def _signs(row: IntakeRow) -> dict[str, Any]:
    """Null stands for what most mail is: written by a person, in no strange thread."""
    return {
        "is_auto": row.automation.is_auto,
        "reasons": row.automation.reasons,
        "thread_hijack_suspected": row.thread_hijack_suspected,
    }
