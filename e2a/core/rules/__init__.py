"""What is allowed: domains, permissions, retries, network policy."""
