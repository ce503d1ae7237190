"""Embedded services, simulated counterparties and personas of the demo and the tests."""
