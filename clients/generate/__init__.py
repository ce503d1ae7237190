"""Makes what is published from the API's description; `make client` runs it."""
