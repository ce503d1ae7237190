"""Simulated counterparties: real HTTP servers whose answers depend only on the request."""
