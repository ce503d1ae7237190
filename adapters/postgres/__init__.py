"""PostgreSQL: schema, tenant-scoped transactions, and one file of statements per subject."""
