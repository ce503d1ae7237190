"""Makes a bare clone ready to run: the virtual environment, the chain, the contracts' tools."""
