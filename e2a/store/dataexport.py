"""Everything an organisation has, as rows for its owner to take away.

To be read inside one ``Database.snapshot``, a few rows at a time whatever there is. Every table of the schema is
either in a section or in ``WITHHELD``, and every column of an exported table in its statement or in
``WITHHELD_COLUMNS``; a test compares them with the schema.
"""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from e2a.core.entities import User

from .rows import Cursor, many, maybe

#: Rows fetched at a time, and messages, which come with their bytes when those are short.
ROWS = 200
MESSAGES = 50
SHORT = 65_536


@dataclass(frozen=True, slots=True)
class Section:
    """A list of the export.

    :ivar sql: answers its rows, oldest first; its parameters are ``organisation``, ``user`` and ``within``: the only
        organisation of the person's that the caller sees, NULL for all.
    :ivar tables: the tables that it takes whole.
    :ivar optional: what is left out of a row where it is null.
    """

    name: str
    sql: str
    tables: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()


_AGENTS = "(SELECT id FROM agents WHERE organisation_id = %(organisation)s)"

SECTIONS: tuple[Section, ...] = (
    Section(
        "members",
        """
        SELECT m.organisation_id, m.user_id, u.email, u.name, m.role, m.created_at
        FROM memberships m JOIN users u ON u.id = m.user_id
        WHERE m.organisation_id = %(organisation)s ORDER BY m.created_at, m.user_id
        """,
        ("memberships",),
    ),
    Section(
        "invitations",
        """
        SELECT id, organisation_id, email, role, invited_by, created_at, expires_at, accepted_at, revoked_at
        FROM invitations WHERE organisation_id = %(organisation)s ORDER BY created_at, id
        """,
        ("invitations",),
    ),
    Section(
        "domains",
        """
        SELECT d.id, d.name AS domain, d.organisation_id, %(user)s AS user_id, d.verified_at IS NOT NULL AS verified,
            d.verification_token, d.created_at, d.verified_at, coalesce((
                SELECT json_agg(json_build_object('selector', k.selector, 'public_key', k.public_key,
                    'created_at', k.created_at, 'active_at', k.active_at, 'retired_at', k.retired_at)
                    ORDER BY k.created_at)
                FROM dkim_keys k WHERE k.domain_id = d.id
            ), '[]') AS dkim_keys
        FROM domains d WHERE d.organisation_id = %(organisation)s ORDER BY d.created_at, d.id
        """,
        ("domains",),
        frozenset({"verified_at"}),
    ),
    Section(
        "agents",
        """
        SELECT a.id, a.id AS email, a.organisation_id, %(user)s AS user_id, d.name AS domain, a.name, a.label,
            a.agent_mode, a.webhook_url, d.verified_at IS NOT NULL AS domain_verified, true AS public, a.created_at,
            a.hitl_enabled, a.hitl_ttl_seconds, a.hitl_expiration_action
        FROM agents a JOIN domains d ON d.id = a.domain_id
        WHERE a.organisation_id = %(organisation)s ORDER BY a.created_at, a.id
        """,
        ("agents",),
    ),
    Section(
        "api_keys",
        """
        SELECT id, organisation_id, user_id, name, key_prefix, permissions, agent_id, label_prefix, created_at,
            expires_at, last_used_at, revoked_at
        FROM api_keys WHERE organisation_id = %(organisation)s ORDER BY created_at, id
        """,
        ("api_keys",),
        frozenset({"last_used_at", "revoked_at"}),
    ),
    Section(
        "signing_secrets",
        """
        SELECT id, organisation_id, name, secret_prefix, created_at, last_signed_at, signs_from, retires_at
        FROM signing_secrets WHERE organisation_id = %(organisation)s ORDER BY created_at, id
        """,
        ("signing_secrets",),
    ),
    Section(
        "sessions",
        """
        SELECT id, user_id, organisation_id, created_at, expires_at, last_used_at, client_ip, user_agent
        FROM user_sessions WHERE user_id = %(user)s
            AND (%(within)s::text IS NULL OR organisation_id = %(within)s) ORDER BY created_at, id
        """,
        ("user_sessions",),
    ),
    Section(
        "identities",
        """
        SELECT user_id, issuer, email, created_at FROM identities WHERE user_id = %(user)s ORDER BY created_at, issuer
        """,
        ("identities",),
    ),
    Section(
        "feedback",
        """
        SELECT id, user_id, category, message, email, created_at FROM feedback
        WHERE user_id = %(user)s ORDER BY created_at, id
        """,
        ("feedback",),
    ),
    Section(
        "delegations",
        f"""
        SELECT id, agent_id, person, created_at, confirmed_at, ended_at, ended_by
        FROM delegations WHERE agent_id IN {_AGENTS} ORDER BY created_at, id
        """,
        ("delegations",),
    ),
    Section(
        "suppressions",
        """
        SELECT organisation_id, address, reason, message_id, created_at
        FROM suppressions WHERE organisation_id = %(organisation)s ORDER BY created_at, address
        """,
        ("suppressions",),
    ),
    Section(
        "conversations",
        f"""
        SELECT agent_id, conversation_id AS id, count(*) AS message_count, min(created_at) AS first_message_at,
            max(created_at) AS last_message_at
        FROM messages WHERE agent_id IN {_AGENTS} AND conversation_id IS NOT NULL
        GROUP BY agent_id, conversation_id ORDER BY agent_id, conversation_id
        """,
    ),
    Section(
        "outbound_recipients",
        f"""
        SELECT r.message_id, r.address, r.kind, r.route, r.destination, r.state, r.code, r.reply, r.updated_at
        FROM outbound_recipients r JOIN messages m ON m.id = r.message_id
        WHERE m.agent_id IN {_AGENTS} ORDER BY r.message_id, r.address
        """,
        ("outbound_recipients",),
    ),
    Section(
        "outbox",
        f"""
        SELECT o.message_id, o.destination, o.phase, o.attempts, o.unknowns, o.next_attempt_at, o.gives_up_at,
            o.last_error, o.created_at
        FROM outbox o JOIN messages m ON m.id = o.message_id
        WHERE m.agent_id IN {_AGENTS} ORDER BY o.message_id, o.destination
        """,
        ("outbox",),
    ),
    Section(
        "webhook_deliveries",
        f"""
        SELECT w.message_id, w.agent_id, w.status, w.attempts, w.last_error, w.next_attempt_at, w.created_at,
            w.delivered_at
        FROM webhook_deliveries w WHERE w.agent_id IN {_AGENTS} ORDER BY w.message_id
        """,
        ("webhook_deliveries",),
    ),
    Section(
        "webhook_attempts",
        f"""
        SELECT t.message_id, t.number, t.started_at, t.duration_ms, t.status_code, t.error
        FROM webhook_attempts t JOIN webhook_deliveries w ON w.message_id = t.message_id
        WHERE w.agent_id IN {_AGENTS} ORDER BY t.message_id, t.number
        """,
        ("webhook_attempts",),
    ),
    Section(
        "usage_events",
        """
        SELECT id, organisation_id, agent_id, domain, direction, event_type, created_at
        FROM usage_events WHERE organisation_id = %(organisation)s ORDER BY created_at, id
        """,
        ("usage_events",),
    ),
    Section(
        "usage_summaries",
        """
        SELECT organisation_id, bucket_date, inbound_count, outbound_count, total_count
        FROM usage_summaries WHERE organisation_id = %(organisation)s ORDER BY bucket_date
        """,
        ("usage_summaries",),
    ),
    Section(
        "message_days",
        """
        SELECT organisation_id, day, messages FROM message_days WHERE organisation_id = %(organisation)s ORDER BY day
        """,
        ("message_days",),
    ),
    Section(
        "audit_events",
        """
        SELECT id, organisation_id, at, action, resource_type, resource_id, user_id, key_prefix, client_ip, user_agent,
            request_id, result, detail
        FROM audit_events WHERE organisation_id = %(organisation)s ORDER BY id
        """,
        ("audit_events",),
    ),
)

