"""The HTTP interface: authenticate, validate, message the workflows, read what was decided."""
