"""What the gateway does: every rule that spans two tables."""
