-- Signing secrets that overlap. signs_from: when a secret takes over X-E2A-Auth-Signature; NULL: at once. retires_at: when it stops
-- counting and is removed; NULL: never by itself. A daemon of the version before signs with the newest and keeps verifying with all.
ALTER TABLE signing_secrets ADD COLUMN signs_from timestamptz;
ALTER TABLE signing_secrets ADD COLUMN retires_at timestamptz;
CREATE INDEX signing_secrets_retiring ON signing_secrets (retires_at) WHERE retires_at IS NOT NULL;

-- By the id of the key that sealed a row: what is left under a former deployment secret is found without reading every row.
CREATE INDEX signing_secrets_seal ON signing_secrets (substring(sealed FROM 2 FOR 8), id);
CREATE INDEX dkim_keys_seal ON dkim_keys (substring(sealed FROM 2 FOR 8), domain_id, selector);
