"""The e2a command."""
