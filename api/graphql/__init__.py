"""GraphQL: one read schema over what the product records, with the rights of the REST paths."""
