"""Periodic work on leases: claim rows, call one flow."""