#: Tables in the export beside the sections: its head, its messages, and what is within other entries.
ELSEWHERE = ("organisations", "users", "messages", "raw_messages", "raw_parts", "dkim_keys")

#: Tables that are not exported, and why.
WITHHELD: dict[str, str] = {
    "schema_migrations": "the schema's version, nobody's data",
    "mailboxes": "counters for each agent",
    "storage_freed": "corrections of these counters, kept for minutes",
    "signin_states": "sign-ins under way, nobody's yet",
    "signin_links": "digests of sign-in links, kept until they are used or run out",
    "fingerprints": "digests of messages that are exported themselves, kept for eight days",
    "idempotency_keys": "digests of requests, kept for a day",
    "rate_events": "counters of requests, kept for a day",
}

#: Columns of exported tables that are not exported, by table.
WITHHELD_COLUMNS: dict[str, frozenset[str]] = {
    # Credentials, and what credentials are made from.
    "api_keys": frozenset({"key_hash"}),
    "dkim_keys": frozenset({"sealed", "checked_at", "domain_id"}),
    "invitations": frozenset({"token_hash"}),
    "signing_secrets": frozenset({"sealed"}),
    "user_sessions": frozenset({"token_hash"}),
    # How the sign-in provider knows the person.
    "users": frozenset({"issuer", "subject"}),
    "identities": frozenset({"subject"}),
    # The daemon's own bookkeeping.
    "agents": frozenset({"domain_id", "webhook_host"}),
    "organisations": frozenset({"erased_since"}),
    "outbox": frozenset({"fence"}),
    "feedback": frozenset({"mailed_at", "issue_url", "attempts", "next_attempt_at"}),
    "webhook_deliveries": frozenset({"fence"}),
    "raw_messages": frozenset({"created_at"}),
    "raw_parts": frozenset({"raw_id", "part"}),
}

