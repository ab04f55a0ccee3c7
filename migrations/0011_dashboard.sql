-- What people page through: an agent's sent mail by age beside its mailbox, and its webhook deliveries by age. The latter index
-- stands in for the one on agent_id alone.
CREATE INDEX messages_written ON messages (agent_id, id) WHERE direction = 'outbound';
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (agent_id, message_id);
DROP INDEX webhook_deliveries_agent;
