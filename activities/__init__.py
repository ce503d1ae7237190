"""Steps with effects, one class per subject: translate, call a port, return a record."""
