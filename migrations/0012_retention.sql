-- Usage events by age, which retention removes.
CREATE INDEX usage_events_age ON usage_events USING brin (created_at);
