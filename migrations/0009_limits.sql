-- Quotas, how much mail is kept, usage by day, feedback.

-- An organisation's own quotas; null: those of the deployment, 0: no limit.
ALTER TABLE organisations
    ADD COLUMN quota_agents           bigint CHECK (quota_agents >= 0),
    ADD COLUMN quota_domains          bigint CHECK (quota_domains >= 0),
    ADD COLUMN quota_storage_bytes    bigint CHECK (quota_storage_bytes >= 0),
    ADD COLUMN quota_messages_per_day bigint CHECK (quota_messages_per_day >= 0);
CREATE INDEX organisations_own_storage ON organisations (id) WHERE quota_storage_bytes IS NOT NULL;

-- Octets of received mail that each mailbox keeps, one count for each copy. Intake counts up in the row that it writes anyway. What is
-- deleted is noted by the trigger, whoever deletes, and taken off the count later: a batch of deletions must not lock mailboxes.
ALTER TABLE mailboxes ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
UPDATE mailboxes AS m SET bytes = kept.bytes
FROM (SELECT agent_id, sum(size) AS bytes FROM messages WHERE direction = 'inbound' GROUP BY agent_id) AS kept
WHERE kept.agent_id = m.agent_id;

CREATE TABLE storage_freed (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    agent_id    text NOT NULL,
    bytes       bigint NOT NULL
);
CREATE FUNCTION note_freed_storage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storage_freed (agent_id, bytes)
    SELECT agent_id, sum(size) FROM gone WHERE direction = 'inbound' GROUP BY agent_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER messages_freed AFTER DELETE ON messages
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION note_freed_storage();

-- Messages that an organisation sent on a day (UTC), kept only where there is a quota.
CREATE TABLE message_days (
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    day             date NOT NULL,
    messages        bigint NOT NULL,
    PRIMARY KEY (organisation_id, day)
) WITH (fillfactor = 50);

CREATE TABLE usage_summaries (
    organisation_id text NOT NULL REFERENCES organisations ON DELETE CASCADE,
    bucket_date     date NOT NULL,
    inbound_count   bigint NOT NULL DEFAULT 0,
    outbound_count  bigint NOT NULL DEFAULT 0,
    total_count     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (organisation_id, bucket_date)
);

-- What people wrote to the operator. It stays when its author's account goes, without saying whose it was.
CREATE TABLE feedback (
    id              text PRIMARY KEY,
    category        text NOT NULL CHECK (category IN ('bug', 'feature', 'general')),
    message         text NOT NULL,
    email           text NOT NULL DEFAULT '',
    user_id         text REFERENCES users ON DELETE SET NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    mailed_at       timestamptz,
    issue_url       text NOT NULL DEFAULT '',
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT now()
);
CREATE INDEX feedback_due ON feedback (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX feedback_user ON feedback (user_id) WHERE user_id IS NOT NULL;
