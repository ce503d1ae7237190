"""The Protocols activities need, one file per outside system."""
