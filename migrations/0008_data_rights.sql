-- The owner's rights over the data: an organisation that is being erased, and the audit log by what was changed.

-- Set when its erasure began: nothing is added any more, and whoever finds it goes on until the row is gone.
ALTER TABLE organisations ADD COLUMN erased_since timestamptz;
CREATE INDEX organisations_erased ON organisations (erased_since) WHERE erased_since IS NOT NULL;

CREATE INDEX audit_events_resource ON audit_events (organisation_id, resource_type, resource_id, id DESC);
CREATE INDEX audit_events_action ON audit_events (organisation_id, action text_pattern_ops, id DESC);
