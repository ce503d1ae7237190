"""The chain: EIP-712 signatures, the RPC transport, and the aggregator contract behind one port."""
