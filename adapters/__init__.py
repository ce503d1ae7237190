"""Everything that can fail for outside reasons; satisfies the Protocols in `activities.ports`."""
