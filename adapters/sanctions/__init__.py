"""Sanctions lists: read from their publishers' files, compared with names, never half-loaded."""
