"""An account with at least one row in every table, and markers in them by which what is left can be found."""

from __future__ import annotations

from typing import Any

from e2a.core.entities import Principal
from e2a.store.database import Database

from .postgres import sql
from .tenants import make_tenant, rows

#: Every table's primary data for one account; ``{m}`` is the account's marker. In the order of foreign keys.
# ruff: noqa: E501
_ROWS = """
    INSERT INTO domains (name, organisation_id, verification_token, verified_at) VALUES ('{m}.test', '{o}', 'token-{m}', now());
    INSERT INTO dkim_keys (domain_id, selector, sealed, public_key) SELECT id, 's-{m}', 'sealed', 'p-{m}' FROM domains WHERE name = '{m}.test';
    INSERT INTO agents (id, organisation_id, domain_id, name, label, agent_mode, webhook_url, webhook_host)
        SELECT 'bot@{m}.test', '{o}', id, 'Bot {m}', 'label-{m}', 'cloud', 'https://hook.{m}.test/', 'hook.{m}.test:443' FROM domains WHERE name = '{m}.test';
    INSERT INTO mailboxes (agent_id, uid_next) VALUES ('bot@{m}.test', 4);
    INSERT INTO api_keys (id, organisation_id, user_id, name, key_prefix, key_hash, permissions, agent_id, label_prefix)
        VALUES ('apk_{m}', '{o}', '{u}', 'key {m}', 'e2a_{m}', 'hash-{m}', '{{messages:read}}', NULL, 'label-');
    INSERT INTO user_sessions (token_hash, user_id, organisation_id, expires_at, user_agent) VALUES ('session-{m}', '{u}', '{o}', now() + interval '1 day', 'browser-{m}');
    INSERT INTO raw_messages (id, size, data) VALUES ('raw-{m}', {size}, '{first}'), ('raw-small-{m}', 9, 'small-{m}');
    INSERT INTO raw_parts (raw_id, part, data) VALUES ('raw-{m}', 1, '{second}');
    INSERT INTO messages (id, agent_id, direction, uid, raw_id, recipient, subject, inbox_status, conversation_id, size, authentication) VALUES
        ('msg_{m}1', 'bot@{m}.test', 'inbound', 1, 'raw-{m}', 'bot@{m}.test', 'Subject {m}', 'unread', 'c-{m}', 5, '{{"note": "{m}"}}'),
        ('msg_{m}2', 'bot@{m}.test', 'inbound', 2, 'raw-small-{m}', 'bot@{m}.test', 'Two {m}', 'read', NULL, 5, NULL),
        ('msg_{m}3', 'bot@{m}.test', 'inbound', 3, '{shared}', 'bot@{m}.test', 'Shared', 'unread', NULL, 5, NULL);
    INSERT INTO messages (id, agent_id, organisation_id, direction, status, message_type, sender, to_recipients, raw_id) VALUES
        ('msg_{m}4', 'bot@{m}.test', '{o}', 'outbound', 'sent', 'send', 'bot@{m}.test', '{{ana@{m}.example}}', NULL),
        ('msg_{m}5', 'bot@{m}.test', '{o}', 'outbound', 'queued', 'send', 'bot@{m}.test', '{{ana@{m}.example}}', 'raw-small-{m}');
    INSERT INTO outbound_recipients (message_id, address, kind, route) VALUES ('msg_{m}4', 'ana@{m}.example', 'to', 'smtp'), ('msg_{m}5', 'ana@{m}.example', 'to', 'smtp');
    INSERT INTO outbox (message_id, destination) VALUES ('msg_{m}5', '');
    INSERT INTO webhook_deliveries (message_id, agent_id, status, last_error) VALUES ('msg_{m}1', 'bot@{m}.test', 'failed', 'error {m}');
    INSERT INTO webhook_attempts (message_id, number, started_at, duration_ms, error) VALUES ('msg_{m}1', 1, now(), 5, 'error {m}');
    INSERT INTO fingerprints (agent_id, fingerprint, message_id) VALUES ('bot@{m}.test', 'print', 'msg_{m}1');
    INSERT INTO usage_events (id, organisation_id, agent_id, domain, direction) VALUES ('ue_{m}', '{o}', 'bot@{m}.test', '{m}.test', 'inbound');
    INSERT INTO usage_summaries (organisation_id, bucket_date, inbound_count, total_count) VALUES ('{o}', '2026-01-01', 1, 1);
    INSERT INTO message_days (organisation_id, day, messages) VALUES ('{o}', '2026-01-01', 1);
    INSERT INTO suppressions (organisation_id, address, reason) VALUES ('{o}', 'no@{m}.example', 'manual');
    INSERT INTO idempotency_keys (organisation_id, route, key, request_hash) VALUES ('{o}', 'send', 'key-{m}', 'hash');
    INSERT INTO rate_events (key) VALUES ('send:bot@{m}.test'), ('delegations:{o}'), ('poll:{u}');
    INSERT INTO delegations (id, agent_id, person) VALUES ('dlg_{m}', 'bot@{m}.test', 'person@{m}.example');
    INSERT INTO invitations (id, organisation_id, email, role, token_hash, invited_by, expires_at) VALUES ('inv_{m}', '{o}', 'guest@{m}.example', 'member', 'hash-{m}', '{u}', now());
    INSERT INTO identities (issuer, subject, user_id, email) VALUES ('https://id.test', 'subject-{m}', '{u}', '{m}@people.test');
    INSERT INTO signin_links (token_hash, user_id, expires_at) VALUES ('link-{m}', '{u}', now());
    INSERT INTO feedback (id, category, message, email, user_id) VALUES ('fb_' || md5('{m}'), 'bug', 'It does not work.', '{m}@people.test', '{u}');
    INSERT INTO storage_freed (agent_id, bytes) VALUES ('bot@{m}.test', 1);
    INSERT INTO audit_events (id, organisation_id, action, resource_type, resource_id, user_id, detail) VALUES ('aud_{m}', '{o}', 'agent.created', 'agent', 'bot@{m}.test', '{u}', '{{"name": "{m}"}}');
"""
#: A message in two parts, whose first is not a multiple of three.
FIRST, SECOND = b"x" * 2**20, b"the end"


