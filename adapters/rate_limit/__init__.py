"""Who keeps the token buckets: this process, PostgreSQL, or Valkey; all three count alike."""
