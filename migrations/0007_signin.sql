-- Sign-in: who a person is to a provider, sign-ins under way, one-time links, sessions that can be told apart.

-- Identity is (issuer, subject); the address is what the provider last said. users.issuer and users.subject remain what
-- they were at sign-up.
CREATE TABLE identities (
    issuer      text NOT NULL,
    subject     text NOT NULL,
    user_id     text NOT NULL REFERENCES users ON DELETE CASCADE,
    email       text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
-- One for each issuer: another subject with the same address is somebody else.
CREATE UNIQUE INDEX identities_user ON identities (user_id, issuer);

-- One row for each sign-in that a browser has begun, deleted by whoever comes back with its state. Nonce and PKCE verifier are
-- derived, not stored.
CREATE TABLE signin_states (
    state_hash  bytea PRIMARY KEY,
    provider    text NOT NULL,
    next        text NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX signin_states_expiry ON signin_states (expires_at);

CREATE TABLE signin_links (
    token_hash  bytea PRIMARY KEY,
    user_id     text NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX signin_links_user ON signin_links (user_id);
CREATE INDEX signin_links_expiry ON signin_links (expires_at);

-- The default makes ids for sessions that an older replica opens. A session outlives the organisation it was last in: it goes on in
-- another one of the person's.
ALTER TABLE user_sessions
    ADD COLUMN id text NOT NULL UNIQUE DEFAULT 'ses_' || replace(gen_random_uuid()::text, '-', ''),
    ADD COLUMN last_used_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN client_ip text NOT NULL DEFAULT '',
    ADD COLUMN user_agent text NOT NULL DEFAULT '',
    ALTER COLUMN organisation_id DROP NOT NULL,
    DROP CONSTRAINT user_sessions_organisation_id_fkey,
    ADD FOREIGN KEY (organisation_id) REFERENCES organisations ON DELETE SET NULL;

-- Whether somebody who signs in for the first time was invited.
CREATE INDEX invitations_email ON invitations (lower(email)) WHERE accepted_at IS NULL AND revoked_at IS NULL;
