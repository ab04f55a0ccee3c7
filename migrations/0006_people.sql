-- People and their rights: roles with invitations, keys for a part of the agents, what was done by whom.

-- A label groups agents: a key with a label prefix sees only the agents whose label begins with it.
ALTER TABLE agents ADD COLUMN label text NOT NULL DEFAULT '';
CREATE INDEX agents_label ON agents (organisation_id, label text_pattern_ops) WHERE label <> '';
ALTER TABLE api_keys ADD COLUMN label_prefix text;

-- An invitation is accepted by whoever holds its token, which is mailed and stored as a hash only.
CREATE TABLE invitations (
    id              text PRIMARY KEY,
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    email           text NOT NULL,
    role            text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    token_hash      bytea NOT NULL UNIQUE,
    invited_by      text REFERENCES users ON DELETE SET NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    accepted_at     timestamptz,
    revoked_at      timestamptz
);
CREATE INDEX invitations_organisation ON invitations (organisation_id, created_at DESC);
CREATE INDEX invitations_inviter ON invitations (invited_by) WHERE invited_by IS NOT NULL;

-- What was done, by whom, from where. Written in the transaction of the change. Ids sort by time. Without a foreign key to
-- users: the line outlives whoever it names, as an id.
CREATE TABLE audit_events (
    id              text PRIMARY KEY,
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    action          text NOT NULL,
    resource_type   text NOT NULL,
    resource_id     text NOT NULL DEFAULT '',
    user_id         text,
    key_prefix      text NOT NULL DEFAULT '',
    client_ip       text NOT NULL DEFAULT '',
    user_agent      text NOT NULL DEFAULT '',
    request_id      text NOT NULL DEFAULT '',
    result          text NOT NULL DEFAULT 'ok' CHECK (result IN ('ok', 'refused', 'failed')),
    detail          jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_organisation ON audit_events (organisation_id, id DESC);
CREATE INDEX audit_events_age ON audit_events USING brin (at);
