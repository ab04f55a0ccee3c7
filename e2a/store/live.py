"""Whether open live connections may stay open."""

from __future__ import annotations

from collections.abc import Sequence

from e2a.core.rules.permissions import ROLE_PERMISSIONS

from .rows import Cursor, many

# A key that may no longer read is as good as revoked, and so is one whose creator left or may no longer read. An agent
# whose label left the key's reach has gone as far as that key is concerned. The same holds for sessions.
_DEAD = """
    SELECT s.place::integer, CASE
            WHEN a.id IS NULL OR NOT starts_with(a.label, coalesce(k.label_prefix, '')) THEN 'agent deleted'
            WHEN a.agent_mode <> 'local' THEN 'agent is no longer in local mode'
            WHEN s.session_id <> '' THEN 'signed out'
            ELSE 'key revoked'
        END AS reason
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY
            AS s (agent_id, organisation_id, key_id, session_id, place)
        LEFT JOIN agents a ON a.id = s.agent_id AND a.organisation_id = s.organisation_id
        LEFT JOIN api_keys k ON k.id = s.key_id AND k.organisation_id = s.organisation_id
        LEFT JOIN user_sessions u ON u.id = s.session_id
        LEFT JOIN memberships m ON m.organisation_id = s.organisation_id AND m.user_id = coalesce(k.user_id, u.user_id)
    WHERE a.id IS NULL OR a.agent_mode <> 'local' OR NOT starts_with(a.label, coalesce(k.label_prefix, ''))
        OR (s.key_id <> '' AND (k.id IS NULL OR k.revoked_at IS NOT NULL OR k.expires_at <= now()
            OR 'messages:read' <> ALL (k.permissions)))
        OR (s.session_id <> '' AND (u.id IS NULL OR u.expires_at <= now()))
        OR ((s.key_id <> '' OR s.session_id <> '') AND (m.role IS NULL OR m.role <> ALL (%s)))
"""


async def find_dead(cur: Cursor, connections: Sequence[tuple[str, str, str, str]]) -> list[tuple[int, str]]:
    """Which connections have lost their right to be, by position from 0, each with the reason.

    :param connections: agent id, organisation id, key id and session id of each, "" for what it has not.
    """
    readers = [role for role, held in ROLE_PERMISSIONS.items() if "messages:read" in held]
    columns = [[row[place] for row in connections] for place in range(4)]
    return await many(cur, _DEAD, (*columns, readers), lambda row: (row.place - 1, row.reason))
