"""The order of events: deterministic, no I/O; one file per story."""
