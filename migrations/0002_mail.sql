-- Received mail and its delivery.

-- The mailbox's uid counter (RFC 9051 2.3.1.1) lives apart from agents, so that a busy agent's row stays quiet. Its row lock puts the
-- commits of one agent's mail in uid order: a reader who has seen uid n has seen everything below n.
CREATE TABLE mailboxes (
    agent_id    text PRIMARY KEY REFERENCES agents ON DELETE CASCADE,
    uid_next    bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

-- Original bytes, once per SMTP transaction. data holds the first MiB; what is longer goes on in raw_parts, so that no single statement
-- makes the daemon encode or decode more than that at a time.
CREATE TABLE raw_messages (
    id          text PRIMARY KEY,
    size        integer NOT NULL,
    data        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE raw_parts (
    raw_id      text NOT NULL REFERENCES raw_messages ON DELETE CASCADE,
    part        integer NOT NULL,
    data        bytea NOT NULL,
    PRIMARY KEY (raw_id, part)
);

CREATE TABLE messages (
    id                  text PRIMARY KEY,
    agent_id            text NOT NULL REFERENCES agents ON DELETE CASCADE,
    direction           text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    uid                 bigint,
    raw_id              text REFERENCES raw_messages,
    sender              text NOT NULL DEFAULT '',
    recipient           text NOT NULL DEFAULT '',
    tag                 text NOT NULL DEFAULT '',
    to_recipients       text[] NOT NULL DEFAULT '{}',
    cc                  text[] NOT NULL DEFAULT '{}',
    reply_to            text[] NOT NULL DEFAULT '{}',
    subject             text NOT NULL DEFAULT '',
    email_message_id    text NOT NULL DEFAULT '',
    conversation_id     text,
    verified            boolean NOT NULL DEFAULT false,
    auth_sender         text NOT NULL DEFAULT '',
    entity_type         text NOT NULL DEFAULT 'human' CHECK (entity_type IN ('human', 'agent')),
    domain_check        text NOT NULL DEFAULT '',
    delegation          text NOT NULL DEFAULT '',
    body_hash           text NOT NULL DEFAULT '',
    authentication      jsonb,
    defects             text[] NOT NULL DEFAULT '{}',
    size                integer NOT NULL DEFAULT 0,
    inbox_status        text CHECK (inbox_status IN ('unread', 'read')),
    created_at          timestamptz NOT NULL DEFAULT now(),
    expires_at          timestamptz NOT NULL DEFAULT now() + interval '30 days',
    CHECK (direction = 'outbound' OR (uid IS NOT NULL AND raw_id IS NOT NULL AND inbox_status IS NOT NULL))
);
CREATE UNIQUE INDEX messages_mailbox ON messages (agent_id, uid) WHERE direction = 'inbound';
CREATE INDEX messages_unread ON messages (agent_id, uid) WHERE inbox_status = 'unread';
-- For delivery reports, which are about mail of ours.
CREATE INDEX messages_reported ON messages (agent_id, email_message_id) WHERE direction = 'outbound' AND email_message_id <> '';
CREATE INDEX messages_raw ON messages (raw_id);
CREATE INDEX messages_expiry ON messages USING brin (expires_at);

-- A transmission seen before: same agent, same Message-ID and content, within seven days (RFC 1047: an answer to DATA can get lost).
-- Without a foreign key, which would be checked for every message: whoever deletes an agent deletes these.
CREATE TABLE fingerprints (
    agent_id    text NOT NULL,
    fingerprint bytea NOT NULL,
    message_id  text NOT NULL,
    seen_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, fingerprint)
);
CREATE INDEX fingerprints_age ON fingerprints USING brin (seen_at);

-- A delivery is due when next_attempt_at is past; claiming moves next_attempt_at to the end of the lease and counts fence up, so a
-- worker that died needs no cleaning up and one that slept cannot overwrite its successor's outcome.
CREATE TABLE webhook_deliveries (
    message_id      text PRIMARY KEY REFERENCES messages ON DELETE CASCADE,
    agent_id        text NOT NULL REFERENCES agents ON DELETE CASCADE,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts        integer NOT NULL DEFAULT 0,
    fence           integer NOT NULL DEFAULT 0,
    last_error      text NOT NULL DEFAULT '',
    next_attempt_at timestamptz DEFAULT now(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    delivered_at    timestamptz
) WITH (fillfactor = 70);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (agent_id, message_id) WHERE status = 'failed';
CREATE INDEX webhook_deliveries_agent ON webhook_deliveries (agent_id);

CREATE TABLE webhook_attempts (
    message_id  text NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    number      integer NOT NULL,
    started_at  timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    status_code integer,
    error       text NOT NULL DEFAULT '',
    PRIMARY KEY (message_id, number)
);

CREATE TABLE usage_events (
    id              text PRIMARY KEY,
    organisation_id text REFERENCES organisations ON DELETE CASCADE,
    agent_id        text NOT NULL,
    domain          text NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    event_type      text NOT NULL DEFAULT 'message',
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX usage_events_organisation ON usage_events (organisation_id, created_at);