_USER = "SELECT id, email, name, created_at FROM users WHERE id = %s"
_ORGANISATION = """
    SELECT o.id, o.name, o.personal, o.created_at, o.quota_agents, o.quota_domains, o.quota_storage_bytes,
        o.quota_messages_per_day, m.role
    FROM organisations o JOIN memberships m ON m.organisation_id = o.id AND m.user_id = %s WHERE o.id = %s
"""
_MEMBERSHIPS = """
    SELECT o.id, o.name, m.role, m.created_at FROM memberships m JOIN organisations o ON o.id = m.organisation_id
    WHERE m.user_id = %(user)s AND (%(within)s::text IS NULL OR o.id = %(within)s) ORDER BY m.created_at, o.id
"""
_IDS = f"SELECT id FROM messages WHERE agent_id IN {_AGENTS} ORDER BY id"
_MESSAGES = """
    SELECT m.id, m.agent_id, m.organisation_id, m.direction, m.uid, m.sender, m.recipient, m.tag, m.to_recipients, m.cc,
        m.bcc, m.reply_to, m.subject, m.email_message_id, m.provider_message_id, m.in_reply_to, m.conversation_id,
        m.message_type AS type, m.method, coalesce(m.status, m.inbox_status) AS status,
        m.sent_status, w.status AS delivery_status, m.on_behalf_of, m.verified, m.auth_sender, m.entity_type,
        m.domain_check, m.delegation, m.body_hash, m.authentication, m.automation, m.defects, m.size,
        m.approval_expires_at, m.expiration_action, m.reviewed_at, m.rejection_reason, m.edited, m.created_at,
        m.expires_at, m.raw_id, CASE WHEN r.size <= %(short)s THEN r.data END AS data
    FROM messages m LEFT JOIN raw_messages r ON r.id = m.raw_id AND %(bytes)s
        LEFT JOIN webhook_deliveries w ON w.message_id = m.id
    WHERE m.id = ANY (%(ids)s) ORDER BY m.id
"""
_OPTIONAL_OF_MESSAGES = frozenset(
    {"approval_expires_at", "reviewed_at", "rejection_reason", "type", "method", "delivery_status", "conversation_id"}
)
_NOT_SHOWN = frozenset({"data", "raw_id"})


