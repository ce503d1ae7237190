"""Personas: data of invented people, never code paths."""
