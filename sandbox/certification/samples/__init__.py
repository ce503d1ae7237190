"""Adapters to learn from: a whole small one, and one with every plausible mistake."""
