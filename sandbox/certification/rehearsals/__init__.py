"""The scripts of the shipped adapters' protocols."""
