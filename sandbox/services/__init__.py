"""Real servers on this machine for the demo and the tests: start, stop, kill, addresses."""
