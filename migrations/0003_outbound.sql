-- Mail out: what agents send, who it goes to, the queue, and what a human must approve first.

-- An outbound message's row. raw_id holds the composed message until the outcome is final, then it is let go.
ALTER TABLE messages
    ADD COLUMN organisation_id      text REFERENCES organisations ON DELETE CASCADE,
    ADD COLUMN status               text CHECK (status IN ('pending_approval', 'queued', 'sent', 'failed', 'unknown',
                                                           'rejected', 'expired_approved', 'expired_rejected')),
    ADD COLUMN sent_status          text NOT NULL DEFAULT 'sent' CHECK (sent_status IN ('sent', 'expired_approved')),
    ADD COLUMN message_type         text CHECK (message_type IN ('send', 'reply', 'forward', 'test')),
    ADD COLUMN method               text CHECK (method IN ('smtp', 'loopback')),
    ADD COLUMN provider_message_id  text NOT NULL DEFAULT '',
    ADD COLUMN in_reply_to          text NOT NULL DEFAULT '',
    ADD COLUMN on_behalf_of         text NOT NULL DEFAULT '',
    ADD COLUMN bcc                  text[] NOT NULL DEFAULT '{}',
    ADD COLUMN approval_expires_at  timestamptz,
    ADD COLUMN expiration_action    text CHECK (expiration_action IN ('approve', 'reject')),
    ADD COLUMN reviewed_at          timestamptz,
    ADD COLUMN rejection_reason     text,
    ADD COLUMN edited               boolean NOT NULL DEFAULT false,
    ADD COLUMN automation           jsonb;
ALTER TABLE messages ADD CHECK (direction = 'inbound' OR (status IS NOT NULL AND organisation_id IS NOT NULL)) NOT VALID;
CREATE INDEX messages_provider ON messages (agent_id, provider_message_id) WHERE provider_message_id <> '';
CREATE INDEX messages_conversation ON messages (agent_id, conversation_id, id) WHERE conversation_id IS NOT NULL;
CREATE INDEX messages_outbound ON messages (organisation_id, status, id) WHERE direction = 'outbound';
CREATE INDEX messages_held ON messages (approval_expires_at, id) WHERE status = 'pending_approval';

-- One row per envelope recipient of an outbound message.
CREATE TABLE outbound_recipients (
    message_id  text NOT NULL REFERENCES messages ON DELETE CASCADE,
    address     text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('to', 'cc', 'bcc')),
    route       text NOT NULL CHECK (route IN ('smtp', 'loopback')),
    destination text NOT NULL DEFAULT '',
    state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed', 'unknown', 'bounced')),
    code        integer,
    reply       text NOT NULL DEFAULT '',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, address)
);

-- The queue: one job per message and destination ('' is the upstream server, else a recipient domain). Leases as in
-- webhook_deliveries. phase 'data' is written, fenced, just before the message is transmitted: a job found in it has an unknown
-- outcome.
CREATE TABLE outbox (
    message_id      text NOT NULL REFERENCES messages ON DELETE CASCADE,
    destination     text NOT NULL DEFAULT '',
    phase           text NOT NULL DEFAULT 'ready' CHECK (phase IN ('ready', 'data')),
    attempts        integer NOT NULL DEFAULT 0,
    unknowns        integer NOT NULL DEFAULT 0,
    fence           integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT now(),
    gives_up_at     timestamptz NOT NULL DEFAULT now() + interval '5 days',
    last_error      text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (message_id, destination)
) WITH (fillfactor = 70);
CREATE INDEX outbox_due ON outbox (next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE suppressions (
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    address         text NOT NULL,
    reason          text NOT NULL,
    message_id      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, address)
);

CREATE TABLE idempotency_keys (
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    route           text NOT NULL,
    key             text NOT NULL,
    request_hash    bytea NOT NULL,
    resource_id     text NOT NULL DEFAULT '',
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys USING brin (created_at);

-- Sliding-window rate limits: one row per counted event, so that no row is hot. key is "<limit>:<whom>".
CREATE TABLE rate_events (
    key         text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    id          bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (key, at, id)
);

-- DKIM keys of our domains. The selector never changes without a rotation; signing starts when the record was seen in DNS.
CREATE TABLE dkim_keys (
    domain_id   bigint NOT NULL REFERENCES domains ON DELETE CASCADE,
    selector    text NOT NULL,
    sealed      bytea NOT NULL,
    public_key  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    active_at   timestamptz,
    checked_at  timestamptz,
    PRIMARY KEY (domain_id, selector)
);
CREATE INDEX dkim_keys_waiting ON dkim_keys (checked_at) WHERE active_at IS NULL;

-- An agent acts for a person: proposed by its owner, confirmed by the person, ended by either.
CREATE TABLE delegations (
    id              text PRIMARY KEY,
    agent_id        text NOT NULL REFERENCES agents ON DELETE CASCADE,
    person          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    confirmed_at    timestamptz,
    ended_at        timestamptz,
    ended_by        text CHECK (ended_by IN ('owner', 'person'))
);
CREATE INDEX delegations_agent ON delegations (agent_id, created_at DESC);
CREATE UNIQUE INDEX delegations_live ON delegations (agent_id, person) WHERE ended_at IS NULL;
