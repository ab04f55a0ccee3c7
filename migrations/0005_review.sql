-- Review: an organisation's held messages, the most urgent first.
CREATE INDEX messages_review ON messages (organisation_id, approval_expires_at, id) WHERE status = 'pending_approval';
