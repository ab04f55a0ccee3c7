-- Who owns what: organisations, their people, keys, secrets, domains and agents.

CREATE TABLE organisations (
    id          text PRIMARY KEY,
    name        text NOT NULL DEFAULT '',
    personal    boolean NOT NULL DEFAULT true,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE users (
    id          text PRIMARY KEY,
    email       text NOT NULL,
    name        text NOT NULL DEFAULT '',
    issuer      text NOT NULL DEFAULT 'bootstrap',
    subject     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (issuer, subject)
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

CREATE TABLE memberships (
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    user_id         text NOT NULL REFERENCES users ON DELETE CASCADE,
    role            text NOT NULL DEFAULT 'owner' CHECK (role IN ('owner', 'admin', 'member')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organisation_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE user_sessions (
    token_hash      bytea PRIMARY KEY,
    user_id         text NOT NULL REFERENCES users ON DELETE CASCADE,
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL
);
CREATE INDEX user_sessions_expiry ON user_sessions (expires_at);
CREATE INDEX user_sessions_user ON user_sessions (user_id);
CREATE INDEX user_sessions_organisation ON user_sessions (organisation_id);

-- key_hash is SHA-256 of the whole key: keys carry 256 random bits, so neither salt nor stretching adds anything.
CREATE TABLE api_keys (
    id              text PRIMARY KEY,
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    user_id         text NOT NULL REFERENCES users ON DELETE CASCADE,
    name            text NOT NULL DEFAULT '',
    key_prefix      text NOT NULL,
    key_hash        bytea NOT NULL UNIQUE,
    permissions     text[] NOT NULL,
    agent_id        text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz,
    last_used_at    timestamptz,
    revoked_at      timestamptz
);
CREATE INDEX api_keys_organisation ON api_keys (organisation_id, created_at DESC);
CREATE INDEX api_keys_user ON api_keys (user_id);

CREATE TABLE signing_secrets (
    id              text PRIMARY KEY,
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    name            text NOT NULL DEFAULT '',
    secret_prefix   text NOT NULL,
    sealed          bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    last_signed_at  timestamptz
);
CREATE INDEX signing_secrets_newest ON signing_secrets (organisation_id, created_at DESC);

-- Several organisations may claim one name; the first to prove it gets it. No organisation: the shared domain.
CREATE TABLE domains (
    id                  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                text NOT NULL CHECK (name = lower(name)),
    organisation_id     text REFERENCES organisations ON DELETE CASCADE,
    verification_token  text NOT NULL DEFAULT '',
    created_at          timestamptz NOT NULL DEFAULT now(),
    verified_at         timestamptz,
    UNIQUE (organisation_id, name)
);
CREATE UNIQUE INDEX domains_one_owner ON domains (name) WHERE verified_at IS NOT NULL;

-- domain_id has no cascade: a domain in use cannot be deleted. webhook_host is the URL's host and port: receivers on several ports of
-- one host do not wait for each other.
CREATE TABLE agents (
    id                      text PRIMARY KEY CHECK (id = lower(id)),
    organisation_id         text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    domain_id               bigint NOT NULL REFERENCES domains,
    name                    text NOT NULL DEFAULT '',
    agent_mode              text NOT NULL DEFAULT 'cloud' CHECK (agent_mode IN ('cloud', 'local')),
    webhook_url             text NOT NULL DEFAULT '',
    webhook_host            text NOT NULL DEFAULT '',
    created_at              timestamptz NOT NULL DEFAULT now(),
    hitl_enabled            boolean NOT NULL DEFAULT false,
    hitl_ttl_seconds        integer NOT NULL DEFAULT 604800 CHECK (hitl_ttl_seconds BETWEEN 1 AND 604800),
    hitl_expiration_action  text NOT NULL DEFAULT 'reject' CHECK (hitl_expiration_action IN ('approve', 'reject')),
    CHECK (agent_mode = 'local' OR webhook_url <> '')
);
CREATE INDEX agents_organisation ON agents (organisation_id, created_at DESC);
CREATE INDEX agents_domain ON agents (domain_id);
ALTER TABLE api_keys ADD FOREIGN KEY (agent_id) REFERENCES agents ON DELETE CASCADE;
CREATE INDEX api_keys_agent ON api_keys (agent_id) WHERE agent_id IS NOT NULL;
