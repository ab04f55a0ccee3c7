-- A domain's DKIM key is replaced: the new one waits until its record was seen in DNS, then the former retires. NULL: not retired.
ALTER TABLE dkim_keys ADD COLUMN retired_at timestamptz;
CREATE INDEX dkim_keys_retired ON dkim_keys (retired_at) WHERE retired_at IS NOT NULL;