async def head(cur: Cursor, organisation_id: str, user_id: str, within: str | None) -> dict[str, Any]:
    """The parts that are no lists of the organisation's: the person, their organisations, this one.

    :param within: as in ``Section``.
    """
    user = await maybe(cur, _USER, (user_id,), lambda row: User(*row))
    organisation = await maybe(cur, _ORGANISATION, (user_id, organisation_id), lambda row: row._asdict())
    memberships = await many(cur, _MEMBERSHIPS, {"user": user_id, "within": within}, lambda row: row._asdict())
    return {"user": user, "organisation": organisation, "memberships": memberships}


async def walk(cur: Cursor, sql: str, values: Any, size: int = ROWS) -> AsyncIterator[list[Any]]:
    """A statement's rows, so many at a time. One walk at a time; needs an open transaction."""
    await cur.execute(f"DECLARE walk NO SCROLL CURSOR FOR {sql}", values)
    while True:
        await cur.execute(f"FETCH {size} FROM walk")
        rows = cur.fetchall()
        if rows:
            yield rows
        if len(rows) < size:
            break
    await cur.execute("CLOSE walk")


async def walk_messages(cur: Cursor, organisation_id: str, *, raw: bool) -> AsyncIterator[list[Any]]:
    """All messages of the organisation's agents, oldest first, by batches.

    :param raw: whether ``data`` of each row holds the bytes, if they are not longer than ``SHORT``.
    """
    async for batch in walk(cur, _IDS, {"organisation": organisation_id}, MESSAGES):
        values = {"ids": [row.id for row in batch], "short": SHORT, "bytes": raw}
        await cur.execute(_MESSAGES, values)
        yield cur.fetchall()


# --- text -------------------------------------------------------------------------------------------------------------


def opening(generated_at: datetime, parts: dict[str, Any]) -> bytes:
    """The document up to its first list."""
    return _dumps({"generated_at": generated_at, "schema_version": "1", **parts})[:-1]


def list_begin(name: str) -> bytes:
    return b',\n"' + name.encode() + b'":['


def entries(rows: Sequence[Any], optional: frozenset[str], first: bool) -> bytes:
    """Rows as entries of a list.

    :param optional: what is left out where it is null.
    :param first: whether nothing stands before them.
    """
    text = b",\n".join(_dumps(_shown(row, optional)) for row in rows)
    return b"\n" + text if first else b",\n" + text


def lines(rows: Sequence[Any]) -> bytes:
    """Rows as JSON Lines."""
    return b"".join(_dumps(row._asdict()) + b"\n" for row in rows)


def messages(rows: Sequence[Any], raw_file: dict[str, str] | None, first: bool) -> bytes:
    """Messages as entries of a list, each with its bytes if the row has them.

    :param raw_file: where in an archive the bytes are, by message id; None: they are in the entry, in base64.
    """
    parts = []
    for row in rows:
        entry = _shown(row, _OPTIONAL_OF_MESSAGES, _NOT_SHOWN)
        if raw_file is not None:
            if row.raw_id is not None:
                entry["raw_file"] = raw_file[row.id]
        elif row.data is not None:
            entry["raw_message"] = binascii.b2a_base64(row.data, newline=False).decode()
        parts.append(_dumps(entry))
    text = b",\n".join(parts)
    return b"\n" + text if first else b",\n" + text


def message_begin(row: Any, first: bool) -> bytes:
    """A message as an entry of a list, up to where the base64 of its bytes begins; it ends with ``message_end``."""
    text = _dumps(_shown(row, _OPTIONAL_OF_MESSAGES, _NOT_SHOWN))[:-1] + b',"raw_message":"'
    return b"\n" + text if first else b",\n" + text


message_end = b'"}'


def _shown(row: Any, optional: frozenset[str], hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {
        name: value
        for name, value in row._asdict().items()
        if name not in hidden and not (value is None and name in optional)
    }


def _dumps(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)
