"""Webhooks: signatures in and out, and what brings events to integrators."""
