"""Wiring: settings to service tree, ordered start and drain."""
