"""Live updates: committed events, handed to every client who may see them, once and in order."""
