"""The checker: counts violations of what must hold whatever goes wrong, on evidence of others."""
