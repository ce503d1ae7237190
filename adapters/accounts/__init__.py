"""Signing in: passwords, tokens, their keys and their revocation."""
