-- Conversations: an agent's by their latest message, and the messages that a reply may quote.
CREATE INDEX messages_activity ON messages (agent_id, id) INCLUDE (conversation_id, expires_at)
    WHERE conversation_id IS NOT NULL;
CREATE INDEX messages_quoted ON messages (agent_id, email_message_id, id)
    WHERE conversation_id IS NOT NULL AND email_message_id <> '';
