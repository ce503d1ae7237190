"""Schemathesis against a running stack: every operation, with authentication and real ids."""