async def fill(db: Database, dsn: str, marker: str, shared: str) -> Principal:
    """An account whose tables are all filled.

    :param marker: part of every text in it.
    :param shared: the id of bytes that other accounts hold as well.
    """
    owner = await make_tenant(db, marker)
    values: dict[str, Any] = {
        "m": marker,
        "o": owner.organisation_id,
        "u": owner.user_id,
        "shared": shared,
        "size": len(FIRST) + len(SECOND),
        "first": FIRST.decode(),
        "second": SECOND.decode(),
    }
    sql(f"INSERT INTO raw_messages (id, size, data) VALUES ('{shared}', 6, 'shared') ON CONFLICT DO NOTHING", dsn)
    sql(_ROWS.format(**values), dsn)
    return owner


async def tables(db: Database) -> list[str]:
    """Every table of the schema."""
    found = await rows(db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [row.tablename for row in found]


async def columns(db: Database, table: str) -> dict[str, str]:
    """A table's columns with their types."""
    found = await rows(
        db,
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s",
        table,
    )
    return {row.column_name: row.data_type for row in found}


async def holding(db: Database, *words: str) -> dict[str, int]:
    """How many rows of each table hold one of these words anywhere, octets included; without the tables that hold none."""
    found = {}
    for table in await tables(db):
        texts = [
            f"encode({name}, 'escape')" if kind == "bytea" else f"{name}::text"
            for name, kind in (await columns(db, table)).items()
        ]
        line = " || ' ' || ".join(f"coalesce({text}, '')" for text in texts)
        wanted = [f"%{word}%" for word in words]
        counted = await rows(db, f"SELECT count(*) AS n FROM {table} WHERE {line} LIKE ANY (%s)", wanted)
        if counted[0].n:
            found[table] = int(counted[0].n)
    return found
