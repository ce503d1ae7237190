"""Measurements of the whole and of its parts, compared with recorded figures."""
