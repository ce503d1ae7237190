"""Credit bureaus: a paid report over HTTP."""
