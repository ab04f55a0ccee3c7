"""To the agent: webhooks and WebSockets."""
