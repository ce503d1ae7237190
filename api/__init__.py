"""The HTTP front door: authenticate, validate, start and message workflows, read read models."""
