"""Rules as data (YAML per jurisdiction) and the pure engine that evaluates them."""
